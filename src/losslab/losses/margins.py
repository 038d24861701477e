"""Losses on margins: the true class's logit minus those of the others. Sources, defaults: conf/loss/<name>.yaml.

The binary ones are a cost phi of the margin m, which is z for the positive class and -z for the negative:
l = t phi(z) + (1 - t) phi(-z). For a soft target t this is a mean of the two. The margin is positive where the decision is right.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import each_label, is_label, mixed, two_classes
from losslab.losses.regression import mean_over_outputs


def _of_margin(cost: Callable[[Tensor], Tensor], pred: Tensor, target: Tensor) -> Tensor:
    return mean_over_outputs(mixed(pred, target, cost))


def _violations(pred: Tensor, target: Tensor, margin: float | Tensor) -> Tensor:
    """By how much each other class violates the margin to the true one, [N, K]; 0 for the true one."""
    own = pred.gather(-1, target[:, None])
    return (
        (margin + (pred - own)).relu().masked_fill(is_label(pred, target), 0)
    )  # added to a large logit, the margin would be lost to rounding


@register
@two_classes
@each_label
def hinge(pred: Tensor, target: Tensor, *, margin: float | Tensor) -> Tensor:
    """Hinge loss: 0 once the true class leads all others by a margin, linear below; the loss of support vector machines.

    l = max(0, margin + max_(k != y) z_k - z_y).

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        margin: > 0.

    Returns:
        [N], at least 0. For a binary logit t max(0, margin - z) + (1 - t) max(0, margin + z).

    At the corner, where the lead equals the margin, the gradient is 0. `multi_margin` sums over all classes that violate the margin.
    """
    lead = (pred - pred.gather(-1, target[:, None])).masked_fill(is_label(pred, target), -torch.inf)
    return (margin + lead.amax(-1)).relu()


@register
@each_label
def multi_margin(pred: Tensor, target: Tensor, *, margin: float | Tensor, power: int) -> Tensor:
    """Multi-class margin loss: adds up by how much the true class's lead over each other class falls short of a margin.

    l = sum_(k != y) max(0, margin - z_y + z_k)^power / K.

    Args:
        pred: logits z [N, K].
        target: indices [N] or distributions [N, K].
        margin: > 0.
        power: 1 or 2; 2 is smooth, and its gradient is not bounded.

    Returns:
        [N], at least 0. The sum is divided by K, as in torch, though it has K - 1 terms.

    With K = 2 and power = 1 it is half of `hinge`.
    """
    return (_violations(pred, target, margin) ** power).mean(-1)


@register
def squared_hinge(pred: Tensor, target: Tensor, *, margin: float | Tensor) -> Tensor:
    """Squared hinge loss: smooth where the margin is met, and quadratic for mistakes.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = max(0, margin - m)^2.

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].
        margin: > 0.

    Returns:
        [N], at least 0.

    `modified_huber` is linear for large mistakes.
    """
    return _of_margin(lambda m: (margin - m).relu().square(), pred, target)


@register
def modified_huber(pred: Tensor, target: Tensor) -> Tensor:
    """Modified Huber loss: squared hinge for small mistakes, linear for large ones; smooth, with a gradient of at most 4.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = max(0, 1 - m)^2 for m >= -1, else -4 m.

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].

    Returns:
        [N], at least 0.
    """

    def cost(m: Tensor) -> Tensor:
        missing = (1 - m).relu()
        inner = missing.clamp(max=2)
        return inner.square() + 4 * (missing - inner)

    return _of_margin(cost, pred, target)


@register
def exponential(pred: Tensor, target: Tensor, *, limit: float | Tensor) -> Tensor:
    """Exponential loss: exp(-margin), the loss that AdaBoost minimises; one wrong label can dominate the fit.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = exp(-m) for -m <= limit, and beyond it its tangent, exp(limit) (1 - m - limit).

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].
        limit: > 0; the tangent keeps loss and gradient finite, with a gradient of at most exp(limit).

    Returns:
        [N], above 0.
    """

    def cost(m: Tensor) -> Tensor:
        inner = (-m).clamp(max=limit)
        return inner.exp() * (1 + (-m - inner))

    return _of_margin(cost, pred, target)


@register
def soft_margin(pred: Tensor, target: Tensor) -> Tensor:
    """Soft margin loss: the logistic loss log(1 + exp(-margin)), equal to `bce_with_logits`.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = log(1 + exp(-m)).

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].

    Returns:
        [N], at least 0.

    torch.nn.functional.soft_margin_loss takes targets of -1 and 1, and overflows below about m = -89 in float32.
    """
    return mean_over_outputs(F.binary_cross_entropy_with_logits(pred, target, reduction="none"))


@register
def ramp(pred: Tensor, target: Tensor, *, ceiling: float | Tensor) -> Tensor:
    """Ramp loss: hinge loss cut off at `ceiling`, so that a large mistake has no gradient.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = min(max(0, 1 - m), ceiling).

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].
        ceiling: > 0, the largest loss of a sample.

    Returns:
        [N], in [0, ceiling].

    With a ceiling of 2 it is symmetric: the losses of a sample under both labels add up to 2. ceiling -> inf gives `hinge`. A sample
    beyond the ceiling has no gradient and cannot come back by itself, so start from small logits.
    """
    return _of_margin(lambda m: (1 - m).relu().clamp(max=ceiling), pred, target)


@register
def sigmoid(pred: Tensor, target: Tensor) -> Tensor:
    """Sigmoid loss: the probability of the other class, a smooth count of mistakes; bounded and symmetric.

    As it is symmetric, labels that are wrong evenly at random do not move its minimum.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = 1 / (1 + exp(m)), the probability that the model gives to the other class.

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].

    Returns:
        [N], in [0, 1].

    It is half of `mae` on the binary logit.
    """
    return _of_margin(lambda m: (-m).sigmoid(), pred, target)


@register
def savage(pred: Tensor, target: Tensor) -> Tensor:
    """Savage loss: the squared probability of the other class; bounded, and a proper scoring rule.

    As it is bounded, a far outlier has almost no gradient.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = 1 / (1 + exp(m))^2.

    Args:
        pred: logits z [N], the log of the odds; the paper's score is half of that, so its phi is 1 / (1 + exp(2 m))^2.
        target: [N], in [0, 1].

    Returns:
        [N], in [0, 1].

    For targets of 0 and 1 it is half of `brier` on the binary logit.
    """
    return _of_margin(lambda m: (-m).sigmoid().square(), pred, target)


@register
def unhinged(pred: Tensor, target: Tensor) -> Tensor:
    """Unhinged loss: 1 - margin, the hinge loss without its corner; convex and symmetric.

    It is the one convex loss whose minimum is not moved by labels that are wrong evenly at random.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = 1 - m.

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].

    Returns:
        [N], without a lower bound. Only a penalty on the weights, or early stopping, keeps the logits from growing without end.
    """
    return mean_over_outputs(1 + (1 - 2 * target) * pred)
