"""The form of a task: how raw outputs and targets look in each space, and metrics that do not depend on the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from losslab.data import Data, Split
from losslab.metrics import METRICS, Metric, Predictions, outside
from losslab.registry import Registry
from losslab.schema import cards, metric_references


class Drawing(Protocol):
    """Where a task adds its figures: TensorBoard's SummaryWriter, or what keeps them for later."""

    def add_image(self, tag: str, picture: Any, step: int, *, dataformats: str = ...) -> None:
        """Adds a picture, in the order of axes that `dataformats` says: CHW unless told."""

    def add_histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Adds a histogram."""


@dataclass(frozen=True)
class Snapshot:
    """A model in training, for the figures of a task: all rows, and the outputs for some of them. All on the CPU."""

    inputs: Tensor
    clean: Tensor  # targets as they were measured
    targets: Tensor  # targets as the run sees them
    corrupted: Tensor  # rows that were corrupted, bool
    split: Split
    raw: Callable[[Tensor], Tensor]  # row numbers -> raw outputs


class Task(nn.Module):
    """Base of the tasks. A task holds buffers at most, so it moves and checkpoints with the model. It does not know the loss."""

    metrics: Mapping[str, str]  # name -> the better direction, "max" or "min"; the first selects the best epoch

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.target_names = data.target_names
        self.metrics = cards.metrics(type(self).__name__.lower())
        self.further: dict[str, Metric] = {}  # metrics that the request names by where they stand

    @property
    def selector(self) -> str:
        """The metric that selects the best epoch."""
        return next(iter(self.metrics))

    @property
    def outputs(self) -> int:
        """The number of raw outputs of a model."""
        raise NotImplementedError

    @property
    def classes(self) -> int:
        """K, where targets are classes."""
        return self.outputs

    def calibrate(self, targets: Tensor, weights: Tensor | None = None) -> None:
        """Estimates scales from the training targets, which may be corrupted, each of some weight. Most tasks have none."""

    def check_targets(self, targets: Tensor) -> None:
        """Raises ValueError for a target that is invalid for any loss."""

    def constant(self, targets: Tensor) -> Tensor:
        """The raw outputs [outputs] of the best model without inputs, from the training targets [n, ...]."""
        raise NotImplementedError

    def label_shares(self, targets: Tensor) -> Tensor | None:
        """The share of each class in each target, [n, K]; None if targets are not classes."""
        return None

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """Raw outputs [n, outputs] as a prediction in `space`."""
        raise NotImplementedError

    def target(self, space: str, targets: Tensor) -> Tensor:
        """Targets of the data set as targets in `space`."""
        raise NotImplementedError

    def target_as(self, space: str, targets: Tensor, dtype: torch.dtype) -> Tensor:
        """The same in the precision of the model, unless it is an index."""
        found = self.target(space, targets)
        return found.to(dtype) if found.is_floating_point() else found

    def evaluate(self, raw: Tensor, targets: Tensor) -> dict[str, float]:
        """The metrics of raw outputs [n, outputs] against targets [n, ...]; all NaN if an output is not finite."""
        return self.evaluate_all(raw[None], targets[None])[0]

    def evaluate_all(self, raw: Tensor, targets: Tensor) -> list[dict[str, float]]:
        """The same for each of R runs, [R, n, ...]; the task's buffers hold the values of all runs, or one value for all."""
        finite = torch.isfinite(raw).flatten(1).all(1)
        seen = self.predictions(raw.where(finite[:, None, None], 0.0), targets)
        measured = {name: (self.further.get(name) or METRICS.of(name))(seen) for name in self.metrics}
        values = torch.stack([measured[name].to(raw.dtype).where(finite, float("nan")) for name in self.metrics], 1)
        rows = values.cpu().double().tolist()  # one wait for the device, not one per metric
        return [dict(zip(self.metrics, row, strict=True)) for row in rows]

    def predictions(self, raw: Tensor, targets: Tensor) -> Predictions:
        """What metrics are given, of R runs: finite raw outputs [R, n, outputs] as predictions, and targets [R, n, ...]."""
        raise NotImplementedError

    def draw(self, writer: Drawing, step: int, seen: Snapshot) -> None:
        """Adds the task's figures."""


TASKS: Registry[type[Task]] = Registry("task")
register = TASKS.register


def build(task: Mapping[str, Any], data: Data) -> Task:
    """The task of a config, for a data set."""
    settings = {key: value for key, value in task.items() if key not in ("name", "metrics", "select")}
    made = TASKS.of(task["name"])(data, **settings)
    made.metrics = metric_references.of_task(task)
    outside.check(task, numbers=len(data.target_names), classes=len(data.target_names))
    made.further = outside.build(task, classes=len(data.target_names))
    return made
