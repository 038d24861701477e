"""Losses on counts. N samples, D outputs. Sources and defaults: conf/loss/<name>.yaml."""

from __future__ import annotations

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
