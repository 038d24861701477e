"""Losses on masks: how well the pixels of an object are found in a picture. One loss a picture, p the sigmoid of the logits.

Losses on a yes or no, such as `bce_with_logits` and `focal`, serve masks too, each pixel by itself. Defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.focal import power as powered


@register
def dice(pred: Tensor, target: Tensor, *, power: float | Tensor, smooth: float | Tensor) -> Tensor:
    """Dice loss: 1 minus the soft Dice score of a picture, twice the overlap over both sizes; small objects count as much as large ones.

    l = 1 - (2 sum p t + smooth) / (sum p^power + sum t^power + smooth), with the sums over the pixels of a picture.

    Args:
        pred: logits [N, H, W].
        target: [N, H, W], in [0, 1].
        power: 1 or 2, or between; 2 as in V-Net, 1 in much other code.
        smooth: > 0; keeps a gradient where the mask is empty.

    Returns:
        [N], in [0, 1). For power 1 it is 0 where p = t and t is 0 or 1; for power 2, where p = t.

    power = 1 equals `tversky` with alpha = beta = 1/2 and smooth / 2.
    """
    p = pred.sigmoid()
    shared = 2 * (p * target).sum((-1, -2)) + smooth
    sizes = (powered(p, power) + powered(target, power)).sum((-1, -2)) + smooth
    return 1 - shared / sizes


@register
def tversky(
    pred: Tensor, target: Tensor, *, alpha: float | Tensor, beta: float | Tensor, smooth: float | Tensor
) -> Tensor:
    """Tversky loss: Dice loss with a weight for false positives and one for false negatives.

    l = 1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth), with TP = sum p t, FP = sum p (1 - t), FN = sum (1 - p) t.

    Args:
        pred: logits [N, H, W].
        target: [N, H, W], in [0, 1].
        alpha: at least 0, weight of false positives.
        beta: at least 0, weight of false negatives.
        smooth: > 0.

    Returns:
        [N], in [0, 1).

    alpha = beta = 1/2 gives `dice` of power 1 with twice the smooth; alpha = beta = 1 the Jaccard (soft IoU) loss.
    """
    return _tversky(pred, target, alpha, beta, smooth)


def _tversky(
    pred: Tensor, target: Tensor, alpha: float | Tensor, beta: float | Tensor, smooth: float | Tensor
) -> Tensor:
    p, not_p = pred.sigmoid(), (-pred).sigmoid()
    wrong = (alpha * p * (1 - target) + beta * not_p * target).sum((-1, -2))
    return wrong / ((p * target).sum((-1, -2)) + wrong + smooth)


@register
def focal_tversky(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: float | Tensor,
    beta: float | Tensor,
    gamma: float | Tensor,
    smooth: float | Tensor,
) -> Tensor:
    """Focal Tversky loss: a power of `tversky`, which gives pictures that are found badly another weight than others.

    l = tversky^(1 / gamma).

    Args:
        pred: logits [N, H, W].
        target: [N, H, W], in [0, 1].
        alpha: at least 0, weight of false positives.
        beta: at least 0, weight of false negatives.
        gamma: > 0; 1: `tversky`. Above 1, pictures that are found well gain weight, without limit as the loss nears 0; below 1, they
            lose it.
        smooth: > 0.

    Returns:
        [N], in [0, 1).

    Much code has the power gamma in the place of 1 / gamma; its 3/4 is 4/3 here.
    """
    return powered(_tversky(pred, target, alpha, beta, smooth), 1 / gamma)


@register
def lovasz(pred: Tensor, target: Tensor) -> Tensor:
    """Lovasz hinge: a convex, piecewise linear extension of 1 - IoU to hinge errors of the pixels, for each picture.

    l = sum_i max(0, m_i) (J_i - J_(i - 1)), with the hinge errors m = 1 - (2 t - 1) z in falling order, and J_i = 1 - IoU if exactly
    the first i pixels in that order are wrong.

    Args:
        pred: logits z [N, H, W].
        target: [N, H, W]; a pixel belongs to the object above 1/2.

    Returns:
        [N], at least 0; 0 where all margins are at least 1.

    The authors' code has the choice of one loss for a whole batch; here it is always by picture.
    """
    yes = (target > 0.5).flatten(1)
    errors, order = (1 - torch.where(yes, pred.flatten(1), -pred.flatten(1))).sort(dim=-1, descending=True, stable=True)
    sorted_yes = yes.to(pred.dtype).gather(-1, order)
    size = sorted_yes.sum(-1, keepdim=True)
    jaccard = 1 - (size - sorted_yes.cumsum(-1)) / (size + (1 - sorted_yes).cumsum(-1))
    steps = torch.cat([jaccard[:, :1], jaccard.diff(dim=-1)], -1)
    return (errors.relu() * steps).sum(-1)


@register
def boundary(pred: Tensor, target: Tensor) -> Tensor:
    """Boundary loss: the mean distance of predicted pixels from the object, less that of pixels found inside it from its edge.

    l = mean over the pixels of p D, with D the distance to the nearest pixel of the object outside it, and inside it 1 minus the
    distance to the nearest pixel that does not belong to it. Distances are in pixels.

    Args:
        pred: logits [N, H, W].
        target: [N, H, W]; a pixel belongs to the object above 1/2.

    Returns:
        [N]; at most 0 for the best prediction. 0, and without gradient, where the mask is empty or full.

    The authors add it to a loss of the overlap, with a weight that rises in training: `sum` with terms such as "dice + 0.01*boundary".
    """
    return (pred.sigmoid() * _signed_distance(target > 0.5, pred.dtype)).mean((-1, -2))


def _signed_distance(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """D of a mask [N, H, W]."""
    both = mask.any(-1).any(-1) & ~mask.all(-1).all(-1)
    signed = torch.where(mask, 1 - _distance(~mask, dtype), _distance(mask, dtype))
    return torch.where(both[:, None, None], signed, 0.0)


def _distance(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The Euclidean distance of each pixel to the nearest one of the mask [N, H, W]: along the rows, and then along the columns."""
    height, width = mask.shape[-2:]
    far = float(height**2 + width**2)
    rows, columns = (torch.arange(size, dtype=dtype, device=mask.device) for size in (height, width))
    free = torch.where(mask, 0.0, far).to(dtype)
    along = (free[..., None, :] + (columns[:, None] - columns).square()).amin(-1)  # [N, H, W], within a row
    down = along.transpose(-1, -2)[..., None, :] + (rows[:, None] - rows).square()
    return down.amin(-1).transpose(-1, -2).clamp(max=far).sqrt()
