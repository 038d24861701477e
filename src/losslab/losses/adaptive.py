"""A robust loss that learns its own shape and scale. Source: conf/loss/barron_adaptive.yaml."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from losslab.losses.base import keeps, register
from losslab.losses.regression import mean_over_outputs
from losslab.losses.robust import general

_LEAST_SCALE = 1e-5  # as in the paper: with a model that fits every target, the scale would shrink without end
_STEP, _NODES = 0.05, 77  # from x = 0 to 1e15; further nodes change nothing in float64


@register
@keeps(learned={"alpha_logit": 0.0, "log_scale": 0.0})
def barron_adaptive(pred: Tensor, target: Tensor, *, alpha_logit: Tensor, log_scale: Tensor) -> Tensor:
    """Adaptive robust loss: `barron` as a negative log-likelihood, with its shape alpha and scale c learned in training.

    Two further terms make it costly to treat every sample as an outlier.

    l = rho(e / c, alpha) + log c + log Z(alpha), with rho(x, alpha) = `barron` at c = 1, and Z(alpha) the integral of
    exp(-rho(x, alpha)) over all x; alpha = 2 sigmoid(alpha_logit), c = 1e-5 + exp(log_scale).

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        alpha_logit: learned, one for all outputs; alpha begins at 1 and stays in (0, 2).
        log_scale: learned, one for all outputs; c begins at 1.

    Returns:
        [N]; may be negative. alpha = 2 is the normal distribution with standard deviation c, alpha -> 0 Cauchy's with scale sqrt(2) c.
    """
    alpha = 2 * alpha_logit.to(pred.dtype).sigmoid()
    scale = _LEAST_SCALE + log_scale.to(pred.dtype).exp()
    rho = general((pred - target).abs() / scale, alpha)
    return mean_over_outputs(rho + scale.log() + log_partition(alpha))


def log_partition(alpha: Tensor) -> Tensor:
    """The log of the integral of exp(-rho(x, alpha)) over all x, for alpha in [0, 2].

    Computed at each call, and so is its derivative (six digits for alpha in [0.001, 1.999]): by the trapezoid rule, after the
    substitution x = sinh(pi / 2 sinh t). The same few nodes then serve tails as heavy as 1 / x^2 and as light as a normal one's.
    """
    t = _STEP * torch.arange(_NODES, dtype=alpha.dtype, device=alpha.device)
    inner = math.pi / 2 * t.sinh()
    width = math.pi * _STEP * t.cosh() * inner.cosh()  # both sides of zero at once
    each = width * (-general(inner.sinh(), alpha)).exp()
    return (each.sum() - each[0] / 2).log()
