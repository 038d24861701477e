"""Reductions, weights, smoothing and ignored labels, added to every per-sample function in one place.

The conventions are those of torch.nn.functional.cross_entropy, for all losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from losslab.losses.class_targets import distribution
from losslab.schema.space_words import YES_OR_NO
from losslab.spaces import Meeting

REDUCTIONS = ("mean", "sum", "none")
OPTIONS = ("class_weights", "label_smoothing", "pos_weight", "ignore_index")  # of losses whose targets are classes


class Weighed(NamedTuple):
    """Losses [M], multiplied by class weights, and the weight of each in a mean, [M]; None if all are the same."""

    losses: Tensor
    counts: Tensor | None


def weighed(
    function: Callable[..., Tensor],
    space: str,
    met: Meeting,
    keywords: Mapping[str, Any],
    options: Mapping[str, Any],
    batchwise: bool = False,
) -> Weighed:
    """The losses of a function with the given options.

    Args:
        function: the per-sample function.
        space: what pred and target are.
        met: pred and target in the form that the function takes.
        keywords: its hyperparameters.
        options: any of OPTIONS. With t_k the share of label k in a target, w_k its weight and s = sum_k w_k t_k:
            label_smoothing: t_k becomes (1 - smoothing) t_k + smoothing / K.
            class_weights, pos_weight: l becomes s times the loss under the target w_k t_k / s. So each label's own loss is
                multiplied by its weight. `class_weights` are [K], or [2] for no and yes; `pos_weight` is for yes, for each column.
            ignore_index: samples with this label are left out.
        batchwise: whether the loss of a sample depends on the others, so that it must not see those that are left out.

    Smoothing comes before the weights, as in torch, so that together they move the optimum. For `cross_entropy` it moves from t_k
    to w_k t_k / s of the smoothed shares. That favours labels with a large weight, even where t is certain.

    With class indices, a mean divides by the weights of the labels that occur; with distributions, by their number.
    """
    pred, target = met.pred, met.target
    if pred.numel() == 0:
        return Weighed(pred.sum() * pred.new_zeros(met.shape).flatten(), None)
    if not options:
        return Weighed(function(pred, target, **keywords), None)
    binary, indices = space in YES_OR_NO, not target.is_floating_point()
    counts = kept = None
    if (ignored := options.get("ignore_index")) is not None:
        if not (binary or indices):
            raise ValueError(
                "ignore_index leaves class indices out, and these targets are distributions; give sample weights."
            )
        kept = target != ignored
        target = target.where(kept, 0)
        pred = pred.where(kept if binary else kept[:, None], 0.0)  # what is left out may be anything, even NaN
        counts = kept.to(pred.dtype)
    weights = _label_weights(met, binary, options)
    if weights is not None and indices:
        of_label = weights[0].index_select(0, target)
        counts = of_label if counts is None else of_label * counts
    if (smoothing := options.get("label_smoothing")) is not None:
        classes = 2 if binary else pred.shape[-1]
        shares = target if binary else distribution(pred, target)
        target, indices = shares + smoothing * (1 / classes - shares), False
    factor = None
    if weights is not None:
        factor, target = (of_label, target) if indices else _reweighed(weights, target, binary)
    if batchwise and kept is not None:
        losses = pred.new_zeros(len(pred)).masked_scatter(kept, function(pred[kept], target[kept], **keywords))
    else:
        losses = function(pred, target, **keywords)
    losses = losses if factor is None else factor * losses
    return Weighed(losses if kept is None else losses.where(kept, 0.0), counts)


def reduced(reduction: str, found: Weighed, shape: tuple[int, ...], space: str, weight: Tensor | None = None) -> Tensor:
    """Losses [M] as one number, or as one number for each sample.

    Args:
        reduction: "mean", weighted by `weight`; "sum"; or "none", which gives the shape that `losslab.spaces` tells.
        found: what `weighed` gives.
        shape: that of the losses before they were flattened.
        space: in YES_OR_NO a sample has one loss, the mean over its columns.
        weight: of the samples [N], or of `shape`; at least 0.

    A mean over nothing is 0, and so is its gradient: for an empty batch, only ignored labels, or weights that are all 0.
    """
    losses, counts = found
    if weight is not None:
        if tuple(weight.shape) not in (shape, shape[:1]):
            raise ValueError(f"weight must be [N] or {list(shape)}, one for each loss; it is {list(weight.shape)}.")
        weight = (
            weight.to(losses.dtype).reshape(*weight.shape, *[1] * (len(shape) - weight.ndim)).expand(shape).flatten()
        )
        losses = weight * losses
    if reduction == "mean":
        return _mean(losses, counts if weight is None else weight if counts is None else weight * counts)
    each = losses.reshape(shape)
    if space in YES_OR_NO and len(shape) > 1:
        each = each.flatten(1)
        columns = each.shape[1] if counts is None else counts.reshape(each.shape).sum(1).clamp(min=1)
        each = each.sum(1) / columns
    return each if reduction == "none" else each.sum()


def _mean(losses: Tensor, counts: Tensor | None) -> Tensor:
    if counts is None:
        return losses.mean() if losses.numel() else losses.sum()
    wide = torch.promote_types(losses.dtype, torch.float32)  # the largest float16 is 65,504
    total = counts.sum(dtype=wide)
    return (losses.sum(dtype=wide) / total.where(total != 0, 1.0)).to(losses.dtype)


def _label_weights(
    met: Meeting, binary: bool, options: Mapping[str, Any]
) -> tuple[Tensor, Tensor] | tuple[Tensor] | None:
    """The weight of each label: for K classes one tensor [K]; for no and yes two tensors, each one number or [M]; None if all are 1."""
    of_class, of_yes = options.get("class_weights"), options.get("pos_weight")
    if of_class is None and of_yes is None:
        return None
    classes = 2 if binary else met.pred.shape[-1]
    if of_class is not None and len(of_class) not in (1, classes):
        raise ValueError(
            f"class_weights must hold one number, or one for each of {classes} classes; it holds {len(of_class)}."
        )
    if not binary:
        assert of_class is not None
        return (of_class.expand(classes),)
    no = yes = met.pred.new_ones(())
    if of_class is not None:
        no, yes = of_class[0], of_class[-1]
    if of_yes is not None:
        of_yes = torch.as_tensor(of_yes, dtype=met.pred.dtype, device=met.pred.device)
        columns = met.shape[-1] if len(met.shape) > 1 else 1
        if of_yes.numel() not in (1, columns):
            raise ValueError(
                f"pos_weight must hold one number, or one for each of {columns} columns; it holds {of_yes.numel()}."
            )
        yes = yes * of_yes.expand(met.shape).flatten()
    return no, yes


def _reweighed(weights: tuple[Tensor, ...], target: Tensor, binary: bool) -> tuple[Tensor, Tensor]:
    """s and w_k t_k / s, see `weighed`; the target is unchanged where s is 0."""
    if binary:
        no, yes = weights
        part = yes * target
        total = no * (1 - target) + part
        return total, torch.where(total > 0, part / total.where(total > 0, 1.0), target)
    parts = weights[0] * target
    total = parts.sum(-1)
    positive = total.where(total > 0, 1.0)[:, None]
    return total, torch.where(total[:, None] > 0, parts / positive, target)
