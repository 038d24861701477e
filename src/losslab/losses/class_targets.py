"""What losses on class logits [N, K] share: targets as an index [N], a distribution [N, K], or, for one logit, a binary target [N].

For a soft target the loss is the mean over the labels, each taken as the true one, weighted by its share. A docstring says where
a loss differs from this.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
import torch.nn.functional as F
from torch import Tensor


def select(per_class: Tensor, target: Tensor) -> Tensor:
    """[N, K] -> [N]: the value at the target's index, or the mean of the values under a distribution."""
    if target.is_floating_point():
        return (target * per_class).sum(-1)
    return per_class.gather(-1, target[:, None]).squeeze(-1)


def mixed(pred: Tensor, target: Tensor, cost: Callable[[Tensor], Tensor]) -> Tensor:
    """t cost(z) + (1 - t) cost(-z). A label with share 0 adds 0, even if its cost or the slope of it is infinite."""
    yes, no = pred.where(target > 0, 0.0), pred.where(target < 1, 0.0)
    return target * cost(yes) + (1 - target) * cost(-no)


def of_true_class(cost: Callable[[Tensor], Tensor], pred: Tensor, target: Tensor) -> Tensor:
    """A loss that depends only on the true class's probability: cost(log p_y), [N].

    Args:
        cost: from log p to the loss, element by element.
        pred: logits [N, K]; or a binary logit z [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
    """
    if pred.ndim == 1:  # written out: the softmax of two takes several times as long as the sigmoid
        return mixed(pred, target, lambda logit: cost(F.logsigmoid(logit)))
    log_p = pred.log_softmax(-1)
    if target.is_floating_point():
        return (target * cost(log_p)).sum(-1)
    return cost(select(log_p, target))


def is_label(pred: Tensor, target: Tensor) -> Tensor:
    """Whether each class is the one at the target's index, [N, K]. An index outside the classes fails, on a GPU without a wait."""
    classes = torch.arange(pred.shape[-1], device=pred.device)
    return classes.index_select(0, target)[:, None] == classes


def distribution(pred: Tensor, target: Tensor) -> Tensor:
    """The target as a distribution [N, K]."""
    return target if target.is_floating_point() else is_label(pred, target).to(pred.dtype)


def two_classes(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Makes a loss on class logits accept a binary logit z [N] too: as the two logits (0, z), with its target t as (1 - t, t).

    The softmax of (0, z) is (1 - p, p) with p = sigmoid(z), so one formula holds for both. It is for losses that compare classes,
    where `of_true_class` does not apply.
    """

    @wraps(function)
    def either(pred: Tensor, target: Tensor, **hyperparameters: object) -> Tensor:
        if pred.ndim == 1:
            pred, target = torch.stack([torch.zeros_like(pred), pred], -1), torch.stack([1 - target, target], -1)
        return function(pred, target, **hyperparameters)

    return either


def each_label(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Makes a loss written for an index accept a distribution: the mean of its K losses. For losses without a cheaper way."""

    @wraps(function)
    def mixed(pred: Tensor, target: Tensor, **hyperparameters: object) -> Tensor:
        if not target.is_floating_point():
            return function(pred, target, **hyperparameters)
        labels = [torch.full_like(target[:, 0], k, dtype=torch.long) for k in range(pred.shape[-1])]
        return select(torch.stack([function(pred, label, **hyperparameters) for label in labels], -1), target)

    return mixed
