"""Losses that add distances in place and shape to 1 - IoU, so that boxes without overlap have a gradient.

Of boxes [N, 4], corners x1 y1 x2 y2, the target with an area; each gives [N], 0 for the same box. Written as
    l = 1 - IoU + ...
with d the vector between the centres, C_w and C_h the sides of the enclosing box, and w, h the sides of each box. A star marks
the target. Gradient descent makes the sides of a prediction with swapped corners grow again. Sources, defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from losslab.box_geometry import Overlap, above_zero, overlap, squared_length
from losslab.losses.base import register


def distance(found: Overlap) -> Tensor:
    """|d|^2 / (C_w^2 + C_h^2): squared distance of the centres over the squared diagonal of the enclosing box; [N], in [0, 1].

    Swapped corners raise it towards 1.
    """
    return found.opened(squared_length(found.between_centres) / above_zero(squared_length(found.around)))


@register
def diou(pred: Tensor, target: Tensor) -> Tensor:
    """DIoU: 1 - IoU + the squared distance of the centres, over the squared diagonal of the enclosing box.

    The name is short for Distance IoU. Boxes far from the target move straight towards it.

    l = 1 - IoU + |d|^2 / (C_w^2 + C_h^2), with d the vector between the centres and C_w, C_h the sides of the enclosing box.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], in [0, 2]. The unit of the corners does not matter.

    For a box inside the target and with the same centre it equals `iou`. `ciou` and `efficient_iou` add terms for the shape.
    """
    found = overlap(pred, target)
    return 1 - found.iou + distance(found)


@register
def ciou(pred: Tensor, target: Tensor) -> Tensor:
    """CIoU: `diou` plus a term for the difference in aspect ratio. Many detectors of the YOLO family use it.

    l = 1 - IoU + |d|^2 / (C_w^2 + C_h^2) + a v, with v = 4 / pi^2 (atan(w*/h*) - atan(w/h))^2, a = v / (1 - IoU + v) held
    fixed. d, C_w and C_h are as in `diou`.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], in [0, 3]. The unit of the corners does not matter.

    The name is short for Complete IoU. v is 0 for a box of the right ratio and the wrong size, and its gradient grows as
    1 / side; `efficient_iou` has neither problem. The authors' code leaves out that growth. Here, as in torchvision, the
    gradient of v is exact. A side below a millionth of the target's counts as a millionth, as w/h has no limit at 0/0.
    """
    found = overlap(pred, target)
    shared = found.iou
    shape = (
        4 / math.pi**2 * (_angle(found.target_sides) - _angle(found.sides.maximum(1e-6 * found.target_sides))).square()
    )
    weight = (shape / above_zero(1 - shared + shape)).detach()
    return 1 - shared + distance(found) + weight * shape


def _angle(sides: Tensor) -> Tensor:
    width, height = sides.unbind()
    return (width / height).atan()


@register
def efficient_iou(pred: Tensor, target: Tensor) -> Tensor:
    """EIoU: `diou` plus the squared errors of width and height, over the squared sides of the enclosing box.

    All four numbers of a box have a gradient, with overlap and without.

    l = 1 - IoU + |d|^2 / (C_w^2 + C_h^2) + (w - w*)^2 / C_w^2 + (h - h*)^2 / C_h^2. d, C_w and C_h are as in `diou`.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], in [0, 4]. The unit of the corners does not matter.

    This is the Efficient IoU of Zhang et al. The Extended IoU of Peng and Yu (2021), also called EIoU, is another loss. The
    sides C are not held fixed in the gradient. A side below 0 counts as 0 in the last two terms.
    """
    found = overlap(pred, target)
    missing = found.sides.clamp(min=0) - found.target_sides
    return 1 - found.iou + distance(found) + squared_length(missing / above_zero(found.around))


def misshape(found: Overlap) -> Tensor:
    """|w - w*| / max(w, w*), and of the heights, [2, N]: 0 for equal sides, 1 for no side, above 1 for a swapped one."""
    return (found.sides - found.target_sides).abs() / torch.maximum(found.sides, found.target_sides)


@register
def siou(pred: Tensor, target: Tensor, *, theta: float | Tensor) -> Tensor:
    """SIoU: 1 - IoU + bounded terms for the distance of the centres and for the errors of width and height.

    A shift along an axis costs more than a diagonal shift of the same length.

    l = 1 - IoU + (D + S) / 2, with D the sum over x and y of 1 - exp(-(2 - A) (d_x / C_w)^2), A = sin(2 angle of d), and S
    the sum over width and height of (1 - exp(-|w - w*| / max(w, w*)))^theta. d and C_w are as in `diou`.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        theta: >= 1; the larger, the less small errors of shape count. The paper tried 2 to 6.

    Returns:
        [N], in [0, 3]. The unit of the corners does not matter.

    The exponent is negative, as in the paper. One widely used library has a positive one: far boxes then cost less than near
    ones, and are pushed away. A is undefined where the centres meet, but its factor is 0 there. Swapped corners raise
    (D + S) / 2 towards 2.
    """
    found = overlap(pred, target)
    way = found.between_centres
    angle = 2 * way.prod(0).abs() / above_zero(squared_length(way))
    away = -((angle - 2) * (way / above_zero(found.around)).square()).expm1()
    shape = -(-misshape(found)).expm1()
    return 1 - found.iou + 2 * found.opened((away + shape**theta).sum(0) / 4)


@register
def mpdiou(pred: Tensor, target: Tensor, *, width: float | Tensor, height: float | Tensor) -> Tensor:
    """MPDIoU: 1 - IoU + the squared distances of both corners, over the squared diagonal of the picture.

    l = 1 - IoU + (|upper left - upper left*|^2 + |lower right - lower right*|^2) / (width^2 + height^2).

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        width: > 0; width of the picture, in the unit of the corners: 1 if they are shares of it.
        height: > 0; height of the picture.

    Returns:
        [N], at least 0; at most 3 for boxes within the picture.

    The second part measures place and size together. It is 4 `mse` of the corners / (width^2 + height^2). For small boxes in a
    large picture it is near 0, so only `iou` remains. The loss depends on the unit of the corners, through the picture's size.
    """
    corners = (pred - target).square().sum(-1)
    return 1 - overlap(pred, target).iou + corners / (width**2 + height**2)
