"""References for losses on errors that pull on every mistake; the coordinate losses read probabilities and boxes as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mpmath import exp, log, mpf
from torch import Tensor

from conformance.references import Array, Formula, OnArrays, OnTensors, loaded
from conformance.row import over, rows

FINE = 1e-30  # a floor: of an error of 1e-12, too, the leading digits are to be right


def norm(name: str, *settings: Any, factor: float = 1.0) -> OnArrays:
    """A norm of statsmodels; its psi is the derivative of its rho."""

    def part(which: str, pred: Array, target: Array) -> Array:
        made = getattr(loaded("statsmodels.robust.norms"), name)(*settings)
        return factor * getattr(made, which)(pred - target)

    return OnArrays("statsmodels", lambda p, t: part("rho", p, t), lambda p, t: part("psi", p, t))


def _tilted(name: str, tau: float, *settings: float, factor: float) -> OnArrays:
    """A norm of statsmodels with two weights. Its residual is target - pred, and here it is given the negative one."""

    def part(which: str, pred: Array, target: Array) -> Array:
        norms = loaded("statsmodels.robust.norms")
        made = norms.MQuantileNorm(1 - tau, getattr(norms, name)(*settings))
        return factor * getattr(made, which)(pred - target)

    return OnArrays("statsmodels", lambda p, t: part("rho", p, t), lambda p, t: part("psi", p, t))


def sklearn(name: str, **settings: float) -> OnArrays:
    """A loss of scikit-learn, with its own gradient."""

    def loss() -> Any:
        return getattr(loaded("sklearn._loss.loss"), name)(**settings)

    return OnArrays("scikit-learn", lambda p, t: loss().loss(t, p), lambda p, t: loss().gradient(t, p))


def sgd(name: str, *settings: float, signed: bool = False) -> OnArrays:
    """A loss of scikit-learn's stochastic gradient descent; `signed`: its labels are -1 and 1."""

    def each(part: str, pred: Array, target: Array) -> list[float]:
        function = getattr(getattr(loaded("sklearn.linear_model._sgd_fast"), name)(*settings), part)
        return [function(float(p), float(2 * t - 1 if signed else t)) for p, t in zip(pred, target, strict=True)]

    return OnArrays("scikit-learn", lambda p, t: each("py_loss", p, t), lambda p, t: each("py_dloss", p, t))


def kornia(name: str, c: float, own: float) -> OnTensors:
    """A robust loss of kornia, whose scale is `own`, at another scale c: (c / own)^2 times its loss of own e / c."""

    def function(pred: Tensor, target: Tensor) -> Tensor:
        scaled = own / c * (pred - target)
        found: Tensor = getattr(loaded("kornia.losses"), name)(scaled, torch.zeros_like(scaled))
        return (c / own) ** 2 * found

    return OnTensors("kornia", function)


def of_errors(source: str, loss: Callable[[mpf], mpf]) -> Formula:
    """A formula of the error, averaged over the outputs."""
    return Formula(source, lambda p, t, held: sum(loss(a - b) for a, b in zip(p, t, strict=True)) / len(p))


def _scipy_huber(delta: float, factor: float = 1.0) -> OnArrays:
    return OnArrays(
        "scipy",
        lambda p, t: factor * loaded("scipy.special").huber(delta, np.abs(p - t)),
        lambda p, t: factor * np.clip(p - t, -delta, delta),
    )


def _scipy_pseudo_huber(c: float) -> OnArrays:
    return OnArrays(
        "scipy",
        lambda p, t: loaded("scipy.special").pseudo_huber(c, p - t),
        lambda p, t: (p - t) / np.hypot(1, (p - t) / c),
    )


def _log_cosh(pred: Tensor, target: Tensor) -> Tensor:
    log_cosh_error = loaded("torchmetrics.functional").log_cosh_error
    return torch.stack(
        [log_cosh_error(p, t) for p, t in zip(pred.flatten(0, 1)[:, None], target.flatten(0, 1)[:, None], strict=True)]
    ).reshape(pred.shape)


