"""Counts: the model gives the logarithm of their rate."""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.data import Data
from losslab.spaces import check_target
from losslab.tasks.base import register
from losslab.tasks.regression import Regression


@register
class Counts(Regression):
    """Raw outputs are D numbers, logs of the rate in units of the mean training target; targets are counts [n, D], at least 0.

    So a prediction is never negative. Losses read the log of the rate, the rate itself, or values: the rate in spreads from
    the median, as in regression. The metrics are those of regression, for the rate.
    """

    mean: Tensor

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.register_buffer("mean", torch.ones(self.outputs))

    def calibrate(self, targets: Tensor, weights: Tensor | None = None) -> None:
        """Computes mean, median and spread of the training targets."""
        super().calibrate(targets, weights)
        mean = targets.mean(0) if weights is None else (weights[:, None] * targets).sum(0) / weights.sum()
        self.mean = mean.clamp(min=1e-6)

    def check_targets(self, targets: Tensor) -> None:
        """Raises ValueError for a target that is negative or not finite."""
        check_target("rate", targets)

    def constant(self, targets: Tensor) -> Tensor:
        """The median of the training targets."""
        return (targets.quantile(0.5, dim=0).clamp(min=1e-6) / self.mean).log()

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """log_rate; rate; values: the rate in spreads from the median."""
        log_rate = raw + self.mean.log()
        if space == "log_rate":
            return log_rate
        return log_rate.exp() if space == "rate" else super().target(space, log_rate.exp())

    def target(self, space: str, targets: Tensor) -> Tensor:
        """log_rate and rate: as they are; values: in spreads from the median."""
        return super().target(space, targets) if space == "values" else targets

    def in_units(self, raw: Tensor) -> Tensor:
        """The rate."""
        return self.prediction("rate", raw)
