"""One run, from a checked request to its record. Read run.py first."""
