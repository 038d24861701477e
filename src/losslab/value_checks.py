"""What is to hold of the values of a prediction, a target or a weight; tried without waiting for the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Check(NamedTuple):
    """Values that are to lie in [low, high], and rows of which something else is to hold as well."""

    word: str
    values: Tensor
    low: float
    high: float
    why: str
    wrong: Tensor | None = None  # rows
    why_wrong: str = ""

    def at_once(self) -> list[Tensor]:
        """Whether all is right, as tensors without an axis. A prediction of NaN is: it is to be seen in the loss."""
        if not self.values.numel():
            return []
        least, most = self.values.aminmax()
        right = (least >= self.low) & (most <= self.high)
        if self.word == "Prediction":
            right = right | least.isnan()
        return [right] if self.wrong is None else [right, ~self.wrong.any()]

    def holds(self) -> bool:
        """The same as a plain value, which waits for the device."""
        if not self.values.numel():
            return True
        least, most = (end.item() for end in self.values.aminmax())
        right = (least >= self.low and most <= self.high) or (self.word == "Prediction" and least != least)
        return right and (self.wrong is None or not self.wrong.any().item())

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


def class_index(target: Tensor, classes: int | None) -> Check:
    """What is to hold of a target of whole numbers."""
    most = classes - 1 if classes else torch.iinfo(target.dtype).max
    below = f"is no class index below {classes}; ignore_index=... leaves such rows out"
    return Check("Target", target, 0, most, below if classes else "is no class index")


def farthest(target: Tensor) -> float:
    """The largest number below infinity."""
    return torch.finfo(target.dtype).max
