"""Metrics of numbers, in units of the target; counts are judged by them, too."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from losslab.metrics.base import register


class NumberPredictions:
    """Predicted and true numbers [R, n, D], in units of the target."""

    def __init__(self, pred: Tensor, targets: Tensor) -> None:
        self.pred, self.targets = pred, targets

    @cached_property
    def error(self) -> Tensor:
        """Predicted minus true [R, n, D]."""
        return self.pred - self.targets

    @cached_property
    def distance(self) -> Tensor:
        """Absolute errors in their order [R, n D]."""
        return self.error.abs().flatten(1).sort(1).values


@register
def mae(seen: NumberPredictions) -> Tensor:
    """Mean absolute error [R]."""
    return seen.distance.mean(1)


@register
def rmse(seen: NumberPredictions) -> Tensor:
    """Root of the mean squared error [R]."""
    return seen.error.square().flatten(1).mean(1).sqrt()


@register
def median_ae(seen: NumberPredictions) -> Tensor:
    """Median absolute error [R]: the mean of the two in the middle where their number is even."""
    middle = seen.distance.shape[1] - 1
    return (seen.distance[:, middle // 2] + seen.distance[:, (middle + 1) // 2]) / 2


@register
def r2(seen: NumberPredictions) -> Tensor:
    """Share of the variance explained, the mean over outputs [R]; NaN where the targets have no variance."""
    targets = seen.targets
    around = targets - targets.mean(1, keepdim=True)
    found = 1 - seen.error.square().sum(1) / around.square().sum(1)
    return torch.where((targets == targets[:, :1]).flatten(1).all(1), float("nan"), found.mean(1))
