"""Losses on boxes, corners x1 y1 x2 y2 [N, 4] with x1 < x2 and y1 < y2. Sources and defaults: conf/loss/<name>.yaml."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from losslab.losses.base import register


class Overlap(NamedTuple):
    """How two boxes lie to one another: areas [N], and the smallest box around both [N]."""

    intersection: Tensor
    union: Tensor
    enclosing: Tensor

    @property
    def iou(self) -> Tensor:
        """Intersection over union [N], in [0, 1]; 0 for two boxes without area."""
        return self.intersection / self.union.clamp(min=torch.finfo(self.union.dtype).tiny)


def overlap(pred: Tensor, target: Tensor) -> Overlap:
    """Areas for boxes [N, 4]. A box whose corners are swapped counts as one without area, never as a perfect match.

    float16 is taken as float32: the area of a box of 256 pixels a side would be infinite, that of a small one nothing.
    """
    if pred.dtype == torch.float16:
        pred, target = pred.float(), target.float()
    sides_pred = (pred[..., 2:] - pred[..., :2]).clamp(min=0)
    sides_target = (target[..., 2:] - target[..., :2]).clamp(min=0)
    shared = (torch.minimum(pred[..., 2:], target[..., 2:]) - torch.maximum(pred[..., :2], target[..., :2])).clamp(
        min=0
    )
    around = torch.maximum(pred[..., 2:], target[..., 2:]) - torch.minimum(pred[..., :2], target[..., :2])
    intersection = _area(shared)
    return Overlap(intersection, _area(sides_pred) + _area(sides_target) - intersection, _area(around))


def _area(sides: Tensor) -> Tensor:
    return sides[..., 0] * sides[..., 1]


@register
def giou(pred: Tensor, target: Tensor) -> Tensor:
    """Share of the boxes' union that is not common, plus how much empty room the box around both has: pulls even when they are apart.

    l = 1 - IoU + (C - U) / C, with U the area of the union and C that of the smallest box around both.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], in [0, 2): 0 for the same box, towards 2 for small boxes far apart. The unit of the corners does not matter.

    1 - IoU alone has no gradient between disjoint boxes. Written out, as torchvision's own assigns through a mask, which
    a stack of runs cannot, and misses 0 for the same box by its epsilon.
    """
    found = overlap(pred, target)
    empty = (found.enclosing - found.union) / found.enclosing.clamp(min=torch.finfo(found.enclosing.dtype).tiny)
    return (1 - found.iou + empty).to(pred.dtype)
