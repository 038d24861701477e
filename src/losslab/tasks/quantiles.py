"""Several quantiles of a number at once, and so an interval that holds it with a stated probability."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from losslab.data import Data
from losslab.errors import BadRequest
from losslab.metrics.quantiles import QuantilePredictions
from losslab.tasks.base import register
from losslab.tasks.regression import Regression


@register
class Quantiles(Regression):
    """Raw outputs are Q quantiles of each of D numbers, standardised; targets are numbers [n, D] in their own units.

    Losses read them in spreads from the median of the training targets, as in regression. Metrics are in the target's own units.
    levels: of the quantiles, rising, each in (0, 1). The first and the last are the ends of the interval.
    """

    def __init__(self, data: Data, levels: Sequence[float]) -> None:
        if len(levels) < 2 or any(low >= high for low, high in itertools.pairwise(levels)):
            raise BadRequest(
                f"task.levels must be two or more rising numbers, such as [0.05,0.5,0.95]; it is {levels}."
            )
        super().__init__(data)
        self.levels = list(levels)

    @property
    def outputs(self) -> int:
        """D Q."""
        return self.numbers * len(self.levels)

    def constant(self, targets: Tensor) -> Tensor:
        """The quantiles of the training targets."""
        found = torch.stack([targets.quantile(level, dim=0) for level in self.levels], -1)  # [D, Q]
        return ((found - self.centre[:, None]) / self.spread[:, None]).flatten()

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """quantiles: [n, D, Q], in spreads from the median."""
        found: Tensor = raw.unflatten(-1, (self.numbers, len(self.levels)))
        return found

    def in_units(self, raw: Tensor) -> Tensor:
        """The quantiles in the units of the targets, [n, D, Q]."""
        return self.prediction("quantiles", raw) * self.spread[..., None] + self.centre[..., None]

    def predictions(self, raw: Tensor, targets: Tensor) -> QuantilePredictions:
        """In units of the targets."""
        return QuantilePredictions(self.in_units(raw), targets, self.levels)

    def located(self, raw: Tensor) -> Tensor:
        """The quantile whose level is nearest to 1/2, [n, D]."""
        return self.prediction("quantiles", raw)[..., middle(self.levels)]


def middle(levels: Sequence[float]) -> int:
    """The place of the level nearest to 1/2."""
    return min(range(len(levels)), key=lambda place: abs(levels[place] - 0.5))
