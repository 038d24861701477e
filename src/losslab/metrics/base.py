"""The table of metrics, and what a metric is given: predictions and clean targets of R runs at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Protocol

import torch
from torch import Tensor

from losslab.registry import Registry


class Predictions(Protocol):
    """Predictions and targets of R runs, as a task sees them."""

    targets: Tensor  # [R, n, ...]

    @property
    def pred(self) -> Tensor:
        """Probabilities [R, n] or [R, n, K], numbers in units of the target [R, n, D], or corners [R, n, 4]."""


Metric = Callable[..., Tensor]  # Predictions -> [R]


class NotOneNumber(ValueError):
    """A metric gave something else than one number."""


def run_by_run(function: Callable[..., object]) -> Metric:
    """A metric from outside, a function of the predictions and the targets of one run, for R runs."""

    @wraps(function)
    def measured(seen: Predictions) -> Tensor:
        found = [function(pred, target) for pred, target in zip(seen.pred, seen.targets, strict=True)]
        values = [torch.as_tensor(value, dtype=seen.pred.dtype, device=seen.pred.device) for value in found]
        if any(value.numel() != 1 for value in values):
            raise NotOneNumber(
                f"The metric '{function.__name__}' must give one number; it gave {list(values[0].shape)}."
            )
        return torch.stack([value.reshape(()) for value in values])

    return measured


METRICS: Registry[Metric] = Registry("metric", wrap_outside=run_by_run)
register = METRICS.register