def _keras_log_cosh(pred: Tensor, target: Tensor) -> Tensor:
    found: Tensor = loaded("keras").losses.log_cosh(target, pred)
    return found


def _log_cosh_formula(scale: float) -> Formula:
    def loss(e: mpf) -> mpf:
        x = abs(e / mpf(scale))
        return mpf(scale) ** 2 * (x + log((1 + exp(-2 * x)) / 2))

    return of_errors("Green (1990), the logarithm of cosh", loss)


def _keras_at_1(scale: float) -> OnTensors:
    return OnTensors("keras", _keras_log_cosh)


def _torchmetrics_at_1(scale: float) -> OnTensors:
    return OnTensors("torchmetrics", _log_cosh)


def _insensitive(name: str) -> Callable[[float], OnArrays]:
    return lambda epsilon: sgd(name, epsilon)


HALF = "statsmodels has a factor of 1/2; twice that is compared"
KINK = "an error of 0 has no derivative"
ODD = "statsmodels' residual is the negative one, so its q is 1 - tau"
OF_SCIPY = "the derivative of scipy's is by hand"
COORDINATES = ("values", "class_probs", "binary_prob", "boxes")

ROWS = [
    *rows("mse", COORDINATES, lambda: norm("LeastSquares", factor=2.0), note=HALF),
    *rows("l1", COORDINATES, lambda: sklearn("AbsoluteError"), note=KINK, kinked=True),
    *rows("huber", COORDINATES, lambda delta: norm("HuberT", delta), over("delta", 0.1, 1.0, 1.345)),
    *rows(
        "smoothl1",
        COORDINATES,
        lambda beta: _scipy_huber(beta, 1 / beta),
        over("beta", 0.1, 1.0, 2.0),
        note=f"huber over beta; {OF_SCIPY}",
    ),
    *rows("log_cosh", "values", _log_cosh_formula, over("scale", 0.5, 1.0, 3.0), note="times scale^2", floor=FINE),
    *rows(
        "log_cosh",
        "values",
        _torchmetrics_at_1,
        over("scale", 1.0),
        note="errors up to 50: theirs overflows",
        reach=60.0,
    ),
    *rows("log_cosh", "values", _keras_at_1, over("scale", 1.0), note="keras takes log 2 in 32 bits", tolerance=1e-7),
    *rows(
        "charbonnier",
        "values",
        _scipy_pseudo_huber,
        over("c", 0.5, 1.0, 1.2871),
        note=f"pseudo_huber; {OF_SCIPY}",
        floor=FINE,
    ),
    *rows("charbonnier", "values", lambda c: kornia("charbonnier_loss", c, 1.0), over("c", 1.0)),
    *rows(
        "quantile",
        "values",
        lambda tau: sklearn("PinballLoss", quantile=tau),
        over("tau", 0.1, 0.5, 0.9),
        note=KINK,
        kinked=True,
    ),
    *rows(
        "expectile",
        "values",
        lambda tau: _tilted("LeastSquares", tau, factor=2.0),
        over("tau", 0.1, 0.5, 0.9),
        note=f"{HALF}; {ODD}",
        floor=FINE,
    ),
    *rows(
        "smooth_quantile",
        "values",
        lambda tau, kappa: _tilted("HuberT", tau, kappa, factor=1 / kappa),
        over("tau kappa", (0.5, 1.0), (0.1, 0.5), (0.75, 2.0)),
        note=f"divided by kappa; {ODD}",
        floor=FINE,
    ),
    *rows("epsilon_insensitive", "values", _insensitive("EpsilonInsensitive"), over("epsilon", 0.1, 1.0)),
    *rows(
        "squared_epsilon_insensitive",
        "values",
        _insensitive("SquaredEpsilonInsensitive"),
        over("epsilon", 0.0, 0.1, 1.0),
    ),
]
