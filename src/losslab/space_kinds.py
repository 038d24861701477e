"""The kinds of spaces: what each takes, what must hold of its values, and an example. `losslab.spaces` has one object for each space.

N samples, K classes, C columns, D outputs; the table of shapes is in `losslab.spaces`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from losslab.schema.space_words import WORDS
from losslab.value_checks import Check, class_index, farthest


class Meeting(NamedTuple):
    """A prediction and a target in the form in which a loss function takes them, and the shape of the losses it gives.

    Classes come as pred [M, K] and target [M] or [M, K], yes or no as [M] and [M], boxes as [M, 4] twice; the rest as they are.
    """

    pred: Tensor
    target: Tensor
    shape: tuple[int, ...]


class Space:
    """How predictions and targets look to a loss: their shapes, their values, what they mean, and an example.

    Each kind of targets is a subclass; `losslab.spaces.SPACES` has one object for each name.
    """

    def __init__(self, name: str) -> None:
        self.name, self.words = name, WORDS[name].words

    def meet(self, pred: Tensor, target: Tensor) -> Meeting:
        """Checks shapes and types of a floating-point prediction with an axis of samples. Raises ValueError for what does not fit."""
        self._check_shapes(pred, target)
        self._check_type(target)
        return self._flat(pred, target.to(_at_least(pred, target)))

    def checks(
        self, target: Tensor, classes: int | None = None, pred: Tensor | None = None, weight: Tensor | None = None
    ) -> list[Check]:
        """All that is to hold of the values."""
        found = [class_index(target, classes) if not target.is_floating_point() else self._of_target(target)]
        if pred is not None:
            found += self._of_pred(pred)
        if weight is not None:
            why = "is no weight, a finite number of at least 0"
            found.append(Check("Weight", weight, 0, torch.finfo(torch.float64).max, why))
        return found

    def classes(self, pred: Tensor) -> int:
        """K, of a prediction in the form that `meet` gives."""
        return pred.shape[-1]

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A prediction and a target at random: so many rows, of so many outputs or classes where there are several."""
        raise NotImplementedError

    def _check_shapes(self, pred: Tensor, target: Tensor) -> None:
        if target.shape != pred.shape:
            raise ValueError(f"pred and target must have one shape; {these(pred, target)}{_mend(pred, target)}.")

    def _check_type(self, target: Tensor) -> None:
        if target.dtype == torch.bool:
            raise ValueError(
                f"{self.name} needs targets that are numbers; these are bool. Give target.float() if that is meant."
            )

    def _flat(self, pred: Tensor, target: Tensor) -> Meeting:
        return Meeting(pred, target, tuple(target.shape[:1]))

    def _of_target(self, target: Tensor) -> Check:
        """What is to hold of a target of floating point."""
        return Check("Target", target, -farthest(target), farthest(target), "")

    def _of_pred(self, pred: Tensor) -> list[Check]:
        """What is to hold of a prediction."""
        return []

    def _probabilities(self, pred: Tensor) -> list[Check]:
        return [
            Check("Prediction", pred, 0, 1, f"is no probability, in [0, 1]: this loss reads {self.name}, not logits")
        ]


class Classes(Space):
    """One of K classes. They lie on axis 1, as in torch."""

    def meet(self, pred: Tensor, target: Tensor) -> Meeting:
        """Classes come as pred [M, K] and target [M] or [M, K]."""
        shape = (*pred.shape[:1], *pred.shape[2:])  # of the losses
        logits = self.name == "class_logits"
        takes = f"{self.name} needs pred [N, K, ...] and target " + (
            "[N, ...], class indices, or [N, K, ...], distributions" if logits else "[N, K, ...]"
        )
        if pred.ndim < 2:
            raise ValueError(f"{takes}; {these(pred, target)}.")
        if pred.shape[1] == 1:
            raise ValueError(f"{takes}, of two classes or more; {these(pred, target)}.")
        if target.shape == pred.shape:
            target = target.to(_at_least(pred, target))  # one-hot or shares
            if pred.ndim > 2:
                pred, target = (part.movedim(1, -1).flatten(0, -2) for part in (pred, target))
            return Meeting(pred, target, shape)
        if tuple(target.shape) != shape:
            raise ValueError(f"{takes}; {these(pred, target)}{_mend(pred, target)}.")
        if not logits:
            raise ValueError(f"{takes}; {these(pred, target)}. Give one_hot(target, {pred.shape[1]}).float().")
        if target.is_floating_point() or target.dtype == torch.bool:
            raise ValueError(f"Class indices must be integers, and these are {type_of(target)}; give target.long().")
        if pred.ndim > 2:
            pred, target = pred.movedim(1, -1).flatten(0, -2), target.flatten()
        return Meeting(pred, target.long(), shape)

    def _of_target(self, target: Tensor) -> Check:
        unlike = (target.sum(-1) - 1).abs() > max(1e-4, 4 * torch.finfo(target.dtype).eps)
        why = "is no distribution: at least 0, and 1 in sum"
        several = f"{why} (for several labels at once use space='binary_logit' or 'binary_prob')"
        return Check("Target", target, 0, farthest(target), why, unlike, several)

    def _of_pred(self, pred: Tensor) -> list[Check]:
        return self._probabilities(pred) if self.name == "class_probs" else []

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Class indices for logits, shares of the classes for probabilities."""
        pred = torch.rand(rows, outputs, generator=generator)
        if self.name == "class_logits":
            return pred, torch.randint(outputs, (rows,), generator=generator)
        return pred.softmax(-1), torch.rand(rows, outputs, generator=generator).softmax(-1)


class YesOrNo(Space):
    """Two classes, as one number in [0, 1]; of any shape."""

    def _check_type(self, target: Tensor) -> None:
        """Integers and bool are targets too."""

    def _flat(self, pred: Tensor, target: Tensor) -> Meeting:
        return Meeting(pred.flatten(), target.flatten(), tuple(pred.shape))

    def _of_target(self, target: Tensor) -> Check:
        return Check("Target", target, 0, 1, "lies outside [0, 1]")

    def _of_pred(self, pred: Tensor) -> list[Check]:
        return self._probabilities(pred) if self.name == "binary_prob" else []

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """One column."""
        pred, target = torch.rand(2, rows, generator=generator)
        return (4 * pred - 2 if self.name == "binary_logit" else 0.05 + 0.9 * pred), target.round()


class Numbers(Space):
    """Numbers [N, D]."""

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Both in [0, 1]."""
        pred, target = torch.rand(2, rows, outputs, generator=generator)
        return pred, target


