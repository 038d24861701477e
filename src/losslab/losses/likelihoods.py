"""Negative log-likelihoods of a value and its scale, both predicted: the scale tells how uncertain each output is.

Each takes pred [N, D, 2], a value and the LOG of its scale, and target [N, D], and gives [N]. Terms that do not depend on the
prediction are left out. So l may differ from -log p by a constant, and may be negative. z = (value - target) / scale.
Sources and defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.regression import mean_over_outputs


def _standardised(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """z, and the log of the scale."""
    value, log_scale = pred.unbind(-1)
    return _over(value - target, log_scale), log_scale


def _over(error: Tensor, log_scale: Tensor) -> Tensor:
    """error / scale, in two steps: the inverse of a tiny scale may be infinite, and 0 times infinity is NaN."""
    half = (-log_scale / 2).exp()
    return error * half * half


@register
def gaussian_nll(pred: Tensor, target: Tensor) -> Tensor:
    """Gaussian NLL: negative log-likelihood of a normal distribution with predicted mean and standard deviation.

    Where the predicted sigma is large, the gradient of the value is small.

    l = log sigma + z^2 / 2, with z = (value - target) / sigma; log(2 pi) / 2 is left out.

    Args:
        pred: value and log sigma [N, D, 2].
        target: [N, D].

    Returns:
        [N]. sigma = 1 gives `mse` / 2. The gradient of the value is e / sigma^2. So if a model early predicts a large sigma in a
        region, it stops learning there; see `beta_nll`.
    """
    z, log_scale = _standardised(pred, target)
    return mean_over_outputs(log_scale + z.square() / 2)


@register
def beta_nll(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """Beta-NLL: `gaussian_nll` times sigma^(2 beta), so that the value is also learned where sigma is large.

    l = sigma^(2 beta) (log sigma + z^2 / 2), with the weight sigma^(2 beta) held fixed in the gradient.

    Args:
        pred: value and log sigma [N, D, 2].
        target: [N, D].
        beta: in [0, 1].

    Returns:
        [N], the mean over the outputs; the authors' code takes the sum. beta = 0 is `gaussian_nll`. With beta = 1 the
        gradient of the value is that of `mse` / 2.
    """
    value, log_scale = pred.unbind(-1)
    held = beta * log_scale.detach()
    # sigma^beta z in one step, as z^2 may be infinite where the weight is tiny
    return mean_over_outputs((2 * held).exp() * log_scale + _over(value - target, log_scale - held).square() / 2)


@register
def laplace_nll(pred: Tensor, target: Tensor) -> Tensor:
    """Laplace NLL: negative log-likelihood of a Laplace distribution with predicted location and width.

    It estimates the median, and as b the mean distance from it.

    l = log b + |z|, with z = (value - target) / b; log 2 is left out.

    Args:
        pred: value and log b [N, D, 2].
        target: [N, D].

    Returns:
        [N]. b = 1 gives `l1`.
    """
    z, log_scale = _standardised(pred, target)
    return mean_over_outputs(log_scale + z.abs())


@register
def student_t_nll(pred: Tensor, target: Tensor, *, df: float | Tensor) -> Tensor:
    """Student t NLL: negative log-likelihood of a Student t distribution with predicted location and scale.

    Its tails are heavy, so the gradient of an outlier fades.

    l = log s + (df + 1) / 2 log(1 + z^2 / df), with z = (value - target) / s; what depends on df alone is left out.

    Args:
        pred: value and log s [N, D, 2].
        target: [N, D].
        df: > 0, degrees of freedom: the fewer, the heavier the tails.

    Returns:
        [N]. df -> inf gives `gaussian_nll`; df = 1 is Cauchy's distribution.
    """
    value, log_scale = pred.unbind(-1)
    size = (value - target).abs()
    apart = size > 0
    # log(1 + z^2 / df) from the log of z, which is finite where z overflows
    log_z = size.where(apart, 1.0).log() - log_scale
    log_square = 2 * log_z - torch.as_tensor(df, dtype=pred.dtype, device=pred.device).log()
    tail = torch.logaddexp(log_square, torch.zeros_like(log_square))
    return mean_over_outputs(log_scale + (df + 1) / 2 * tail.where(apart, 0.0))
