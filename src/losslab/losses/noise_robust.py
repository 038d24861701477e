"""Classification losses that resist wrong labels by their shape. p is the softmax. Sources, defaults: conf/loss/<name>.yaml.

A loss is called symmetric if its values over all labels of a sample add up to a constant. Labels that are wrong evenly at random
then do not move the minimum of the expected loss. Bounded and symmetric losses learn slowly from mistakes.
All take an index or a distribution; under a distribution the loss is the mean over its labels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import of_true_class, select
from losslab.losses.focal import focal_cost


def shares(per_class: Tensor) -> Tensor:
    """Each class's share of the sum over the classes, [N, K]."""
    return per_class / per_class.sum(-1, keepdim=True)


@register
def mae(pred: Tensor, target: Tensor) -> Tensor:
    """MAE on probabilities: the absolute distance to the one-hot label; symmetric, but learns slowly with many classes.

    As it is symmetric, it tolerates labels that are wrong evenly at random.

    l = sum_k |p_k - [k = y]| = 2 (1 - p_y). p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].

    Returns:
        [N], in [0, 2]; over all labels they add up to 2 (K - 1).

    For one-hot labels it is K times `l1` on class probabilities. For a soft target this loss is the mean over the labels, and `l1`
    is the distance to the target. Some code halves it. The gradient has a factor p_y, so a confident mistake has almost none.
    """
    return of_true_class(lambda log_p: -2 * log_p.expm1(), pred, target)


@register
def reverse_ce(pred: Tensor, target: Tensor, *, log_zero: float | Tensor) -> Tensor:
    """RCE (reverse cross-entropy): cross-entropy with prediction and label exchanged; equals `mae` times a constant.

    l = -sum_k p_k log [k = y], with log_zero for log 0, which gives -log_zero (1 - p_y). p is the softmax of the logits, y
    the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        log_zero: < 0.

    Returns:
        [N], in [0, -log_zero].

    It is -log_zero / 2 times `mae`, for every sample.
    """
    return of_true_class(lambda log_p: log_zero * log_p.expm1(), pred, target)


@register
def symmetric_ce(
    pred: Tensor, target: Tensor, *, alpha: float | Tensor, beta: float | Tensor, log_zero: float | Tensor
) -> Tensor:
    """SCE (symmetric cross-entropy): a weighted sum of cross-entropy, to learn, and `reverse_ce`, to resist wrong labels.

    Its values over all labels do not add up to a constant, so it is not symmetric in the sense of the fact `symmetric`.

    l = -alpha log p_y - beta log_zero (1 - p_y). p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        alpha: at least 0, weight of `cross_entropy`.
        beta: at least 0, weight of `reverse_ce`.
        log_zero: < 0, the number that stands for log 0.

    Returns:
        [N], at least 0.

    It is alpha times `poly1` with epsilon = -beta log_zero / alpha.
    """
    return of_true_class(lambda log_p: beta * log_zero * log_p.expm1() - alpha * log_p, pred, target)


@register
def generalized_ce(pred: Tensor, target: Tensor, *, q: float | Tensor) -> Tensor:
    """GCE (generalized cross-entropy): (1 - p^q) / q, between cross-entropy (q -> 0) and absolute error (q = 1).

    Cross-entropy learns fast; absolute error resists wrong labels.

    l = (1 - p_y^q) / q. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        q: in (0, 1].

    Returns:
        [N], in [0, 1/q].

    q -> 0 gives `cross_entropy`, q = 1 half of `mae`. The paper takes 0.7, as here; keras takes 0.5. The loss is not truncated.
    """
    # in log p, so that neither a tiny p_y nor a tiny q costs digits
    return of_true_class(lambda log_p: -(q * log_p).expm1() / q, pred, target)


@register
def normalized_ce(pred: Tensor, target: Tensor) -> Tensor:
    """NCE (normalized cross-entropy): cross-entropy divided by its sum over all labels; bounded and symmetric.

    As it is symmetric, it tolerates labels that are wrong evenly at random.

    l = log p_y / sum_k log p_k. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].

    Returns:
        [N], in [0, 1]; over all labels they add up to 1.

    It also falls when the losses of the other labels rise, so alone it learns too little; see `nce_rce` and `nce_mae`.
    """
    return select(shares(pred.log_softmax(-1)), target)


