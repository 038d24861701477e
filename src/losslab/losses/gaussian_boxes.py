"""Losses that compare boxes as normal distributions: centred where the box is, with half its sides as standard deviations.

They pull boxes together that are apart, and change smoothly where the IoU jumps. Of boxes [N, 4], corners x1 y1 x2 y2, the
target with an area; each gives [N], in [0, 1], 0 for the same box. Sources and defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from losslab.box_geometry import overlap
from losslab.losses.base import register


@register
def nwd(pred: Tensor, target: Tensor, *, constant: float | Tensor) -> Tensor:
    """How far the normal distributions of two boxes are from one another: kind to tiny boxes, which a pixel can rob of all overlap.

    l = 1 - exp(-W / constant), with W^2 = |d|^2 + ((w - w*)^2 + (h - h*)^2) / 4, d the way between the centres: the
    squared Wasserstein distance of the two, which is half the squared distance of the corners as points of four numbers.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        constant: > 0, in the unit of the corners: the W at which the loss is 0.63. The paper takes the mean size of its objects.

    Returns:
        [N], in [0, 1]. The pull does not fade near the target, as that of W does not, and fades as exp(-W / constant) far
        from it: boxes further than some tens of constants apart stay where they are.

    l constant -> W = sqrt(2 `mse` of the corners) for large constants.
    """
    # A norm has the gradient 0 at 0, where a root of squares would have NaN.
    distance: Tensor = torch.linalg.vector_norm(pred - target, dim=-1) / math.sqrt(2)
    return -(-distance / constant).expm1()


@register
def gaussian_kld(pred: Tensor, target: Tensor, *, tau: float | Tensor, direction: str) -> Tensor:
    """How badly the normal distribution of one box describes the other's: each error counts in the width or height of one of the two.

    l = 1 / tau - 1 / (tau + log(1 + D)), with D the sum over x and y of 2 (d / s)^2 + ((r / s)^2 - 1) / 2 - log(r / s), d the
    way between the centres. Of D = KL(target || pred), s is the predicted side and r the target's; of KL(pred || target) the
    other way round.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        tau: > 0; the smaller, the sooner the loss saturates. The paper asks for at least 1.
        direction: target_pred, KL(target || pred), as the authors' code, whose root of D is left out; or pred_target, KL(pred || target).

    Returns:
        [N], in [0, 1 / tau). The unit of the corners does not matter.

    target_pred asks most of small predictions, pred_target of those for small targets. The paper has 1 where we have 1 / tau,
    so that the same box costs 0 for every tau. D goes on below w = w* / 1000 as its tangent there (of pred_target its
    logarithm), so that a box without width, or with its corners swapped, is still pulled open.
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
