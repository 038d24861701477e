"""Several labels at once: each row has any of C labels, or none."""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.metrics.label_sets import LabelPredictions
from losslab.spaces import check_target
from losslab.tasks.base import Drawing, Snapshot, Task, register
from losslab.tasks.figures import draw_confusion


@register
class Multilabel(Task):
    """Raw outputs are C logits; targets are 0 or 1 for each label [n, C], float."""

    @property
    def outputs(self) -> int:
        """C."""
        return len(self.target_names)

    def check_targets(self, targets: Tensor) -> None:
        """Raises ValueError for a target outside [0, 1]."""
        check_target("label_logits", targets)

    def constant(self, targets: Tensor) -> Tensor:
        """The share of each label among the training targets."""
        return targets.mean(0).logit(1e-6)

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """label_logits and binary_logit: as they are; binary_prob: their sigmoid."""
        return raw.sigmoid() if space == "binary_prob" else raw

    def target(self, space: str, targets: Tensor) -> Tensor:
        """As they are, in all spaces."""
        return targets

    def predictions(self, raw: Tensor, targets: Tensor) -> LabelPredictions:
        """Of the labels."""
        return LabelPredictions(raw, targets)

    def draw(self, writer: Drawing, step: int, seen: Snapshot) -> None:
        """Of all labels together, how often each answer was given at p = 1/2, on the validation split."""
        rows = seen.split["val"]
        guesses = (seen.raw(rows) > 0).long()
        counts = torch.bincount(((seen.targets[rows] > 0.5) * 2 + guesses).flatten(), minlength=4)
        draw_confusion(writer, step, counts.reshape(2, 2), ("no", "yes"))
