"""References for losses on errors that let go of far samples, and for the balanced L1 loss."""

from __future__ import annotations

from functools import cache

import numpy as np
from mpmath import exp, inf, log, mpf, quad

from conformance.of_values import FINE, kornia, norm, of_errors
from conformance.references import Array, Formula, OnArrays
from conformance.row import Row, over, rows


def _trimmed(trim: float) -> OnArrays:
    """By numpy's sort: N / h times the h smallest squares, h = N - floor(trim N); the derivative by hand."""

    def kept(pred: Array, target: Array) -> tuple[Array, Array]:
        squares = ((pred - target) ** 2).mean(1)
        count = len(squares) - int(trim * len(squares) + 1e-9)
        place = np.argsort(np.argsort(squares, kind="stable"), kind="stable")
        return squares, (place < count) * len(squares) / count

    def loss(pred: Array, target: Array) -> Array:
        squares, factor = kept(pred, target)
        return factor * squares

    def slope(pred: Array, target: Array) -> Array:
        return kept(pred, target)[1][:, None] * 2 * (pred - target) / pred.shape[1]

    return OnArrays("numpy", loss, slope, each=False)


def balanced_l1(alpha: float, gamma: float, beta: float) -> Formula:
    """Libra R-CNN's loss of e / beta, times beta."""

    def loss(e: mpf) -> mpf:
        x, b = abs(e) / mpf(beta), exp(mpf(gamma) / mpf(alpha)) - 1
        if x < 1:
            return beta * (mpf(alpha) / b * (b * x + 1) * log(b * x + 1) - alpha * x)
        return beta * (gamma * x + mpf(gamma) / b - alpha)

    return of_errors("Pang et al. (2019), balanced L1 loss", loss)


def rho(x: mpf, alpha: mpf) -> mpf:
    """Barron's general loss, c = 1."""
    if alpha == 2:
        return x**2 / 2
    if alpha == 0:
        return log(x**2 / 2 + 1)
    beside = abs(alpha - 2)
    return beside / alpha * ((x**2 / beside + 1) ** (alpha / 2) - 1)


def _barron(alpha: float, c: float) -> Formula:
    return of_errors("Barron (2019), equation 1 and its limits", lambda e: mpf(c) ** 2 * rho(e / mpf(c), mpf(alpha)))


@cache
def partition(alpha: mpf) -> mpf:
    """The integral of exp(-rho(x, alpha)) over all x."""
    return 2 * quad(lambda x: exp(-rho(x, alpha)), [0, 0.5, 1, 2, 4, 8, 16, 32, 64, 256, 1024, 2**14, inf])


def adaptive(alpha_logit: mpf, log_scale: mpf, error: mpf) -> mpf:
    """Barron's adaptive loss: the general one, as a likelihood."""
    c, alpha = exp(log_scale) + mpf("1e-5"), 2 / (1 + exp(-alpha_logit))
    return rho(error / c, alpha) + log(c) + log(partition(alpha))


def _adaptive(alpha_logit: float, log_scale: float) -> Formula:
    return of_errors("Barron (2019), adaptive loss", lambda e: adaptive(mpf(alpha_logit), mpf(log_scale), e))


def _cauchy_of_barron(alpha: float, c: float) -> OnArrays:
    return norm("StudentT", c, 2)


ROOT2 = 2**0.5
ONE_SCALE = "kornia has one scale; the loss of another is made of it"
STATES = (
    {"alpha_logit": 0.0, "log_scale": 0.0},
    {"alpha_logit": 2.0, "log_scale": -1.0},
    {"alpha_logit": -2.0, "log_scale": 1.5},
)
ALPHAS = over("alpha c", (2.0, 1.0), (1.5, 0.5), (1.0, 1.0), (1e-9, 1.0), (0.0, 2.0), (-2.0, 1.0), (-10.0, 3.0))

ROWS = [
    *rows("cauchy", "values", lambda c: kornia("cauchy_loss", c, ROOT2), over("c", 1.0, 2.3849), note=ONE_SCALE),
    *rows("cauchy", "values", lambda c: norm("StudentT", c, 1), over("c", 0.5, 2.3849), note="StudentT with df = 1"),
    *rows(
        "geman_mcclure",
        "values",
        lambda c: kornia("geman_mcclure_loss", c, 2.0),
        over("c", 0.5, 2.0, 3.7874),
        note=ONE_SCALE,
    ),
    *rows("welsch", "values", lambda c: kornia("welsch_loss", c, ROOT2), over("c", 0.5, 2.9846), note=ONE_SCALE),
    *rows("tukey", "values", lambda c: norm("TukeyBiweight", c), over("c", 1.0, 4.685)),
    *rows("hampel", "values", lambda a, b, c: norm("Hampel", a, b, c), over("a b c", (2.0, 4.0, 8.0), (0.5, 1.0, 2.0))),
    *rows("andrews_wave", "values", lambda c: norm("AndrewWave", c), over("c", 0.5, 1.339), note="AndrewWave"),
    *rows("ramsay", "values", lambda a: norm("RamsayE", a), over("a", 0.3, 2.0), note="RamsayE"),
    *rows(
        "ramsay",
        "values",
        lambda a: of_errors(
            "Ramsay (1977), Ea", lambda e: (1 - exp(-mpf(a) * abs(e)) * (1 + mpf(a) * abs(e))) / mpf(a) ** 2
        ),
        over("a", 0.3, 2.0),
        floor=FINE,
        tolerance=1e-9,
    ),
    *rows(
        "barron",
        "values",
        _barron,
        ALPHAS,
        note="times c^2; far beyond c the gradient keeps nine digits",
        floor=FINE,
        tolerance=1e-9,
    ),
    *rows("barron", "values", _cauchy_of_barron, over("alpha c", (0.0, 1.0)), note="StudentT with df = 2"),
    *(
        Row("barron_adaptive", "values", _adaptive(**state), state=state, note="c is 1e-5 + exp(log_scale)")
        for state in STATES
    ),
    *rows(
        "trimmed",
        "values",
        _trimmed,
        over("trim", 0.0, 0.2, 0.5),
        note="Rousseeuw (1984) by numpy's sort; the derivative by hand",
    ),
    *rows(
        "balanced_l1",
        ("values", "boxes"),
        balanced_l1,
        over("alpha gamma beta", (0.5, 1.5, 1.0), (1.0, 1.0, 1.0), (0.5, 1.5, 0.25)),
        note="times beta, of the error over beta; the paper has beta = 1",
    ),
]
