"""Losses on logits and probabilities. N samples, K classes. Sources and defaults: conf/loss/<name>.yaml."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.regression import mean_over_outputs

_NO_INDEX = -(2**63)


@register
def cross_entropy(pred: Tensor, target: Tensor) -> Tensor:
    """How surprised the softmax model is by the true class, in nats: grows without bound with a confident mistake.

    l = -sum_k t_k log softmax(pred)_k, which for an index y is -log softmax(pred)_y.

    Args:
        pred: logits [N, K]. The softmax is inside: giving it probabilities applies it twice, and learns slower.
        target: class indices [N], int64, in [0, K); or distributions [N, K], one-hot or soft.

    Returns:
        [N], at least 0 for indices; for a soft target at least its entropy.

    With K = 2 it equals `bce_with_logits` of the difference of the two logits.
    """
    # torch would let targets of -100 through without a loss; no index is to mean that here
    return F.cross_entropy(pred, target, reduction="none", ignore_index=_NO_INDEX)


@register
def bce(pred: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of one yes or no, read from a probability that was made before: saturates where the sigmoid rounds to 0 or 1.

    l = -t log p - (1 - t) log(1 - p), each log held at -100 or more, so l <= 100.

    Args:
        pred: probabilities p [N], in [0, 1].
        target: [N], in [0, 1].

    Returns:
        [N] (the mean over further axes), in [0, 100].

    In exact arithmetic `bce(sigmoid(z)) = bce_with_logits(z)`. In float32 sigmoid(20) is 1: the gradient is gone there.
    """
    return mean_over_outputs(F.binary_cross_entropy(pred, target, reduction="none"))


@register
def bce_with_logits(pred: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of one yes or no, read from the logit in one stable step: the gradient of a mistake never fades.

    l = max(z, 0) - z t + log(1 + exp(-|z|)); its derivative is sigmoid(z) - t.

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].

    Returns:
        [N] (the mean over further axes), at least 0; about |z| for a confident mistake.

    See `bce` for the same on probabilities.
    """
    return mean_over_outputs(F.binary_cross_entropy_with_logits(pred, target, reduction="none"))
