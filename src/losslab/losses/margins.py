"""Losses on margins: how far the true class's logit is above the others'. Sources, defaults: conf/loss/<name>.yaml.

The binary ones are a cost phi of m = z for the positive class and m = -z for the negative: l = t phi(z) + (1 - t) phi(-z),
which for a soft target t mixes the two. A margin m is positive where the decision is right.
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
    """How far each other class comes nearer to the true one than the margin, [N, K]; 0 for the true one."""
    own = pred.gather(-1, target[:, None])
    return (
        (margin + (pred - own)).relu().masked_fill(is_label(pred, target), 0)
    )  # beside a large logit no margin is left


@register
@two_classes
@each_label
def hinge(pred: Tensor, target: Tensor, *, margin: float | Tensor) -> Tensor:
    """Asks that the true class lead the best of the others by a margin, and is then content: the loss of support vector machines.

    l = max(0, margin + max_(k != y) z_k - z_y).

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        margin: > 0.

    Returns:
        [N], at least 0. For a binary logit t max(0, margin - z) + (1 - t) max(0, margin + z).

    At the corner, where the margin is just met, the gradient is 0. `multi_margin` counts every class that comes too near.
    """
    lead = (pred - pred.gather(-1, target[:, None])).masked_fill(is_label(pred, target), -torch.inf)
    return (margin + lead.amax(-1)).relu()


@register
@each_label
def multi_margin(pred: Tensor, target: Tensor, *, margin: float | Tensor, power: int) -> Tensor:
    """Asks that the true class lead each of the others by a margin, and adds up what is missing.

    l = sum_(k != y) max(0, margin - z_y + z_k)^power / K.

    Args:
        pred: logits z [N, K].
        target: indices [N] or distributions [N, K].
        margin: > 0.
        power: 1 or 2; 2 is smooth, and its gradient is not bounded.

    Returns:
        [N], at least 0. Divided by K as torch does, though there are K - 1 terms.

    With K = 2 and power = 1 half of `hinge`.
    """
    return (_violations(pred, target, margin) ** power).mean(-1)


@register
def squared_hinge(pred: Tensor, target: Tensor, *, margin: float | Tensor) -> Tensor:
    """Hinge loss, squared: smooth at the corner, and quadratic in a mistake.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = max(0, margin - m)^2.

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].
        margin: > 0.

    Returns:
        [N], at least 0.

    `modified_huber` goes on linearly where the mistake is large.
    """
    return _of_margin(lambda m: (margin - m).relu().square(), pred, target)


@register
def modified_huber(pred: Tensor, target: Tensor) -> Tensor:
    """Squared hinge for small mistakes, linear for large ones: smooth, and no sample pulls by more than 4.

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
    """The loss that AdaBoost lowers: a mistake costs exponentially, so one wrong label can rule the fit.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = exp(-m) for -m <= limit, and beyond it its tangent, exp(limit) (1 - m - limit).

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].
        limit: > 0; the tangent keeps loss and gradient finite, and the gradient at exp(limit) or less.

    Returns:
        [N], above 0.
    """

    def cost(m: Tensor) -> Tensor:
        inner = (-m).clamp(max=limit)
        return inner.exp() * (1 + (-m - inner))

    return _of_margin(cost, pred, target)


@register
def soft_margin(pred: Tensor, target: Tensor) -> Tensor:
    """The logistic loss in its margin form: `bce_with_logits` under another name.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = log(1 + exp(-m)).

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].

    Returns:
        [N], at least 0.

    torch's own overflows from about m = -89 on in float32, and takes targets of -1 and 1.
    """
    return mean_over_outputs(F.binary_cross_entropy_with_logits(pred, target, reduction="none"))


@register
def ramp(pred: Tensor, target: Tensor, *, ceiling: float | Tensor) -> Tensor:
    """Hinge loss that is cut off: beyond some mistake a sample costs no more and pulls no more.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = min(max(0, 1 - m), ceiling).

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].
        ceiling: > 0, the most that a sample costs.

    Returns:
        [N], in [0, ceiling].

    With a ceiling of 2 it is symmetric: both labels of a sample cost 2 together; ceiling -> inf gives `hinge`. What is cut off
    has no gradient and cannot come back by itself, so start it from small logits.
    """
    return _of_margin(lambda m: (1 - m).relu().clamp(max=ceiling), pred, target)


@register
def sigmoid(pred: Tensor, target: Tensor) -> Tensor:
    """A smooth count of mistakes: bounded and symmetric, so evenly wrong labels leave its minimum where it was.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = 1 / (1 + exp(m)), the probability that the model gives to the other class.

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].

    Returns:
        [N], in [0, 1].

    Half of `mae` on the binary logit.
    """
    return _of_margin(lambda m: (-m).sigmoid(), pred, target)


@register
def savage(pred: Tensor, target: Tensor) -> Tensor:
    """Squared probability of the other class: bounded, so that a far outlier hardly pulls, and still honest (proper).

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = 1 / (1 + exp(m))^2.

    Args:
        pred: logits z [N], the log of the odds; the paper's score is half of it, which makes its phi 1 / (1 + exp(2 m))^2.
        target: [N], in [0, 1].

    Returns:
        [N], in [0, 1].

    For targets of 0 and 1 half of `brier` on the binary logit.
    """
    return _of_margin(lambda m: (-m).sigmoid().square(), pred, target)


@register
def unhinged(pred: Tensor, target: Tensor) -> Tensor:
    """Hinge loss without its corner: the one convex loss that evenly wrong labels leave at its minimum.

    l = t phi(z) + (1 - t) phi(-z), with phi(m) = 1 - m.

    Args:
        pred: logits z [N].
        target: [N], in [0, 1].

    Returns:
        [N], without a lower bound: only a penalty on the weights, or stopping early, keeps a model from growing for ever.
    """
    return mean_over_outputs(1 + (1 - 2 * target) * pred)
