"""References for cross-entropies that know the sizes of the classes or how labels go wrong, and for the bi-tempered loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpmath import exp, log, mpf
from torch import Tensor

from conformance.of_classes import each_row, log_softmax, of_label, shares
from conformance.references import Formula, OnTensors, loaded
from conformance.row import BOTH, over, rows


def _balanced_loss(counts: list[float], beta: float) -> OnTensors:
    def one(pred: Tensor, target: Tensor) -> Tensor:
        made = loaded("balanced_loss").Loss("cross_entropy", beta=beta, samples_per_class=counts, class_balanced=True)
        found: Tensor = made(pred.float(), target)
        return found

    return OnTensors("balanced-loss", each_row(one))


def _class_balanced(counts: list[float], beta: float) -> Formula:
    """Weights in proportion to (1 - beta) / (1 - beta^n), with a mean of 1 over the classes that occur."""

    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        weights = [(1 - mpf(beta)) / (1 - mpf(beta) ** n) if n else mpf(0) for n in counts]
        return -weights[y] * sum(n > 0 for n in counts) / sum(weights) * log_p[y]

    return of_label("Cui et al. (2019)", loss)


def _of_logits(source: str, loss: Any) -> Formula:
    """A formula of logits and a label; soft targets mix."""

    def function(p: Any, t: Any, held: Any) -> mpf:
        return sum(share * loss(p, k) for k, share in enumerate(shares(t, len(p))) if share)

    return Formula(source, function)


def _logit_adjusted(counts: list[float], tau: float) -> Formula:
    def loss(z: Sequence[mpf], y: int) -> mpf:
        total = mpf(sum(counts))
        return -log_softmax([one + mpf(tau) * log(n / total) for one, n in zip(z, counts, strict=True)])[y]

    return _of_logits("Menon et al. (2021), logit-adjusted loss", loss)


def _ldam(counts: list[float], max_margin: float, scale: float) -> Formula:
    def loss(z: Sequence[mpf], y: int) -> mpf:
        margin = max_margin * (mpf(min(counts)) / mpf(counts[y])) ** mpf("0.25")
        return -log_softmax([mpf(scale) * (one - margin * (k == y)) for k, one in enumerate(z)])[y]

    return _of_logits("Cao et al. (2019), LDAM", loss)


def _forward(transition: list[float]) -> Formula:
    def matrix(i: int, y: int) -> mpf:
        if len(transition) > 1:
            return mpf(transition[4 * i + y])
        return 1 - mpf(transition[0]) if i == y else mpf(transition[0]) / 3

    def loss(log_p: Sequence[mpf], y: int) -> mpf:
        return -log(sum(exp(one) * matrix(i, y) for i, one in enumerate(log_p)))

    return of_label("Patrini et al. (2017), forward correction", loss)


def _bootstrapped(beta: float, hard: bool) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        log_p = log_softmax(p)
        own = [mpf(k == log_p.index(max(log_p))) for k in range(4)] if hard else [exp(one) for one in log_p]
        mix = [mpf(beta) * a + (1 - mpf(beta)) * b for a, b in zip(shares(t, 4), own, strict=True)]
        return -sum(a * b for a, b in zip(mix, log_p, strict=True))

    return Formula(f"Reed et al. (2015), {'hard' if hard else 'soft'} bootstrapping", loss)


def _log_t(x: mpf, t: mpf) -> mpf:
    return log(x) if t == 1 else (x ** (1 - t) - 1) / (1 - t)


def _exp_t(u: mpf, t: mpf) -> mpf:
    return exp(u) if t == 1 else max(mpf(0), 1 + (1 - t) * u) ** (1 / (1 - t))


def _tempered_softmax(z: Sequence[mpf], t: mpf) -> list[mpf]:
    """p_k = exp_t(z_k - c), where c makes them add up to 1: Newton's method from below, the sum being convex in c."""
    c = max(z)
    for _ in range(100):
        each = [_exp_t(one - c, t) for one in z]
        step = (sum(each) - 1) / sum(one**t for one in each)
        c += step
        if abs(step) < mpf(10) ** -60:
            break
    return [_exp_t(one - c, t) for one in z]


