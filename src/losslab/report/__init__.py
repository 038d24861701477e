"""The report of a sweep or a study, from its records alone."""
