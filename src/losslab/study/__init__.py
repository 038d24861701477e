"""Studies: many records, one question."""