def _bi_tempered(t1: float, t2: float, smoothing: float) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        logits = [mpf(0), *p] if len(p) == 1 else list(p)
        k, first = len(logits), mpf(t1)
        moved = [one * (1 - mpf(smoothing) * k / (k - 1)) + mpf(smoothing) / (k - 1) for one in shares(t, k)]
        total = mpf(0)
        for share, own in zip(moved, _tempered_softmax(logits, mpf(t2)), strict=True):
            total += share * (_log_t(share, first) - _log_t(own, first)) if share else 0
            total -= (share ** (2 - first) - own ** (2 - first)) / (2 - first)
        return total

    return Formula("Amid et al. (2019)", loss)


def _toolbelt(t1: float, t2: float, smoothing: float) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        made = loaded("pytorch_toolbelt.losses.bitempered_loss").bi_tempered_logistic_loss
        return made(pred, target, t1, t2, label_smoothing=smoothing, num_iters=60, reduction="none")

    return OnTensors("pytorch-toolbelt", function)


COUNTS = [900.0, 90.0, 10.0, 3.0]
TRANSITION = [0.7, 0.1, 0.1, 0.1, 0.0, 1.0, 0.0, 0.0, 0.05, 0.05, 0.8, 0.1, 0.25, 0.25, 0.25, 0.25]
TEMPERATURES = "t1 t2 smoothing"
CLASSES, BINARY = "class_logits", "binary_logit"
MIXED = "soft targets mix"

ROWS = [
    *rows(
        "class_balanced",
        CLASSES,
        _balanced_loss,
        over("counts beta", (COUNTS, 0.9), (COUNTS, 0.9999)),
        note="theirs is in 32 bits",
        tolerance=3e-6,
    ),
    *rows(
        "class_balanced",
        CLASSES,
        _class_balanced,
        over("counts beta", (COUNTS, 0.9999), ([40.0, 0.0, 20.0, 10.0], 0.9)),
        BOTH,
        note="weights with a mean of 1 over the classes that occur",
    ),
    *rows(
        "logit_adjusted", CLASSES, _logit_adjusted, over("counts tau", (COUNTS, 1.0), (COUNTS, 2.5)), BOTH, note=MIXED
    ),
    *rows(
        "ldam",
        CLASSES,
        _ldam,
        over("counts max_margin scale", (COUNTS, 0.5, 1.0), (COUNTS, 0.5, 30.0)),
        BOTH,
        note=f"the authors' scale is 30, and 1 is the default here; {MIXED}",
    ),
    *rows(
        "forward_corrected",
        CLASSES,
        _forward,
        over("transition", [0.2]),
        BOTH,
        note=f"one number is an even rate; {MIXED}",
    ),
    *rows(
        "forward_corrected",
        CLASSES,
        _forward,
        over("transition", TRANSITION),
        BOTH,
        note=f"a matrix, row by row; {MIXED}; logits up to 50",
        reach=60.0,
    ),
    *rows(
        "bootstrapped_soft",
        CLASSES,
        lambda beta: _bootstrapped(beta, hard=False),
        over("beta", 0.8, 0.95),
        BOTH,
        note="the gradient goes through p, too",
    ),
    *rows(
        "bootstrapped_hard",
        CLASSES,
        lambda beta: _bootstrapped(beta, hard=True),
        over("beta", 0.8, 0.95),
        BOTH,
        note="no derivative where the best classes are equal",
        kinked=True,
    ),
    *rows(
        "bi_tempered",
        CLASSES,
        _toolbelt,
        over(TEMPERATURES, (0.8, 1.2, 0.0), (0.5, 1.5, 0.1)),
        BOTH,
        note="1e-10 is added to their target before its logarithm; logits up to 50",
        tolerance=1e-8,
        reach=60.0,
    ),
    *rows(
        "bi_tempered",
        (CLASSES, BINARY),
        _bi_tempered,
        over(TEMPERATURES, (0.8, 1.2, 0.0), (0.5, 1.5, 0.1), (0.3, 3.0, 0.0), (1.0, 1.0, 0.0), (0.7, 0.8, 0.0)),
        BOTH,
        note="soft targets do not mix",
    ),
]
