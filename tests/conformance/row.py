"""What a loss is held to: one row of the table, with its reference, and how large the differences are.

A reference is made without losslab: a function of a library on tensors, which torch differentiates; functions of a library on
arrays, with its own derivative; or the formula of a paper in 60 digits, which is differentiated by central differences.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import mpmath
import numpy as np
import torch
from mpmath import mp, mpf
from torch import Tensor

from losslab import losses

Number = mpf
Pair = tuple[Tensor, Tensor]  # losses [N] and their gradient by pred
DIGITS, STEP = 60, mpf(10) ** -22


@dataclass(frozen=True)
class OnTensors:
    """A function of pred and target that gives losses [N]."""

    package: str
    function: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, pred: Tensor, target: Tensor) -> Pair:
        """Losses and gradient."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what third parties say while they are imported
            return differentiated(self.function, pred, target)

    def __str__(self) -> str:
        return f"{self.package} {version(self.package)}"


@dataclass(frozen=True)
class OnArrays:
    """Two functions of pred and target, float64 [N]: losses and derivatives."""

    package: str
    loss: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any], Any]

    def __call__(self, pred: Tensor, target: Tensor) -> Pair:
        """Losses and gradient."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = pred.numpy().reshape(len(pred), -1), target.double().numpy().reshape(len(target), -1)
            given = tuple(part[:, 0] if part.shape[1] == 1 else part for part in given)
            found = [np.asarray(part(*given), dtype=np.float64) for part in (self.loss, self.slope)]
        return torch.from_numpy(found[0]).reshape(len(pred)), torch.from_numpy(found[1]).reshape(pred.shape)

    def __str__(self) -> str:
        return f"{self.package} {version(self.package)}"


@dataclass(frozen=True)
class Formula:
    """A formula for one sample: of its prediction, its target, and its prediction once more, where the gradient holds it fixed."""

    source: str
    function: Callable[[Sequence[Number], Any, Sequence[Number]], Number]

    def __call__(self, pred: Tensor, target: Tensor) -> Pair:
        """Losses and gradient, computed in 60 digits and rounded at the end."""
        values, slopes = [], []
        with mp.workdps(DIGITS):
            for row, label in zip(pred.reshape(len(pred), -1).tolist(), target.tolist(), strict=True):
                wanted = label[0] if isinstance(label, list) and len(label) == 1 else label
                at = [mpf(number) for number in row]
                values.append(float(self.function(at, wanted, at)))
                slopes.append([float(self._slope(at, wanted, place)) for place in range(len(at))])
        return torch.tensor(values, dtype=torch.float64), torch.tensor(slopes, dtype=torch.float64).reshape(pred.shape)

    def _slope(self, at: Sequence[Number], wanted: Any, place: int) -> Number:
        step = STEP * max(1, abs(at[place]))
        sides = []
        for sign in (1, -1):
            moved = [number + sign * step * (place == other) for other, number in enumerate(at)]
            sides.append(self.function(moved, wanted, at))
        return (sides[0] - sides[1]) / (2 * step)

    def __str__(self) -> str:
        return f"formula of {self.source}, in {DIGITS} digits (mpmath {mpmath.__version__})"


@dataclass(frozen=True)
class Row:
    """A loss with hyperparameters in a space, and the reference that it must equal.

    note: what differs by convention and is accounted for in the reference.
    tolerance: of the differences, which are relative where the reference is above 1 and absolute below.
    unit: what boxes are multiplied by; with large boxes an epsilon of a library does not show.
    far: whether extreme inputs are tried beside random ones.
    """

    loss: str
    space: str
    reference: OnTensors | OnArrays | Formula
    params: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    tolerance: float = 1e-11
    unit: float = 1.0
    far: bool = True

    def __str__(self) -> str:
        return f"{self.loss}-{self.space}-{self.settings() or 'default'}-{str(self.reference).split(' ')[0]}"

    def settings(self) -> str:
        """The hyperparameters as words."""
        return " ".join(f"{key}={value}" for key, value in self.params.items())

    def differences(self, pred: Tensor, target: Tensor) -> tuple[float, float]:
        """The largest difference of a loss and of a gradient."""
        loss = losses.get(self.loss, space=self.space, **self.params)
        ours = differentiated(loss.per_sample, pred, target)
        return tuple(_apart(one, other) for one, other in zip(ours, self.reference(pred, target), strict=True))


def differentiated(function: Callable[[Tensor, Tensor], Tensor], pred: Tensor, target: Tensor) -> Pair:
    """Losses [N] of a function on tensors, and the gradient of their sum."""
    pred = pred.clone().requires_grad_()
    values = function(pred, target)
    (slope,) = torch.autograd.grad(values.sum(), pred)
    return values.detach().double(), slope.double()


def _apart(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape, f"{ours.shape} against {theirs.shape}"
    assert torch.isfinite(theirs).all(), "the reference has no finite value here"
    return float(((ours - theirs).abs() / theirs.abs().clamp(min=1)).nan_to_num(nan=float("inf")).max())
