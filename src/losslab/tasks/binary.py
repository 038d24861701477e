"""Binary classification: yes or no."""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.metrics.classification import YesOrNoPredictions
from losslab.tasks.base import Drawing, Snapshot, Task, register
from losslab.tasks.figures import draw_confusion


@register
class Binary(Task):
    """The raw output is one logit; targets are 0 or 1 [n], float, or between them where annotators disagree."""

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

    def predictions(self, raw: Tensor, targets: Tensor) -> YesOrNoPredictions:
        """Of yes."""
        return YesOrNoPredictions(raw.squeeze(-1), targets)

    def draw(self, writer: Drawing, step: int, seen: Snapshot) -> None:
        """The confusion matrix of the validation split at p = 1/2."""
        rows = seen.split["val"]
        guesses = (seen.raw(rows).squeeze(-1) > 0).long()
        counts = torch.bincount((seen.targets[rows] > 0.5) * 2 + guesses, minlength=4)
        draw_confusion(writer, step, counts.reshape(2, 2), self.target_names)
