"""Cross-entropies for classes of unequal size, told by `counts`, the training samples of each. Defaults: conf/loss/<name>.yaml.

[0.0] has the counts taken from the training targets. A class without samples takes nothing from the others.
"""

from __future__ import annotations

from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import each_label, is_label, select


def _counts(counts: Tensor, pred: Tensor) -> Tensor:
    if len(counts) != pred.shape[-1]:
        raise ValueError(f"counts must hold one number for each of {pred.shape[-1]} classes; it holds {len(counts)}.")
    return counts


def _from_largest(pred: Tensor) -> Tensor:
    """Logits less their largest: the same to a softmax, and what is added to them keeps its digits beside large ones."""
    return pred - pred.detach().amax(-1, keepdim=True)


@register
def class_balanced(pred: Tensor, target: Tensor, *, counts: Tensor, beta: float | Tensor) -> Tensor:
    """Cross-entropy weighted against the size of the class, less than in full: samples of one class repeat one another.

    l = -w_y log p_y, with w_k in proportion to (1 - beta) / (1 - beta^n_k), with a mean of 1 over the classes that occur.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        counts: n, K numbers.
        beta: in [0, 1); about 1 - 1/n for n samples beyond which a class holds nothing new.

    Returns:
        [N], at least 0.

    beta = 0, or equal counts, give `cross_entropy`; beta -> 1 weighs by 1 / n_k. A class without samples has the weight 0. The
    authors let the weights add up to K.
    """
    occurs = _counts(counts, pred) > 0
    effective = 1 - beta ** counts.double()  # in float32 a rare class would lose digits
    weights = (occurs / effective.where(occurs, 1.0)).to(pred)
    mean = weights.sum() / occurs.sum()
    return select(-weights / mean * pred.log_softmax(-1), target)


@register
def logit_adjusted(pred: Tensor, target: Tensor, *, counts: Tensor, tau: float | Tensor) -> Tensor:
    """Cross-entropy of logits to which the log of the class's share is added in training: what remains is free of it.

    l = -log softmax(z + tau log(n / sum n))_y.

    Args:
        pred: logits z [N, K].
        target: indices [N] or distributions [N, K].
        counts: n, K numbers.
        tau: at least 0; 1 aims at the mean of the accuracies of the classes.

    Returns:
        [N], at least 0.

    tau = 0, or equal counts, give `cross_entropy`. Predictions are made from z as it is. A class without samples counts as one
    with a single sample, as the log of its share has no value.
    """
    counts = _counts(counts, pred).clamp(min=1)
    return -select((_from_largest(pred) + tau * (counts / counts.sum()).log()).log_softmax(-1), target)


@register
@each_label
def ldam(pred: Tensor, target: Tensor, *, counts: Tensor, max_margin: float | Tensor, scale: float | Tensor) -> Tensor:
    """Cross-entropy that asks for a wider margin the rarer the true class is.

    l = -log softmax(scale (z - m_y [k = y]))_y, with m_k = max_margin (min n / n_k)^(1/4), the least n of a class that occurs.

    Args:
        pred: logits z [N, K].
        target: indices [N] or distributions [N, K].
        counts: n, K numbers.
        max_margin: at least 0, that of the rarest class that occurs, in the unit of the logits.
        scale: > 0.

    Returns:
        [N], at least 0.

    max_margin = 0 and scale = 1 give `cross_entropy`. The authors' logits are cosines, in [-1, 1], and their scale is 30; logits
    without bounds find a scale of their own, so it is 1 here. A class without samples has the margin of the rarest that occurs.
    """
    counts = _counts(counts, pred)
    rarest = counts.where(counts > 0, float("inf")).amin()
    margins = max_margin * (rarest / counts.maximum(rarest)) ** 0.25
    return -select((scale * (_from_largest(pred) - is_label(pred, target) * margins)).log_softmax(-1), target)
