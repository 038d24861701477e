"""References for losses on numbers, on numbers with a scale, and on counts."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from mpmath import exp, inf, log, mp, mpf, quad
from torch import Tensor

from conformance.row import Formula, OnArrays, OnTensors, Row


def _norm(name: str, *settings: float) -> OnArrays:
    """A norm of statsmodels, whose psi is the derivative of its rho."""

    def norm() -> Any:
        from statsmodels.robust import norms

        return getattr(norms, name)(*settings)

    return OnArrays("statsmodels", lambda p, t: norm().rho(p - t), lambda p, t: norm().psi(p - t))


def sklearn(name: str, **settings: float) -> OnArrays:
    """A loss of scikit-learn with its own gradient."""

    def loss() -> Any:
        from sklearn._loss import loss as all_losses

        return getattr(all_losses, name)(**settings)

    return OnArrays("scikit-learn", lambda p, t: loss().loss(t, p), lambda p, t: loss().gradient(t, p))


def sgd(name: str, *settings: float, signed: bool = False) -> OnArrays:
    """A loss of scikit-learn's stochastic gradient descent; `signed`: labels are -1 and 1."""

    def each(part: str, pred: Any, target: Any) -> Any:
        from sklearn.linear_model import _sgd_fast

        function = getattr(getattr(_sgd_fast, name)(*settings), part)
        return [function(float(p), float(2 * t - 1 if signed else t)) for p, t in zip(pred, target, strict=True)]

    return OnArrays("scikit-learn", lambda p, t: each("py_loss", p, t), lambda p, t: each("py_dloss", p, t))


def _kornia(name: str, c: float, own: float) -> OnTensors:
    """A robust loss of kornia, which has one scale, `own`, as the loss of another scale c: (c / own)^2 times that of own e / c."""

    def function(pred: Tensor, target: Tensor) -> Tensor:
        import kornia.losses

        scaled = own / c * (pred - target)
        return ((c / own) ** 2 * getattr(kornia.losses, name)(scaled, torch.zeros_like(scaled))).flatten()

    return OnTensors("kornia", function)


def _density(name: str, constant: float, **settings: float) -> OnTensors:
    """The negative log of a density of torch's distributions, less a constant."""

    def function(pred: Tensor, target: Tensor) -> Tensor:
        value, scale = pred[..., 0], pred[..., 1].exp()
        made = getattr(torch.distributions, name)(loc=value, scale=scale, validate_args=False, **settings)
        return (-made.log_prob(target) - constant).flatten()

    return OnTensors("torch", function)


def _beta_nll(beta: float) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        variance = (2 * pred[..., 1]).exp()
        each = torch.nn.functional.gaussian_nll_loss(pred[..., 0], target, variance, reduction="none", eps=1e-300)
        return (variance.detach() ** beta * each).flatten()

    return OnTensors("torch", function)


def _poisson(pred: Tensor, target: Tensor) -> Tensor:
    made = torch.distributions.Poisson(pred.exp(), validate_args=False)
    return (-made.log_prob(target) - torch.lgamma(target + 1)).flatten()


