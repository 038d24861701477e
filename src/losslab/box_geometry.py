"""The geometry of two boxes: areas, overlap and the enclosing box, without a division by zero."""

from __future__ import annotations

import torch
from torch import Tensor


class Overlap:
    """The geometry of N predicted boxes and their targets. Areas are [N]; vectors and sides are [2, N], x or width first."""

    def __init__(self, pred: Tensor, target: Tensor) -> None:
        # Coordinates first, as the long axis is then the contiguous one: it halves the time for many boxes.
        self.low, self.high = pred.T.contiguous().chunk(2)
        self.target_low, self.target_high = target.T.contiguous().chunk(2)
        # Width and height; below 0 where corners are swapped, so that the gradient of a loss on them has the right sign.
        self.sides = self.high - self.low
        self.target_sides = self.target_high - self.target_low
        shared = torch.minimum(self.high, self.target_high) - torch.maximum(self.low, self.target_low)
        self.intersection = area(shared)
        self.union = area(self.sides) + area(self.target_sides) - self.intersection

    @property
    def iou(self) -> Tensor:
        """Intersection over union, in [0, 1]; 0 for two boxes without area."""
        return self.intersection / above_zero(self.union)

    @property
    def between_centres(self) -> Tensor:
        """The vector from the centre of the target to that of the prediction."""
        return (self.low - self.target_low + (self.high - self.target_high)) / 2

    @property
    def around(self) -> Tensor:
        """Sides of the enclosing box, the smallest around both. Corners swapped further do not widen it, so a loss may divide by it."""
        centre = (self.low + self.high) / 2
        low = torch.minimum(torch.minimum(self.low, centre), self.target_low)
        return torch.maximum(torch.maximum(self.high, centre), self.target_high) - low

    def opened(self, share: Tensor) -> Tensor:
        """A share in [0, 1], [N], raised towards 1 as corners are swapped further, so that its gradient makes the sides grow again.

        share + (1 - share) (1 - product of w* / (w* + |w|) over the sides below 0). It is unchanged for boxes in order.
        """
        kept = (self.target_sides / (self.target_sides - self.sides.clamp(max=0))).prod(0)
        return share + (1 - share) * (1 - kept)


def overlap(pred: Tensor, target: Tensor) -> Overlap:
    """The geometry of pairs of boxes [N, 4]; a box with swapped corners counts as one without area."""
    return Overlap(pred, target)


def area(sides: Tensor) -> Tensor:
    """Width times height, [2, N] -> [N], where a side below 0 counts as none."""
    width, height = sides.clamp(min=0).unbind()
    return width * height


def squared_length(ways: Tensor) -> Tensor:
    """x^2 + y^2 of vectors, [2, N] -> [N]."""
    x, y = ways.square().unbind()
    return x + y


def above_zero(number: Tensor) -> Tensor:
    """A number of at least 0, raised to the smallest positive one, so that division and logarithm are defined."""
    return number.clamp(min=torch.finfo(number.dtype).tiny)
