"""References for losses that are made for wrong labels or rare classes: formulas of their papers, and numpy's inverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mpmath import exp, inverse, log, matrix, mpf

from conformance.of_classes import LOGITS, OfLabel, log_softmax, of_label, shares
from conformance.references import Array, Formula, OnArrays
from conformance.row import BOTH, over, rows

CLASSES, BINARY = LOGITS
ZHOU = "Zhou et al. (2021)"


def _agce(a: float, q: float) -> Formula:
    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        return ((mpf(a) + 1) ** mpf(q) - (mpf(a) + exp(log_p[y])) ** mpf(q)) / mpf(q)

    return of_label(f"{ZHOU}, AGCE", loss)


def _aue(a: float, q: float) -> Formula:
    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        return ((mpf(a) - exp(log_p[y])) ** mpf(q) - (mpf(a) - 1) ** mpf(q)) / mpf(q)

    return of_label(f"{ZHOU}, AUL", loss)


def _ael(a: float) -> Formula:
    return of_label(f"{ZHOU}, AEL", lambda log_p, y: exp(-exp(log_p[y]) / mpf(a)))


def _focal(log_p: Sequence[mpf], gamma: float) -> list[mpf]:
    return [-((1 - exp(one)) ** mpf(gamma)) * one if gamma else -one for one in log_p]


def _jal(alpha: float, beta: float, a: float, gamma: float) -> Formula:
    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        active = _focal(log_p, gamma)
        passive = sum((mpf(a) * (k == y) - exp(one)) ** 2 for k, one in enumerate(log_p)) / len(log_p)
        return mpf(alpha) * active[y] / sum(active) + mpf(beta) * passive

    return of_label("Wang et al. (2025), JAL", loss)


def _ngce(q: float) -> Formula:
    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        powers = [exp(mpf(q) * one) for one in log_p]
        return (1 - powers[y]) / (len(log_p) - sum(powers))

    return of_label("Ma et al. (2020), normalized GCE", loss)


def _anl(alpha: float, beta: float, gamma: float, least: float) -> Formula:
    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        active = _focal(log_p, gamma)
        top = _focal([log(mpf(least))], gamma)[0]
        negative = [top - one for one in _focal([max(one, log(mpf(least))) for one in log_p], gamma)]
        return mpf(alpha) * active[y] / sum(active) + mpf(beta) * (1 - negative[y] / sum(negative))

    return of_label("Ye et al. (2023), ANL", loss)


def _phuber(tau: float) -> OfLabel:
    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        p = exp(log_p[y])
        return -log_p[y] if p > 1 / mpf(tau) else -mpf(tau) * p + log(mpf(tau)) + 1

    return loss


def _truncated(q: float, k: float, start: int) -> Formula:
    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        return (1 - (exp(log_p[y]) if exp(log_p[y]) > k else mpf(k)) ** mpf(q)) / mpf(q)

    return of_label("Zhang and Sabuncu (2018), truncated L_q", loss)


def _rates(transition: list[float]) -> Array:
    if len(transition) > 1:
        return np.array(transition).reshape(4, 4)
    return np.full((4, 4), transition[0] / 3) + (1 - transition[0] * 4 / 3) * np.eye(4)


def _backward(transition: list[float]) -> Formula:
    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        exact = inverse(matrix(_rates(transition).tolist()))
        return -sum(exact[y, j] * one for j, one in enumerate(log_p))

    return of_label("Patrini et al. (2017), backward correction", loss)


def _backward_numpy(transition: list[float]) -> OnArrays:
    inverted = np.linalg.inv(_rates(transition))

    def loss(pred: Array, target: Array) -> Array:
        log_p = pred - np.logaddexp.reduce(pred, 1, keepdims=True)
        return -(inverted[target] * log_p).sum(1)

    def slope(pred: Array, target: Array) -> Array:
        p = np.exp(pred - np.logaddexp.reduce(pred, 1, keepdims=True))
        return p - inverted[target]

    return OnArrays("numpy", loss, slope, each=False)


def _seesaw(counts: list[float], p: float, q: float, least: float, gradient: str) -> Formula:
    def one(z: Any, y: int, held: Any) -> mpf:
        fixed = [exp(each) for each in log_softmax(held if gradient == "held" else z)]
        total = mpf(0)
        for k, logit in enumerate(z):
            mitigation = min(mpf(1), (mpf(max(counts[k], 1)) / mpf(max(counts[y], 1))) ** mpf(p))
            compensation = max(mpf(1), (fixed[k] / max(fixed[y], mpf(least))) ** mpf(q))
            total += exp(logit) if k == y else mitigation * compensation * exp(logit)
        return log(total) - z[y]

    def loss(z: Any, t: Any, held: Any) -> mpf:
        return sum(share * one(z, k, held) for k, share in enumerate(shares(t, 4)) if share)

    return Formula("Wang et al. (2021), seesaw loss", loss)


def _eqlv2(gamma: float, mu: float, alpha: float, positive: float, negative: float) -> Formula:
    def loss(z: Any, t: Any, held: Any) -> mpf:
        other = 1 / (1 + exp(-mpf(gamma) * (mpf(positive) / mpf(negative) - mpf(mu)))) if negative else mpf(1)
        own = 1 + mpf(alpha) * (1 - other)
        each = zip(z, shares(t, 4), strict=True)
        return sum(own * share * log(1 + exp(-one)) + other * (1 - share) * log(1 + exp(one)) for one, share in each)

    return Formula("Tan et al. (2021), EQLv2", loss)


def _ghm(bins: int, momentum: float) -> OnArrays:
    """The first batch, as none of the densities is there yet."""

    def weights(pred: Array, target: Array) -> tuple[Array, Array]:
        p = np.exp(-np.logaddexp(0, -pred))
        place = np.minimum((np.abs(p - target) * bins).astype(int), bins - 1)
        count = np.bincount(place, minlength=bins)
        return len(pred) / count[place] / (count > 0).sum(), p - target

    def loss(pred: Array, target: Array) -> Array:
        bce = target * np.logaddexp(0, -pred) + (1 - target) * np.logaddexp(0, pred)
        return weights(pred, target)[0] * bce

    def slope(pred: Array, target: Array) -> Array:
        weight, error = weights(pred, target)
        return weight * error

    return OnArrays("numpy", loss, slope, each=False)


def _squentropy() -> Formula:
    def loss(z: Any, t: Any, held: Any) -> mpf:
        log_p = log_softmax(z)
        parts = (
            share * (sum(one**2 for k, one in enumerate(z) if k != y) / (len(z) - 1) - log_p[y])
            for y, share in enumerate(shares(t, len(z)))
        )
        return sum(parts)

    return Formula("Hui, Belkin and Wright (2023)", loss)


TRANSITION = [0.7, 0.1, 0.1, 0.1, 0.0, 1.0, 0.0, 0.0, 0.05, 0.05, 0.8, 0.1, 0.25, 0.1, 0.25, 0.4]
SIZES = [900.0, 90.0, 10.0, 0.0]

ROWS = [
    *rows("agce", LOGITS, _agce, over("a q", (0.6, 0.6), (1.0, 2.0), (4.0, 0.2)), BOTH),
    *rows("aue", LOGITS, _aue, over("a q", (5.5, 3.0), (1.5, 0.9), (3.0, 0.1)), BOTH),
    *rows("ael", LOGITS, _ael, over("a", 2.5, 0.1), BOTH),
    *rows("jal", CLASSES, _jal, over("alpha beta a gamma", (1.0, 1.0, 30.0, 0.0), (0.5, 2.0, 3.0, 0.5)), BOTH),
    *rows("normalized_gce", CLASSES, _ngce, over("q", 0.7, 1.0, 1e-3), BOTH),
    *rows(
        "anl",
        CLASSES,
        _anl,
        over("alpha beta gamma least", (5.0, 5.0, 0.0, 1e-7), (1.0, 4.0, 0.5, 1e-4)),
        BOTH,
        note="the whole gradient; the authors' L1 penalty is penalty.l1",
    ),
    *rows(
        "phuber_ce",
        LOGITS,
        lambda tau: of_label("Menon et al. (2020), PHuber-CE", _phuber(tau)),
        over("tau", 2.0, 10.0, 1.0),
        BOTH,
    ),
    *rows(
        "truncated_gce",
        LOGITS,
        _truncated,
        over("q k start", (0.7, 0.45, 0), (0.5, 0.1, 0)),
        BOTH,
        note="the loss of one step; the authors choose the samples every ten epochs",
    ),
    *rows("backward_corrected", CLASSES, _backward, over("transition", [0.3], TRANSITION), BOTH, tolerance=1e-10),
    *rows(
        "backward_corrected",
        CLASSES,
        _backward_numpy,
        over("transition", [0.3], TRANSITION),
        note="numpy.linalg.inv; the derivative by hand",
        tolerance=1e-10,
    ),
    *rows(
        "seesaw",
        CLASSES,
        _seesaw,
        over(
            "counts p q least gradient",
            (SIZES, 0.8, 2.0, 0.01, "held"),
            (SIZES, 0.5, 1.0, 0.1, "held"),
        ),
        BOTH,
        note="counts of the whole training set; the authors count as they train",
    ),
    *rows(
        "seesaw",
        CLASSES,
        _seesaw,
        over("counts p q least gradient", (SIZES, 0.8, 2.0, 0.01, "full")),
        BOTH,
        note="nothing is held fixed; where two classes are equally probable, the derivative jumps",
        kinked=True,
    ),
    *(
        row
        for state in ({"positive": 0.0, "negative": 0.0}, {"positive": 1.5, "negative": 2.0})
        for row in rows(
            "eqlv2",
            CLASSES,
            lambda gamma, mu, alpha, state=state: _eqlv2(gamma, mu, alpha, **state),
            over("gamma mu alpha", (12.0, 0.8, 4.0), (2.0, 0.5, 1.0)),
            BOTH,
            state=state,
            note="the gradients of all classes are the same here; without the authors' output for no object",
        )
    ),
    *rows("ghm", BINARY, _ghm, over("bins momentum", (10, 0.75), (7, 0.0)), BOTH, note="the first batch, by numpy"),
    *rows("squentropy", CLASSES, _squentropy, soft=BOTH),
]
