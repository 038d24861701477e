"""Metrics of classes in an order: how many classes a guess is off."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from losslab.metrics.base import register
from losslab.metrics.classification import ClassPredictions


class OrdinalPredictions(ClassPredictions):
    """One of K classes in an order: log probabilities [R, n, K] and class indices [R, n]."""

    @cached_property
    def rank(self) -> Tensor:
        """The median of the predicted distribution [R, n]: how many of P(y > k) exceed 1/2."""
        above = 1 - self.pred.cumsum(-1)[..., :-1]
        return (above > 0.5).sum(-1)

    @cached_property
    def off(self) -> Tensor:
        """By how many classes the median is off [R, n]."""
        return (self.rank - self.targets).abs().to(self.logits)


@register
def rank_error(seen: OrdinalPredictions) -> Tensor:
    """Mean number of classes between the median of the prediction and the true class [R]."""
    return seen.off.mean(1)


@register
def within_one(seen: OrdinalPredictions) -> Tensor:
    """Share of medians that are at most one class off [R]."""
    return (seen.off <= 1).to(seen.logits).mean(1)


@register
def weighted_kappa(seen: OrdinalPredictions) -> Tensor:
    """Cohen's kappa with quadratic weights [R] (Cohen, 1968); NaN where all medians and all classes are one."""
    rank, true = seen.rank.double(), seen.targets.double()
    chance = rank.var(1, correction=0) + true.var(1, correction=0) + (rank.mean(1) - true.mean(1)).square()
    found = 1 - (rank - true).square().mean(1) / chance
    return torch.where(chance > 0, found, torch.nan).to(seen.logits)
