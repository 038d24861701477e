"""What a loss can be held to: a library's function on tensors, one on arrays, or the formula of a paper in 70 digits."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import mpmath
import numpy as np
import torch
from mpmath import mp, mpf
from torch import Tensor

Array = np.ndarray
Found = tuple[Tensor, Tensor | None]  # losses [N], and their gradient by the prediction, where the reference gives one
DIGITS, STEP = 70, mpf(10) ** -20  # central differences, in parts of the number: right to some 40 digits


def loaded(module: str) -> Any:
    """A module of a library. What third parties say while they are imported is left out; keras is to use torch, on the CPU."""
    os.environ |= {"KERAS_BACKEND": "torch", "KERAS_TORCH_DEVICE": "cpu"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)


def differentiated(function: Callable[[Tensor, Tensor], Tensor], pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Losses [N] of a function on tensors, and the gradient of their sum; losses of several outputs are averaged."""
    pred = pred.clone().requires_grad_()
    values = function(pred, target)
    values = values.flatten(1).mean(1) if values.ndim > 1 else values
    (slope,) = torch.autograd.grad(values.sum(), pred)
    return values.detach().double(), slope.double()


@dataclass(frozen=True)
class OnTensors:
    """A function of pred and target that gives losses [N], or one for each output; torch differentiates it."""

    package: str
    function: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, pred: Tensor, target: Tensor) -> Found:
        """Losses and gradient."""
        return differentiated(self.function, pred, target)

    def name(self) -> str:
        """Which reference it is, without its version."""
        return self.package

    def __str__(self) -> str:
        return f"{self.package} {version(self.package)}"


@dataclass(frozen=True)
class OnArrays:
    """A function of pred and target in float64, and its derivative. `each`: both are of single numbers, in one row."""

    package: str
    loss: Callable[[Array, Array], Any]
    slope: Callable[[Array, Array], Any] | None
    each: bool = True

    def __call__(self, pred: Tensor, target: Tensor) -> Found:
        """Losses and gradient."""
        value = self._of(self.loss, pred, target)
        slope = None if self.slope is None else self._of(self.slope, pred, target).reshape(pred.shape)
        if not self.each or pred.ndim == 1:
            return value.reshape(len(pred)), slope
        outputs = pred[0].numel()
        return value.reshape(len(pred), -1).mean(1), None if slope is None else slope / outputs

    def _of(self, function: Callable[[Array, Array], Any], pred: Tensor, target: Tensor) -> Tensor:
        given = [part.numpy() for part in (pred, target)]
        if self.each:
            given = [np.ascontiguousarray(part.reshape(-1), dtype=np.float64) for part in given]
        return torch.from_numpy(np.asarray(function(*given), dtype=np.float64))

    def name(self) -> str:
        """Which reference it is, without its version."""
        return self.package

    def __str__(self) -> str:
        return f"{self.package} {version(self.package)}"


@dataclass(frozen=True)
class Formula:
    """A formula for one sample, computed in 70 digits and differentiated by central differences there.

    function: of the prediction (a list of numbers), of the target (an index or a list of numbers), and of the prediction
        once more, for what the gradient holds fixed.
    """

    source: str
    function: Callable[[Sequence[mpf], Any, Sequence[mpf]], mpf]

    def __call__(self, pred: Tensor, target: Tensor) -> Found:
        """Losses and gradient, rounded at the end."""
        values, slopes = [], []
        with mp.workdps(DIGITS):
            for row, wanted in zip(pred.reshape(len(pred), -1).tolist(), target.tolist(), strict=True):
                at = [mpf(number) for number in row]
                to = wanted if isinstance(wanted, int) else [mpf(t) for t in np.ravel(wanted).tolist()]
                values.append(float(self.function(at, to, at)))
                slopes.append([float(self._slope(at, to, place)) for place in range(len(at))])
        return torch.tensor(values, dtype=torch.float64), torch.tensor(slopes, dtype=torch.float64).reshape(pred.shape)

    def _slope(self, at: Sequence[mpf], wanted: Any, place: int) -> mpf:
        step = STEP * max(1, abs(at[place]))
        up, down = (
            self.function([number + way * (place == other) for other, number in enumerate(at)], wanted, at)
            for way in (step, -step)
        )
        return (up - down) / (2 * step)

    def name(self) -> str:
        """Which reference it is."""
        return self.source

    def __str__(self) -> str:
        return f"formula of {self.source}, in {DIGITS} digits (mpmath {mpmath.__version__})"
