"""Losses on counts and costs, which are never negative. N samples, D outputs. Sources and defaults: conf/loss/<name>.yaml."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.regression import mean_over_outputs


@register
def poisson_nll(pred: Tensor, target: Tensor) -> Tensor:
    """Poisson NLL: negative log-likelihood of a count under a Poisson distribution, up to a constant; estimates the mean.

    Errors are weighted by the rate.

    l = exp(z) - t z, for the log z of the rate; log t! is left out, so l may be negative.

    Args:
        pred: log of the rate [N, D].
        target: counts [N, D], at least 0.

    Returns:
        [N]; its minimum is t - t log t, where the rate equals t.
    """
    return mean_over_outputs(F.poisson_nll_loss(pred, target, log_input=True, full=False, reduction="none"))


@register
def msle(pred: Tensor, target: Tensor) -> Tensor:
    """MSLE (squared logarithmic error): squared error of log(1 + count), so that ratios matter and not differences.

    Predicting too low costs more than predicting too high.

    l = (log(1 + p) - log(1 + t))^2.

    Args:
        pred: rate p [N, D], at least 0.
        target: counts t [N, D], at least 0.

    Returns:
        [N], at least 0. It estimates exp(mean of log(1 + t)) - 1, which lies below the mean.
    """
    return mean_over_outputs((pred.log1p() - target.log1p()).square())


@register
def tweedie(pred: Tensor, target: Tensor, *, power: float | Tensor) -> Tensor:
    """Tweedie loss: half the unit deviance of costs that are often exactly 0, else spread out; between Poisson and gamma.

    It estimates the mean. The variance is taken to grow as the mean to the `power`.

    l = exp((2 - power) z) / (2 - power) + t exp((1 - power) z) / (power - 1), for the log z of the mean; what depends on t alone is
    left out.

    Args:
        pred: log of the mean [N, D].
        target: costs or counts [N, D], at least 0; they need not be whole.
        power: above 1 and below 2. Near 1 it is `poisson_nll`, near 2 `gamma_nll`, each up to a constant.

    Returns:
        [N], above 0.
    """
    return mean_over_outputs(
        ((2 - power) * pred).exp() / (2 - power) + target * ((1 - power) * pred).exp() / (power - 1)
    )


_FAR = 60.0  # e^60 is far from an overflow in float32


@register
def gamma_nll(pred: Tensor, target: Tensor) -> Tensor:
    """Gamma NLL: negative log-likelihood of costs under a gamma distribution, up to a constant; estimates the mean.

    Errors count relative to the mean, as the standard deviation is taken to be in proportion to it.

    l = z + t exp(-z), for the log z of the mean; the shape of the distribution, and what depends on t alone, are left out.

    Args:
        pred: log of the mean [N, D].
        target: costs [N, D], at least 0.

    Returns:
        [N]; its minimum is 1 + log t, where the mean equals t. May be negative.

    The density of a gamma distribution is not defined at t = 0. There l = z falls without bound, and the loss still estimates the mean
    (as a quasi-likelihood) where 0 is rare; with many zeros take `tweedie`. For t exp(-z) beyond e^60, t exp(-z) continues as its
    tangent.
    """
    log_ratio = target.where(target > 0, 1.0).log() - pred
    inside = log_ratio.clamp(max=_FAR)
    ratio = inside.exp() * (1 + log_ratio - inside)
    return mean_over_outputs(pred + ratio.where(target > 0, 0.0))


@register
def negative_binomial_nll(pred: Tensor, target: Tensor, *, dispersion: float | Tensor) -> Tensor:
    """Negative binomial NLL (NB2): negative log-likelihood of counts that vary more than Poisson's; estimates the mean.

    The variance is mu + dispersion mu^2.

    l = (t + 1 / dispersion) log(1 + dispersion exp(z)) - t z, for the log z of the mean mu; what depends on t alone is left out.

    Args:
        pred: log of the mean [N, D].
        target: counts [N, D], at least 0.
        dispersion: > 0.

    Returns:
        [N]; may be negative.

    dispersion -> 0 gives `poisson_nll`. A large count pulls less than under Poisson: the gradient is (mu - t) / (1 + dispersion mu).
    """
    log_dispersion = torch.as_tensor(dispersion, dtype=pred.dtype, device=pred.device).log()
    x = pred + log_dispersion
    # the growth of either side by itself, so that the gradient is no small difference of large numbers
    return mean_over_outputs(target * (_softplus(-x) + log_dispersion) + _softplus(x) / dispersion)


def _softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), exact to the last digits of float64."""
    return F.softplus(x, threshold=40.0)