def _msle(pred: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional import mean_squared_log_error

    return torch.stack([mean_squared_log_error(p, t) for p, t in zip(pred, target, strict=True)])


def _trimmed(trim: float) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        squares = (pred - target).flatten() ** 2
        kept = len(squares) - int(trim * len(squares))
        best = squares.topk(kept, largest=False)
        return torch.zeros_like(squares).scatter(0, best.indices, best.values * len(squares) / kept)

    return OnTensors("torch", function)


def _balanced(alpha: float, gamma: float) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        x, b = abs(p[0] - t), exp(mpf(gamma) / alpha) - 1
        if x < 1:
            return mpf(alpha) / b * (b * x + 1) * log(b * x + 1) - alpha * x
        return gamma * x + mpf(gamma) / b - alpha

    return Formula("Pang et al. (2019)", loss)


def _barron(alpha: float, c: float) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        return mpf(c) ** 2 * _rho((p[0] - t) / mpf(c), mpf(alpha))

    return Formula("Barron (2019)", loss)


def _rho(x: mpf, alpha: mpf) -> mpf:
    if alpha == 2:
        return x**2 / 2
    if alpha == 0:
        return log(x**2 / 2 + 1)
    beside = abs(alpha - 2)
    return beside / alpha * ((x**2 / beside + 1) ** (alpha / 2) - 1)


@cache
def _partition() -> mpf:
    """The integral of exp(-rho(x, 1)) over all x: at first the adaptive loss has alpha = 1."""
    with mp.workdps(30):
        return 2 * quad(lambda x: exp(-_rho(x, mpf(1))), [0, 1, 5, 20, 80, inf])


def _adaptive(p: Any, t: Any, held: Any) -> mpf:
    c = 1 + mpf(1e-5)
    return _rho((p[0] - t) / c, mpf(1)) + log(c) + log(_partition())


def _of_error(source: str, function: Any) -> Formula:
    return Formula(source, lambda p, t, held: function(p[0] - t))


def _expectile(tau: float) -> Formula:
    return _of_error("Newey and Powell (1987)", lambda e: (tau if e < 0 else 1 - mpf(tau)) * e**2)


def _smooth_quantile(tau: float, kappa: float) -> Formula:
    def loss(e: mpf) -> mpf:
        size = abs(e)
        huber = size**2 / 2 if size <= kappa else kappa * (size - mpf(kappa) / 2)
        return (tau if e < 0 else 1 - mpf(tau)) * huber / kappa

    return _of_error("Dabney et al. (2018), over kappa", loss)


def _log_cosh(s: float) -> Formula:
    def loss(e: mpf) -> mpf:
        x = abs(e / mpf(s))
        return mpf(s) ** 2 * (x + log((1 + exp(-2 * x)) / 2))

    return _of_error("the logarithm of cosh", loss)


def _charbonnier(c: float) -> OnArrays:
    def loss(p: Any, t: Any) -> Any:
        from scipy.special import pseudo_huber

        return pseudo_huber(c, p - t)

    return OnArrays("scipy", loss, lambda p, t: (p - t) / (1 + ((p - t) / c) ** 2) ** 0.5)


def _smoothl1(beta: float) -> OnArrays:
    def loss(p: Any, t: Any) -> Any:
        from scipy.special import huber

        return huber(beta, p - t) / beta

    return OnArrays("scipy", loss, lambda p, t: ((p - t) / beta).clip(-1, 1))


def _twice(reference: OnArrays) -> OnArrays:
    return OnArrays(reference.package, lambda p, t: 2 * reference.loss(p, t), lambda p, t: 2 * reference.slope(p, t))


def _of_df(df: float) -> float:
    """What of Student's -log density depends on its degrees of freedom alone."""
    return 0.5 * math.log(df * math.pi) + math.lgamma(df / 2) - math.lgamma((df + 1) / 2)


LN2, LN2PI = 0.6931471805599453, 1.8378770664093453
ROWS = [
    Row("mse", "values", _twice(_norm("LeastSquares")), note="twice statsmodels', which has a factor of 1/2"),
    Row("l1", "values", sklearn("AbsoluteError")),
    *(
        Row("smoothl1", "values", _smoothl1(beta), {"beta": beta}, note="scipy's huber over beta")
        for beta in (0.3, 2.0)
    ),
    *(Row("huber", "values", _norm("HuberT", delta), {"delta": delta}) for delta in (0.3, 1.345)),
    *(Row("log_cosh", "values", _log_cosh(s), {"scale": s}) for s in (0.5, 1.0, 3.0)),
    *(
        Row("charbonnier", "values", _charbonnier(c), {"c": c}, note="scipy's pseudo_huber; its gradient by hand")
        for c in (0.5, 1.2871)
    ),
    Row("charbonnier", "values", _kornia("charbonnier_loss", 1.0, 1.0), {"c": 1.0}),
    *(Row("quantile", "values", sklearn("PinballLoss", quantile=tau), {"tau": tau}) for tau in (0.1, 0.5, 0.9)),
    *(Row("expectile", "values", _expectile(tau), {"tau": tau}) for tau in (0.1, 0.9)),
    *(
        Row(
            "smooth_quantile",
            "values",
            _smooth_quantile(tau, kappa),
            {"tau": tau, "kappa": kappa},
            note="divided by kappa",
        )
        for tau, kappa in ((0.1, 0.5), (0.75, 2.0))
    ),
    *(Row("epsilon_insensitive", "values", sgd("EpsilonInsensitive", e), {"epsilon": e}) for e in (0.1, 1.0)),
    *(
        Row("squared_epsilon_insensitive", "values", sgd("SquaredEpsilonInsensitive", e), {"epsilon": e})
        for e in (0.1, 1.0)
    ),
    *(
        Row("cauchy", "values", _kornia("cauchy_loss", c, 2**0.5), {"c": c}, note="kornia's scale is sqrt(2)")
        for c in (2**0.5, 2.3849)
    ),
    *(
        Row("geman_mcclure", "values", _kornia("geman_mcclure_loss", c, 2.0), {"c": c}, note="kornia's scale is 2")
        for c in (2.0, 3.7874)
    ),
    *(
        Row("welsch", "values", _kornia("welsch_loss", c, 2**0.5), {"c": c}, note="kornia's scale is sqrt(2)")
        for c in (2**0.5, 2.9846)
    ),
    *(Row("tukey", "values", _norm("TukeyBiweight", c), {"c": c}) for c in (1.0, 4.685)),
    *(
        Row("hampel", "values", _norm("Hampel", *abc), dict(zip("abc", abc, strict=True)))
        for abc in ((0.5, 1.0, 2.0), (2.0, 4.0, 8.0))
    ),
    *(
        Row("barron", "values", _barron(alpha, c), {"alpha": alpha, "c": c}, note="times c^2")
        for alpha, c in ((2.0, 1.0), (1.5, 0.5), (1.0, 1.0), (0.0, 2.0), (-2.0, 1.0), (-10.0, 3.0))
    ),
    Row("barron_adaptive", "values", Formula("Barron (2019), before training", _adaptive), tolerance=1e-9),
    *(
        Row("trimmed", "values", _trimmed(trim), {"trim": trim}, note="the smallest squares by topk (Rousseeuw, 1984)")
        for trim in (0.0, 0.1, 0.5)
    ),
    *(
        Row("balanced_l1", "values", _balanced(alpha, gamma), {"alpha": alpha, "gamma": gamma, "beta": 1.0})
        for alpha, gamma in ((0.5, 1.5), (1.0, 1.0))
    ),
    Row("gaussian_nll", "values_and_scale", _density("Normal", LN2PI / 2), note="less log(2 pi) / 2"),
    *(
        Row(
            "beta_nll",
            "values_and_scale",
            _beta_nll(beta),
            {"beta": beta},
            note="the weight of Seitzer et al. (2022) by hand",
        )
        for beta in (0.0, 0.5, 1.0)
    ),
    Row("laplace_nll", "values_and_scale", _density("Laplace", LN2), note="less log 2"),
    *(
        Row(
            "student_t_nll",
            "values_and_scale",
            _density("StudentT", _of_df(df), df=df),
            {"df": df},
            note="less what depends on df alone",
        )
        for df in (1.0, 4.0)
    ),
    Row("poisson_nll", "log_rate", OnTensors("torch", _poisson), note="less log of the factorial", tolerance=1e-9),
    Row("msle", "rate", OnTensors("torchmetrics", _msle)),
]
