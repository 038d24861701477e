"""Regression: numbers, in the units of the data for the metrics and in robust units (spreads) for the losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from losslab.data import Data
from losslab.losses.spaces import check_target
from losslab.scale import robust_scale
from losslab.tasks.base import Snapshot, Task, register

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@register
class Regression(Task):
    """Raw outputs are D numbers, standardised; targets are numbers [n, D] in their own units.

    If a loss reads a scale beside each value, the model gives its logarithm as D further numbers.
    Losses read predictions and targets in spreads from the median of the training targets, so a `beta` or `delta` means the same
    for every data set. Metrics in the target's units: mae, rmse, median_ae (median absolute error). r2: share of variance
    explained, at most 1, and 0 for predicting the mean.
    """

    metrics = {"mae": "min", "rmse": "min", "median_ae": "min", "r2": "max"}
    centre: Tensor
    spread: Tensor

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.register_buffer("centre", torch.zeros(self.outputs))
        self.register_buffer("spread", torch.ones(self.outputs))

    @property
    def outputs(self) -> int:
        """D."""
        return len(self.target_names)

    def calibrate(self, targets: Tensor) -> None:
        """Computes median and spread of the training targets, which may be corrupted."""
        self.centre, self.spread = robust_scale(targets)

    def check_targets(self, targets: Tensor) -> None:
        """Raises ValueError for a target that is not finite."""
        check_target("values", targets)

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
        return self.located(raw) * self.spread + self.centre

    def located(self, raw: Tensor) -> Tensor:
        """The values among the raw outputs, [n, D]; with a loss that also reads a scale, a model gives 2 D numbers."""
        return raw[..., : self.outputs]

    def target(self, space: str, targets: Tensor) -> Tensor:
        """In spreads from the median, in both spaces."""
        return (targets - self.centre) / self.spread

    def measure(self, raw: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """See the class."""
        error = self.in_units(raw) - targets
        around = targets - targets.mean(1, keepdim=True)
        r2 = 1 - error.square().sum(1) / around.square().sum(1)
        distance, _ = error.abs().flatten(1).sort(1)
        middle = distance.shape[1] - 1
        return {  # for all runs at once; torchmetrics would compute them one by one, in every epoch of every run
            "mae": distance.mean(1),
            "rmse": error.square().flatten(1).mean(1).sqrt(),
            "median_ae": (distance[:, middle // 2] + distance[:, (middle + 1) // 2]) / 2,
            # NaN if the targets have no variance
            "r2": torch.where((targets == targets[:, :1]).flatten(1).all(1), float("nan"), r2.mean(1)),
        }

    def draw(self, writer: SummaryWriter, step: int, seen: Snapshot) -> None:
        """Residuals of the training split to the targets of the run; clean rows and corrupted rows have separate histograms.

        With a robust loss the residuals of corrupted rows stay far from 0. If the model has learnt these rows, they are near 0.
        """
        rows = seen.split["train"]
        residuals = (self.in_units(seen.raw(rows).to(self.spread)) - seen.targets[rows]).flatten(1).mean(1)
        hit = seen.hit[rows]
        for name, part in (("clean_rows", residuals[~hit]), ("corrupted_rows", residuals[hit])):
            if len(part) and torch.isfinite(part).all():
                writer.add_histogram(f"residuals/{name}", part, step)
