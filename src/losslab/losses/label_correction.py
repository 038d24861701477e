"""Cross-entropies that correct for wrong labels: by a known rate, or by the model's own predictions. Defaults: conf/loss/<name>.yaml.

N samples, K classes, p the softmax of the logits.
"""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import each_label, select

_SINGULAR = 1e6  # condition number of a matrix that float32 cannot invert


@register
@each_label
def forward_corrected(pred: Tensor, target: Tensor, *, transition: Tensor) -> Tensor:
    """Forward correction: cross-entropy of the observed label, under known rates of wrong labels.

    The model itself then learns the clean classes.

    l = -log sum_i p_i T[i, y], with T[i, y] the probability that class i is labelled y. p is the softmax of the logits, y the
    true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K]; a distribution is over the observed labels.
        transition: one number, the rate at which a label changes to one of the other classes, each equally likely; or the K * K
            numbers of T, row by row, each row adding up to 1.

    Returns:
        [N], at least 0; at most -log of the smallest T[i, y], if none is 0.

    A rate of 0 gives `cross_entropy`. The rate must be known or estimated. With a rate that is too high, the optimal p is too
    confident.
    """
    log_t = _matrix(transition, pred.shape[-1]).log()
    return -(pred.log_softmax(-1) + log_t.T.index_select(0, target)).logsumexp(-1)


@register
def backward_corrected(pred: Tensor, target: Tensor, *, transition: Tensor) -> Tensor:
    """Backward correction: cross-entropies of all labels, mixed so that its mean over wrong labels is that of the clean one.

    It is unbiased for every model, but varies more than `forward_corrected`: labels other than the given one get negative weights.

    l = -sum_j M[y, j] log p_j, with M the inverse of T, and T[i, y] the probability that class i is labelled y. p is the softmax of
    the logits, y the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K]; a distribution is over the observed labels.
        transition: one number, the rate at which a label changes to one of the other classes, each equally likely; or the K * K
            numbers of T, row by row, each row adding up to 1.

    Returns:
        [N]; negative, without bound, for confident mistakes.

    Raises:
        ValueError: a T without inverse, as of a rate of (K - 1) / K. On a GPU the losses are then not finite.

    A rate of 0 gives `cross_entropy`. The rate must be known or estimated.
    """
    matrix = _matrix(transition, pred.shape[-1])
    # in float32 the inverse would lose digits; inv_ex does not wait for the device, as inv does
    inverse = torch.linalg.inv_ex(matrix.double()).inverse.to(pred)
    _refuse_singular(matrix)
    return select(-pred.log_softmax(-1) @ inverse.T, target)


def _refuse_singular(matrix: Tensor) -> None:
    """Raises ValueError for T without inverse, where its values can be read without a wait."""
    if matrix.device.type != "cpu" or torch.compiler.is_compiling():
        return
    with suppress(RuntimeError):  # inside torch.vmap no value can be read
        if torch.linalg.cond(matrix.double()) > _SINGULAR:
            raise ValueError(
                "transition has no inverse: two classes, or mixtures of classes, get the same labels; take forward_corrected."
            )


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
    """Soft bootstrapping: cross-entropy with a target that mixes the label and the model's own probabilities.

    The model can thus disagree with a label.

    l = -sum_k (beta t_k + (1 - beta) p_k) log p_k. p is the softmax of the logits, t the target.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        beta: in [0, 1], trust in the label.

    Returns:
        [N], at least 0.

    beta = 1 gives `cross_entropy`. The added part rewards low entropy. The gradient includes that of p_k; some code holds it fixed.
    """
    log_p = pred.log_softmax(-1)
    return -beta * select(log_p, target) - (1 - beta) * (log_p.exp() * log_p).sum(-1)


@register
def bootstrapped_hard(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """Hard bootstrapping: cross-entropy with a target that mixes the label and the class that the model predicts.

    l = -beta sum_k t_k log p_k - (1 - beta) max_k log p_k. p is the softmax of the logits, t the target.

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
