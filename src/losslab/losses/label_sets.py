"""Losses on several labels at once: each sample has any of C labels. z are the logits. Sources, defaults: conf/loss/<name>.yaml.

Losses on a yes or no, such as `bce_with_logits` and `asymmetric`, serve several labels too, each label by itself.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.losses.base import register

_NEVER = 1e30  # the logit of what does not take part; infinity would make the gradient NaN


@register
def zlpr(pred: Tensor, target: Tensor) -> Tensor:
    """ZLPR (zero-bounded log-sum-exp and pairwise rank): ranks held labels above 0 and above the others; no threshold to choose.

    l = log(1 + sum_k t_k exp(-z_k)) + log(1 + sum_k (1 - t_k) exp(z_k)), with t_k 1 for the labels that hold.

    Args:
        pred: logits z [N, C]; a label is predicted where z > 0.
        target: [N, C], in [0, 1].

    Returns:
        [N], at least 0.

    For one label of C = 1 it is `bce_with_logits`. It counts the worst label most, where a binary cross-entropy adds all labels up.
    """
    yes = torch.where(target > 0, target.clamp(min=1e-30).log() - pred, -_NEVER)
    no = torch.where(target < 1, (1 - target).clamp(min=1e-30).log() + pred, -_NEVER)
    return _softplus_of_sum(yes) + _softplus_of_sum(no)


def _softplus_of_sum(each: Tensor) -> Tensor:
    """log(1 + sum exp x), [N, C] -> [N]."""
    return F.pad(each, (1, 0)).logsumexp(-1)


@register
def two_way(pred: Tensor, target: Tensor, *, temperature: float | Tensor, classwise: float | Tensor) -> Tensor:
    """Two-way multi-label loss: held labels above the others in each sample, and samples with a label above the others of the batch.

    l = N / N' softplus(n_i + p_i) + classwise / C' sum_k softplus(n_k + p_k). Of a sample i, n is log sum exp(z) over the labels that
    do not hold, and p is T log sum exp(-z / T) over those that do; of a label k, they are over the samples of the batch. N' samples
    have some label, and C' labels occur in the batch; the others are left out.

    Args:
        pred: logits z [N, C].
        target: [N, C]; a label holds above 1/2.
        temperature: T > 0, of the labels that hold. The larger, the less the worst of them decides.
        classwise: at least 0, weight of the second way; the authors take 1.

    Returns:
        [N], at least 0.
    """
    yes = target > 0.5
    by_sample, samples = _one_way(pred, yes, temperature)
    by_label, labels = _one_way(pred.T, yes.T, temperature)
    share = by_sample * (len(pred) / samples.sum().clamp(min=1))
    return share + classwise * by_label.sum() / labels.sum().clamp(min=1)


def _one_way(pred: Tensor, yes: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
    """softplus(n + p) along the last axis, 0 where nothing holds; and where something does."""
    negative = torch.where(yes, -_NEVER, pred).logsumexp(-1)
    positive = temperature * torch.where(yes, -pred / temperature, -_NEVER).logsumexp(-1)
    some = yes.any(-1)
    return F.softplus(torch.where(some, negative + positive, -_NEVER)), some.to(pred.dtype)


@register
def distribution_balanced(
    pred: Tensor,
    target: Tensor,
    *,
    shares: Tensor,
    alpha: float | Tensor,
    beta: float | Tensor,
    mu: float | Tensor,
    kappa: float | Tensor,
    scale: float | Tensor,
    gamma: float | Tensor,
) -> Tensor:
    """Distribution-balanced loss: binary cross-entropy weighted by how rare a label is among those of its sample; tolerant to negatives.

    l = mean over the labels of w_k f(t_k, z_k), with f = -(1 - p)^gamma log p for t = 1, p the sigmoid of x, and
    f = -(1 - q)^gamma log q / scale for t = 0, q the sigmoid of -scale x. x = z_k - kappa log(1 / s_k - 1), and
    w_k = alpha + sigmoid(beta (r_k - mu)), with r_k = (1 / s_k) / sum of 1 / s_j over the labels j of the sample.

    Args:
        pred: logits z [N, C].
        target: [N, C], in [0, 1].
        shares: s, C numbers: the share of the training samples that have each label.
        alpha: at least 0, the smallest weight.
        beta: > 0, how sharply the weight rises.
        mu: the r at which the weight is alpha + 1/2.
        kappa: at least 0, how far the logits of rare labels are moved.
        scale: > 0, what the logits of labels that do not hold are multiplied by, and their loss divided by.
        gamma: at least 0, focusing; 0: DB-0FL.

    Returns:
        [N], at least 0.

    A share counts as at least 1e-6 and at most 1 - 1e-6. A sample without labels has the largest weight, as in the authors' code. That
    code multiplies the focused form by 2.
    """
    if len(shares) != pred.shape[-1]:
        raise ValueError(f"shares must hold one number for each of {pred.shape[-1]} labels; it holds {len(shares)}.")
    shares = shares.clamp(1e-6, 1 - 1e-6)
    rarity = 1 / shares
    of_sample = (target * rarity).sum(-1, keepdim=True)
    some = of_sample > 0
    weight = alpha + (beta * (rarity / of_sample.where(some, 1.0) - mu)).sigmoid().where(some, 1.0)
    moved = pred - kappa * (rarity - 1).log()
    yes, no = _focused(moved, gamma), _focused(-scale * moved, gamma) / scale
    return (weight * (target * yes + (1 - target) * no)).mean(-1)


def _focused(logit: Tensor, gamma: float | Tensor) -> Tensor:
    """-(1 - p)^gamma log p."""
    return -(gamma * F.logsigmoid(-logit)).exp() * F.logsigmoid(logit)
