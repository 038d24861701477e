"""References for losses on quantiles, ordered classes, several labels at once, and masks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mpmath import exp, log, mpf

from conformance.references import Array, Formula, OnArrays, loaded
from conformance.row import over, rows


def _per_level(levels: list[float], loss: Callable[[mpf, float], mpf]) -> Any:
    """The mean over outputs and levels of a loss of target - quantile."""

    def function(p: Any, t: Any, held: Any) -> mpf:
        each = [loss(t[place // len(levels)] - one, levels[place % len(levels)]) for place, one in enumerate(p)]
        return sum(each) / len(each)

    return function


def _quantiles(levels: list[float]) -> Formula:
    loss = _per_level(levels, lambda r, tau: max(mpf(tau) * r, (mpf(tau) - 1) * r))
    return Formula("Koenker and Bassett (1978), the mean over the levels", loss)


def _pinball(levels: list[float]) -> OnArrays:
    def loss(pred: Array, target: Array) -> Array:
        score = loaded("sklearn.metrics").mean_pinball_loss
        return np.array(
            [
                np.mean([score(t, q[:, k], alpha=level) for k, level in enumerate(levels)])
                for q, t in zip(pred, target, strict=True)
            ]
        )

    return OnArrays("scikit-learn", loss, None, each=False)


def _smooth(levels: list[float], kappa: float) -> Formula:
    def loss(r: mpf, tau: float) -> mpf:
        k = mpf(kappa)
        huber = r**2 / 2 if abs(r) <= k else k * (abs(r) - k / 2)
        return abs(mpf(tau) - (r < 0)) * huber / k

    return Formula("Dabney et al. (2018), the mean over the levels", _per_level(levels, loss))


def _sigmoid(z: mpf) -> mpf:
    return 1 / (1 + exp(-z))


def _log_sigmoid(z: mpf) -> mpf:
    return -log(1 + exp(-z))


def _coral() -> Formula:
    def loss(z: Any, y: int, held: Any) -> mpf:
        return -sum(_log_sigmoid(one) if y > k else _log_sigmoid(-one) for k, one in enumerate(z))

    return Formula("Cao, Mirjalili and Raschka (2020), CORAL", loss)


def _coral_sklearn() -> OnArrays:
    """A binary loss at each threshold."""

    def at(which: str, pred: Array, target: Array) -> Array:
        made = loaded("sklearn._loss.loss").HalfBinomialLoss()
        above = (target[:, None] > np.arange(3)).astype(float)
        return getattr(made, which)(above.ravel(), np.ascontiguousarray(pred).ravel()).reshape(pred.shape)

    return OnArrays("scikit-learn", lambda p, t: at("loss", p, t).sum(1), lambda p, t: at("gradient", p, t), each=False)


def _corn(divisor: str) -> Formula:
    def loss(z: Any, y: int, held: Any) -> mpf:
        return -sum(_log_sigmoid(z[k]) if y > k else _log_sigmoid(-z[k]) for k in range(min(y, 2) + 1))

    return Formula("Shi, Cao and Raschka (2023), CORN", loss)


def _corn_terms(divisor: str) -> OnArrays:
    """All terms of the batch in one mean, times the number of samples; each term stays with its sample."""

    def parts(pred: Array, target: Array) -> tuple[Array, Array, Array]:
        above = target[:, None] > np.arange(3)
        taken = target[:, None] >= np.arange(3)
        return above, taken, len(pred) / taken.sum()

    def loss(pred: Array, target: Array) -> Array:
        above, taken, factor = parts(pred, target)
        return factor * (taken * np.logaddexp(0, np.where(above, -pred, pred))).sum(1)

    def slope(pred: Array, target: Array) -> Array:
        above, taken, factor = parts(pred, target)
        return factor * taken * (np.exp(-np.logaddexp(0, -pred)) - above)

    return OnArrays("numpy", loss, slope, each=False)


def _zlpr() -> Formula:
    def loss(z: Any, t: Any, held: Any) -> mpf:
        yes = sum(exp(-one) for one, holds in zip(z, t, strict=True) if holds)
        no = sum(exp(one) for one, holds in zip(z, t, strict=True) if not holds)
        return log(1 + yes) + log(1 + no)

    return Formula("Su et al. (2022), ZLPR", loss)


def _two_way(temperature: float, classwise: float) -> OnArrays:
    """By numpy; -inf stands for what does not take part. The derivative by hand."""

    def way(pred: Array, yes: Array) -> tuple[Array, Array]:
        some = yes.any(1)
        pred, yes = pred[some], yes[some]
        total = loaded("scipy.special").logsumexp
        no_logit, yes_logit = np.where(yes, -np.inf, pred), np.where(yes, -pred / temperature, -np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            n, p = total(no_logit, axis=1), total(yes_logit, axis=1)
            no_share = np.where(np.isfinite(n)[:, None], np.exp(no_logit - n[:, None]), 0)
        margin = n + temperature * p
        slope = np.zeros((len(some), pred.shape[1]))
        chance = np.exp(-np.logaddexp(0, -margin))[:, None]
        slope[some] = chance * (no_share - np.exp(yes_logit - p[:, None]))
        value = np.zeros(len(some))
        value[some] = np.logaddexp(0, margin)
        return value / some.sum(), slope / some.sum()

    def loss(pred: Array, target: Array) -> Array:
        yes = target > 0.5
        return len(pred) * way(pred, yes)[0] + classwise * way(pred.T, yes.T)[0].sum()

    def slope(pred: Array, target: Array) -> Array:
        yes = target > 0.5
        return len(pred) * (way(pred, yes)[1] + classwise * way(pred.T, yes.T)[1].T)

    return OnArrays("numpy", loss, slope, each=False)


def _balanced(
    shares: list[float], alpha: float, beta: float, mu: float, kappa: float, scale: float, gamma: float
) -> Formula:
    def focused(z: mpf) -> mpf:
        return -((1 - _sigmoid(z)) ** mpf(gamma)) * _log_sigmoid(z) if gamma else -_log_sigmoid(z)

    def loss(z: Any, t: Any, held: Any) -> mpf:
        rarity = [1 / mpf(share) for share in shares]
        whole = sum(one for one, holds in zip(rarity, t, strict=True) if holds)
        total = mpf(0)
        for logit, holds, one in zip(z, t, rarity, strict=True):
            weight = mpf(alpha) + (_sigmoid(mpf(beta) * (one / whole - mpf(mu))) if whole else 1)
            moved = logit - mpf(kappa) * log(one - 1)
            total += weight * (focused(moved) if holds else focused(-mpf(scale) * moved) / mpf(scale))
        return total / len(z)

    return Formula("Wu et al. (2020), DB loss", loss)


def _areas(z: Sequence[mpf], t: Sequence[mpf]) -> tuple[mpf, mpf, mpf]:
    """True positives, false positives and false negatives."""
    p = [_sigmoid(one) for one in z]
    true = sum(a * b for a, b in zip(p, t, strict=True))
    return true, sum(p) - true, sum(t) - true


def _dice(power: float, smooth: float) -> Formula:
    def loss(z: Any, t: Any, held: Any) -> mpf:
        p = [_sigmoid(one) for one in z]
        both = 2 * sum(a * b for a, b in zip(p, t, strict=True)) + mpf(smooth)
        return 1 - both / (sum(a ** mpf(power) for a in p) + sum(t) + mpf(smooth))

    return Formula("Milletari et al. (2016), Dice", loss)


def _tversky(alpha: float, beta: float, smooth: float, gamma: float = 1.0) -> Formula:
    def loss(z: Any, t: Any, held: Any) -> mpf:
        true, over, under = _areas(z, t)
        score = (true + mpf(smooth)) / (true + mpf(alpha) * over + mpf(beta) * under + mpf(smooth))
        return (1 - score) ** (1 / mpf(gamma))

    source = "Salehi et al. (2017), Tversky" if gamma == 1 else "Abraham and Khan (2019), focal Tversky"
    return Formula(source, loss)


def _lovasz() -> Formula:
    """The extension by its level sets: the Jaccard loss of the pixels with errors above a level, integrated over the levels."""

    def loss(z: Any, t: Any, held: Any) -> mpf:
        errors = [max(mpf(0), 1 - (2 * holds - 1) * one) for one, holds in zip(z, t, strict=True)]
        levels, total = [mpf(0), *sorted(set(errors))], mpf(0)
        for low, high in itertools.pairwise(levels):
            wrong = [error > low for error in errors]
            missed = sum(one and holds for one, holds in zip(wrong, t, strict=True))
            union = sum(t) + sum(one and not holds for one, holds in zip(wrong, t, strict=True))
            total += (high - low) * (1 - (sum(t) - missed) / mpf(union))
        return total

    return Formula("Berman, Triki and Blaschko (2018), by level sets", loss)


def _boundary() -> OnArrays:
    def signed(target: Array) -> Array:
        to_zero = loaded("scipy.ndimage").distance_transform_edt
        inside = target > 0.5
        return np.array(
            [to_zero(~one) + one - to_zero(one) if one.any() and not one.all() else 0 * one for one in inside]
        )

    def loss(pred: Array, target: Array) -> Array:
        return (np.exp(-np.logaddexp(0, -pred)) * signed(target)).mean((1, 2))

    def slope(pred: Array, target: Array) -> Array:
        p = np.exp(-np.logaddexp(0, -pred)) * np.exp(-np.logaddexp(0, pred))
        return p * signed(target) / target[0].size

    return OnArrays("scipy", loss, slope, each=False)


LEVELS = [0.1, 0.5, 0.9]
SHARES = [0.5, 0.2, 0.01, 0.3]
KINKED = "where a quantile meets its target there is no derivative"
ALL = "alpha beta mu kappa scale gamma shares"
LABELS, MASKS = "label_logits", "mask_logits"

ROWS = [
    *rows("quantiles", "quantiles", _quantiles, over("levels", LEVELS, [0.2, 0.3, 0.7]), note=KINKED, kinked=True),
    *rows("quantiles", "quantiles", _pinball, over("levels", LEVELS), note="mean_pinball_loss of each level"),
    *rows("smooth_quantiles", "quantiles", _smooth, over("levels kappa", (LEVELS, 0.1), (LEVELS, 2.0))),
    *rows("coral", "cumulative_logits", _coral),
    *rows("coral", "cumulative_logits", _coral_sklearn, note="HalfBinomialLoss at each threshold"),
    *rows("corn", "conditional_logits", _corn, over("divisor", "samples")),
    *rows("corn", "conditional_logits", _corn_terms, over("divisor", "terms"), note="by numpy; the derivative by hand"),
    *rows("zlpr", LABELS, _zlpr),
    *rows(
        "two_way",
        LABELS,
        _two_way,
        over("temperature classwise", (4.0, 1.0), (1.0, 0.5)),
        note="by numpy and scipy's logsumexp; the derivative by hand",
    ),
    *rows(
        "distribution_balanced",
        LABELS,
        _balanced,
        over(ALL, (0.1, 10.0, 0.2, 0.05, 2.0, 0.0, SHARES), (0.1, 10.0, 0.3, 0.1, 5.0, 2.0, SHARES)),
        note="shares of the whole training set; the authors multiply the focused form by 2",
    ),
    *rows("dice", MASKS, _dice, over("power smooth", (1.0, 1.0), (2.0, 0.5))),
    *rows("tversky", MASKS, _tversky, over("alpha beta smooth", (0.3, 0.7, 1.0), (1.0, 1.0, 0.1))),
    *rows(
        "focal_tversky",
        MASKS,
        _tversky,
        over("alpha beta smooth gamma", (0.3, 0.7, 1.0, 4 / 3), (0.3, 0.7, 1.0, 0.5)),
    ),
    *rows("lovasz", MASKS, _lovasz, note="where two errors are equal the derivative jumps", kinked=True),
    *rows("boundary", MASKS, _boundary, note="distance_transform_edt; the derivative by hand"),
]
