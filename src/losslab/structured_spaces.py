"""Spaces whose samples have several targets or an order: quantiles, ordered classes, sets of labels, masks of pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.space_kinds import Meeting, Numbers, Space, YesOrNo, these
from losslab.value_checks import Check, class_index

LEVELS = 5  # quantiles of an example


class Quantiles(Numbers):
    """Q quantiles [N, D, Q] of each target [N, D]."""

    def _check_shapes(self, pred: Tensor, target: Tensor) -> None:
        if pred.ndim < 2 or tuple(target.shape) != tuple(pred.shape[:-1]):
            raise ValueError(
                f"{self.name} needs pred [N, D, Q], Q quantiles of each target [N, D]; {these(pred, target)}."
            )

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Five quantiles in [0, 1], in order, and targets there."""
        pred = torch.rand(rows, outputs, LEVELS, generator=generator).sort(-1).values
        return pred, torch.rand(rows, outputs, generator=generator)


class OrderedClasses(Space):
    """One of K classes in an order: K - 1 logits [N, K - 1], class indices [N]."""

    def classes(self, pred: Tensor) -> int:
        """K."""
        return pred.shape[-1] + 1

    def checks(
        self, target: Tensor, classes: int | None = None, pred: Tensor | None = None, weight: Tensor | None = None
    ) -> list[Check]:
        """All that is to hold of the values."""
        return [class_index(target, classes), *super().checks(target, classes, None, weight)[1:]]

    def _check_shapes(self, pred: Tensor, target: Tensor) -> None:
        if pred.ndim != 2 or target.shape != pred.shape[:1]:
            raise ValueError(
                f"{self.name} needs pred [N, K - 1], a logit between each class and the next, and target [N], class indices; "
                f"{these(pred, target)}."
            )

    def _check_type(self, target: Tensor) -> None:
        super()._check_type(target)
        if target.is_floating_point():
            raise ValueError("Ordered classes are class indices, which must be integers; give target.long().")

    def _flat(self, pred: Tensor, target: Tensor) -> Meeting:
        return Meeting(pred, target.long(), tuple(target.shape))

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits in [0, 1], and classes."""
        classes = max(outputs, 2)
        pred = torch.rand(rows, classes - 1, generator=generator)
        return pred, torch.randint(classes, (rows,), generator=generator)


class LabelSets(YesOrNo):
    """Any of C labels at once: logits [N, C], targets [N, C] in [0, 1]."""

    axes, told = 2, "[N, C], a logit for each of C labels"

    def _check_shapes(self, pred: Tensor, target: Tensor) -> None:
        if pred.ndim != self.axes:
            raise ValueError(f"{self.name} needs pred and target {self.told}; {these(pred, target)}.")
        super()._check_shapes(pred, target)

    def _flat(self, pred: Tensor, target: Tensor) -> Meeting:
        return Meeting(pred, target, tuple(pred.shape[:1]))

    def example(self, rows: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits in [-2, 2], and labels."""
        pred, target = torch.rand(2, rows, *[outputs] * (self.axes - 1), generator=generator)
        return 4 * pred - 2, target.round()


class Masks(LabelSets):
    """Which pixels of a picture belong to an object: logits [N, H, W], targets [N, H, W] in [0, 1]."""

    axes, told = 3, "[N, H, W], a logit for each pixel"
