"""The spaces in which predictions and targets meet: their shapes, and what a valid target is.

A model gives raw outputs; the task turns them into the space that the loss reads. N samples, K classes, D outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor


def check_shapes(space: str, pred: Tensor, target: Tensor) -> None:
    """Raises ValueError where shapes or dtypes do not fit `space`. Reads no values, so it never waits for the device."""
    if space == "class_logits" and target.ndim == 1 and not target.is_floating_point():
        if pred.ndim != 2 or len(pred) != len(target):
            raise ValueError(
                f"{space} needs pred [N, K] and target [N]; these are {_shape(pred)} and {_shape(target)}."
            )
        if target.dtype != torch.long:
            raise ValueError(f"Class indices must be int64; these are {target.dtype}.")
        return
    if space == "values_and_scale":
        if pred.shape != (*target.shape, 2) or target.ndim == 0:
            raise ValueError(
                f"{space} needs pred [N, D, 2], a value and the log of a scale for each target [N, D]; "
                f"these are {_shape(pred)} and {_shape(target)}."
            )
        return
    if pred.shape != target.shape:
        hint = (
            "; shapes that differ would be broadcast without a word"
            if space in ("values", "binary_logit", "binary_prob", "rate", "log_rate")
            else ""
        )
        raise ValueError(f"pred and target must have one shape; these are {_shape(pred)} and {_shape(target)}{hint}.")
    if not (pred.is_floating_point() and target.is_floating_point()):
        raise ValueError(f"pred and target must be floating point; these are {pred.dtype} and {target.dtype}.")
    if pred.ndim == 0:
        raise ValueError("pred and target need a first axis, the samples.")
    if space.startswith("class_") and pred.ndim != 2:
        raise ValueError(f"{space} needs pred and target [N, K]; these are {_shape(pred)}.")
    if space == "boxes" and (pred.ndim != 2 or pred.shape[1] != 4):
        raise ValueError(f"boxes are [N, 4], corners x1 y1 x2 y2; these are {_shape(pred)}.")


def check_target(space: str, target: Tensor, classes: int | None = None) -> None:
    """Raises ValueError for the first target that lies outside the space. Reads every value: call it once, not each step."""
    if target.is_floating_point():
        _refuse(~torch.isfinite(target), target, "is not a finite number")
    if space == "class_logits" and not target.is_floating_point():
        _refuse(
            (target < 0) | (target >= (classes if classes else target.max() + 1)),
            target,
            f"is no class index below {classes}",
        )
    elif space in ("class_logits", "class_probs"):
        _refuse(
            (target < 0) | ((target.sum(-1, keepdim=True) - 1).abs() > 1e-4),
            target,
            "is no distribution: at least 0, and 1 in sum",
        )
    elif space in ("binary_logit", "binary_prob"):
        _refuse((target < 0) | (target > 1), target, "lies outside [0, 1]")
    elif space in ("rate", "log_rate"):
        _refuse(target < 0, target, "is negative, and counts are not")
    elif space == "boxes":
        x1, y1, x2, y2 = target.unbind(-1)
        _refuse(
            (x2 <= x1) | (y2 <= y1), target, "is no box: x1 < x2 and y1 < y2 must hold (corners swapped, or no area)"
        )


def _refuse(wrong: Tensor, target: Tensor, why: str) -> None:
    if wrong.any():
        row = int(wrong.flatten(1).any(1).nonzero()[0]) if wrong.ndim > 1 else int(wrong.nonzero()[0])
        raise ValueError(f"Target {row}, {target[row].tolist()}, {why}.")


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
