"""References for losses on margins: how far the true class's logit is ahead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from mpmath import exp, mpf

from conformance.of_classes import shares
from conformance.of_values import sgd, sklearn
from conformance.references import Array, Formula, OnArrays, OnTensors, loaded
from conformance.row import BOTH, over, rows


def _of_margin(source: str, phi: Callable[[mpf], mpf]) -> Formula:
    """t phi(z) + (1 - t) phi(-z)."""

    def loss(p: Any, t: Any, held: Any) -> mpf:
        no, yes = shares(t, 2)
        return (yes * phi(p[0]) if yes else 0) + (no * phi(-p[0]) if no else 0)

    return Formula(source, loss)


def _mixed(source: str, loss: Callable[[list[mpf], int], mpf]) -> Formula:
    """A loss of logits and a label; soft targets mix, and a single logit z stands for 0 and z."""

    def function(p: Any, t: Any, held: Any) -> mpf:
        logits = [mpf(0), *p] if len(p) == 1 else p
        return sum(share * loss(logits, k) for k, share in enumerate(shares(t, len(logits))) if share)

    return Formula(source, function)


def _crammer_singer(margin: float) -> Formula:
    def loss(z: list[mpf], y: int) -> mpf:
        return max(0, margin + max(one for k, one in enumerate(z) if k != y) - z[y])

    return _mixed("Crammer and Singer (2001)", loss)


def _sklearn_hinge(margin: float) -> OnArrays:
    def loss(pred: Array, target: Array) -> list[float]:
        hinge = loaded("sklearn.metrics").hinge_loss
        return [hinge([y], z[None], labels=[0, 1, 2, 3]) for z, y in zip(pred, target, strict=True)]

    return OnArrays("scikit-learn", loss, None, each=False)


def _weston_watkins(margin: float, power: int) -> Formula:
    def loss(z: list[mpf], y: int) -> mpf:
        return sum(max(0, margin - z[y] + one) ** power for k, one in enumerate(z) if k != y) / mpf(len(z))

    return _mixed("Weston and Watkins (1999)", loss)


def _multi_margin(margin: float, power: int) -> OnTensors:
    return OnTensors("torch", lambda p, t: F.multi_margin_loss(p, t, p=power, margin=margin, reduction="none"))


def _square(weight: float, height: float) -> Formula:
    def loss(z: list[mpf], y: int) -> mpf:
        return (weight * (z[y] - height) ** 2 + sum(o**2 for k, o in enumerate(z) if k != y)) / mpf(len(z))

    return _mixed("Hui and Belkin (2021)", loss)


def _one_hot_mse(weight: float, height: float) -> OnTensors:
    return OnTensors("torch", lambda p, t: F.mse_loss(p, F.one_hot(t, p.shape[1]).double(), reduction="none"))


def _exponential(limit: float) -> Formula:
    return _of_margin(
        "Freund and Schapire (1997)",
        lambda m: exp(-m) if -m <= limit else exp(mpf(limit)) * (1 - m - limit),
    )


def _ramp(ceiling: float) -> Formula:
    return _of_margin("Collobert et al. (2006)", lambda m: min(max(0, 1 - m), ceiling))


def _sgd_margin(name: str) -> Callable[[float], OnArrays]:
    return lambda margin: sgd(name, margin, signed=True)


CORNER = "no derivative where the margin is just met"
LABELS = "their labels are -1 and 1"
MIXED = "soft targets mix"
CLASSES, BINARY = "class_logits", "binary_logit"
SOFT = (True,)

ROWS = [
    *rows("hinge", CLASSES, _sklearn_hinge, over("margin", 1.0)),
    *rows(
        "hinge",
        (CLASSES, BINARY),
        _crammer_singer,
        over("margin", 1.0, 3.0),
        BOTH,
        note=f"{MIXED}; {CORNER}",
        kinked=True,
    ),
    *rows("hinge", BINARY, _sgd_margin("Hinge"), over("margin", 1.0, 3.0), note=f"{LABELS}; {CORNER}", kinked=True),
    *rows(
        "multi_margin",
        CLASSES,
        _multi_margin,
        over("margin power", (1.0, 1), (1.0, 2), (0.5, 1), (0.5, 2)),
        note="over K, as in torch",
    ),
    *rows(
        "multi_margin",
        CLASSES,
        _weston_watkins,
        over("margin power", (1.5, 1), (1.5, 2)),
        SOFT,
        note=f"over K, as in torch; {MIXED}",
    ),
    *rows(
        "square",
        CLASSES,
        _one_hot_mse,
        over("weight height", (1.0, 1.0)),
        note="mse_loss of the logits and a one-hot label",
    ),
    *rows("square", CLASSES, _square, over("weight height", (1.0, 1.0), (15.0, 30.0)), BOTH, note=MIXED),
    *rows("squared_hinge", BINARY, _sgd_margin("SquaredHinge"), over("margin", 1.0, 0.5), note=LABELS),
    *rows(
        "squared_hinge",
        BINARY,
        lambda margin: _of_margin("Cortes and Vapnik (1995)", lambda m: max(0, margin - m) ** 2),
        over("margin", 1.0, 0.5),
        SOFT,
        note=MIXED,
    ),
    *rows("modified_huber", BINARY, lambda: sgd("ModifiedHuber", signed=True), note=LABELS),
    *rows(
        "modified_huber",
        BINARY,
        lambda: _of_margin("Zhang (2004)", lambda m: max(0, 1 - m) ** 2 if m >= -1 else -4 * m),
        soft=SOFT,
        note=MIXED,
    ),
    *rows(
        "exponential",
        BINARY,
        lambda limit: sklearn("ExponentialLoss"),
        over("limit", 20.0),
        BOTH,
        note="logits up to the limit, which theirs does not have",
        reach=19.0,
    ),
    *rows("exponential", BINARY, _exponential, over("limit", 20.0, 2.5), BOTH, note="its tangent beyond the limit"),
    *rows("ramp", BINARY, _ramp, over("ceiling", 2.0, 5.0), BOTH, note=f"{MIXED}; {CORNER}", kinked=True),
    *rows(
        "sigmoid", BINARY, lambda: _of_margin("Mason et al. (1999)", lambda m: 1 / (1 + exp(m))), soft=BOTH, note=MIXED
    ),
    *rows(
        "savage",
        BINARY,
        lambda: _of_margin("Masnadi-Shirazi and Vasconcelos (2008)", lambda m: 1 / (1 + exp(m)) ** 2),
        soft=BOTH,
        note=f"of the log of the odds, of which the paper's score is half; {MIXED}",
    ),
    *rows("unhinged", BINARY, lambda: _of_margin("van Rooyen et al. (2015)", lambda m: 1 - m), soft=BOTH, note=MIXED),
]