class NumbersAndScale(Numbers):
    """A number and the log of its scale [N, D, 2] for each target [N, D]."""

    def _check_shapes(self, pred: Tensor, target: Tensor) -> None:
        if tuple(target.shape) != tuple(pred.shape[:-1]) or pred.ndim < 2 or pred.shape[-1] != 2:
            raise ValueError(
                f"{self.name} needs pred [N, D, 2], a value and the log of a scale for each target [N, D]; {these(pred, target)}."
            )

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Both in [0, 1]."""
        pred, target = super().example(rows, outputs, generator)
        return torch.stack([pred, target], -1), target


class Counts(Space):
    """The rate of a count, or its log [N, D]."""

    def _of_target(self, target: Tensor) -> Check:
        return Check("Target", target, 0, farthest(target), "is negative, and counts are not")

    def _of_pred(self, pred: Tensor) -> list[Check]:
        why = "is negative, and a rate is not: this loss reads the rate, not its log"
        return [Check("Prediction", pred, 0, float("inf"), why)] if self.name == "rate" else []

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Counts from 0 to 5."""
        pred, target = torch.rand(2, rows, outputs, generator=generator)
        return (pred if self.name == "log_rate" else 0.1 + pred), (6 * target).floor()


class Boxes(Space):
    """Corners x1 y1 x2 y2 [N, 4] or [..., N, 4]."""

    def _check_shapes(self, pred: Tensor, target: Tensor) -> None:
        super()._check_shapes(pred, target)
        if pred.ndim < 2 or pred.shape[-1] != 4:
            raise ValueError(f"boxes are [N, 4], corners x1 y1 x2 y2; {these(pred, target)}.")

    def _flat(self, pred: Tensor, target: Tensor) -> Meeting:
        return Meeting(pred.flatten(0, -2), target.flatten(0, -2), tuple(pred.shape[:-1]))

    def _of_target(self, target: Tensor) -> Check:
        x1, y1, x2, y2 = target.unbind(-1)
        why = "is no box: x1 < x2 and y1 < y2 must hold (corners swapped, or no area)"
        return Check("Target", target, -farthest(target), farthest(target), "", (x2 <= x1) | (y2 <= y1), why)

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """In shares of a picture, sides of 0.1 to 0.5."""
        corners, sizes = 0.5 * torch.rand(2, rows, 2, generator=generator), torch.rand(2, rows, 2, generator=generator)
        pred, target = torch.cat([corners, corners + 0.1 + 0.4 * sizes], -1)
        return pred, target


def _at_least(pred: Tensor, target: Tensor) -> torch.dtype:
    """The type in which a target loses no digit that the prediction has."""
    return torch.promote_types(pred.dtype, target.dtype) if target.is_floating_point() else pred.dtype


def _mend(pred: Tensor, target: Tensor) -> str:
    """What makes two shapes fit, where an axis of length 1 is all that is between them."""
    for name, longer, shorter in (("pred", pred, target), ("target", target, pred)):
        if longer.ndim > 1 and longer.shape[-1] == 1 and len(longer) == len(shorter) and shorter.shape[1:2] != (1,):
            return f"; shapes that differ are never broadcast, give {name}.squeeze(-1) if it is meant"
    return "; shapes that differ are never broadcast"


def these(pred: Tensor, target: Tensor) -> str:
    """The shapes of both, for a message."""
    return f"these are {list(pred.shape)} and {list(target.shape)}"


def type_of(tensor: Tensor) -> str:
    """The type of a tensor, without the name of the library."""
    return str(tensor.dtype).removeprefix("torch.")
