"""Regression: numbers, in the units of the data for the metrics and in robust units (spreads) for the losses."""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.data import Data
from losslab.data.robust_scale import robust_scale
from losslab.metrics import Predictions
from losslab.metrics.regression import NumberPredictions
from losslab.spaces import check_target
from losslab.tasks.base import Drawing, Snapshot, Task, register

_LARGEST = 1e19  # residual in a figure: the bins of TensorBoard's histograms end at 1e20, and values beyond all bins are an error


@register
class Regression(Task):
    """Raw outputs are D numbers, standardised; targets are numbers [n, D] in their own units.

    Where a loss reads a scale beside each value, the model gives its logarithm as D further numbers.
    Losses read both in spreads from the median of the training targets, so a `beta` or `delta` means the same for every
    data set. Metrics are in the target's own units.

    log_target: the model predicts the logarithm of the target, and losses read both as logarithms; targets are above 0.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, data: Data, log_target: bool = False) -> None:
        super().__init__(data)
        self.log_target = log_target
        self.register_buffer("centre", torch.zeros(self.numbers))
        self.register_buffer("spread", torch.ones(self.numbers))

    @property
    def numbers(self) -> int:
        """D."""
        return len(self.target_names)

    @property
    def outputs(self) -> int:
        """D."""
        return self.numbers

    def calibrate(self, targets: Tensor, weights: Tensor | None = None) -> None:
        """Computes median and spread of the training targets, which may be corrupted."""
        self.centre, self.spread = robust_scale(self._seen(targets), weights)

    def check_targets(self, targets: Tensor) -> None:
        """Raises ValueError for a target that is not finite, or of which there is no logarithm where that is asked for."""
        check_target("values", targets)
        if self.log_target and not (targets > 0).all():
            row = int((targets <= 0).any(-1).nonzero()[0])
            raise ValueError(
                f"task.log_target=true needs targets above 0, and that of row {row} is {targets[row].min().item():g}; "
                "leave it away, or take a loss for counts where 0 occurs."
            )

    def constant(self, targets: Tensor) -> Tensor:
        """The median of the training targets, which is 0 after `calibrate`."""
        return torch.zeros(self.outputs)

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """values: as they are; values_and_scale: [n, D, 2], the value and the log of a scale, in spreads of the target."""
        if space == "values":
            return self.located(raw)
        return torch.stack([self.located(raw), raw[..., self.outputs :]], -1)

    def in_units(self, raw: Tensor) -> Tensor:
        """What the model predicts, in the units of the targets, [n, D]."""
        found = self.located(raw) * self.spread + self.centre
        return found.exp() if self.log_target else found

    def located(self, raw: Tensor) -> Tensor:
        """The values among the raw outputs, [n, D]; with a loss that also reads a scale, a model gives 2 D numbers."""
        return raw[..., : self.outputs]

    def target(self, space: str, targets: Tensor) -> Tensor:
        """In spreads from the median, in both spaces."""
        return (self._seen(targets) - self.centre) / self.spread

    def _seen(self, targets: Tensor) -> Tensor:
        """Targets as losses see them, but for the scale."""
        return targets.log() if self.log_target else targets

    def predictions(self, raw: Tensor, targets: Tensor) -> Predictions:
        """In units of the targets."""
        return NumberPredictions(self.in_units(raw), targets)

    def draw(self, writer: Drawing, step: int, seen: Snapshot) -> None:
        """Residuals of the training split against the targets it was given, rows left clean and corrupted rows apart.

        A robust loss leaves the rows that were corrupted far from 0; one that learnt them has pulled them in.
        """
        rows = seen.split["train"]
        residuals = (self.in_units(seen.raw(rows).to(self.spread)) - seen.targets[rows]).flatten(1).mean(1)
        corrupted = seen.corrupted[rows]
        for name, part in (("clean_rows", residuals[~corrupted]), ("corrupted_rows", residuals[corrupted])):
            if len(part) and torch.isfinite(part).all():
                writer.add_histogram(f"residuals/{name}", part.clamp(-_LARGEST, _LARGEST), step)
