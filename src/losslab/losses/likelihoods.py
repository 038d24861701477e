"""Negative log-likelihoods of a value and its scale, both predicted: the model says how sure it is of each output.

Each takes pred [N, D, 2], a value and the LOG of its scale, and target [N, D], and gives [N]. Parts that no prediction
changes are left out, so l may differ from -log p by a constant, and may be negative. z = (value - target) / scale.
Sources and defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

from torch import Tensor

from losslab.losses.base import register
from losslab.losses.regression import mean_over_outputs


def _standardised(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """z, and the log of the scale."""
    value, log_scale = pred.unbind(-1)
    return (value - target) * (-log_scale).exp(), log_scale


@register
def gaussian_nll(pred: Tensor, target: Tensor) -> Tensor:
    """How surprised a normal model is that predicts its own deviation: noisy samples may be called noisy, and then pull less.

    l = log sigma + z^2 / 2, with z = (value - target) / sigma; log(2 pi) / 2 is left out.

    Args:
        pred: value and log sigma [N, D, 2].
        target: [N, D].

    Returns:
        [N]. sigma = 1 gives `mse` / 2. A sample's pull on the value is e / sigma^2, so a model that calls a region noisy
        early stops learning there: see `beta_nll`.
    """
    z, log_scale = _standardised(pred, target)
    return mean_over_outputs(log_scale + z.square() / 2)


@register
def beta_nll(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """`gaussian_nll` with samples called noisy weighed up again, so that the value is learned there too.

    l = sigma^(2 beta) (log sigma + z^2 / 2), the weight held fixed in the gradient.

    Args:
        pred: value and log sigma [N, D, 2].
        target: [N, D].
        beta: in [0, 1].

    Returns:
        [N], the mean over the outputs, where the authors' code takes the sum. beta = 0 is `gaussian_nll`; at beta = 1 the
        value has the gradient of `mse` / 2.
    """
    z, log_scale = _standardised(pred, target)
    weight = (2 * beta * log_scale.detach()).exp()
    return mean_over_outputs(weight * (log_scale + z.square() / 2))


@register
def laplace_nll(pred: Tensor, target: Tensor) -> Tensor:
    """How surprised a Laplace model is that predicts its own width: aims at the median and the mean distance from it.

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
    """How surprised a Student t model is that predicts its own scale: outliers are expected, so their pull fades.

    l = log s + (df + 1) / 2 log(1 + z^2 / df), with z = (value - target) / s; what depends on df alone is left out.

    Args:
        pred: value and log s [N, D, 2].
        target: [N, D].
        df: > 0, degrees of freedom: the fewer, the heavier the tails.

    Returns:
        [N]. df -> inf gives `gaussian_nll`; df = 1 is Cauchy's distribution.
    """
    z, log_scale = _standardised(pred, target)
    return mean_over_outputs(log_scale + (df + 1) / 2 * (z.square() / df).log1p())
