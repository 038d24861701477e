"""What a task is: how raw outputs and targets look in each space, and the neutral metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from losslab.data import Data, Split
from losslab.metrics import METRICS, Predictions
from losslab.registry import Registry
from losslab.schema import cards

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@dataclass(frozen=True)
class Snapshot:
    """A model in training, as a task sees it when it draws: all rows, and what it gives for some. All on the CPU."""

    inputs: Tensor
    clean: Tensor  # targets as they were measured
    targets: Tensor  # targets as the run sees them
    corrupted: Tensor  # rows that were corrupted, bool
    split: Split
    raw: Callable[[Tensor], Tensor]  # row numbers -> raw outputs


class Task(nn.Module):
    """Base of the tasks. A task owns buffers at most, so it moves and checkpoints with the model, and never asks which loss is used."""

    metrics: Mapping[str, str]  # name -> the better direction, "max" or "min"; the first selects the best epoch

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.target_names = data.target_names
        self.metrics = cards.metrics(type(self).__name__.lower())

    @property
    def selector(self) -> str:
        """The metric that selects the best epoch."""
        return next(iter(self.metrics))

    @property
    def outputs(self) -> int:
        """How many raw outputs a model must give."""
        raise NotImplementedError

    def calibrate(self, targets: Tensor) -> None:
        """Learns scales from the training targets, corrupted as they are. Most tasks have none."""

    def check_targets(self, targets: Tensor) -> None:
        """Raises ValueError for a target that makes no sense, whatever the loss."""

    def constant(self, targets: Tensor) -> Tensor:
        """The raw outputs [outputs] of a model that looks at no input and does its best, by the training targets [n, ...]."""
        raise NotImplementedError

    def label_shares(self, targets: Tensor) -> Tensor | None:
        """The share of each class in each target, [n, K]; None where targets are no classes."""
        return None

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """Raw outputs [n, outputs] as a prediction in `space`."""
        raise NotImplementedError

    def target(self, space: str, targets: Tensor) -> Tensor:
        """Targets of the data set as targets in `space`."""
        raise NotImplementedError

    def target_as(self, space: str, targets: Tensor, dtype: torch.dtype) -> Tensor:
        """The same in the precision of the model, where it is no index."""
        found = self.target(space, targets)
        return found.to(dtype) if found.is_floating_point() else found

    def evaluate(self, raw: Tensor, targets: Tensor) -> dict[str, float]:
        """The neutral metrics of raw outputs [n, outputs] against targets [n, ...]; all NaN where an output is not finite."""
        return self.evaluate_all(raw[None], targets[None])[0]

    def evaluate_all(self, raw: Tensor, targets: Tensor) -> list[dict[str, float]]:
        """The same for each of R runs, [R, n, ...]; the task's buffers hold those of all runs, or one for all."""
        finite = torch.isfinite(raw).flatten(1).all(1)
        seen = self.predictions(raw.where(finite[:, None, None], 0.0), targets)
        measured = {name: METRICS.of(name)(seen) for name in self.metrics}
        values = torch.stack([measured[name].to(raw.dtype).where(finite, float("nan")) for name in self.metrics], 1)
        rows = values.cpu().double().tolist()  # one wait for the device, not one a metric
        return [dict(zip(self.metrics, row, strict=True)) for row in rows]

    def predictions(self, raw: Tensor, targets: Tensor) -> Predictions:
        """What metrics are given, of R runs: finite raw outputs [R, n, outputs] as predictions, and targets [R, n, ...]."""
        raise NotImplementedError

    def draw(self, writer: SummaryWriter, step: int, seen: Snapshot) -> None:
        """Adds the task's figures to TensorBoard."""


TASKS: Registry[type[Task]] = Registry("task")
register = TASKS.register


def build(task: Mapping[str, Any], data: Data) -> Task:
    """The task of a config, for a data set."""
    made = TASKS.of(task["name"])(data, **{key: value for key, value in task.items() if key != "name"})
    made.metrics = cards.metrics(task["name"])
    return made
