"""Losses that compare boxes as normal distributions: centred where the box is, with half its sides as standard deviations.

They have a gradient for disjoint boxes, and change smoothly where the IoU jumps. Of boxes [N, 4], corners x1 y1 x2 y2, the
target with an area; each gives [N], in [0, 1], 0 for the same box. Sources and defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from losslab.box_geometry import overlap
from losslab.losses.base import register
from losslab.losses.robust import log1p_square


@register
def nwd(pred: Tensor, target: Tensor, *, constant: float | Tensor) -> Tensor:
    """NWD (normalized Wasserstein distance): 1 - exp(-W / constant), with W the distance of two boxes taken as normal distributions.

    l = 1 - exp(-W / constant), with W^2 = |d|^2 + ((w - w*)^2 + (h - h*)^2) / 4, and d the vector between the centres. W is the
    Wasserstein distance of the two. W^2 is half the squared distance of the corners, taken as points of four numbers.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        constant: > 0, in the unit of the corners: the W at which the loss is 0.63. The paper takes the mean size of its objects.

    Returns:
        [N], in [0, 1]. The gradient does not fade near the target. Far from it, it fades as exp(-W / constant), so boxes more than
        some tens of constants apart do not move.

    It suits tiny boxes, which can lose all overlap by a shift of one pixel. constant * l -> W = sqrt(2 `mse` of the corners) for
    large constants.
    """
    # The gradient of a norm is 0 at 0; that of a root of squares would be NaN.
    distance: Tensor = torch.linalg.vector_norm(pred - target, dim=-1) / math.sqrt(2)
    return -(-distance / constant).expm1()


@register
def gwd(pred: Tensor, target: Tensor, *, tau: float | Tensor, shape: str, unit: float | Tensor) -> Tensor:
    """GWD loss: a bounded function of the Wasserstein distance of two boxes taken as normal distributions, with a heavy tail.

    l = 1 / tau - 1 / (tau + f), with f = log(1 + (W / unit)^2) or W / unit, and W as in `nwd`.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        tau: > 0; the smaller, the sooner the loss saturates. The authors ask for at least 1.
        shape: log1p or sqrt, the function f of W^2.
        unit: > 0, in the unit of the corners; the paper takes W as it is, in pixels.

    Returns:
        [N], in [0, 1 / tau). Far from the target the gradient fades as 1 / W^2 or 1 / (W log^2 W), much slower than that of `nwd`.

    The authors have 1 in the place of 1 / tau. Here the same box costs 0 for every tau. Later code of theirs divides W by the
    geometric mean of the four sides; that is not offered here, as it is undefined for a predicted box without area.
    """
    distance: Tensor = torch.linalg.vector_norm(pred - target, dim=-1) / math.sqrt(2) / unit
    found = distance if shape == "sqrt" else log1p_square(distance)
    return found / (tau * (tau + found))


@register
def gaussian_kld(pred: Tensor, target: Tensor, *, tau: float | Tensor, direction: str) -> Tensor:
    """KLD loss: a bounded function of the Kullback-Leibler divergence of two boxes taken as normal distributions.

    Each error counts relative to the width or height of one of the two boxes.

    l = 1 / tau - 1 / (tau + log(1 + D)), with D the sum over x and y of 2 (d / s)^2 + ((r / s)^2 - 1) / 2 - log(r / s), and d
    the vector between the centres. For D = KL(target || pred), s is the predicted side and r the target's. For KL(pred ||
    target) it is the other way round.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        tau: > 0; the smaller, the sooner the loss saturates. The paper asks for at least 1.
        direction: target_pred, KL(target || pred), as the authors' code, but without its root of D; or pred_target, KL(pred || target).

    Returns:
        [N], in [0, 1 / tau). The unit of the corners does not matter.

    target_pred is strictest for small predictions, pred_target for small targets. The paper has 1 in the place of 1 / tau. Here
    the same box costs 0 for every tau. Below w = w* / 1000, D continues as its tangent there (pred_target: its logarithm does).
    So a box without width, or with swapped corners, still has a gradient that makes its sides grow.
    """
    found = overlap(pred, target)
    kept = found.sides.maximum(1e-3 * found.target_sides)
    below = found.sides - kept  # 0 for all but such boxes
    own = kept if direction == "target_pred" else found.target_sides
    other = found.target_sides if direction == "target_pred" else found.sides
    error = (other - own) / own
    centre = 2 * (found.between_centres / own).square()
    if direction == "target_pred":
        each = centre + error + error.square() / 2 - error.log1p()
        each = each - below / own * (2 * centre + error * (2 + error))
    else:
        logarithm = ((kept - own) / own).log1p() + 1000 * below / own
        each = centre + error + error.square() / 2 - logarithm
    divergence = each.sum(0).log1p()
    return divergence / (tau * (tau + divergence))
