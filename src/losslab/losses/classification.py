"""Cross-entropy and related losses. N samples, K classes, p the softmax of the logits. Sources, defaults: conf/loss/<name>.yaml."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.losses.base import has_mean, register
from losslab.losses.class_targets import distribution, of_true_class, select, two_classes
from losslab.losses.regression import mean_over_outputs

_NO_INDEX = -(2**63)


@register
@has_mean(partial(F.cross_entropy, ignore_index=_NO_INDEX))
def cross_entropy(pred: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy (log loss): -log of the softmax probability of the true class, in nats; unbounded for a confident mistake.

    l = -sum_k t_k log p_k; for an index y it is -log p_y. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]. The loss applies the softmax. With probabilities as input it is applied twice, and training is slower.
        target: class indices [N], int64, in [0, K); or distributions [N, K], one-hot or soft.

    Returns:
        [N], at least 0; for a soft or smoothed target at least its entropy.

    With class weights, smoothing and ignored labels it equals torch's. Weights and smoothing together move the optimum, as in
    torch. The weights multiply the smoothed shares, so the optimal p_k is proportional to w_k ((1 - s) t_k + s / K). Rare classes
    with a large weight then get more than s / K of every sample. With K = 2 the loss equals `bce_with_logits` of the
    difference of the two logits.
    """
    # torch would ignore targets of -100 by default; here only `ignore_index` does that
    return F.cross_entropy(pred, target, reduction="none", ignore_index=_NO_INDEX)


@register
def double_softmax(pred: Tensor, target: Tensor) -> Tensor:
    """Double softmax: cross-entropy of probabilities taken for logits, a common mistake.

    No probability comes near 1, so training is slow and the gradient fades.

    l = -log q_y, with q the softmax of p, and p that of the logits.

    Args:
        pred: logits [N, K]; the loss applies the softmax twice.
        target: indices [N] or distributions [N, K].

    Returns:
        [N], in [log(e + K - 1) - 1, log(e + K - 1)]: for ten classes from 1.46 to 2.46.

    Use `cross_entropy`; this loss is only for comparison with it. As p lies in [0, 1], the largest q is e / (e + K - 1).
    """
    return select(-pred.softmax(-1).log_softmax(-1), target)


@register
def poly1(pred: Tensor, target: Tensor, *, epsilon: float | Tensor) -> Tensor:
    """Poly-1 loss: cross-entropy plus epsilon (1 - p), which changes the first term of its series in 1 - p.

    An epsilon above 0 increases the gradient of samples that are not yet certain.

    l = -log p_y + epsilon (1 - p_y). p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        epsilon: at least -1. Below that, a higher p_y could have a larger loss.

    Returns:
        [N], at least 0.

    epsilon = 0 gives `cross_entropy`. The authors advise 2 for ImageNet and -1 for detection; optax takes 2. The default here is 1.
    """
    return of_true_class(lambda log_p: -log_p - epsilon * log_p.expm1(), pred, target)


@register
def taylor_ce(pred: Tensor, target: Tensor, *, order: int) -> Tensor:
    """Taylor cross-entropy: the first `order` terms of the Taylor series of cross-entropy in 1 - p.

    With few terms it resists wrong labels; with many it learns faster.

    l = sum_(i = 1 .. order) (1 - p_y)^i / i. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        order: 1 or more, the number of terms.

    Returns:
        [N], in [0, 1 + 1/2 + .. + 1/order].

    order = 1 gives 1 - p_y, half of `mae`; order -> inf gives `cross_entropy`.
    """

    def cost(log_p: Tensor) -> Tensor:
        rest = -log_p.expm1()
        total = torch.zeros_like(rest)
        for i in range(order, 0, -1):
            total = rest * (1 / i + total)
        return total

    return of_true_class(cost, pred, target)


