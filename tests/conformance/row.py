"""A row of the table: a loss with hyperparameters, a reference that losslab has no part in, and how far the two are apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from conformance.inputs import Inputs, given
from conformance.references import Formula, OnArrays, OnTensors, differentiated
from losslab import losses

Reference = OnTensors | OnArrays | Formula


class Apart(NamedTuple):
    """The largest difference of a value and of a gradient; NaN for a gradient that the reference does not give."""

    value: float
    gradient: float


@dataclass(frozen=True, eq=False)  # a row is itself, whatever it holds
class Row:
    """A loss that must equal a reference.

    space: the space that the loss reads; with `soft` its targets are shares, and not labels.
    note: what differs by convention, and how the reference accounts for it.
    state: numbers that the loss keeps, where they are not the first ones.
    floor: differences are relative down to this value, and below it they are shares of it.
    kinked: the gradient has a jump at the edges among the inputs, so only values are compared there.
    unit: what boxes are multiplied by; with large boxes the epsilon of a library does not show.
    reach: inputs beyond it are left out, as the reference overflows or rounds there.
    """

    loss: str
    space: str
    reference: Reference
    params: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    state: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = 1e-11
    floor: float = 1.0
    kinked: bool = False
    soft: bool = False
    unit: float = 1.0
    reach: float = float("inf")

    def __str__(self) -> str:
        return f"{self.loss}-{self.reads()}-{self.settings() or 'default'}-{self.reference.name()}"

    def reads(self) -> str:
        """The space in words."""
        return f"{self.space}, soft targets" if self.soft else self.space

    def settings(self) -> str:
        """The hyperparameters in words."""
        return ", ".join(f"{key} {_short(value)}" for key, value in {**self.params, **self.state}.items())

    def has_gradient(self) -> bool:
        """Whether the reference gives one."""
        return not isinstance(self.reference, OnArrays) or self.reference.slope is not None

    def inputs(self) -> Inputs:
        """What both are given."""
        return given(self.space, self.soft, self.unit, self.reach)

    def found(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """What losslab makes of the inputs: losses and gradient."""
        loss = losses.get(self.loss, space=self.space, **self.params)
        kept = dict([*loss.named_parameters(), *loss.named_buffers()])
        with torch.no_grad():
            for key, number in self.state.items():
                kept[key].fill_(number)
        return differentiated(loss.per_sample, inputs.pred, inputs.target)

    def apart(self) -> Apart:
        """How far the loss is from its reference."""
        inputs = self.inputs()
        value, slope = self.found(inputs)
        right_value, right_slope = self.reference(inputs.pred, inputs.target)
        if right_slope is None:
            return Apart(self._largest(value, right_value), float("nan"))
        smooth = ~inputs.edge if self.kinked else torch.ones_like(inputs.edge)
        return Apart(self._largest(value, right_value), self._largest(slope[smooth], right_slope[smooth]))

    def _largest(self, ours: Tensor, theirs: Tensor) -> float:
        """Of a gradient, whose parts belong to one sample, each difference is relative to the largest part."""
        assert ours.shape == theirs.shape, f"losslab gives {list(ours.shape)}, the reference {list(theirs.shape)}"
        assert torch.isfinite(theirs).all(), "the reference has no finite value here"
        size = theirs.abs().reshape(len(theirs), -1).amax(1).clamp(min=self.floor)
        shares = (ours - theirs).abs().reshape(len(theirs), -1) / size[:, None]
        return float(shares.nan_to_num(nan=float("inf")).max())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]" if len(value) < 5 else f"of {len(value)} numbers"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


LABELS, BOTH = (False,), (False, True)  # for `rows`: targets that are labels; and soft ones as well


def rows(
    loss: str,
    spaces: str | Iterable[str],
    make: Callable[..., Reference],
    settings: Iterable[Mapping[str, Any]] = ({},),
    soft: Iterable[bool] = LABELS,
    **more: Any,
) -> list[Row]:
    """A row for each space, for each setting, and for labels and soft targets; `make` gives the reference of a setting."""
    return [
        Row(loss, space, make(**setting), setting, soft=one, **more)
        for space in ([spaces] if isinstance(spaces, str) else spaces)
        for setting in settings
        for one in soft
    ]


def over(names: str, *values: Any) -> list[dict[str, Any]]:
    """Settings: `over("a b", (1, 2), (3, 4))` is [{"a": 1, "b": 2}, {"a": 3, "b": 4}]."""
    keys = names.split()
    return [dict(zip(keys, value if len(keys) > 1 else (value,), strict=True)) for value in values]
