"""Losses on the error e = pred - target whose gradient does not fade as the error grows, averaged over the outputs of a sample.

They serve regression; mse, l1, smoothl1 and huber also serve box corners and class probabilities. Values come in spreads of the
target. Each takes pred and target of one shape, [N] or [N, D], and gives [N], at least 0, 0 where pred = target.
Losses whose gradient fades as the error grows: robust.py. Sources and defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.losses.base import has_mean, register


def mean_over_outputs(losses: Tensor) -> Tensor:
    """[N, ...] -> [N]: the mean over all axes but the first."""
    return losses.mean(tuple(range(1, losses.ndim))) if losses.ndim > 1 else losses


@register
@has_mean(F.mse_loss)
def mse(pred: Tensor, target: Tensor) -> Tensor:
    """MSE (mean squared error): estimates the mean; best under normal errors, but one far outlier can move the fit without limit.

    l = e^2, with derivative 2e: the gradient of a sample grows with its error, without bound.

    On class probabilities [N, K] with one-hot targets it is the Brier score divided by K. It has no factor 1/2; `huber` has one.
    """
    return mean_over_outputs(F.mse_loss(pred, target, reduction="none"))


@register
@has_mean(F.l1_loss)
def l1(pred: Tensor, target: Tensor) -> Tensor:
    """L1 (absolute error): estimates the median; the gradient has the same size for every error.

    l = |e|, with derivative sign(e), and 0 at e = 0. The derivative does not shrink near the minimum, so with a constant learning
    rate the fit oscillates around it.
    """
    return mean_over_outputs((pred - target).abs())


@register
@has_mean(F.smooth_l1_loss)
def smoothl1(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """Smooth L1: quadratic for errors below `beta`, linear above; the gradient is at most 1, and fades near the minimum.

    l = e^2 / (2 beta) if |e| < beta, else |e| - beta / 2.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        beta: > 0, in the units of the target.

    beta -> 0 gives `l1`. It is not `huber`: smoothl1(beta) = huber(delta=beta) / beta, so its gradient shrinks as beta grows.
    """
    if not isinstance(beta, Tensor):
        return mean_over_outputs(F.smooth_l1_loss(pred, target, reduction="none", beta=beta))
    return mean_over_outputs(huber_of((pred - target).abs(), beta) / beta)


@register
@has_mean(F.huber_loss)
def huber(pred: Tensor, target: Tensor, *, delta: float | Tensor) -> Tensor:
    """Huber loss: half the squared error up to `delta`, linear beyond; the gradient is at most `delta`.

    l = e^2 / 2 if |e| <= delta, else delta (|e| - delta / 2).

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        delta: > 0, in the units of the target.

    delta -> inf gives `mse` / 2; l / delta -> |e| as delta -> 0. It is not `smoothl1`: huber(delta) = delta smoothl1(beta=delta).
    """
    if not isinstance(delta, Tensor):
        return mean_over_outputs(F.huber_loss(pred, target, reduction="none", delta=delta))
    return mean_over_outputs(huber_of((pred - target).abs(), delta))


def huber_of(size: Tensor, delta: float | Tensor) -> Tensor:
    """Huber's loss of |e|, written out for a delta that is a tensor, as in a stack of runs. torch's own is faster, but takes none."""
    inner = size.clamp(max=delta)
    return inner * (size - 0.5 * inner)  # one branch, with a finite slope everywhere


@register
def log_cosh(pred: Tensor, target: Tensor, *, scale: float | Tensor) -> Tensor:
    """Log-cosh: half the squared error near zero, absolute far away, like `huber`, but smooth everywhere.

    l = s^2 log cosh(e / s), with derivative s tanh(e / s), at most s.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        scale: s > 0, in the units of the target.

    scale -> inf gives `mse` / 2; l / scale -> |e| as scale -> 0. Other libraries offer s = 1 only.
    """
    size = (pred - target).abs() / scale
    grown = size.clamp(max=20).expm1()  # beyond 20, log cosh is a line in float64
    # cosh x = 1 + (e^x - 1)^2 / (2 e^x): this loses no digit of a small error
    return mean_over_outputs(scale**2 * ((grown.square() / (2 * grown + 2)).log1p() + (size - 20).relu()))


@register
def charbonnier(pred: Tensor, target: Tensor, *, c: float | Tensor) -> Tensor:
    """Charbonnier (pseudo-Huber) loss: a hyperbola, half the squared error near zero and absolute far away.

    l = c^2 (sqrt(1 + (e / c)^2) - 1); the gradient is at most c.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        c: > 0, in the units of the target.

    c -> inf gives `mse` / 2; l / c -> |e| as c -> 0. It is `barron` with alpha = 1. In other code a Charbonnier loss is often
    sqrt(e^2 + c^2), which is l / c + c.
    """
    size = (pred - target).abs() / c
    root = torch.hypot(size, torch.ones_like(size))
    return mean_over_outputs(c**2 * size * (size / (root + 1)))  # root - 1 would lose a small error to rounding


@register
def quantile(pred: Tensor, target: Tensor, *, tau: float | Tensor) -> Tensor:
    """Quantile (pinball) loss: absolute error with a slope for each side; estimates the quantile `tau`.

    A share 1 - tau of the targets lies above the quantile.

    l = max(tau r, (tau - 1) r), with r = target - pred: predicting too low costs tau per unit, too high 1 - tau.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        tau: in (0, 1).

    tau = 1/2 gives `l1` / 2. It is also called check loss.
    """
    return mean_over_outputs(tilted(target - pred, tau))


@register
def expectile(pred: Tensor, target: Tensor, *, tau: float | Tensor) -> Tensor:
    """Expectile loss: squared error with a weight for each side; estimates the expectile `tau`.

    An expectile is a mean that counts the targets above it tau / (1 - tau) times.

    l = |tau - [r < 0]| r^2, with r = target - pred: predicting too low has the weight tau, too high 1 - tau.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        tau: in (0, 1).

    tau = 1/2 gives `mse` / 2. It is smooth, unlike `quantile`, and as sensitive to outliers as the mean.
    """
    error = target - pred
    return mean_over_outputs((0.5 + (tau - 0.5) * error.sign()) * error * error)


@register
def smooth_quantile(pred: Tensor, target: Tensor, *, tau: float | Tensor, kappa: float | Tensor) -> Tensor:
    """Quantile Huber loss: `quantile`, made quadratic within `kappa`, so that the gradient fades near the minimum.

    l = |tau - [r < 0]| h(r) / kappa, with r = target - pred, and h(r) = r^2 / 2 if |r| <= kappa, else kappa (|r| - kappa / 2).

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        tau: in (0, 1).
        kappa: > 0, in the units of the target.

    kappa -> 0 gives `quantile`; tau = 1/2 gives `smoothl1` / 2. It estimates a value between the quantile and the expectile. The
    first paper does not divide by kappa; its sequel (implicit quantile networks) does, as here.
    """
    error = target - pred
    return mean_over_outputs(tilted(error.sign() * huber_of(error.abs(), kappa) / kappa, tau))


def tilted(signed: Tensor, tau: float | Tensor) -> Tensor:
    """Numbers above zero times tau, and the size of those below times 1 - tau."""
    return 0.5 * signed.abs() + (tau - 0.5) * signed


@register
def epsilon_insensitive(pred: Tensor, target: Tensor, *, epsilon: float | Tensor) -> Tensor:
    """Epsilon-insensitive loss: absolute error beyond `epsilon`, 0 within it; the loss of support vector regression.

    l = max(0, |e| - epsilon), with gradient 0 for |e| <= epsilon.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        epsilon: >= 0, in the units of the target.

    epsilon = 0 gives `l1`.
    """
    return mean_over_outputs(((pred - target).abs() - epsilon).relu())


@register
def squared_epsilon_insensitive(pred: Tensor, target: Tensor, *, epsilon: float | Tensor) -> Tensor:
    """Squared epsilon-insensitive loss: the square of the error beyond `epsilon`, 0 within it.

    It is smooth at |e| = epsilon, and sensitive to outliers.

    l = max(0, |e| - epsilon)^2, with gradient 0 for |e| <= epsilon.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        epsilon: >= 0, in the units of the target.

    epsilon = 0 gives `mse`.
    """
    return mean_over_outputs(((pred - target).abs() - epsilon).relu().square())
