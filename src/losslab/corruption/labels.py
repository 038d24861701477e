"""Corruptions of labels. Defaults: conf/corruption/<name>.yaml.

Targets y: class indices [n], int64, among K classes; or labels 0 and 1 [n], float. The corrupted rows are those whose label changed, so
`rows_hit` in a record gives the realised rate.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from losslab.corruption.base import Changed, choose_rows, new_targets, register
from losslab.errors import BadRequest

_ROUNDING = 1e-4  # by how much the sums of the rows of a transition matrix may differ from 1


@register
def label_noise(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, classes: int) -> Changed:
    """Symmetric label noise: a share of the labels changes to another class, each equally likely (Angluin and Laird, 1988).

    y' = (y + u) mod K for exactly round(fraction * n) rows, with u drawn uniformly from 1 to K - 1. If the own class can be drawn
    as well, as in some other code, the rate is lower by 1 / K.

    Args:
        inputs: [n, ...], returned as they are.
        targets: class indices [n], clean.
        generator: random generator for the rows and u.
        fraction: share of the rows, in [0, 1]; a larger one includes the rows of a smaller one, with the same labels. From
            1 - 1 / K on, the label no longer points to the right class.
        classes: K.
    """
    chosen = choose_rows(len(targets), fraction, generator)
    shift = torch.randint(1, classes, targets.shape, generator=generator)
    return Changed(inputs, torch.where(chosen, (targets + shift) % classes, targets), chosen)


@register
def pair_flip(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, classes: int) -> Changed:
    """Pair flip: a share of the labels changes to the next class, so each class is confused with one other (Han et al., 2018).

    y' = (y + 1) mod K for exactly round(fraction * n) rows.

    Args:
        inputs: [n, ...], returned as they are.
        targets: class indices [n], clean.
        generator: random generator for the rows.
        fraction: share of the rows, in [0, 1]; a larger one includes the rows of a smaller one. Above 0.5 the wrong class is more frequent.
        classes: K.
    """
    chosen = choose_rows(len(targets), fraction, generator)
    return Changed(inputs, torch.where(chosen, (targets + 1) % classes, targets), chosen)


@register
def transition(
    inputs: Tensor, targets: Tensor, generator: Generator, *, transition: list[float], classes: int
) -> Changed:
    """Transition matrix: labels are drawn anew, where T[i, k] is the probability that class i is labelled k (Patrini et al., 2017).

    Each label is drawn independently, so the realised rates differ a little from T.

    Args:
        inputs: [n, ...], returned as they are.
        targets: class indices [n], clean.
        generator: random generator for the labels; a matrix with a smaller diagonal also hits the rows that a larger one hits.
        transition: the K * K numbers of T, row by row, each row adding up to 1; or one number, the rate at which a label changes
            to one of the other classes, each equally likely. The loss `forward_corrected` takes it in the same form.
        classes: K.

    Raises:
        BadRequest: neither 1 nor K * K numbers, or a row that does not add up to 1.
    """
    matrix = _matrix(transition, classes)
    leaves, where_to = torch.rand(2, len(targets), generator=generator, dtype=torch.float64)
    own = matrix[targets]
    stays = own.gather(1, targets[:, None])[:, 0]
    others = own.scatter(1, targets[:, None], 0.0)
    return _moved_to(inputs, targets, leaves < 1 - stays, others, where_to)


@register
def instance_dependent(
    inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, spread: float, classes: int
) -> Changed:
    """Instance-dependent label noise: the wrong class depends on the input (Xia et al., 2020).

    A row's rate q is drawn from a normal distribution cut to [0, 1]. With probability q the label becomes another class k. It is
    drawn from the softmax of x . W_y over the other classes. W_y [inputs, K] holds standard normal numbers for class y, drawn once.

    Args:
        inputs: [n, ...], returned as they are; flattened to x.
        targets: class indices [n], clean.
        generator: random generator for W, q and the labels, anew for each split.
        fraction: mean of the normal distribution of q, in [0, 1]; a larger one includes the rows of a smaller one. 0: no changes.
        spread: its standard deviation; 0: all rows have one rate. The cut to [0, 1] raises small mean rates and lowers large ones.
        classes: K.
    """
    flat = inputs.flatten(1)
    weights = torch.randn(classes, flat.shape[1], classes, generator=generator)
    chance, leaves, where_to = torch.rand(3, len(targets), generator=generator, dtype=torch.float64)
    pull = torch.zeros(len(targets), classes, dtype=torch.float64)
    for label in range(classes):
        own = targets == label
        pull[own] = (flat[own] @ weights[label]).double()
    others = pull.scatter(1, targets[:, None], -torch.inf).softmax(1)
    return _moved_to(inputs, targets, leaves < _rates(chance, fraction, spread), others, where_to)


@register
def long_tail(inputs: Tensor, targets: Tensor, generator: Generator, *, ratio: float, classes: int) -> Changed:
    """Long tail: the classes become exponentially rarer, from the first to the last (Cui et al., 2019).

    Class k keeps round(n_k * ratio^(-k / (K - 1))) of its n_k rows, but at least one. The other rows are replaced by copies of
    the rows that stay, inputs and targets, each equally likely. So the number of rows, and of steps, is the same at every
    ratio, and the copies do not change the shares of the classes.

    Args:
        inputs: [n, ...], clean.
        targets: class indices [n], clean.
        generator: random generator for the rows and their copies.
        ratio: how many times more of its rows the first class keeps than the last; at least 1. A larger one replaces the rows
            that a smaller one replaces, and more.
        classes: K.
    """
    keep = ratio ** (-torch.arange(classes, dtype=torch.float64) / max(1, classes - 1))
    return _thinned(inputs, targets, generator, keep)


@register
def class_flips(
    inputs: Tensor, targets: Tensor, generator: Generator, *, rate_positive: float, rate_negative: float
) -> Changed:
    """Class flips: labels change from yes to no at one rate, and from no to yes at another (Natarajan et al., 2013).

    y' = 1 - y for exactly round(rate * n) of the n rows of each class.

    Args:
        inputs: [n, ...], returned as they are.
        targets: 0 or 1 [n], clean.
        generator: random generator for the rows; larger rates include the rows of smaller ones.
        rate_positive: share of the positives that become negative, in [0, 1].
        rate_negative: share of the negatives that become positive, in [0, 1]. If the two rates add up to 1, labels hold no information.
    """
    rates = torch.tensor([rate_negative, rate_positive], dtype=torch.float64)
    chosen = _first_of_each_class(targets.long(), rates, generator)
    return Changed(inputs, torch.where(chosen, 1 - targets, targets), chosen)


@register
def positive_unlabelled(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float) -> Changed:
    """Positive and unlabelled data: a share of the positives was not found and counts as negative (Elkan and Noto, 2008).

    y' = 0 for exactly round(fraction * n) of the n positives.

    Args:
        inputs: [n, ...], returned as they are.
        targets: 0 or 1 [n], clean.
        generator: random generator for the rows.
        fraction: share of the positives, in [0, 1]; a larger one includes the rows of a smaller one.
    """
    return class_flips(inputs, targets, generator, rate_positive=fraction, rate_negative=0.0)


@register
def imbalance(inputs: Tensor, targets: Tensor, generator: Generator, *, ratio: float, rare: str) -> Changed:
    """Class imbalance: one of two classes becomes rare (He and Garcia, 2009).

    The rare class keeps round(n / ratio) of its n rows, but at least one. The other rows are replaced by copies of rows that
    stay, of either class, as in `long_tail`.

    Args:
        inputs: [n, ...], clean.
        targets: 0 or 1 [n], clean.
        generator: random generator for the rows and their copies.
        ratio: at least 1. A larger one replaces the rows that a smaller one replaces, and more.
        rare: `positive` or `negative`.
    """
    keep = torch.ones(2, dtype=torch.float64)
    keep[int(rare == "positive")] = 1 / ratio
    return _thinned(inputs, targets, generator, keep)


@register
def annotators(inputs: Tensor, targets: Tensor, generator: Generator, *, rate: float, votes: int) -> Changed:
    """Several annotators: the target becomes the mean of several votes, each of which may be wrong (Dawid and Skene, 1979).

    y' = mean of m votes, each y, or with probability `rate` 1 - y. It lies in [0, 1], which every loss for two classes takes. If
    validation is corrupted too, metrics count values above 1/2 as yes.

    Args:
        inputs: [n, ...], returned as they are.
        targets: 0 or 1 [n], clean.
        generator: random generator for the errors; a larger rate includes the errors of a smaller one.
        rate: probability that a vote is wrong, in [0, 1].
        votes: m, at least 1; with 1 the targets stay 0 or 1.
    """
    errors = torch.rand(len(targets), votes, generator=generator) < rate
    return new_targets(inputs, targets, (targets - errors.to(targets).mean(1)).abs())


def _matrix(numbers: list[float], classes: int) -> Tensor:
    """T [K, K] from a rate, or from its own numbers."""
    if len(numbers) not in (1, classes**2):
        raise BadRequest(
            f"corruption.transition must hold one rate, or {classes} * {classes} numbers row by row; it holds {len(numbers)}."
        )
    given = torch.tensor(numbers, dtype=torch.float64)
    if len(numbers) == 1:
        same = torch.eye(classes, dtype=torch.float64)
        return same * (1 - given) + (1 - same) * given / (classes - 1)
    matrix = given.reshape(classes, classes)
    sums = matrix.sum(1)
    for row in range(classes):
        if abs(sums[row] - 1) > _ROUNDING:
            raise BadRequest(
                f"Each row of corruption.transition must add up to 1, and row {row} adds up to {sums[row]:.6g}."
            )
    return matrix / sums[:, None]


def _moved_to(inputs: Tensor, targets: Tensor, moved: Tensor, chances: Tensor, where_to: Tensor) -> Changed:
    """Labels of the rows `moved`, drawn from chances [n, K], which need not add up to 1, at the points `where_to` [n] in [0, 1)."""
    up_to = chances.cumsum(1)
    found = torch.searchsorted(up_to, where_to[:, None] * up_to[:, -1:], right=True)[:, 0]
    return new_targets(inputs, targets, torch.where(moved, found.clamp(max=chances.shape[1] - 1), targets))


def _rates(chance: Tensor, mean: float, spread: float) -> Tensor:
    """A normal distribution cut to [0, 1]: its inverse distribution function at the points `chance` [n]."""
    if mean == 0 or spread == 0:
        return torch.full_like(chance, mean)
    from scipy.stats import truncnorm  # here, as the import is slow

    return torch.as_tensor(truncnorm.ppf(chance.numpy(), -mean / spread, (1 - mean) / spread, mean, spread))


def _first_of_each_class(labels: Tensor, shares: Tensor, generator: Generator, least: int = 0) -> Tensor:
    """A random share of each class's rows, as a mask: exactly round(share * n) of n rows, but at least `least`."""
    order = torch.randperm(len(labels), generator=generator)
    first = torch.zeros(len(labels), dtype=torch.bool)
    for label, share in enumerate(shares.tolist()):
        rows = order[labels[order] == label]
        first[rows[: max(least, round(share * len(rows)))]] = True
    return first


def _thinned(inputs: Tensor, targets: Tensor, generator: Generator, keep: Tensor) -> Changed:
    """Each class keeps a share of its rows; the rows that are dropped are replaced by copies of rows that stay."""
    stays = _first_of_each_class(targets.long(), keep, generator, least=1)
    if stays.all():
        return Changed(inputs, targets, ~stays)
    kept = stays.nonzero()[:, 0]
    copies = kept[(torch.rand(len(targets), generator=generator, dtype=torch.float64) * len(kept)).long()]
    source = torch.where(stays, torch.arange(len(targets)), copies)
    return Changed(inputs[source], targets[source], ~stays)
