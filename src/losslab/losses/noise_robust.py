"""Classification losses that resist wrong labels by their shape. p is the softmax. Sources, defaults: conf/loss/<name>.yaml.

A loss is called symmetric where its values over all labels of a sample add up to a constant: labels that are wrong evenly at
random then leave the minimum of the expected loss where it was. What is bounded or symmetric learns slowly from mistakes.
All take an index or a distribution; under a distribution the loss is the mean over its labels.
"""

from __future__ import annotations

from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import of_true_class, select
from losslab.losses.focal import focal_cost


def _shares(per_class: Tensor) -> Tensor:
    """Each class's part of the sum over the classes, [N, K]."""
    return per_class / per_class.sum(-1, keepdim=True)


@register
def mae(pred: Tensor, target: Tensor) -> Tensor:
    """Absolute distance between probabilities and a one-hot label: tolerates evenly wrong labels, and learns slowly with many classes.

    l = sum_k |p_k - [k = y]| = 2 (1 - p_y).

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].

    Returns:
        [N], in [0, 2]; over all labels they add up to 2 (K - 1).

    For one-hot labels it is K times `l1` on class probabilities; a soft target mixes here, and is a distance there. Some code
    halves it. The gradient carries a factor p_y: a confident mistake pulls at nothing.
    """
    return of_true_class(lambda log_p: -2 * log_p.expm1(), pred, target)


@register
def reverse_ce(pred: Tensor, target: Tensor, *, log_zero: float | Tensor) -> Tensor:
    """Cross-entropy with prediction and label in each other's place: `mae` in another unit.

    l = -sum_k p_k log [k = y], with log_zero for log 0: -log_zero (1 - p_y).

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        log_zero: < 0.

    Returns:
        [N], in [0, -log_zero].

    -log_zero / 2 times `mae`, for every sample.
    """
    return of_true_class(lambda log_p: log_zero * log_p.expm1(), pred, target)


@register
def symmetric_ce(
    pred: Tensor, target: Tensor, *, alpha: float | Tensor, beta: float | Tensor, log_zero: float | Tensor
) -> Tensor:
    """Cross-entropy, to learn, plus the reverse one, to resist wrong labels. Not symmetric in the sense of this file.

    l = -alpha log p_y - beta log_zero (1 - p_y).

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        alpha: at least 0, of `cross_entropy`.
        beta: at least 0, of `reverse_ce`.
        log_zero: < 0, what log 0 is taken as.

    Returns:
        [N], at least 0.

    alpha times `poly1` with epsilon = -beta log_zero / alpha.
    """
    return of_true_class(lambda log_p: beta * log_zero * log_p.expm1() - alpha * log_p, pred, target)


@register
def generalized_ce(pred: Tensor, target: Tensor, *, q: float | Tensor) -> Tensor:
    """Between cross-entropy, which learns fast, and absolute error, which resists wrong labels.

    l = (1 - p_y^q) / q.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        q: in (0, 1].

    Returns:
        [N], in [0, 1/q].

    q -> 0 gives `cross_entropy`, q = 1 half of `mae`. The paper takes 0.7, as here; keras 0.5. Not truncated. Written in log p,
    so that neither a tiny p_y nor a tiny q costs digits.
    """
    return of_true_class(lambda log_p: -(q * log_p).expm1() / q, pred, target)


@register
def normalized_ce(pred: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy as a share of what all labels together would cost: bounded, and tolerant to evenly wrong labels.

    l = log p_y / sum_k log p_k.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].

    Returns:
        [N], in [0, 1]; over all labels they add up to 1.

    It also falls where the others' cost rises, so alone it learns too little: see `nce_rce` and `nce_mae`.
    """
    return select(_shares(pred.log_softmax(-1)), target)


@register
def normalized_focal(pred: Tensor, target: Tensor, *, gamma: float | Tensor) -> Tensor:
    """Focal loss as a share of what all labels together would cost: bounded, and tolerant to evenly wrong labels.

    l = f_y / sum_k f_k, with f_k = -(1 - p_k)^gamma log p_k.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        gamma: at least 0.

    Returns:
        [N], in [0, 1]; over all labels they add up to 1.

    gamma = 0 gives `normalized_ce`. The authors' code holds (1 - p)^gamma fixed in the gradient; here the gradient is the whole one.
    """
    return select(_shares(focal_cost(pred.log_softmax(-1), gamma)), target)


@register
def nce_rce(
    pred: Tensor, target: Tensor, *, alpha: float | Tensor, beta: float | Tensor, log_zero: float | Tensor
) -> Tensor:
    """An active loss, `normalized_ce`, plus a passive one, `reverse_ce`: tolerates evenly wrong labels and still learns.

    l = alpha log p_y / sum_k log p_k - beta log_zero (1 - p_y).

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        alpha: at least 0, of the active part.
        beta: at least 0, of the passive part.
        log_zero: < 0, what log 0 is taken as.

    Returns:
        [N], in [0, alpha - beta log_zero].

    `nce_mae` with beta' = -beta log_zero / 2 is the same.
    """
    log_p = pred.log_softmax(-1)
    return select(alpha * _shares(log_p) + beta * log_zero * log_p.expm1(), target)


@register
def nce_mae(pred: Tensor, target: Tensor, *, alpha: float | Tensor, beta: float | Tensor) -> Tensor:
    """An active loss, `normalized_ce`, plus a passive one, `mae`: tolerates evenly wrong labels and still learns.

    l = alpha log p_y / sum_k log p_k + 2 beta (1 - p_y).

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        alpha: at least 0, of the active part.
        beta: at least 0, of the passive part; the authors' code halves `mae`, so that its beta is twice this one.

    Returns:
        [N], in [0, alpha + 2 beta].
    """
    log_p = pred.log_softmax(-1)
    return select(alpha * _shares(log_p) - 2 * beta * log_p.expm1(), target)
