"""Classification into one of K classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.metrics.classification import ClassPredictions
from losslab.tasks.base import Drawing, Snapshot, Task, register
from losslab.tasks.figures import draw_confusion


@register
class Multiclass(Task):
    """Raw outputs are K logits; targets are class indices [n]."""

    @property
    def outputs(self) -> int:
        """K."""
        return len(self.target_names)

    def constant(self, targets: Tensor) -> Tensor:
        """The classes' shares among the training targets."""
        return (torch.bincount(targets, minlength=self.outputs) / len(targets)).clamp(min=1e-6).log()

    def label_shares(self, targets: Tensor) -> Tensor:
        """One-hot."""
        return F.one_hot(targets, self.outputs).float()

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """class_logits: as they are; class_probs: their softmax."""
        return raw if space == "class_logits" else raw.softmax(-1)

    def target(self, space: str, targets: Tensor) -> Tensor:
        """class_logits: indices [n]; class_probs: one-hot [n, K]."""
        return targets if space == "class_logits" else self.label_shares(targets)

    def predictions(self, raw: Tensor, targets: Tensor) -> ClassPredictions:
        """Of the classes."""
        return ClassPredictions(raw, targets)

    def draw(self, writer: Drawing, step: int, seen: Snapshot) -> None:
        """The confusion matrix of the validation split."""
        rows = seen.split["val"]
        guesses = self.prediction("class_logits", seen.raw(rows)).argmax(-1)
        counts = torch.bincount(seen.targets[rows] * self.classes + guesses, minlength=self.classes**2)
        draw_confusion(writer, step, counts.reshape(self.classes, -1), self.target_names)
