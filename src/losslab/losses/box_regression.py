"""Losses made for boxes that use each coordinate separately. Sources and defaults: conf/loss/<name>.yaml."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from losslab.box_geometry import overlap
from losslab.losses.base import register
from losslab.losses.iou_distance import misshape
from losslab.losses.regression import mean_over_outputs, smoothl1


@register
def balanced_l1(
    pred: Tensor, target: Tensor, *, alpha: float | Tensor, gamma: float | Tensor, beta: float | Tensor
) -> Tensor:
    """Balanced L1: like `smoothl1`, linear beyond `beta`, but with larger gradients for small errors.

    With e = |pred - target| and b = exp(gamma / alpha) - 1, so that the slopes agree at beta:
    l = alpha / b (b e + beta) log(b e / beta + 1) - alpha e if e < beta, else gamma e + beta (gamma / b - alpha).

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        alpha: > 0; the smaller, the larger the gradient of small errors. gamma / alpha must lie between 0.001 and 88, so that b
            fits float32.
        gamma: > 0; the gradient of every error beyond beta.
        beta: > 0, in the unit of the target.

    Returns:
        [N], at least 0: the mean over the outputs.

    alpha -> 0 gives gamma `l1`, alpha -> inf gives gamma `smoothl1`. The gradient rises steeply from 0, so that small errors
    count for more beside outliers. The loss is beta times the loss of e / beta with beta = 1, the only beta of the paper.
    mmdetection leaves beta out of one factor, which makes the loss negative for a beta above 1.
    """
    error = (pred - target).abs()
    inner = error.clamp(max=beta)
    shape = gamma / alpha
    if isinstance(shape, float) and not 1e-3 < shape < 88:
        raise ValueError(f"gamma / alpha of balanced_l1 must lie between 0.001 and 88, and {shape:g} does not.")
    steepness = math.e**shape - 1
    curve = (inner + beta / steepness) * (steepness / beta * inner).log1p() - inner
    return mean_over_outputs(alpha * curve + gamma * (error - inner))


@register
def box_l1(pred: Tensor, target: Tensor) -> Tensor:
    """Box L1: the absolute errors of centre x, centre y, width and height, added. DETR trains boxes with it, beside `giou`.

    l = |x - x*| + |y - y*| + |w - w*| + |h - h*|, with x, y the centres.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], at least 0, in the unit of the corners: here, as in DETR, shares of the picture.

    `l1` on boxes is another loss: the mean absolute error of the four corner coordinates.
    """
    found = overlap(pred, target)
    return (found.between_centres.abs() + (found.sides - found.target_sides).abs()).sum(0)


@register
def bounded_iou(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """Bounded IoU: `smoothl1` on a bound of the IoU lost in each of x, y, width and height, added.

    Each of the four numbers has a gradient of its own.

    l = the sum over x, y, width and height of smoothl1(1 - bound), with the bounds max(0, (w* - 2 |d_x|) / (w* + 2 |d_x|))
    and min(w / w*, w* / w), and d the vector between the centres. So 1 - bound is min(1, 4 |d_x| / (w* + 2 |d_x|)) or |w -
    w*| / max(w, w*).

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        beta: > 0; the value of 1 - bound at which the loss changes from quadratic to linear.

    Returns:
        [N], at least 0; below 4 where corners are in order. The unit of the corners does not matter.

    In width and height the bound is the IoU of a box that is wrong there alone. In x and y it is the IoU of a shift twice as
    long, as in the paper. If the centre is further off in x than half the target's width, there is no gradient in x (likewise
    in y with the height). So this loss is for boxes that begin near their target.
    """
    found = overlap(pred, target)
    apart = found.between_centres.abs()
    place = (4 * apart / (found.target_sides + 2 * apart)).clamp(max=1)
    missing = torch.cat([place, misshape(found)]).T
    return 4 * smoothl1(missing, torch.zeros_like(missing), beta=beta)
