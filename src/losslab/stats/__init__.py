"""Numbers about many runs: paired comparisons, ranks, robustness. No sentences."""
