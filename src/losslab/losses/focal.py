"""Focal loss and related losses, which down-weight easy samples. p is softmax or sigmoid. Sources, defaults: conf/loss/<name>.yaml."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import distribution, of_true_class
from losslab.losses.regression import mean_over_outputs


def power(base: Tensor, exponent: float | Tensor) -> Tensor:
    """base^exponent for base >= 0, with the gradient 0 at 0. There, an exponent below 1 would make it infinite and then NaN."""
    return base.clamp(min=torch.finfo(base.dtype).tiny) ** exponent


def focal_cost(log_p: Tensor, gamma: float | Tensor, gradient: str = "full") -> Tensor:
    """-(1 - p)^gamma log p, from log p; with the gradient "held" the factor before the logarithm is held fixed."""
    return held(power(-log_p.expm1(), gamma), gradient) * -log_p


def held(factor: Tensor, gradient: str) -> Tensor:
    """A factor that is held fixed in the gradient, if the word says so."""
    return factor.detach() if gradient == "held" else factor


@register
def focal(pred: Tensor, target: Tensor, *, gamma: float | Tensor) -> Tensor:
    """Focal loss: cross-entropy times (1 - p)^gamma, which gives samples that are already right a small weight.

    Many easy samples then do not outweigh the few hard ones.

    l = -(1 - p_y)^gamma log p_y. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        gamma: at least 0.

    Returns:
        [N], at least 0.

    gamma = 0 gives `cross_entropy`, for a binary logit `bce_with_logits`. The binary alpha of the paper and of most libraries
    is the weight of the positive class: alpha = 0.25 is class_weights = [0.75, 0.25]. Here the default has no class weights.
    Do not use it with noisy labels: wrong labels are among the hard samples.
    """
    return of_true_class(lambda log_p: focal_cost(log_p, gamma), pred, target)


@register
def asymmetric_single_label(
    pred: Tensor, target: Tensor, *, gamma_pos: float | Tensor, gamma_neg: float | Tensor, smoothing: float | Tensor
) -> Tensor:
    """Asymmetric loss for a single label: cross-entropy with label smoothing whose terms fade with the other classes' probabilities.

    l = -(1 - s + s/K) (1 - p_y)^gamma_pos log p_y - s/K sum_(k != y) p_k^gamma_neg log p_k. p is the softmax of the logits, y
    the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        gamma_pos: at least 0, focusing for the true class.
        gamma_neg: at least 0, focusing for the others; it has an effect only if s > 0.
        smoothing: s in [0, 1].

    Returns:
        [N], at least 0.

    s = 0 gives `focal`; both gammas 0 give `cross_entropy` with that label smoothing. The authors take gamma_pos = 0, as here;
    timm takes 1.
    """
    log_p = pred.log_softmax(-1)
    share = smoothing / pred.shape[-1]
    t = distribution(pred, target)
    true = (1 - smoothing + share) * focal_cost(log_p, gamma_pos)
    others = -share * (gamma_neg * log_p).exp() * log_p
    return (t * true + (1 - t) * others).sum(-1)


@register
def asymmetric(
    pred: Tensor,
    target: Tensor,
    *,
    gamma_pos: float | Tensor,
    gamma_neg: float | Tensor,
    clip: float | Tensor,
    gradient: str,
) -> Tensor:
    """ASL (asymmetric loss): focal loss with a gamma for each class, and no loss for the easiest negatives; for rare positives.

    l = -t (1 - p)^gamma_pos log p - (1 - t) q^gamma_neg log(1 - q), with q = max(p - clip, 0). p is the sigmoid of the logit,
    t the target.

    Args:
        pred: logits [N].
        target: [N], in [0, 1].
        gamma_pos: at least 0.
        gamma_neg: at least 0. Above gamma_pos, easy negatives get a smaller weight than easy positives.
        clip: in [0, 1); negatives with p below it have loss 0 and gradient 0.
        gradient: full; or held: the factor before the log is held fixed, as in the authors' code by default.

    Returns:
        [N] (the mean over further axes), at least 0.

    If both gammas are g and clip is 0, it equals `focal` with gamma = g. A negative costs at most -log clip. The authors' code
    sums the losses. Their default for gamma_pos is 1, as here; they train with 0.
    """
    log_p, log_not_p = F.logsigmoid(pred), F.logsigmoid(-pred)
    log_not_q = torch.logaddexp(log_not_p, torch.as_tensor(clip, dtype=pred.dtype, device=pred.device).log()).clamp(
        max=0
    )
    positive = -held((gamma_pos * log_not_p).exp(), gradient) * log_p
    negative = -held(power(-log_not_q.expm1(), gamma_neg), gradient) * log_not_q
    return mean_over_outputs(target * positive + (1 - target) * negative)


@register
def quality_focal(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """QFL (quality focal loss): focal loss for a target between no and yes, such as the IoU of a detected box.

    l = |t - p|^beta (-t log p - (1 - t) log(1 - p)). p is the sigmoid of the logit, t the target.

    Args:
        pred: logits [N].
        target: [N], in [0, 1]: 0 for no object, else how good the box is.
        beta: at least 0.

    Returns:
        [N] (the mean over further axes), at least 0; 0 where p = t, for beta above 0.

    For t = 0 and t = 1 it is `focal` with gamma = beta; beta = 0 gives `bce_with_logits`. Smoothing and class weights change t first,
    so weights do not multiply the losses of yes and no as in other losses.
    """
    bce = F.binary_cross_entropy_with_logits(pred, target, reduction="none")
    # |t - p| from the tail that keeps its digits: 1 - p for a yes, p for a no
    apart = torch.where(target > 0.5, (-pred).sigmoid() - (1 - target), pred.sigmoid() - target).abs()
    return mean_over_outputs(power(apart, beta) * bce)


@register
def varifocal(pred: Tensor, target: Tensor, *, alpha: float | Tensor, gamma: float | Tensor) -> Tensor:
    """Varifocal loss: binary cross-entropy with the quality of a box as target and as weight; only negatives are focused.

    l = -t (t log p + (1 - t) log(1 - p)) for t > 0, and -alpha p^gamma log(1 - p) for t = 0. p is the sigmoid of the logit, t the
    target.

    Args:
        pred: logits [N].
        target: [N], in [0, 1]: 0 for no object, else how good the box is.
        alpha: at least 0, weight of the negatives.
        gamma: at least 0, focusing of the negatives.

    Returns:
        [N] (the mean over further axes), at least 0; for 0 < t < 1 it is least where p = t, and not 0 there.

    Smoothed targets are all above 0, and so none of them is a negative.
    """
    bce = F.binary_cross_entropy_with_logits(pred, target, reduction="none")
    negative = alpha * (gamma * F.logsigmoid(pred)).exp()
    return mean_over_outputs(torch.where(target > 0, target, negative) * bce)
