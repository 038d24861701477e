"""References for losses that are a likelihood: of a value and its scale, and of counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from mpmath import exp, log, mpf
from torch import Tensor

from conformance.references import Array, Formula, OnArrays, OnTensors, loaded
from conformance.row import over, rows


def _density(name: str, constant: float, **settings: float) -> OnTensors:
    """The negative log of a density of torch's distributions, less a constant."""

    def function(pred: Tensor, target: Tensor) -> Tensor:
        value, scale = pred[..., 0], pred[..., 1].exp()
        made = getattr(torch.distributions, name)(loc=value, scale=scale, validate_args=False, **settings)
        return -made.log_prob(target) - constant

    return OnTensors("torch", function)


def _scipy(name: str, constant: float, *settings: float) -> OnArrays:
    """The negative log of a density of scipy's, less a constant; values alone."""

    def loss(pred: Array, target: Array) -> Array:
        made = getattr(loaded("scipy.stats"), name)
        each = -made.logpdf(target, *settings, loc=pred[..., 0], scale=np.exp(pred[..., 1])) - constant
        return each.mean(1)

    return OnArrays("scipy", loss, None, each=False)


def _beta_nll(beta: float) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        total = mpf(0)
        for value, wanted, log_scale, fixed in zip(p[::2], t, p[1::2], held[1::2], strict=True):
            variance = exp(2 * log_scale)
            total += exp(2 * beta * fixed) * (log(variance) / 2 + (wanted - value) ** 2 / (2 * variance))
        return total / len(t)

    return Formula("Seitzer et al. (2022), beta-NLL", loss)


def _of_df(df: float) -> float:
    """What of Student's negative log density depends on its degrees of freedom alone."""
    return 0.5 * math.log(df * math.pi) + math.lgamma(df / 2) - math.lgamma((df + 1) / 2)


def _poisson(pred: Array, target: Array) -> Array:
    return -loaded("scipy.stats").poisson.logpmf(target, np.exp(pred)) - loaded("scipy.special").gammaln(target + 1)


def _half_poisson() -> OnArrays:
    def loss() -> Any:
        return loaded("sklearn._loss.loss").HalfPoissonLoss()

    return OnArrays("scikit-learn", lambda p, t: loss().loss(t, p), lambda p, t: loss().gradient(t, p))


def _msle(pred: Tensor, target: Tensor) -> Tensor:
    function = loaded("torchmetrics.functional").mean_squared_log_error
    return torch.stack([function(p, t) for p, t in zip(pred, target, strict=True)])


def _tweedie(power: float) -> OnArrays:
    def loss() -> Any:
        return loaded("sklearn._loss.loss").HalfTweedieLoss(power=power)

    return OnArrays("scikit-learn", lambda p, t: loss().loss(t, p), lambda p, t: loss().gradient(t, p))


def _gamma_sklearn() -> OnArrays:
    def loss() -> Any:
        return loaded("sklearn._loss.loss").HalfGammaLoss()

    return OnArrays("scikit-learn", lambda p, t: loss().loss(t, p), lambda p, t: loss().gradient(t, p))


def _negative_binomial(dispersion: float) -> OnArrays:
    r = 1 / dispersion

    def loss(pred: Array, target: Array) -> Array:
        special = loaded("scipy.special")
        full = -loaded("scipy.stats").nbinom.logpmf(target, r, r / (r + np.exp(pred)))
        alone = special.gammaln(r) + special.gammaln(target + 1) - special.gammaln(target + r)
        return full - alone + target * np.log(dispersion)

    return OnArrays("scipy", loss, None)


def _nb2(dispersion: float) -> Formula:
    def loss(z: mpf, t: mpf) -> mpf:
        mean, alpha = exp(z), mpf(dispersion)
        return (t + 1 / alpha) * log(1 + alpha * mean) - t * z

    def function(p: Any, t: Any, held: Any) -> mpf:
        return sum(loss(a, b) for a, b in zip(p, t, strict=True)) / len(t)

    return Formula("Lawless (1987), NB2", function)


PAIR = "values_and_scale"
LN2, LN2PI = math.log(2), math.log(2 * math.pi)

ROWS = [
    *rows("gaussian_nll", PAIR, lambda: _density("Normal", LN2PI / 2), note="less log(2 pi) / 2"),
    *rows("gaussian_nll", PAIR, lambda: _scipy("norm", LN2PI / 2), note="less log(2 pi) / 2"),
    *rows(
        "beta_nll",
        PAIR,
        _beta_nll,
        over("beta", 0.0, 0.5, 1.0),
        note="the mean over the outputs; the authors take the sum",
    ),
    *rows(
        "laplace_nll",
        PAIR,
        lambda: _density("Laplace", LN2),
        note="less log 2; an error of 0 has no derivative",
        kinked=True,
    ),
    *rows(
        "student_t_nll",
        PAIR,
        lambda df: _density("StudentT", _of_df(df), df=df),
        over("df", 1.0, 4.0, 30.0),
        note="less what depends on df alone",
    ),
    *rows(
        "student_t_nll",
        PAIR,
        lambda df: _scipy("t", _of_df(df), df),
        over("df", 1.0, 4.0),
        note="less what depends on df alone",
    ),
    *rows("poisson_nll", "log_rate", _half_poisson),
    *rows("poisson_nll", "log_rate", lambda: OnArrays("scipy", _poisson, None), note="less the log of the factorial"),
    *rows("tweedie", "log_rate", _tweedie, over("power", 1.1, 1.5, 1.9)),
    *rows("gamma_nll", "log_rate", _gamma_sklearn),
    *rows("negative_binomial_nll", "log_rate", _nb2, over("dispersion", 0.01, 0.5, 5.0)),
    *rows(
        "negative_binomial_nll",
        "log_rate",
        _negative_binomial,
        over("dispersion", 0.5, 2.0),
        note="less what depends on the count alone; logs of the mean up to 10: beyond, theirs rounds",
        reach=10.0,
        tolerance=1e-10,
    ),
    *rows("msle", "rate", lambda: OnTensors("torchmetrics", _msle)),
]
