"""Losses for classes in an order: K - 1 logits, each of being above a class. N samples, K classes. Source: conf/loss/<name>.yaml."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.losses.base import register


def _above(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the class lies above each of the first K - 1, [N, K - 1]; and whether it is not below it."""
    steps = torch.arange(pred.shape[-1], device=pred.device)
    return (target[:, None] > steps).to(pred.dtype), (target[:, None] >= steps).to(pred.dtype)


@register
def coral(pred: Tensor, target: Tensor) -> Tensor:
    """CORAL loss: a binary cross-entropy for each threshold between classes, of whether the class lies above it.

    A mistake by several classes counts at each threshold that it crosses.

    l = -sum_(k = 0 .. K - 2) ([y > k] log s_k + [y <= k] log(1 - s_k)), with s_k the sigmoid of logit k.

    Args:
        pred: logits of P(y > k) [N, K - 1], which should fall with k.
        target: class indices y [N].

    Returns:
        [N], at least 0.

    The authors' network ties the weights of all logits, so that they fall with k; in task=ordinal they fall by how the task makes them
    of any model. The weights of the thresholds are all 1, their default.
    """
    above, _ = _above(pred, target)
    return F.binary_cross_entropy_with_logits(pred, above, reduction="none").sum(-1)


@register
def corn(pred: Tensor, target: Tensor, *, divisor: str) -> Tensor:
    """CORN loss: a binary cross-entropy for each threshold, of samples that are not below it only; rank-consistent for any network.

    l = -c sum_(k = 0 .. min(y, K - 2)) ([y > k] log s_k + [y = k] log(1 - s_k)), with s_k the sigmoid of logit k.

    Args:
        pred: logits of P(y > k | y >= k) [N, K - 1].
        target: class indices y [N].
        divisor: terms: c is the number of samples over the number of terms of the batch, so that a batch has the mean over all its
            terms, as in the authors' code; samples: c is 1.

    Returns:
        [N], at least 0.

    With c = 1 it is the negative log-likelihood of the classes, so `cross_entropy` of the logarithms of their probabilities. In
    task=ordinal the two then train alike, and c rescales them by the batch.
    """
    above, taken = _above(pred, target)
    each = (taken * F.binary_cross_entropy_with_logits(pred, above, reduction="none")).sum(-1)
    return each if divisor == "samples" else each * (len(pred) / taken.sum())
