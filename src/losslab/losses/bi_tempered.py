"""The bi-tempered logistic loss and its tempered softmax, normalised by iteration. Defaults: conf/loss/bi_tempered.yaml.

log_t(x) = (x^(1 - t) - 1) / (1 - t) and its inverse exp_t(u) = max(0, 1 + (1 - t) u)^(1 / (1 - t)); at t = 1 they are log and exp.
All is computed from log p. It does not underflow, and only the two helpers need a branch at t = 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.class_targets import distribution, two_classes


@register
@two_classes
def bi_tempered(
    pred: Tensor,
    target: Tensor,
    *,
    t1: float | Tensor,
    t2: float | Tensor,
    smoothing: float | Tensor,
    iterations: int,
) -> Tensor:
    """Bi-tempered logistic loss: cross-entropy with a bounded logarithm and a softmax with heavy tails.

    It resists wrong labels, both far from the decision boundary and near it.

    l = sum_k [ t_k (log_t1 t_k - log_t1 p_k) - (t_k^(2 - t1) - p_k^(2 - t1)) / (2 - t1) ], with p_k = exp_t2(z_k - c), where
    c makes p add up to 1, and t smoothed to (1 - s K / (K - 1)) t + s / (K - 1). The logarithm is log_t(x) = (x^(1 - t) - 1)
    / (1 - t), and exp_t its inverse.

    Args:
        pred: logits z [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; the loss is the distance to them. For a binary logit [N], in [0, 1].
        t1: in [0, 1]; below 1 the loss is bounded.
        t2: at least 0.5; above 1 the tails are heavy, below 1 far classes have p = 0 and no gradient.
        smoothing: s, in [0, 1/2]; not that of `cross_entropy`, whose s is this one times K / (K - 1).
        iterations: steps of Newton's method; one more step then carries the gradient.

    Returns:
        [N], at least 0 except for rounding, 0 where p = t.

    t1 = t2 = 1 gives `cross_entropy` (minus the entropy of a soft target). The probabilities that a task reports are those of
    the usual softmax, which ranks the classes in the same order.
    """
    classes = pred.shape[-1]
    t = distribution(pred, target)
    t = t + smoothing * (1 - classes * t) / (classes - 1)
    log_t = t.clamp(min=torch.finfo(t.dtype).tiny).log()
    log_p = log_tempered_softmax(pred, t2, iterations)
    t1 = torch.as_tensor(t1, dtype=pred.dtype, device=pred.device)
    gap = t * (_log_t(log_t, t1) - _log_t(log_p, t1))
    return (gap - (((2 - t1) * log_t).exp() - ((2 - t1) * log_p).exp()) / (2 - t1)).sum(-1)


def log_tempered_softmax(logits: Tensor, t: float | Tensor, iterations: int) -> Tensor:
    """log p [N, K], with p_k = exp_t(z_k - c).

    c is the root of log_t(sum_k exp_t(z_k - c)), which falls and is convex in c for every t. So Newton's steps go up to the root
    from the largest logit without overshooting. They are exact for t = 1 and for equal logits. The last step is taken with
    the gradient, its slope held fixed: by the implicit function theorem that is the gradient of c.
    """
    t = torch.as_tensor(t, dtype=logits.dtype, device=logits.device)
    logits = logits - logits.detach().amax(-1, keepdim=True)
    fixed, c = logits.detach(), torch.zeros_like(logits[..., :1])
    for _ in range(iterations):
        c = c + _newton_step(fixed - c, t)
    return _log_exp_t(logits - c - _newton_step(logits - c, t), t)


def _newton_step(u: Tensor, t: Tensor) -> Tensor:
    log_p = _log_exp_t(u, t)
    log_sum = log_p.logsumexp(-1, keepdim=True)
    log_slope = (t * log_p).logsumexp(-1, keepdim=True) - t * log_sum  # exp_t' = exp_t^t, log_t' (x) = x^-t
    return _log_t(log_sum, t) * (-log_slope).detach().exp()


def _log_t(log_x: Tensor, t: Tensor) -> Tensor:
    """log_t of x, from log x."""
    power, plain = 1 - t, t == 1
    return torch.where(plain, log_x, (power * log_x).expm1() / torch.where(plain, 1.0, power))


def _log_exp_t(u: Tensor, t: Tensor) -> Tensor:
    """log exp_t(u). Where it would be the log of 0, for t < 1 and u far below 0, it is a finite number without gradient."""
    power, plain = 1 - t, t == 1
    inside = (power * u).clamp(min=-1 + torch.finfo(u.dtype).eps)
    return torch.where(plain, u, inside.log1p() / torch.where(plain, 1.0, power))
