"""Metrics of several quantiles at once: how good they are, and whether the interval between the outermost holds what it promises."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from losslab.metrics.base import register


class QuantilePredictions:
    """Quantiles [R, n, D, Q] of rising levels, and numbers [R, n, D], in units of the target."""

    def __init__(self, pred: Tensor, targets: Tensor, levels: Sequence[float]) -> None:
        self.pred, self.targets = pred, targets
        self.levels = torch.tensor(levels, dtype=pred.dtype, device=pred.device)

    @cached_property
    def covered(self) -> Tensor:
        """The share of the targets from the first quantile to the last [R]."""
        inside = (self.pred[..., 0] <= self.targets) & (self.targets <= self.pred[..., -1])
        return inside.flatten(1).to(self.pred).mean(1)


@register
def pinball(seen: QuantilePredictions) -> Tensor:
    """Mean pinball loss over the levels [R]; a proper score."""
    over = seen.targets[..., None] - seen.pred
    return (0.5 * over.abs() + (seen.levels - 0.5) * over).flatten(1).mean(1)


@register
def coverage(seen: QuantilePredictions) -> Tensor:
    """Share of the targets inside the outermost interval [R]."""
    return seen.covered


@register
def coverage_error(seen: QuantilePredictions) -> Tensor:
    """How far the coverage is from the one that the levels promise [R]."""
    return (seen.covered - (seen.levels[-1] - seen.levels[0])).abs()


@register
def interval_width(seen: QuantilePredictions) -> Tensor:
    """Mean distance of the last quantile from the first [R], 0 where they crossed."""
    return (seen.pred[..., -1] - seen.pred[..., 0]).clamp(min=0).flatten(1).mean(1)


@register
def crossing(seen: QuantilePredictions) -> Tensor:
    """Share of neighbouring quantiles that are in the wrong order [R]."""
    return (seen.pred.diff(dim=-1) < 0).flatten(1).to(seen.pred).mean(1)
