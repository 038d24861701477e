"""Losses that balance gradients: what they count of earlier batches decides how much a sample or a class weighs.

p is the sigmoid of a logit. The weights are held fixed in the gradient. Sources, defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.losses.base import keeps, register
from losslab.losses.class_targets import distribution


def _weights(
    positive: Tensor, negative: Tensor, gamma: float | Tensor, mu: float | Tensor, alpha: float | Tensor
) -> tuple[Tensor, Tensor]:
    """The weights of a class as the true one and as another, from its accumulated gradients; both 1 before there are any."""
    begun = negative > 0
    ratio = positive / negative.where(begun, 1.0)
    other = (gamma * (ratio - mu)).sigmoid().where(begun, 1.0)
    return 1 + alpha * (1 - other), other


def _next_gradients(
    pred: Tensor, target: Tensor, *, positive: Tensor, negative: Tensor, **factors: float | Tensor
) -> dict[str, Tensor]:
    t, p = distribution(pred, target), pred.sigmoid()
    own, other = _weights(positive, negative, **factors)
    return {
        "positive": positive + (own * t * (1 - p)).sum(0),
        "negative": negative + (other * (1 - t) * p).sum(0),
    }


@register
@keeps(running={"positive": 0.0, "negative": 0.0}, update=_next_gradients, late=True, each="classes")
def eqlv2(
    pred: Tensor,
    target: Tensor,
    *,
    gamma: float | Tensor,
    mu: float | Tensor,
    alpha: float | Tensor,
    positive: Tensor,
    negative: Tensor,
) -> Tensor:
    """EQLv2 (equalization loss v2): a yes or no for each class, weighted until both answers have pulled equally much on the class.

    A rare class is mostly told no. So its gradients of no get a small weight, and those of yes a large one.

    l = -sum_k (a_k t_k log p_k + b_k (1 - t_k) log(1 - p_k)), with b_k = 1 / (1 + exp(-gamma (g_k - mu))), a_k = 1 + alpha (1 - b_k),
    and g_k the ratio of the gradients of yes to those of no that class k had so far, each with its weight. p is the sigmoid of the
    logits, t the target.

    Args:
        pred: logits [N, K], each for itself.
        target: indices [N] or distributions [N, K].
        gamma: > 0, how sharply b changes about g = mu.
        mu: the ratio g at which b is 1/2.
        alpha: at least 0; a is at most 1 + alpha.
        positive: the gradients of yes so far; begin at 0.
        negative: the gradients of no so far; begin at 0.

    Returns:
        [N], at least 0; the sum over the classes.

    In the first step all weights are 1. The logits are for sigmoids: the largest is the prediction, but their softmax is no calibrated
    probability. The authors' further output for "no object" is not here.
    """
    t = distribution(pred, target)
    own, other = _weights(positive.to(pred.dtype), negative.to(pred.dtype), gamma, mu, alpha)
    return -(own * t * F.logsigmoid(pred) + other * (1 - t) * F.logsigmoid(-pred)).sum(-1)


def _bin(pred: Tensor, target: Tensor, bins: int) -> Tensor:
    """[N, bins]: 1 where the size of a sample's gradient, |p - t|, lies in the bin."""
    size = (pred.detach().sigmoid() - target).abs()
    place = (size * bins).floor().clamp(max=bins - 1)
    return (place[:, None] == torch.arange(bins, device=pred.device)).to(pred.dtype)


def _next_density(pred: Tensor, target: Tensor, *, bins: int, momentum: float, density: Tensor) -> dict[str, Tensor]:
    found = _bin(pred, target, bins).mean(0)
    return {"density": torch.where(found > 0, momentum * density + (1 - momentum) * found, density)}


@register
@keeps(running={"density": 0.0}, update=_next_density, each="bins")
def ghm(pred: Tensor, target: Tensor, *, bins: int, momentum: float | Tensor, density: Tensor) -> Tensor:
    """GHM-C (gradient harmonizing): binary cross-entropy, each sample divided by how many others have a gradient of its size.

    The many easy samples then weigh little, and so do the few very hard ones, which often are wrong labels.

    l = BCE / (B d(g)), with g = |p - t| in one of `bins` equal bins of [0, 1], d the running share of the samples in that bin, and B
    the number of bins in which the batch has samples. p is the sigmoid of the logit, t the target.

    Args:
        pred: logits [N].
        target: [N], in [0, 1].
        bins: at least 1.
        momentum: in [0, 1), share of the earlier batches in d; 0: each batch by itself.
        density: d, one number a bin; begins at 0. A bin that has none yet takes its share of the batch.

    Returns:
        [N] (the mean over further axes), at least 0.

    One bin gives `bce_with_logits` with momentum 0. The weight is held fixed in the gradient, as in the authors' code. That code
    counts samples and not shares, which is the same for batches of one size; d then begins too small, also there.
    """
    place = _bin(pred, target, bins)
    here = place.mean(0)
    share = (place * torch.where(density > 0, density, here)).sum(-1)
    weight = 1 / (share * (here > 0).sum())
    return weight * F.binary_cross_entropy_with_logits(pred, target, reduction="none")