@register
@two_classes
def brier(pred: Tensor, target: Tensor) -> Tensor:
    """Brier score: squared distance between the probabilities and the target; bounded, and a proper scoring rule.

    As it is bounded, a wrong label costs little.

    l = sum_k (p_k - t_k)^2. p is the softmax of the logits, t the target.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].

    Returns:
        [N], in [0, 2]. For a binary logit it is 2 (p - t)^2.

    It is K times `mse` on class probabilities, and twice `mse` on a binary one. For a soft target it is not the mean over the
    labels: it is 0 where p = t.
    """
    return (pred.softmax(-1) - distribution(pred, target)).square().sum(-1)


@register
def square(pred: Tensor, target: Tensor, *, weight: float | Tensor, height: float | Tensor) -> Tensor:
    """Square loss: squared error on the raw logits, without a softmax; as good as cross-entropy in many studies.

    l = (weight (z_y - height)^2 + sum_(k != y) z_k^2) / K.

    Args:
        pred: logits z [N, K].
        target: indices [N] or distributions [N, K].
        weight: > 0, the weight of the true class's term.
        height: > 0, the target value of the true class's logit.

    Returns:
        [N], 0 where the logits are `height` for the true class and 0 for the others.

    The authors take weight 1 and height 1 for few classes, 15 and 30 for a thousand. The gradient is not bounded.
    """
    t = distribution(pred, target)
    # what has no share in the target is left out before it is squared, as 0 times infinity is NaN
    own, others = (pred - height).where(t > 0, 0.0), pred.where(t < 1, 0.0)
    classes = pred.shape[-1]
    return (weight * t * own * (own / classes) + (1 - t) * others * (others / classes)).sum(-1)


@register
def squentropy(pred: Tensor, target: Tensor) -> Tensor:
    """Squentropy: cross-entropy plus the mean square of the other classes' logits; often better calibrated, without anything to tune.

    l = -log p_y + sum_(k != y) z_k^2 / (K - 1). p is the softmax of the logits z, y the true class.

    Args:
        pred: logits z [N, K].
        target: indices [N] or distributions [N, K].

    Returns:
        [N], at least 0.

    Cross-entropy alone is the same if one number is added to all logits; the squares fix that number. The gradient is not bounded.
    """
    t = distribution(pred, target)
    others = pred.where(t < 1, 0.0)  # what has no share is left out before it is squared, as 0 times infinity is NaN
    squares = ((1 - t) * others * (others / (pred.shape[-1] - 1))).sum(-1)
    return squares - select(pred.log_softmax(-1), target)


@register
def bce(pred: Tensor, target: Tensor) -> Tensor:
    """BCE (binary cross-entropy): computed from a probability, so it saturates where the sigmoid rounds to 0 or 1.

    l = -t log p - (1 - t) log(1 - p), each log held at -100 or more, so l <= 100.

    Args:
        pred: probabilities p [N], in [0, 1].
        target: [N], in [0, 1].

    Returns:
        [N] (the mean over further axes), in [0, 100].

    In exact arithmetic `bce(sigmoid(z)) = bce_with_logits(z)`. In float32 sigmoid(20) is 1, so the gradient is 0 there. See
    experiments/bce_saturation.
    """
    known = pred == pred  # torch stops the program at a NaN; here the loss is NaN, as every other loss is
    losses = F.binary_cross_entropy(pred.where(known, 0.5), target, reduction="none")
    return mean_over_outputs(losses.where(known, torch.nan))


@register
@has_mean(F.binary_cross_entropy_with_logits)
def bce_with_logits(pred: Tensor, target: Tensor) -> Tensor:
    """BCE with logits (logistic loss): binary cross-entropy from the logit, in one numerically stable step.

    The gradient of a mistake does not fade.

    l = t log(1 + exp(-z)) + (1 - t) log(1 + exp(z)); its derivative is sigmoid(z) - t.

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].

    Returns:
        [N], at least 0; about |z| for a confident mistake.

    See `bce` for the same on probabilities. With pos_weight = negatives / positives, both classes count the same. With pos_weight
    and smoothing it equals torch's. The two together move the optimum: pos_weight w multiplies the smoothed target t', so the
    optimum is p = w t' / (w t' + 1 - t'). With w = 10 and smoothing 0.1, the optimum of a certain no is p = 0.34.
    """
    return F.binary_cross_entropy_with_logits(pred, target, reduction="none")
