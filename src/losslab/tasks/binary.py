"""Yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_auroc,
    binary_average_precision,
    binary_calibration_error,
)

from losslab.tasks.base import Snapshot, Task, register
from losslab.tasks.confusion import draw_confusion

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@register
class Binary(Task):
    """The raw output is one logit; targets are 0 or 1 [n], float.

    accuracy at p = 1/2; auroc, area under the ROC curve; average_precision (both undefined where only one class is there);
    ece, expected calibration error of p itself over 15 bins (not, as in `multiclass`, of the confidence in the guess); all
    in [0, 1]. nll, mean -log p of what was the case, in nats; brier, mean squared error of p (Brier, 1950), in [0, 1].
    """

    metrics = {
        "accuracy": "max",
        "auroc": "max",
        "average_precision": "max",
        "nll": "min",
        "ece": "min",
        "brier": "min",
    }

    @property
    def outputs(self) -> int:
        """1."""
        return 1

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """binary_logit: [n]; binary_prob: its sigmoid."""
        logit = raw.squeeze(-1)
        return logit if space == "binary_logit" else logit.sigmoid()

    def target(self, space: str, targets: Tensor) -> Tensor:
        """As they are, in both spaces."""
        return targets

    def measure(self, raw: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """See the class. Rankings are read from the logits, as the sigmoid rounds large ones to ties."""
        logit, labels = raw.squeeze(-1), targets.long()
        probs = logit.sigmoid()
        ranks = torch.unique(logit, return_inverse=True)[1].float() / len(
            logit
        )  # in [0, 1): torchmetrics takes them as they are
        return {
            "accuracy": binary_accuracy(probs, labels, validate_args=False),
            **_rankings(ranks, labels),
            "nll": F.binary_cross_entropy_with_logits(logit, targets),
            "ece": binary_calibration_error(probs, labels, n_bins=15, validate_args=False),
            "brier": (probs - targets).square().mean(),
        }

    def draw(self, writer: SummaryWriter, step: int, seen: Snapshot) -> None:
        """The confusion matrix of the validation split at p = 1/2."""
        rows = seen.split["val"]
        guesses = (seen.raw(rows).squeeze(-1) > 0).long()
        counts = torch.bincount(seen.targets[rows].long() * 2 + guesses, minlength=4)
        draw_confusion(writer, step, counts.reshape(2, 2), self.target_names)


def _rankings(ranks: Tensor, labels: Tensor) -> dict[str, Tensor]:
    if labels.min() == labels.max():  # torchmetrics would give 0 or 1
        return dict.fromkeys(("auroc", "average_precision"), torch.tensor(float("nan")))
    return {
        "auroc": binary_auroc(ranks, labels, validate_args=False),
        "average_precision": binary_average_precision(ranks, labels, validate_args=False),
    }
