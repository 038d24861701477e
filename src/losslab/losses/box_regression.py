"""Losses made for boxes that look at each coordinate by itself. Sources and defaults: conf/loss/<name>.yaml."""

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
    """As `smoothl1`, linear beyond `beta`, but with a gradient that rises steeply from 0: small errors pull more beside outliers.

    With e = |pred - target| and b = exp(gamma / alpha) - 1, so that the slopes meet at beta:
    l = alpha / b (b e + beta) log(b e / beta + 1) - alpha e if e < beta, else gamma e + beta (gamma / b - alpha).

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        alpha: > 0; the smaller, the more small errors pull. gamma / alpha must lie between 0.001 and 88, or b is no float32.
        gamma: > 0; the pull of every error beyond beta.
        beta: > 0, in the unit of the target.

    Returns:
        [N], at least 0: the mean over the outputs.

    alpha -> 0 gives gamma `l1`, alpha -> inf gamma `smoothl1`. It is beta times the loss of e / beta with beta = 1, the
    only beta of the paper; mmdetection leaves beta out of one factor, which makes the loss negative for a beta above 1.
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
    """The absolute errors of centre and size, added: what DETR trains boxes with, beside `giou`.

    l = |x - x*| + |y - y*| + |w - w*| + |h - h*|, with x, y the centres.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.

    Returns:
        [N], at least 0, in the unit of the corners: here, as in DETR, shares of the picture.

    `l1` on boxes is another loss: the mean error of the four corners.
    """
    found = overlap(pred, target)
    return (found.between_centres.abs() + (found.sides - found.target_sides).abs()).sum(0)


@register
def bounded_iou(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """`smoothl1` on what each of x, y, width and height by itself costs in IoU: an IoU loss that pulls the four one by one.

    l = the sum over x, y, width and height of smoothl1(1 - bound), with the bounds max(0, (w* - 2 |d_x|) / (w* + 2 |d_x|)) and
    min(w / w*, w* / w), d the way between the centres; so 1 - bound is min(1, 4 |d_x| / (w* + 2 |d_x|)) and |w - w*| / max(w, w*).

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        beta: > 0; the 1 - bound at which quadratic turns linear.

    Returns:
        [N], at least 0; below 4 where corners are in order. The unit of the corners does not matter.

    In width and height the bound is the IoU of a box that errs there alone; in x and y that of a shift twice as long, as in
    the paper. A centre further than half the target's width from its own is not pulled along x: it is for boxes that begin near.
    """
    found = overlap(pred, target)
    apart = found.between_centres.abs()
    place = (4 * apart / (found.target_sides + 2 * apart)).clamp(max=1)
    missing = torch.cat([place, misshape(found)]).T
    return 4 * smoothl1(missing, torch.zeros_like(missing), beta=beta)
