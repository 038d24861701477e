"""Paths through the spaces that losses read, and what is drawn of a loss along them.

A path is chosen for each space, never for a loss, so that a new loss has its portrait as soon as it has a card.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.structured_spaces import LEVELS

POINTS = 300  # even, so that no path runs through a residual of exactly 0
CLASSES = 10
COUNTS = torch.logspace(3, 1, CLASSES).round().long()  # samples of each class, for a loss that counts them


@dataclass(frozen=True)
class Path:
    """Predictions on a line through a space, each with its target: pred changes by `along` as `x` grows."""

    label: str
    axis: str  # what x is, with its unit
    x: Tensor  # [M]
    pred: Tensor  # [M, ...]
    target: Tensor  # [M, ...]
    along: Tensor  # as pred, or what broadcasts to it


@dataclass(frozen=True)
class Seen:
    """What a loss gives on a path: values [M], the gradient in the prediction [M, ...], and its part along the path [M]."""

    value: Tensor
    gradient: Tensor
    slope: Tensor


Quantity = Callable[[Path, Seen, Seen | None], Tensor]  # the path, the loss on it, the reference on it -> [M]


@dataclass(frozen=True)
class Plan:
    """What is drawn of the losses of one space.

    paths: the first is the one on which neighbours are drawn, and others only where the loss tells them apart.
    quantities: label of the y axis -> quantity. reference: the loss to which gradients are compared.
    apart: each path has panels of its own.
    """

    paths: Sequence[Path]
    quantities: dict[str, Quantity]
    reference: str | None = None
    apart: bool = False


def _value(path: Path, own: Seen, reference: Seen | None) -> Tensor:
    return own.value


def _slope(path: Path, own: Seen, reference: Seen | None) -> Tensor:
    return own.slope


def _weight(path: Path, own: Seen, reference: Seen | None) -> Tensor:
    return own.slope / path.x


def against(path: Path, own: Seen, reference: Seen | None) -> Tensor:
    """How much harder than the reference a loss pulls; a plan's reference itself is not drawn so."""
    assert reference
    return own.slope / reference.slope


def _steepness(path: Path, own: Seen, reference: Seen | None) -> Tensor:
    return own.gradient.flatten(1).square().sum(1).sqrt()


def _of_scale(path: Path, own: Seen, reference: Seen | None) -> Tensor:
    return own.gradient[..., 1].flatten(1).sum(1)


def _line(low: float, high: float) -> Tensor:
    return torch.linspace(low, high, POINTS, dtype=torch.float64)


def _values(reach: float) -> Plan:
    x = _line(-reach, reach)[:, None]
    axis = "residual r = pred - target (target units)"
    paths = [Path(f"target {t:g}", axis, x[:, 0], x + t, torch.full_like(x, t), torch.ones_like(x)) for t in (1.0, 5.0)]
    return Plan(
        paths,
        {"loss": _value, "gradient dl/dr": _slope, "weight (dl/dr) / r": _weight},
    )


def _class_logits(reach: float) -> Plan:
    x = _line(-10, 10)
    axis = f"logit z of the true class (the other {CLASSES - 1} at 0)"
    paths = []
    for k, word in ((CLASSES - 1, "rarest"), (0, "most frequent")):
        along = torch.eye(CLASSES, dtype=torch.float64)[k]
        target = torch.full((POINTS,), k)
        paths.append(Path(f"true class the {word}, {COUNTS[k]} samples", axis, x, x[:, None] * along, target, along))
    return Plan(
        paths,
        {"loss": _value, "gradient dl/dz": _slope, "gradient / that of cross_entropy": against},
        "cross_entropy",
    )


def _binary_logit(reach: float) -> Plan:
    x, one = _line(-8, 8), torch.ones(POINTS, dtype=torch.float64)
    axis = "margin m (logit z if target 1, -z if target 0)"
    return Plan(
        [Path("target 1", axis, x, x, one, one), Path("target 0", axis, x, -x, 0 * one, -one)],
        {"loss": _value, "gradient dl/dm": _slope, "gradient / that of bce_with_logits": against},
        "bce_with_logits",
    )


def _class_probs(reach: float) -> Plan:
    p, first = _line(0.005, 0.995)[:, None], torch.eye(CLASSES, dtype=torch.float64)[0]
    along = first - (1 - first) / (CLASSES - 1)
    pred = p * first + (1 - p) * (1 - first) / (CLASSES - 1)
    axis = f"probability p of the true class (the other {CLASSES - 1} share the rest)"
    return Plan(
        [Path("", axis, p[:, 0], pred, first.expand(POINTS, CLASSES), along)],
        {"loss": _value, "gradient dl/dp": _slope},
    )


def _binary_prob(reach: float) -> Plan:
    p, one = _line(0.005, 0.995), torch.ones(POINTS, dtype=torch.float64)
    axis = "probability p of the true answer"
    return Plan(
        [Path("target 1", axis, p, p, one, one), Path("target 0", axis, p, 1 - p, 0 * one, -one)],
        {"loss": _value, "gradient dl/dp": _slope},
    )


