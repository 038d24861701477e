"""Losses for wrong labels that take the gradient away from samples of low probability. p is the softmax.

Sources, defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.losses.base import keeps, register
from losslab.losses.class_targets import of_true_class


@register
def phuber_ce(pred: Tensor, target: Tensor, *, tau: float | Tensor) -> Tensor:
    """PHuber-CE (partially Huberised cross-entropy): cross-entropy, continued as its tangent in p below p = 1 / tau.

    So the derivative by p is at most tau, as if the gradient of the base loss were clipped; a confident mistake fades.

    l = -log p_y if p_y > 1 / tau, else log tau + 1 - tau p_y. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        tau: at least 1.

    Returns:
        [N], in [0, 1 + log tau].

    tau = 1 gives half of `mae`, tau -> inf `cross_entropy`.
    """
    corner = -torch.as_tensor(tau, dtype=pred.dtype, device=pred.device).log()

    def cost(log_p: Tensor) -> Tensor:
        inside = log_p > corner
        # 1 - corner - tau p, in the distance from the corner: tau p = exp(log p - corner)
        return torch.where(inside, -log_p, -corner - (torch.where(inside, corner, log_p) - corner).expm1())

    return of_true_class(cost, pred, target)


def _next_step(pred: Tensor, target: Tensor, *, steps: Tensor, **_: object) -> dict[str, Tensor]:
    return {"steps": steps + 1}


@register
@keeps(running={"steps": 0.0}, update=_next_step, late=True)
def truncated_gce(
    pred: Tensor, target: Tensor, *, q: float | Tensor, k: float | Tensor, start: int, steps: Tensor
) -> Tensor:
    """Truncated GCE: generalized cross-entropy that is constant for p up to k, once the training is under way.

    Samples that the model finds improbable, many of them wrong labels, then have no gradient.

    l = (1 - max(p_y, k)^q) / q after `start` steps, and (1 - p_y^q) / q before. p is the softmax of the logits, y the true class.

    Args:
        pred: logits [N, K]; or a binary logit [N], which is the same as the logits (0, z).
        target: indices [N] or distributions [N, K]; for a binary logit [N], in [0, 1].
        q: in (0, 1].
        k: in [0, 1).
        start: at least 0, training steps without truncation. With 0 and k above 1 / K, an untrained model may not learn at all.
        steps: the training steps so far; begins at 0.

    Returns:
        [N], in [0, 1/q].

    k = 0 gives `generalized_ce`. The authors choose the samples with p up to k in passes over the training set, every ten epochs, by
    the best model so far. Here each step chooses them by the model of that step.
    """
    level = torch.as_tensor(k, dtype=pred.dtype, device=pred.device).log()
    level = torch.where(steps >= start, level, -torch.inf)

    def cost(log_p: Tensor) -> Tensor:
        return -(q * torch.where(log_p > level, log_p, level)).expm1() / q

    return of_true_class(cost, pred, target)
