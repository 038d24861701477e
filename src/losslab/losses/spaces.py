"""The spaces of predictions and targets: the shapes and types that each takes, and what a valid value is.

A model gives raw outputs; the task turns them into the space that the loss reads. N samples, K classes, C columns, D outputs.

| space | pred | target | losses |
| --- | --- | --- | --- |
| class_logits | [N, K, ...], K of two or more | class indices [N, ...] of any integer type, or shares [N, K, ...] | [N, ...] |
| class_probs | [N, K, ...], K of two or more | shares of the classes [N, K, ...] | [N, ...] |
| binary_logit, binary_prob | [N], [N, 1], [N, C], ... | the same shape, in [0, 1]; integers and bool too | [N]: the mean over columns |
| values, rate, log_rate | [N], [N, D], ... | the same shape; integers too | [N]: the mean over outputs |
| values_and_scale | [N, D, 2]: value, log of its scale | [N, D] | [N]: the mean over outputs |
| boxes | [N, 4] or [..., N, 4] | the same shape | [N] or [..., N] |

Shapes that differ are refused and never broadcast.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import torch
from torch import Tensor

from losslab.config import BY_CLASS, YES_OR_NO

OF_CLASSES = (*BY_CLASS, *YES_OR_NO)


class Meeting(NamedTuple):
    """A prediction and a target in the form that a loss function takes, and the shape of the losses that it returns.

    Classes are pred [M, K] and target [M] or [M, K]; yes or no are [M] and [M]; boxes are [M, 4] and [M, 4]; the rest is unchanged.
    """

    pred: Tensor
    target: Tensor
    shape: tuple[int, ...]


def meet(space: str, pred: Tensor, target: Tensor) -> Meeting:
    """Checks shapes and types, and brings both into the form that loss functions take. It reads no values, so it does not wait for a GPU.

    Raises:
        ValueError: shapes or types that do not fit; the message says which would.
    """
    if not pred.is_floating_point():
        raise ValueError(f"pred is {_type(pred)}, and a loss needs floating point; give pred.float().")
    if pred.ndim == 0:
        raise ValueError("pred and target need a first axis, the samples; these are single numbers.")
    if space in BY_CLASS:
        return _classes(space, pred, target)
    wanted = tuple(pred.shape[:-1]) if space == "values_and_scale" else tuple(pred.shape)
    if space == "values_and_scale" and (tuple(target.shape) != wanted or pred.ndim < 2 or pred.shape[-1] != 2):
        raise ValueError(
            f"{space} needs pred [N, D, 2], a value and the log of a scale for each target [N, D]; {_these(pred, target)}."
        )
    if tuple(target.shape) != wanted:
        raise ValueError(f"pred and target must have one shape; {_these(pred, target)}{_mend(pred, target)}.")
    if space == "boxes" and (pred.ndim < 2 or pred.shape[-1] != 4):
        raise ValueError(f"boxes are [N, 4], corners x1 y1 x2 y2; {_these(pred, target)}.")
    if target.dtype == torch.bool and space not in YES_OR_NO:
        raise ValueError(
            f"{space} needs targets that are numbers; these are bool. Give target.float() if that is meant."
        )
    target = target.to(_at_least(pred, target))
    if space in YES_OR_NO:
        return Meeting(pred.flatten(), target.flatten(), wanted)
    if space == "boxes":
        return Meeting(pred.flatten(0, -2), target.flatten(0, -2), wanted[:-1])
    return Meeting(pred, target, wanted[:1])


def _classes(space: str, pred: Tensor, target: Tensor) -> Meeting:
    """Classes lie on axis 1, as in torch."""
    shape = (*pred.shape[:1], *pred.shape[2:])  # of the losses
    takes = f"{space} needs pred [N, K, ...] and target " + (
        "[N, ...], class indices, or [N, K, ...], distributions" if space == "class_logits" else "[N, K, ...]"
    )
    if pred.ndim < 2:
        raise ValueError(f"{takes}; {_these(pred, target)}.")
    if pred.shape[1] == 1:
        raise ValueError(f"{takes}, of two classes or more; {_these(pred, target)}.")
    if target.shape == pred.shape:
        target = target.to(_at_least(pred, target))  # one-hot or shares
        if pred.ndim > 2:
            pred, target = (part.movedim(1, -1).flatten(0, -2) for part in (pred, target))
        return Meeting(pred, target, shape)
    if tuple(target.shape) != shape:
        raise ValueError(f"{takes}; {_these(pred, target)}{_mend(pred, target)}.")
    if space == "class_probs":
        raise ValueError(f"{takes}; {_these(pred, target)}. Give one_hot(target, {pred.shape[1]}).float().")
    if target.is_floating_point() or target.dtype == torch.bool:
        raise ValueError(f"Class indices must be integers, and these are {_type(target)}; give target.long().")
    if pred.ndim > 2:
        pred, target = pred.movedim(1, -1).flatten(0, -2), target.flatten()
    return Meeting(pred, target.long(), shape)


def _at_least(pred: Tensor, target: Tensor) -> torch.dtype:
    """A type for the target with at least the precision of the prediction."""
    return torch.promote_types(pred.dtype, target.dtype) if target.is_floating_point() else pred.dtype


def _mend(pred: Tensor, target: Tensor) -> str:
    """What makes two shapes fit, if they differ only by an axis of length 1."""
    for name, longer, shorter in (("pred", pred, target), ("target", target, pred)):
        if longer.ndim > 1 and longer.shape[-1] == 1 and len(longer) == len(shorter) and shorter.shape[1:2] != (1,):
            return f"; shapes that differ are never broadcast, give {name}.squeeze(-1) if it is meant"
    return "; shapes that differ are never broadcast"


def check_values(space: str, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> None:
    """Raises ValueError for a prediction, a target or a weight outside its space. Does not wait for the device.

    On a GPU the indexing below fails on the device itself, as an invalid index in torch does, and names no row.
    """
    checks = _checks(space, target, pred.shape[-1], pred, weight)
    right = torch.stack([within for check in checks for within in check.at_once()]).all()
    try:
        right.new_zeros(1).index_select(0, (~right).long().reshape(1))
    except (IndexError, RuntimeError) as error:
        failed: Exception = error
    else:
        return
    with suppress(RuntimeError):  # inside torch.vmap no value can be read
        for check in checks:
            check.refuse()
    raise ValueError(f"A prediction, a target or a weight lies outside the space '{space}'.") from failed


def check_target(space: str, target: Tensor, classes: int | None = None) -> None:
    """Raises ValueError for the first target that lies outside the space. It reads every value, so it waits for the device."""
    for check in _checks(space, target, classes):
        check.refuse()


class _Check(NamedTuple):
    """Values that must lie in [low, high], and rows that must meet a further condition."""

    word: str
    values: Tensor
    low: float
    high: float
    why: str
    wrong: Tensor | None = None  # rows
    why_wrong: str = ""

    def at_once(self) -> list[Tensor]:
        """Whether all values are valid, as tensors without an axis. A prediction of NaN counts as valid: the loss is then NaN."""
        if not self.values.numel():
            return []
        least, most = self.values.aminmax()
        right = (least >= self.low) & (most <= self.high)
        if self.word == "Prediction":
            right = right | least.isnan()
        return [right] if self.wrong is None else [right, ~self.wrong.any()]

    def refuse(self) -> None:
        """Raises ValueError for the first row that is wrong."""
        outside = ~((self.values >= self.low) & (self.values <= self.high))
        if self.word == "Prediction":
            outside &= ~self.values.isnan()
        for wrong, why in ((outside, self.why), (self.wrong, self.why_wrong)):
            if wrong is not None and wrong.any():
                row = int(wrong.flatten(1).any(1).nonzero()[0]) if wrong.ndim > 1 else int(wrong.nonzero()[0])
                value = self.values[row].tolist()
                finite = torch.isfinite(self.values[row]).all() if self.values.is_floating_point() else True
                raise ValueError(f"{self.word} {row}, {value}, {why if finite else 'is not a finite number'}.")


def _checks(
    space: str, target: Tensor, classes: int | None, pred: Tensor | None = None, weight: Tensor | None = None
) -> list[_Check]:
    """All conditions on the values."""
    if not target.is_floating_point():
        most = classes - 1 if classes else torch.iinfo(target.dtype).max
        why = (
            f"is no class index below {classes}; ignore_index=... leaves such rows out"
            if classes
            else "is no class index"
        )
        checks = [_Check("Target", target, 0, most, why)]
    else:
        farthest = torch.finfo(target.dtype).max  # below infinity
        checks = [_Check("Target", target, -farthest, farthest, "")]
        if space in BY_CLASS:
            unlike = (target.sum(-1) - 1).abs() > max(1e-4, 4 * torch.finfo(target.dtype).eps)
            why = "is no distribution: at least 0, and 1 in sum"
            several = f"{why} (for several labels at once use space='binary_logit' or 'binary_prob')"
            checks = [_Check("Target", target, 0, farthest, why, unlike, several)]
        elif space in YES_OR_NO:
            checks = [_Check("Target", target, 0, 1, "lies outside [0, 1]")]
        elif space in ("rate", "log_rate"):
            checks = [_Check("Target", target, 0, farthest, "is negative, and counts are not")]
        elif space == "boxes":
            x1, y1, x2, y2 = target.unbind(-1)
            why = "is no box: x1 < x2 and y1 < y2 must hold (corners swapped, or no area)"
            checks = [_Check("Target", target, -farthest, farthest, "", (x2 <= x1) | (y2 <= y1), why)]
    if pred is not None and space in ("class_probs", "binary_prob"):
        why = f"is no probability, in [0, 1]: this loss reads {space}, not logits"
        checks += [_Check("Prediction", pred, 0, 1, why)]
    elif pred is not None and space == "rate":
        checks += [
            _Check(
                "Prediction",
                pred,
                0,
                float("inf"),
                "is negative, and a rate is not: this loss reads the rate, not its log",
            )
        ]
    if weight is not None:
        checks += [
            _Check("Weight", weight, 0, torch.finfo(torch.float64).max, "is no weight, a finite number of at least 0")
        ]
    return checks


def _these(pred: Tensor, target: Tensor) -> str:
    return f"these are {list(pred.shape)} and {list(target.shape)}"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