def _values_and_scale(reach: float) -> Plan:
    x, axis = _line(-reach, reach), "residual r = value - target (target units)"
    paths = []
    for scale in (1.0, 0.5, 2.0):
        pred = torch.stack([x, torch.full_like(x, math.log(scale))], -1)[:, None]
        paths.append(Path(f"scale {scale:g}", axis, x, pred, torch.zeros(POINTS, 1, dtype=x.dtype), _pair(1, 0)))
    return Plan(
        paths,
        {"loss (nats)": _value, "gradient dl/dr": _slope, "gradient in the log of the scale": _of_scale},
    )


def _pair(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _log_rate(reach: float) -> Plan:
    return _counts("gradient in the log of the rate", torch.log)


def _rate(reach: float) -> Plan:
    return _counts("gradient in the rate", torch.clone)


def _counts(ylabel: str, pred: Callable[[Tensor], Tensor]) -> Plan:
    rate = _line(0.05, 12)
    made = pred(rate)[:, None]
    axis, one = "predicted rate (counts)", torch.ones_like(made)
    paths = [Path(f"target {t:g}", axis, rate, made, t * one, one) for t in (1.0, 5.0)]
    return Plan(paths, {"loss": _value, ylabel: _slope})


def _quantiles(reach: float) -> Plan:
    x = _line(-reach, reach)[:, None]
    axis = "residual of all quantiles r = pred - target (target units)"
    pred = x[..., None].expand(POINTS, 1, LEVELS)
    return Plan(
        [Path("", axis, x[:, 0], pred, torch.zeros_like(x), torch.ones(LEVELS, dtype=x.dtype))],
        {"loss": _value, "gradient dl/dr": _slope},
    )


def _ordered(reach: float) -> Plan:
    x, steps = _line(-10, 10), torch.arange(4, dtype=torch.float64)
    axis = "logit of the middle threshold (the others 2 apart)"
    pred = x[:, None] + 3 - 2 * steps
    paths = [Path(f"class {k} of 5", axis, x, pred, torch.full((POINTS,), k), torch.ones_like(pred)) for k in (2, 4)]
    return Plan(paths, {"loss": _value, "gradient": _slope})


def _label_logits(reach: float) -> Plan:
    x, along = _line(-8, 8), torch.eye(CLASSES, dtype=torch.float64)[CLASSES - 1]
    rest = -2 * (1 - along)
    axis = f"logit z of one label (the other {CLASSES - 1} at -2, and do not hold)"
    paths = [
        Path(word, axis, x, x[:, None] * along + rest, (holds * along).expand(POINTS, CLASSES), along)
        for word, holds in (("it holds", 1.0), ("it does not", 0.0))
    ]
    return Plan(paths, {"loss": _value, "gradient dl/dz": _slope})


def _mask_logits(reach: float) -> Plan:
    x, inside = _line(-8, 8), torch.zeros(8, 8, dtype=torch.float64)
    inside[2:6, 2:6] = 1
    axis = "logit z of each pixel of a 4 x 4 object (the rest of 8 x 8 at -2)"
    pred = x[:, None, None] * inside - 2 * (1 - inside)
    return Plan(
        [Path("", axis, x, pred, inside.expand(POINTS, 8, 8), inside)], {"loss": _value, "gradient dl/dz": _slope}
    )


def _boxes(reach: float) -> Plan:
    away, factor, inside = _line(0, 2.5)[:, None], _line(0.1, 3)[:, None], _line(-0.5, 0.5)[:, None]
    unit, right = _pair(0, 0, 1, 1), _pair(1, 0, 1, 0)
    outward, small = _pair(-0.5, -0.5, 0.5, 0.5), _pair(0.3, 0.3, 0.7, 0.7)
    shift = "shift of its centre (sides of the target)"
    moves = [
        ("a box of the target's size slides away", shift, away, unit + away * right, right),
        (
            "a box about the target's centre grows",
            "its side (sides of the target)",
            factor,
            0.5 + factor * outward,
            outward,
        ),
        ("a box of side 0.4 slides across the target", shift, inside, small + inside * right, right),
    ]
    paths = [Path(title, axis, x[:, 0], pred, unit.expand(POINTS, 4), along) for title, axis, x, pred, along in moves]
    return Plan(paths, {"loss": _value, "norm of the gradient": _steepness}, apart=True)


PLANS: dict[str, Callable[[float], Plan]] = {
    "class_logits": _class_logits,
    "class_probs": _class_probs,
    "binary_logit": _binary_logit,
    "binary_prob": _binary_prob,
    "values": _values,
    "values_and_scale": _values_and_scale,
    "log_rate": _log_rate,
    "rate": _rate,
    "quantiles": _quantiles,
    "cumulative_logits": _ordered,
    "conditional_logits": _ordered,
    "label_logits": _label_logits,
    "mask_logits": _mask_logits,
    "boxes": _boxes,
}
