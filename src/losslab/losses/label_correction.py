"""Cross-entropies that allow for wrong labels: by a known rate, or by what the model itself believes. Defaults: conf/loss/<name>.yaml.

N samples, K classes, p the softmax of the logits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import each_label, select


@register
@each_label
def forward_corrected(pred: Tensor, target: Tensor, *, transition: Tensor) -> Tensor:
    """Cross-entropy of the label as it was seen, given how labels are corrupted: the model itself learns the clean classes.

    l = -log sum_i p_i T[i, y], with T[i, y] the probability that class i is labelled y.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K]; a distribution is over the labels seen.
        transition: one number, the rate at which a label moves evenly to one of the other classes; or the K * K numbers of T,
            row by row, each row adding up to 1.

    Returns:
        [N], at least 0; at most -log of the smallest T[i, y], where none is 0.

    A rate of 0 gives `cross_entropy`. The rate must be known or estimated: one that is too high asks for timid predictions.
    """
    log_t = _matrix(transition, pred.shape[-1]).log()
    return -(pred.log_softmax(-1) + log_t.T.index_select(0, target)).logsumexp(-1)


def _matrix(transition: Tensor, classes: int) -> Tensor:
    """T [K, K] from a rate [1] or from its own numbers [K * K]."""
    if len(transition) == 1:
        same = torch.eye(classes, device=transition.device, dtype=transition.dtype)
        return same * (1 - transition) + (1 - same) * transition / (classes - 1)
    if len(transition) != classes**2:
        raise ValueError(
            f"transition must hold one rate, or {classes} * {classes} numbers row by row; it holds {len(transition)}."
        )
    return transition.reshape(classes, classes)


@register
def bootstrapped_soft(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """Cross-entropy with a target that is part label, part what the model believes: it may come to doubt a label.

    l = -sum_k (beta t_k + (1 - beta) p_k) log p_k.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        beta: in [0, 1], trust in the label.

    Returns:
        [N], at least 0.

    beta = 1 gives `cross_entropy`; what is added rewards low entropy. The gradient goes through p_k too; some code holds it fixed.
    """
    log_p = pred.log_softmax(-1)
    return -beta * select(log_p, target) - (1 - beta) * (log_p.exp() * log_p).sum(-1)


@register
def bootstrapped_hard(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """Cross-entropy with a target that is part label, part the class that the model would choose.

    l = -beta sum_k t_k log p_k - (1 - beta) max_k log p_k.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        beta: in [0, 1], trust in the label.

    Returns:
        [N], at least 0.

    beta = 1 gives `cross_entropy`.
    """
    log_p = pred.log_softmax(-1)
    return -beta * select(log_p, target) - (1 - beta) * select(log_p, pred.argmax(-1))
