"""Neutral metrics: how well predictions match clean targets, whatever loss was trained."""