@register
def normalized_focal(pred: Tensor, target: Tensor, *, gamma: float | Tensor, gradient: str) -> Tensor:
    """NFL (normalized focal loss): focal loss divided by its sum over all labels; bounded and symmetric.

    As it is symmetric, it tolerates labels that are wrong evenly at random.

    l = f_y / sum_k f_k, with f_k = -(1 - p_k)^gamma log p_k. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        gamma: at least 0.
        gradient: full; or held: (1 - p)^gamma is held fixed, as in the authors' code.

    Returns:
        [N], in [0, 1]; over all labels they add up to 1.

    gamma = 0 gives `normalized_ce`.
    """
    return select(shares(focal_cost(pred.log_softmax(-1), gamma, gradient)), target)


@register
def nce_rce(
    pred: Tensor, target: Tensor, *, alpha: float | Tensor, beta: float | Tensor, log_zero: float | Tensor
) -> Tensor:
    """NCE + RCE: weighted sum of an active loss, `normalized_ce`, and a passive one, `reverse_ce`; symmetric.

    It tolerates labels that are wrong evenly at random, and still learns.

    l = alpha log p_y / sum_k log p_k - beta log_zero (1 - p_y). p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        alpha: at least 0, weight of the active part.
        beta: at least 0, weight of the passive part.
        log_zero: < 0, the number that stands for log 0.

    Returns:
        [N], in [0, alpha - beta log_zero].

    `nce_mae` with beta' = -beta log_zero / 2 is the same.
    """
    log_p = pred.log_softmax(-1)
    return select(alpha * shares(log_p) + beta * log_zero * log_p.expm1(), target)


@register
def nce_mae(pred: Tensor, target: Tensor, *, alpha: float | Tensor, beta: float | Tensor) -> Tensor:
    """NCE + MAE: weighted sum of an active loss, `normalized_ce`, and a passive one, `mae`; symmetric.

    It tolerates labels that are wrong evenly at random, and still learns.

    l = alpha log p_y / sum_k log p_k + 2 beta (1 - p_y). p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        alpha: at least 0, weight of the active part.
        beta: at least 0, weight of the passive part; the authors' code halves `mae`, so its beta is twice this one.

    Returns:
        [N], in [0, alpha + 2 beta].
    """
    log_p = pred.log_softmax(-1)
    return select(alpha * shares(log_p) - 2 * beta * log_p.expm1(), target)


@register
def normalized_gce(pred: Tensor, target: Tensor, *, q: float | Tensor) -> Tensor:
    """NGCE (normalized generalized cross-entropy): GCE divided by its sum over all labels; bounded and symmetric.

    As it is symmetric, it tolerates labels that are wrong evenly at random.

    l = (1 - p_y^q) / sum_k (1 - p_k^q). p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        q: in (0, 1].

    Returns:
        [N], in [0, 1 / (K - 1)]; over all labels they add up to 1.

    q -> 0 gives `normalized_ce`, q = 1 gives `mae` / (2 (K - 1)).
    """
    return select(shares(-(q * pred.log_softmax(-1)).expm1()), target)


@register
def anl(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: float | Tensor,
    beta: float | Tensor,
    gamma: float | Tensor,
    least: float | Tensor,
    gradient: str,
) -> Tensor:
    """ANL (active negative loss): weighted sum of NCE or NFL, and of a normalized loss of the labels that were not given; symmetric.

    The second part lowers the probabilities of the other labels instead of only raising that of the given one.

    l = alpha f_y / sum_k f_k + beta (1 - (A - g_y) / sum_k (A - g_k)), with f_k = -(1 - p_k)^gamma log p_k, g_k the same with p_k
    held at `least` or more, and A the largest g. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        alpha: at least 0, weight of the active part.
        beta: at least 0, weight of the negative part.
        gamma: at least 0; 0: both parts are made of cross-entropy (ANL-CE), above 0: of focal loss (ANL-FL).
        least: in (0, 1e-4], below 1 / K.
        gradient: full; or held: (1 - p)^gamma is held fixed, as in the authors' code.

    Returns:
        [N], in [0, alpha + beta]; over all labels they add up to alpha + beta (K - 1).

    The authors add an L1 penalty on the weights of the model: `penalty.l1`.
    """
    log_p = pred.log_softmax(-1)
    floor = torch.as_tensor(least, dtype=pred.dtype, device=pred.device).log()
    below = focal_cost(floor, gamma) - focal_cost(log_p.maximum(floor), gamma, gradient)
    return select(alpha * shares(focal_cost(log_p, gamma, gradient)) + beta * (1 - shares(below)), target)
