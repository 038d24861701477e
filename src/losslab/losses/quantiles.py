"""Losses on several quantiles at once, in spreads of the target. N samples, D outputs, Q quantiles. Defaults: conf/loss/<name>.yaml."""

from __future__ import annotations

from torch import Tensor

from losslab.losses.base import register
from losslab.losses.regression import huber_of, mean_over_outputs, tilted


def _levels(levels: Tensor, pred: Tensor) -> Tensor:
    if len(levels) != pred.shape[-1]:
        raise ValueError(f"levels must hold one number for each of {pred.shape[-1]} quantiles; it holds {len(levels)}.")
    return levels


@register
def quantiles(pred: Tensor, target: Tensor, *, levels: Tensor) -> Tensor:
    """Quantile loss of several levels: the mean of their pinball losses; proper, and near the CRPS with many levels.

    l = mean over the levels of max(tau r, (tau - 1) r), with r = target - q, and q the predicted quantile of level tau.

    Args:
        pred: quantiles [N, D, Q].
        target: [N, D].
        levels: Q numbers in (0, 1), in the order of the quantiles.

    Returns:
        [N], at least 0; the mean over the outputs, too.

    With one level it is `quantile`. For levels tau and 1 - tau, the sum of both pinball losses is tau times the interval score (Winkler,
    1972). Nothing keeps predicted quantiles from crossing.
    """
    return mean_over_outputs(tilted(target[..., None] - pred, _levels(levels, pred)))


@register
def smooth_quantiles(pred: Tensor, target: Tensor, *, levels: Tensor, kappa: float | Tensor) -> Tensor:
    """Quantile Huber loss of several levels: `quantiles`, each made quadratic within `kappa` of the target.

    l = mean over the levels of |tau - [r < 0]| h(r) / kappa, with r = target - q, and h(r) = r^2 / 2 if |r| <= kappa, else
    kappa (|r| - kappa / 2).

    Args:
        pred: quantiles [N, D, Q].
        target: [N, D].
        levels: Q numbers in (0, 1), in the order of the quantiles.
        kappa: > 0, in the units of the target.

    Returns:
        [N], at least 0; the mean over the outputs, too.

    kappa -> 0 gives `quantiles`. With one level it is `smooth_quantile`. What it estimates lies between quantiles and expectiles, so the
    coverage of an interval comes out too small for a large kappa.
    """
    error = target[..., None] - pred
    return mean_over_outputs(tilted(error.sign() * huber_of(error.abs(), kappa) / kappa, _levels(levels, pred)))
