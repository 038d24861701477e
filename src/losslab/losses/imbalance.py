"""Cross-entropies for classes of unequal size, given by `counts`, the training samples of each. Defaults: conf/loss/<name>.yaml.

With [0.0] they are counted in the training targets. A class without samples takes nothing from the others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import each_label, is_label, select


def _counts(counts: Tensor, pred: Tensor) -> Tensor:
    if len(counts) != pred.shape[-1]:
        raise ValueError(f"counts must hold one number for each of {pred.shape[-1]} classes; it holds {len(counts)}.")
    return counts


def _from_largest(pred: Tensor) -> Tensor:
    """Logits minus their largest: the softmax is the same, and what is added to them loses no digits beside large logits."""
    return pred - pred.detach().amax(-1, keepdim=True)


@register
def class_balanced(pred: Tensor, target: Tensor, *, counts: Tensor, beta: float | Tensor) -> Tensor:
    """Class-balanced cross-entropy: weights each class by the inverse of its effective number of samples.

    Samples of one class partly repeat one another, so the weights differ less than one over the class sizes.

    l = -w_y log p_y, with w_k proportional to (1 - beta) / (1 - beta^n_k), and a mean of 1 over the classes that occur. p is
    the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        counts: n, K numbers.
        beta: in [0, 1); about 1 - 1/n, where further samples of a class beyond n hold nothing new.

    Returns:
        [N], at least 0.

    beta = 0, or equal counts, give `cross_entropy`; beta -> 1 gives weights proportional to 1 / n_k. A class without samples has
    the weight 0. The authors' weights add up to K.
    """
    occurs = _counts(counts, pred) > 0
    effective = 1 - beta ** counts.double()  # in float32 a rare class would lose digits
    weights = (occurs / effective.where(occurs, 1.0)).to(pred)
    mean = weights.sum() / occurs.sum()
    return select(-weights / mean * pred.log_softmax(-1), target)


@register
def logit_adjusted(pred: Tensor, target: Tensor, *, counts: Tensor, tau: float | Tensor) -> Tensor:
    """Logit adjustment: cross-entropy with tau times the log of each class's share added to its logit, in training only.

    The logits themselves then do not contain the shares of the classes.

    l = -log softmax(z + tau log(n / sum n))_y.

    Args:
        pred: logits z [N, K].
        target: indices [N] or distributions [N, K].
        counts: n, K numbers.
        tau: at least 0; 1 optimises the mean of the accuracies of the classes.

    Returns:
        [N], at least 0.

    tau = 0, or equal counts, give `cross_entropy`. Predictions use z without the added term. A class without samples counts as
    one with a single sample, as the log of its share is undefined.
    """
    counts = _counts(counts, pred).clamp(min=1)
    return -select((_from_largest(pred) + tau * (counts / counts.sum()).log()).log_softmax(-1), target)


@register
@each_label
def seesaw(
    pred: Tensor,
    target: Tensor,
    *,
    counts: Tensor,
    p: float | Tensor,
    q: float | Tensor,
    least: float | Tensor,
    gradient: str,
) -> Tensor:
    """Seesaw loss: cross-entropy in which a class pushes a rarer one down less, unless that one is predicted wrongly.

    l = -log(exp(z_y) / sum_k s_k exp(z_k)), with s_y = 1, and for the others s_k = min(1, (n_k / n_y)^p) max(1, (p_k / p_y)^q).
    The first factor (mitigation) weakens the push on rare classes, the second (compensation) strengthens it for mistakes. p_k is
    the softmax of the logits, y the true class.

    Args:
        pred: logits z [N, K].
        target: indices [N] or distributions [N, K].
        counts: n, K numbers; one below 1 counts as 1.
        p: at least 0, power of the mitigation factor.
        q: at least 0, power of the compensation factor.
        least: in (0, 1], the smallest p_y that the compensation factor divides by.
        gradient: held: p_k / p_y is held fixed in the gradient, as in the authors' code; full: it is not.

    Returns:
        [N], at least 0.

    p = 0 and q = 0 give `cross_entropy`. The authors count the samples as training goes on. Here `counts` are those of the whole
    training set.
    """
    log_n = _counts(counts, pred).clamp(min=1).log()
    log_p = (pred.detach() if gradient == "held" else pred).log_softmax(-1)
    floor = torch.as_tensor(least, dtype=pred.dtype, device=pred.device).log()
    mitigation = p * (log_n - select(log_n.expand_as(pred), target)[:, None]).clamp(max=0)
    compensation = q * (log_p - select(log_p, target)[:, None].maximum(floor)).clamp(min=0)
    added = (mitigation + compensation).where(~is_label(pred, target), 0.0)
    return -select((_from_largest(pred) + added).log_softmax(-1), target)


@register
@each_label
def ldam(pred: Tensor, target: Tensor, *, counts: Tensor, max_margin: float | Tensor, scale: float | Tensor) -> Tensor:
    """LDAM: cross-entropy that requires a larger margin for rarer classes (label-distribution-aware margin).

    l = -log softmax(scale (z - m_y [k = y]))_y, with m_k = max_margin (min n / n_k)^(1/4), min n over the classes that occur.

    Args:
        pred: logits z [N, K].
        target: indices [N] or distributions [N, K].
        counts: n, K numbers.
        max_margin: at least 0, that of the rarest class that occurs, in the unit of the logits.
        scale: > 0.

    Returns:
        [N], at least 0.

    max_margin = 0 and scale = 1 give `cross_entropy`. The authors' logits are cosines, in [-1, 1], and their scale is 30. Logits
    without bounds learn their own scale, so it is 1 here. A class without samples has the margin of the rarest that occurs.
    """
    counts = _counts(counts, pred)
    rarest = counts.where(counts > 0, float("inf")).amin()
    margins = max_margin * (rarest / counts.maximum(rarest)) ** 0.25
    return -select((scale * (_from_largest(pred) - is_label(pred, target) * margins)).log_softmax(-1), target)
