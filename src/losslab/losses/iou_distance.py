"""Losses that add to 1 - IoU how far boxes are apart in place and shape, so that they pull where there is no overlap.

Of boxes [N, 4], corners x1 y1 x2 y2, the target with an area; each gives [N], 0 for the same box. Written as
    l = 1 - IoU + ...
with d the way between the centres, C_w and C_h the sides of the smallest box around both, and w, h the sides of each box.
A prediction whose corners are swapped is opened again: gradient descent makes its sides grow. Sources and defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from losslab.box_geometry import Overlap, above_zero, overlap, squared_length
from losslab.losses.base import register


def distance(found: Overlap) -> Tensor:
    """|d|^2 / (C_w^2 + C_h^2): squared way between the centres, in diagonals of the box around both; [N], in [0, 1].

    Swapped corners raise it towards 1.
    """
    return found.opened(squared_length(found.between_centres) / above_zero(squared_length(found.around)))


@register
def diou(pred: Tensor, target: Tensor) -> Tensor:
    """Share of the union that is not common, plus the squared distance of the centres: pulls far boxes straight at the target.

    l = 1 - IoU + |d|^2 / (C_w^2 + C_h^2).

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], in [0, 2]. The unit of the corners does not matter.

    A box inside the target and with its centre gets no more than from `iou`; `ciou` and `efficient_iou` add its shape.
    """
    found = overlap(pred, target)
    return 1 - found.iou + distance(found)


@register
def ciou(pred: Tensor, target: Tensor) -> Tensor:
    """As `diou`, plus how much the ratio of width to height differs: the loss of many detectors of the YOLO kind.

    l = 1 - IoU + |d|^2 / (C_w^2 + C_h^2) + a v, with v = 4 / pi^2 (atan(w*/h*) - atan(w/h))^2, a = v / (1 - IoU + v) held fixed.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], in [0, 3]. The unit of the corners does not matter.

    v says nothing of a box of the right ratio and the wrong size, and its gradient grows as 1 / side: `efficient_iou` mends
    both. The authors' code leaves out that growth; here, as in torchvision, the gradient of v is its own. A side below
    a millionth of the target's counts as that, as w/h has no limit at 0/0.
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
    """As `diou`, plus the squared errors of width and of height: all four numbers of a box are pulled, overlap or not.

    l = 1 - IoU + |d|^2 / (C_w^2 + C_h^2) + (w - w*)^2 / C_w^2 + (h - h*)^2 / C_h^2.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], in [0, 4]. The unit of the corners does not matter.

    The EIoU of Zhang et al.; the one of Peng and Yu (2021), extended IoU, is another loss. The sides C are not held fixed.
    A side below 0 counts as 0 in the last two terms.
    """
    found = overlap(pred, target)
    missing = found.sides.clamp(min=0) - found.target_sides
    return 1 - found.iou + distance(found) + squared_length(missing / above_zero(found.around))


def misshape(found: Overlap) -> Tensor:
    """|w - w*| / max(w, w*), and of the heights, [2, N]: 0 for equal sides, 1 for no side, above 1 for a swapped one."""
    return (found.sides - found.target_sides).abs() / torch.maximum(found.sides, found.target_sides)


@register
def siou(pred: Tensor, target: Tensor, *, theta: float | Tensor) -> Tensor:
    """As `diou`, but a way along an axis costs more than one of the same length aslant, and each side's error saturates.

    l = 1 - IoU + (D + S) / 2, with D the sum over x and y of 1 - exp(-(2 - A) (d_x / C_w)^2), A = sin(2 angle of d), and
    S that over width and height of (1 - exp(-|w - w*| / max(w, w*)))^theta.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        theta: >= 1; how late an error of shape begins to count. The paper tried 2 to 6.

    Returns:
        [N], in [0, 3]. The unit of the corners does not matter.

    The exponent is negative, as in the paper: with a positive one, found in one widely used library, far boxes cost less
    than near ones and are pushed away. A has no value where the centres meet, but what it is multiplied with is 0 there.
    Swapped corners raise (D + S) / 2 towards 2.
    """
    found = overlap(pred, target)
    way = found.between_centres
    angle = 2 * way.prod(0).abs() / above_zero(squared_length(way))
    away = -((angle - 2) * (way / above_zero(found.around)).square()).expm1()
    shape = -(-misshape(found)).expm1()
    return 1 - found.iou + 2 * found.opened((away + shape**theta).sum(0) / 4)


@register
def mpdiou(pred: Tensor, target: Tensor, *, width: float | Tensor, height: float | Tensor) -> Tensor:
    """Share of the union that is not common, plus the squared distances of both corners: one term for place and size together.

    l = 1 - IoU + (|upper left - upper left*|^2 + |lower right - lower right*|^2) / (width^2 + height^2).

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        width: > 0; of the picture, in the unit of the corners: 1 where they are shares of it.
        height: > 0; of the picture.

    Returns:
        [N], at least 0; at most 3 for boxes within the picture.

    The second part is 4 `mse` of the corners / (width^2 + height^2): for small boxes in a large picture it is near 0, and
    what is left is `iou`. It is the only loss of this file that depends on the unit, through the picture's size.
    """
    corners = (pred - target).square().sum(-1)
    return 1 - overlap(pred, target).iou + corners / (width**2 + height**2)
