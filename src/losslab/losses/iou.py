"""Losses on the overlap of boxes. Sources and defaults: conf/loss/<name>.yaml.

A box is corners x1 y1 x2 y2 [N, 4]. A target has x1 < x2 and y1 < y2; a prediction may be anything. One whose corners are
swapped in x has no width and lies at its centre, so it is never a match; likewise in y.
"""

from __future__ import annotations

from torch import Tensor

from losslab.box_geometry import above_zero, area, overlap
from losslab.losses.base import register


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
