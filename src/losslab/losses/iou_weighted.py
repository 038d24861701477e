"""Losses that give more or less weight to boxes that overlap well, by a power of the IoU or a weight held fixed.

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
    """A power of the IoU: with alpha above 1 boxes that overlap well pull hardest, which asks for accuracy and shrugs at bad labels.

    l = 1 - IoU^alpha, with derivative -alpha IoU^(alpha - 1).

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        alpha: > 0.

    Returns:
        [N], in [0, 1].

    alpha = 1 gives `iou`, 2 its square form; l / alpha -> -log IoU, its log form, as alpha -> 0. Boxes that do not touch
    have a gradient of 0. The paper also puts powers on what `giou`, `diou` and `ciou` add, which is not offered here.
    """
    found = overlap(pred, target).iou
    # Where boxes are apart, alpha below 1 would have a gradient of inf * 0.
    power = torch.where(found > 0, found, 1.0) ** alpha
    return 1 - torch.where(found > 0, power, 0.0)


@register
def focal_eiou(pred: Tensor, target: Tensor, *, gamma: float | Tensor) -> Tensor:
    """`efficient_iou` times a power of the IoU: boxes that hardly overlap, of which there may be many, count for little.

    l = IoU^gamma efficient_iou, with IoU^gamma held fixed in the gradient.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        gamma: >= 0.

    Returns:
        [N], at least 0. A loss of 0 is also that of boxes that are apart: it is for predictions that begin near their target.

    gamma = 0 gives `efficient_iou`. The paper calls the power a weight and does not say whether it is held fixed; were it
    not, the loss would fall as boxes with an IoU below about 1/3 (for gamma = 0.5) part, and push them away.
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
    """1 - IoU, more for a distant centre, weighted by how the box compares with the running mean: spares both easy and hopeless boxes.

    l = r exp(|d|^2 / (C_w^2 + C_h^2)) (1 - IoU), with the sides C of the box around both held fixed, and
    r = 1 (v1), b^gamma (v2) or b / (delta alpha^(b - delta)) (v3), held fixed, where b = (1 - IoU) / running mean of 1 - IoU.

    Args:
        pred: boxes [N, 4].
        target: boxes [N, 4], with an area.
        version: v1, v2 or v3.
        alpha: > 1; of v3: the weight rises up to b = 1 / ln alpha and falls beyond it.
        delta: > 0; of v3: the b at which the weight is 1.
        gamma: >= 0; of v2.
        momentum: in (0, 1]; how much of the running mean is new at each training step.
        mean: the running mean; 1 at first.

    Returns:
        [N], at least 0.

    gamma = 0 makes v1 of v2. The authors take a momentum of 1 - 0.05^(1 / steps until the gain in accuracy slows down), which
    forgets 95 % of the first mean by then. Boxes that are apart are pulled by the factor exp only, which is at most e.
    """
    found = overlap(pred, target)
    missing = 1 - found.iou
    farness = squared_length(found.between_centres) / above_zero(squared_length(found.around.detach()))
    loss = farness.exp() * missing
    if version == "v1":
        return loss
    beside = missing.detach() / mean.clamp(min=torch.finfo(missing.dtype).eps)
    return loss * (beside**gamma if version == "v2" else beside / delta * alpha ** (delta - beside))
