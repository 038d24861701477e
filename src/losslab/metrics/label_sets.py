"""Metrics of several labels at once."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from losslab.metrics.base import register
from losslab.metrics.classification import YesOrNoPredictions, rankings


class LabelPredictions(YesOrNoPredictions):
    """Any of C labels: logits [R, n, C] and targets [R, n, C] in [0, 1]; a label is predicted at p > 1/2."""

    @cached_property
    def right(self) -> Tensor:
        """Predicted labels that hold, for each label [R, C]."""
        return (self.guess & self.labels).sum(1).to(self.logits)

    @cached_property
    def guess(self) -> Tensor:
        """The predicted labels [R, n, C]."""
        return self.logits > 0

    @cached_property
    def named(self) -> Tensor:
        """How many are predicted and how many hold, added up, for each label [R, C]."""
        return (self.guess.sum(1) + self.labels.sum(1)).to(self.logits)


@register
def mean_average_precision(seen: LabelPredictions) -> Tensor:
    """Average precision of the ranking by each label, the mean over the labels that occur [R]."""
    runs, rows, labels = seen.logits.shape
    columns = [part.transpose(1, 2).reshape(runs * labels, rows).contiguous() for part in (seen.logits, seen.labels)]
    each = rankings(columns[0], columns[1])["average_precision"].reshape(runs, labels)
    return each.where(seen.labels.any(1), torch.nan).nanmean(1)


@register
def macro_f1(seen: LabelPredictions) -> Tensor:
    """F1 score of each label, the mean over the labels that occur or are predicted [R]."""
    each = 2 * seen.right / seen.named.clamp(min=1)
    return each.where(seen.named > 0, torch.nan).nanmean(1)


@register
def micro_f1(seen: LabelPredictions) -> Tensor:
    """F1 score of all labels together [R]; 0 where none holds and none is predicted."""
    return 2 * seen.right.sum(1) / seen.named.sum(1).clamp(min=1)


@register
def exact_match(seen: LabelPredictions) -> Tensor:
    """Share of rows whose labels are all right [R]."""
    return (seen.guess == seen.labels).all(-1).to(seen.logits).mean(1)


@register
def hamming_loss(seen: LabelPredictions) -> Tensor:
    """Share of labels that are wrong [R]."""
    return (seen.guess != seen.labels).to(seen.logits).flatten(1).mean(1)
