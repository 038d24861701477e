"""Faults that are injected on purpose, and tests of what survives them."""
