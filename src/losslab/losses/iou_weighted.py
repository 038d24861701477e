"""Losses that change the weight of boxes that overlap well, by a power of the IoU or by a weight held fixed in the gradient.

Of boxes [N, 4], corners x1 y1 x2 y2, the target with an area; each gives [N], 0 for the same box. The unit of the corners
does not matter. Sources and defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.box_geometry import above_zero, overlap, squared_length
from losslab.losses.base import keeps, register
from losslab.losses.iou_distance import efficient_iou


@register
def alpha_iou(pred: Tensor, target: Tensor, *, alpha: float | Tensor) -> Tensor:
    """Alpha-IoU: 1 - IoU^alpha; with alpha above 1, boxes that overlap well have the largest gradients.

    Accurate boxes are favoured, and boxes with bad labels count for less.

    l = 1 - IoU^alpha, with derivative -alpha IoU^(alpha - 1).

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        alpha: > 0.

    Returns:
        [N], in [0, 1].

    alpha = 1 gives `iou`, alpha = 2 its square form; l / alpha -> -log IoU, its log form, as alpha -> 0. Boxes that do not touch
    have a gradient of 0. The paper also takes powers of the terms that `giou`, `diou` and `ciou` add; that is not offered here.
    """
    found = overlap(pred, target).iou
    # For disjoint boxes, alpha below 1 would give the gradient inf * 0.
    power = torch.where(found > 0, found, 1.0) ** alpha
    return 1 - torch.where(found > 0, power, 0.0)


@register
def focal_eiou(pred: Tensor, target: Tensor, *, gamma: float | Tensor) -> Tensor:
    """Focal-EIoU: `efficient_iou` times IoU^gamma, so that boxes that hardly overlap count for little. There may be many such boxes.

    l = IoU^gamma efficient_iou, with IoU^gamma held fixed in the gradient.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        gamma: >= 0.

    Returns:
        [N], at least 0. It is 0 for disjoint boxes too, so this loss is for predictions that begin near their target.

    gamma = 0 gives `efficient_iou`. The paper calls the power a weight and does not say whether it is held fixed. If it were
    not, boxes with an IoU below about 1/3 (for gamma = 0.5) would be pushed apart, as the loss falls in that direction.
    """
    return overlap(pred, target).iou.detach() ** gamma * efficient_iou(pred, target)


def _next_mean(pred: Tensor, target: Tensor, *, mean: Tensor, momentum: float, **_: object) -> dict[str, Tensor]:
    return {"mean": mean + momentum * ((1 - overlap(pred, target).iou).mean() - mean)}


@register
@keeps(running={"mean": 1.0}, update=_next_mean)
def wise_iou(
    pred: Tensor,
    target: Tensor,
    *,
    version: str,
    alpha: float | Tensor,
    delta: float | Tensor,
    gamma: float | Tensor,
    momentum: float | Tensor,
    mean: Tensor,
) -> Tensor:
    """Wise-IoU: 1 - IoU, times a factor for the distance of the centres and a weight from the running mean of 1 - IoU.

    Under v3 both very good and very bad boxes get little weight.

    l = r exp(|d|^2 / (C_w^2 + C_h^2)) (1 - IoU), with d the vector between the centres, and the sides C of the enclosing box
    held fixed in the gradient. r = 1 (v1), b^gamma (v2) or b / (delta alpha^(b - delta)) (v3), where b = (1 - IoU) / running
    mean of 1 - IoU; r is held fixed too.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        version: v1, v2 or v3.
        alpha: > 1; of v3: the weight rises up to b = 1 / ln alpha and falls beyond it.
        delta: > 0; of v3: the b at which the weight is 1.
        gamma: >= 0; of v2.
        momentum: in (0, 1]; the share of the new batch in the running mean, at each training step.
        mean: the running mean; begins at 1.

    Returns:
        [N], at least 0.

    With gamma = 0, v2 equals v1. The authors take a momentum of 1 - 0.05^(1 / steps until the gain in accuracy slows down). By
    then 95 % of the first mean is forgotten. For disjoint boxes only the factor exp has a gradient; it is at most e.
    """
    found = overlap(pred, target)
    missing = 1 - found.iou
    farness = squared_length(found.between_centres) / above_zero(squared_length(found.around.detach()))
    loss = farness.exp() * missing
    if version == "v1":
        return loss
    beside = missing.detach() / mean.clamp(min=torch.finfo(missing.dtype).eps)
    return loss * (beside**gamma if version == "v2" else beside / delta * alpha ** (delta - beside))
