"""Classification into one of K classes that have an order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.metrics.ordinal import OrdinalPredictions
from losslab.tasks.base import register
from losslab.tasks.multiclass import Multiclass


@register
class Ordinal(Multiclass):
    """Raw outputs are K - 1 logits r_k of P(y > k | y >= k); targets are class indices [n] in their order.

    Any distribution over the classes can be written so, and P(y > k) falls with k for every output. So all losses, those of classes
    without an order too, compare on one model.
    """

    @property
    def outputs(self) -> int:
        """K - 1."""
        return self.classes - 1

    @property
    def classes(self) -> int:
        """K."""
        return len(self.target_names)

    def constant(self, targets: Tensor) -> Tensor:
        """The classes' shares among the training targets."""
        counts = torch.bincount(targets, minlength=self.classes).double()
        above = counts.flip(0).cumsum(0).flip(0)  # of y >= k
        return (above[1:] / above[:-1].clamp(min=1)).clamp(1e-6, 1 - 1e-6).logit().float()

    def label_shares(self, targets: Tensor) -> Tensor:
        """One-hot."""
        return F.one_hot(targets, self.classes).float()

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """conditional_logits: as they are; cumulative_logits: of P(y > k); class_logits: log p of the classes; class_probs: p."""
        if space == "conditional_logits":
            return raw
        log_p = log_probabilities(raw)
        if space == "cumulative_logits":
            return cumulative(log_p)
        return log_p if space == "class_logits" else log_p.exp()

    def target(self, space: str, targets: Tensor) -> Tensor:
        """Indices [n]; class_probs: one-hot [n, K]."""
        return self.label_shares(targets) if space == "class_probs" else targets

    def predictions(self, raw: Tensor, targets: Tensor) -> OrdinalPredictions:
        """Of the classes."""
        return OrdinalPredictions(log_probabilities(raw), targets)


def log_probabilities(raw: Tensor) -> Tensor:
    """Log p of each class [..., K] from logits of P(y > k | y >= k) [..., K - 1]."""
    reached = F.pad(F.logsigmoid(raw).cumsum(-1), (1, 0))  # of y >= k
    return reached + F.pad(F.logsigmoid(-raw), (0, 1))


def cumulative(log_p: Tensor) -> Tensor:
    """The logits of P(y > k) [..., K - 1] from log p of the classes [..., K]."""
    below = log_p.logcumsumexp(-1)[..., :-1]
    above = log_p.flip(-1).logcumsumexp(-1).flip(-1)[..., 1:]
    return above - below
