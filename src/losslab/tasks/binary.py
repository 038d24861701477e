"""Binary classification: yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.tasks.balance import balanced
from losslab.tasks.base import Snapshot, Task, register
from losslab.tasks.calibration import calibration_error
from losslab.tasks.confusion import draw_confusion

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@register
class Binary(Task):
    """The raw output is one logit; targets are 0 or 1 [n], float, or between them if annotators disagree.

    accuracy at p = 1/2; balanced_accuracy, its mean over the classes that occur;
    auroc, area under the ROC curve; average_precision (both undefined if only one class occurs);
    ece, expected calibration error of p itself over 15 bins (in `multiclass` it is that of the largest probability); all
    in [0, 1]. nll, mean -log of the probability of the true label, in nats; brier, mean squared error of p (Brier, 1950), in [0, 1].
    """

    metrics = {
        "accuracy": "max",
        "balanced_accuracy": "max",
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

    def constant(self, targets: Tensor) -> Tensor:
        """The share of yes among the training targets."""
        return targets.mean()[None].logit(1e-6)

    def label_shares(self, targets: Tensor) -> Tensor:
        """The shares of no and of yes."""
        return torch.stack([1 - targets, targets], -1)

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """binary_logit: [n]; binary_prob: its sigmoid."""
        logit = raw.squeeze(-1)
        return logit if space == "binary_logit" else logit.sigmoid()

    def target(self, space: str, targets: Tensor) -> Tensor:
        """As they are, in both spaces."""
        return targets

    def measure(self, raw: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """See the class. Rankings use the logits, as the sigmoid rounds large ones to ties.

        If a metric needs a label, a target between 0 and 1 counts as yes above 1/2.
        """
        logit, labels = raw.squeeze(-1), targets > 0.5
        probs = logit.sigmoid()
        hit = ((probs > 0.5) == labels).to(raw)
        return {
            "accuracy": hit.mean(1),
            "balanced_accuracy": balanced(hit, torch.stack([labels, ~labels], -1)),
            **rankings(logit, labels),
            "nll": F.binary_cross_entropy_with_logits(logit, targets, reduction="none").mean(1),
            "ece": calibration_error(probs, targets),
            "brier": (probs - targets).square().mean(1),
        }

    def draw(self, writer: SummaryWriter, step: int, seen: Snapshot) -> None:
        """The confusion matrix of the validation split at p = 1/2."""
        rows = seen.split["val"]
        guesses = (seen.raw(rows).squeeze(-1) > 0).long()
        counts = torch.bincount((seen.targets[rows] > 0.5) * 2 + guesses, minlength=4)
        draw_confusion(writer, step, counts.reshape(2, 2), self.target_names)


def rankings(score: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """auroc and average_precision of R runs: scores and labels in {0, 1} [R, n] -> [R] each; NaN if one class is missing.

    Rows with the same score have the same threshold, so they count together, as in torchmetrics and scikit-learn: half a win each
    for the ROC curve, one step of the precision-recall curve.
    """
    ordered, order = score.sort(1, descending=True)
    hits = labels.double().gather(1, order)
    last = torch.searchsorted(-ordered, -ordered, right=True) - 1  # of the rows of one score
    found, seen = hits.cumsum(1).gather(1, last), last + 1  # positives, and rows, down to each threshold
    before = torch.searchsorted(-ordered, -ordered)  # rows above it
    positives, rows = hits.sum(1), hits.shape[1]
    average_precision = (hits * found / seen).sum(1) / positives
    above = before + (seen - before - 1) / 2  # rows above, ties at half
    wins = (hits * (rows - 1 - above)).sum(1) - positives * (positives - 1) / 2
    both = (positives > 0) & (positives < rows)
    auroc = wins / (positives * (rows - positives))
    return {"auroc": auroc.where(both, float("nan")), "average_precision": average_precision.where(both, float("nan"))}
