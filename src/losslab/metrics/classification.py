"""Metrics of classes: of one of K, and of yes or no."""

from __future__ import annotations

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.metrics.base import register

_BINS = 15


class ClassPredictions:
    """One of K classes: logits [R, n, K] and class indices [R, n]."""

    def __init__(self, logits: Tensor, targets: Tensor) -> None:
        self.logits, self.targets = logits, targets

    @cached_property
    def pred(self) -> Tensor:
        """Probabilities of the classes [R, n, K]."""
        return self.logits.softmax(-1)

    @cached_property
    def _most(self) -> tuple[Tensor, Tensor]:
        confidence, guess = self.pred.max(-1)
        return confidence, guess

    @cached_property
    def correct(self) -> Tensor:
        """1 where the likeliest class is the true one, else 0 [R, n]."""
        return (self._most[1] == self.targets).to(self.logits)

    @cached_property
    def one_hot(self) -> Tensor:
        """The targets [R, n, K]."""
        return F.one_hot(self.targets, self.logits.shape[-1])

    @property
    def stated(self) -> tuple[Tensor, Tensor]:
        """Stated probabilities and whether it happened [R, n]: the confidence in the guess, and whether it is right."""
        return self._most[0], self.correct

    def log_loss(self) -> Tensor:
        """-log p of the true class [R, n]."""
        return -self.logits.log_softmax(-1).gather(-1, self.targets[..., None]).flatten(1)

    def squared_error(self) -> Tensor:
        """Summed over the classes [R, n]."""
        return (self.pred - self.one_hot).square().sum(-1)


class YesOrNoPredictions:
    """Yes or no: logits [R, n] and targets [R, n] in [0, 1]. A target between them counts as yes above 1/2 where a label is needed."""

    def __init__(self, logits: Tensor, targets: Tensor) -> None:
        self.logits, self.targets = logits, targets
        self.labels = targets > 0.5

    @cached_property
    def pred(self) -> Tensor:
        """Probabilities of yes [R, n]."""
        return self.logits.sigmoid()

    @cached_property
    def correct(self) -> Tensor:
        """1 where the guess at p = 1/2 is right, else 0 [R, n]."""
        return ((self.pred > 0.5) == self.labels).to(self.logits)

    @cached_property
    def one_hot(self) -> Tensor:
        """Whether it is yes, and no [R, n, 2]."""
        return torch.stack([self.labels, ~self.labels], -1)

    @property
    def stated(self) -> tuple[Tensor, Tensor]:
        """Stated probabilities and whether it happened [R, n]: of yes."""
        return self.pred, self.targets

    def log_loss(self) -> Tensor:
        """-log p of what was the case [R, n]."""
        return F.binary_cross_entropy_with_logits(self.logits, self.targets, reduction="none")

    def squared_error(self) -> Tensor:
        """Of the probability of yes [R, n]."""
        return (self.pred - self.targets).square()

    @cached_property
    def rankings(self) -> dict[str, Tensor]:
        """auroc and average_precision, read from the logits, as the sigmoid rounds large ones to ties."""
        return rankings(self.logits, self.labels)


Labelled = ClassPredictions | YesOrNoPredictions


@register
def accuracy(seen: Labelled) -> Tensor:
    """The share of right guesses [R]."""
    return seen.correct.mean(1)


@register
def balanced_accuracy(seen: Labelled) -> Tensor:
    """Accuracy averaged over the classes that occur [R]."""
    return balanced(seen.correct, seen.one_hot)


@register
def auroc(seen: YesOrNoPredictions) -> Tensor:
    """Area under the ROC curve [R]."""
    return seen.rankings["auroc"]


@register
def average_precision(seen: YesOrNoPredictions) -> Tensor:
    """Area under the precision-recall curve, in steps [R]."""
    return seen.rankings["average_precision"]


@register
def nll(seen: Labelled) -> Tensor:
    """Mean -log p of the true class, in nats [R]."""
    return seen.log_loss().mean(1)


@register
def ece(seen: Labelled) -> Tensor:
    """Expected calibration error [R]: of the confidence in the guess, for yes or no of p itself."""
    return calibration_error(*seen.stated)


@register
def brier(seen: Labelled) -> Tensor:
    """Mean squared error of the probabilities [R]: in [0, 2] for K classes, where it is summed over them, else in [0, 1]."""
    return seen.squared_error().mean(1)


def balanced(correct: Tensor, labels: Tensor) -> Tensor:
    """Balanced accuracy of R runs (Brodersen et al., 2010): the mean, over the classes that occur, of the share that is right.

    Args:
        correct: [R, n], 1 where the guess is right, else 0.
        labels: [R, n, K], one-hot.

    Returns:
        [R], in [0, 1]. As in scikit-learn, which takes the runs one by one.
    """
    rows = labels.sum(1)  # [R, K]
    right = (correct[..., None] * labels).sum(1) / rows.clamp(min=1)
    return right.sum(1) / (rows > 0).sum(1)


def calibration_error(stated: Tensor, happened: Tensor) -> Tensor:
    """Expected calibration error over 15 bins of equal width (Guo et al., 2017), for R runs at once.

    Args:
        stated: probabilities [R, n], in [0, 1].
        happened: [R, n], 0 or 1.

    Returns:
        [R], in [0, 1]. As in torchmetrics, which takes the runs one by one.
    """
    borders = torch.linspace(0, 1, _BINS + 1, dtype=stated.dtype, device=stated.device)
    bins = (torch.bucketize(stated, borders, right=True) - 1).clamp(0, _BINS - 1)
    gaps = torch.zeros(len(stated), _BINS, dtype=stated.dtype, device=stated.device)
    return gaps.scatter_add(1, bins, stated - happened).abs().sum(1) / stated.shape[1]


def rankings(score: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """auroc and average_precision of R runs: scores and labels in {0, 1} [R, n] -> [R] each; NaN where one class is missing.

    Rows of one score stand at one threshold, so they count together, as in torchmetrics and scikit-learn: half a win each
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
