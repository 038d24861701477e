"""Asymmetric losses for wrong labels: the label that is most often given decides, even if the others are wrong unevenly.

p is the softmax. A loss is called asymmetric if, under unevenly wrong labels, its expected value is least where the model predicts
the most frequent label with certainty. Each is bounded, so a confident mistake has almost no gradient.
Sources, defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import of_true_class, select
from losslab.losses.focal import focal_cost
from losslab.losses.noise_robust import shares


def _box_cox(size: float | Tensor, share: Tensor, q: float | Tensor) -> Tensor:
    """((size (1 + share))^q - size^q) / q, which keeps its digits where share is near 0."""
    return size**q * (q * share.log1p()).expm1() / q


@register
def agce(pred: Tensor, target: Tensor, *, a: float | Tensor, q: float | Tensor) -> Tensor:
    """AGCE (asymmetric generalized cross-entropy): GCE with a constant added to the probability; for unevenly wrong labels.

    l = ((a + 1)^q - (a + p_y)^q) / q. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        a: at least 0.001; the larger, the nearer the loss is to a multiple of `mae`.
        q: in (0, 10].

    Returns:
        [N], in [0, ((a + 1)^q - a^q) / q].

    a -> 0 gives `generalized_ce`; q = 1 gives half of `mae` for every a. For q up to 1 the loss is asymmetric for every a, and for
    larger q only if a is large enough for the noise.
    """
    return of_true_class(lambda log_p: -_box_cox(a + 1, log_p.expm1() / (a + 1), q), pred, target)


@register
def aue(pred: Tensor, target: Tensor, *, a: float | Tensor, q: float | Tensor) -> Tensor:
    """AUL (asymmetric unhinged loss; AUE in the authors' code): a power of the distance from p to a constant above 1.

    l = ((a - p_y)^q - (a - 1)^q) / q. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        a: at least 1.001.
        q: in (0, 10].

    Returns:
        [N], in [0, (a^q - (a - 1)^q) / q].

    q = 1 gives half of `mae` for every a. Above q = 1, uncertain samples have a larger gradient than nearly certain ones.
    """
    return of_true_class(lambda log_p: _box_cox(a - 1, -log_p.expm1() / (a - 1), q), pred, target)


@register
def ael(pred: Tensor, target: Tensor, *, a: float | Tensor) -> Tensor:
    """AEL (asymmetric exponential loss): exp(-p / a), between absolute error (large a) and a loss of near-certain samples (small a).

    l = exp(-p_y / a). p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        a: at least 0.02.

    Returns:
        [N], in [exp(-1 / a), 1]; a perfect prediction costs exp(-1 / a).

    a (l - exp(-1 / a)) -> half of `mae` as a grows.
    """
    return of_true_class(lambda log_p: (-log_p.exp() / a).exp(), pred, target)


@register
def jal(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: float | Tensor,
    beta: float | Tensor,
    a: float | Tensor,
    gamma: float | Tensor,
    gradient: str,
) -> Tensor:
    """JAL (joint asymmetric loss): weighted sum of an active loss, NCE or NFL, and an asymmetric squared error (AMSE).

    l = alpha f_y / sum_k f_k + beta / K sum_k (a [k = y] - p_k)^2, with f_k = -(1 - p_k)^gamma log p_k. p is the softmax of the
    logits, y the true class.

    Args:
        pred: logits [N, K].
        target: indices [N] or distributions [N, K].
        alpha: at least 0, weight of the active part.
        beta: at least 0, weight of the passive part.
        a: at least 1. At 1 the passive part is the squared error of the probabilities, divided by K; for large a it is nearly linear
            in p_y.
        gamma: at least 0; 0: the active part is `normalized_ce` (JAL-CE), above 0: `normalized_focal` (JAL-FL).
        gradient: full; or held: (1 - p)^gamma is held fixed, as in code for `normalized_focal`.

    Returns:
        [N], in [beta (a - 1)^2 / K, alpha + beta (a^2 + 1) / K].
    """
    log_p = pred.log_softmax(-1)
    p = log_p.exp()
    others = p.square().sum(-1, keepdim=True) - p.square()
    passive = (others + (a - p).square()) / pred.shape[-1]
    return select(alpha * shares(focal_cost(log_p, gamma, gradient)) + beta * passive, target)
