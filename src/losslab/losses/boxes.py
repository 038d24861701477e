"""Losses on the overlap of boxes, and the geometry that the other losses on boxes share. Sources, defaults: conf/loss/<name>.yaml.

A box is corners x1 y1 x2 y2 [N, 4]. A target has x1 < x2 and y1 < y2; a prediction may be anything. A prediction with corners
swapped in x counts as a box without width at its centre, so its IoU is 0. The same holds in y.
"""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.losses.base import register


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


@register
def iou(pred: Tensor, target: Tensor, *, form: str) -> Tensor:
    """IoU loss: 1 - IoU, -log IoU or 1 - IoU^2; has no gradient for disjoint boxes. Detectors are evaluated by the IoU.

    l = 1 - IoU (linear), -log IoU (log) or 1 - IoU^2 (square).

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        form: linear, log or square. The gradient of the log is proportional to 1 / IoU: largest for boxes that hardly overlap.

    Returns:
        [N], 0 for the same box; at most 1 for linear and square. The unit of the corners does not matter.

    Boxes that do not touch, or that have swapped corners, have a gradient of 0 in every form. Their loss is 1 for linear and
    square. For log it is a constant (87 in float32), as the IoU is held at or above the smallest positive number.
    `giou`, `diou` and others have a gradient for such boxes. The form square is alpha_iou(alpha=2). UnitBox, the source of
    this loss, takes the log; most now take linear.
    """
    found = overlap(pred, target).iou
    if form == "log":
        return -above_zero(found).log()
    return 1 - (found.square() if form == "square" else found)


@register
def giou(pred: Tensor, target: Tensor) -> Tensor:
    """GIoU: 1 - IoU + the empty share of the enclosing box; has a gradient for disjoint boxes.

    l = 1 - IoU + (C - U) / C, with U the area of the union and C that of the enclosing box, the smallest around both.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], in [0, 2): 0 for the same box, towards 2 for small boxes far apart. The unit of the corners does not matter.

    `iou` has no gradient for disjoint boxes. Swapped corners raise the second part towards 1, so that training makes the sides
    of the box grow again.
    """
    # Written out: torchvision's own assigns through a mask, which a stack of runs cannot, and misses 0 for the same box by its epsilon.
    found = overlap(pred, target)
    enclosing = area(found.around)
    return 1 - found.iou + found.opened((enclosing - found.union) / above_zero(enclosing))
