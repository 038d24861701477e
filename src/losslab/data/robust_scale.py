"""A centre and a spread that a minority of outliers cannot move."""

from __future__ import annotations

import torch
from torch import Tensor

NORMAL = 1.4826  # makes the MAD of a normal variable equal its standard deviation
_FEW_TIES = 0.25  # up to this share of values that equal the median, the spread is the MAD itself
_MOST = 0.9  # the spread never looks at the tenth of the values that is farthest from the median


def robust_scale(values: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Median and spread of each column: values [n, D] -> two of [D].

    The spread is 1.4826 times the median absolute deviation (Hampel, 1974). That is 0 where more than half of the values are
    the same. So where a share p > 1/4 of the values equals the median, a higher quantile of the deviations takes its place:
    that of p + 1/4 up to p = 1/2, then of (1 + p) / 2, which is the median deviation of the values that differ, and of 9/10 at
    most. The level does not jump anywhere. The spread is 1 where that quantile is 0, as of nine equal values in ten.

    Whatever share of outliers up to 1/10 is among the values, and up to (1 - p) / 2 for p < 4/5, the spread stays within the
    deviations of the others.

    weights: how much each row counts, [n], at least 0; a row of weight 2 counts as two. Without them, quantiles lie between values.
    """
    if weights is not None:
        return _weighted(values, weights)
    centre = _median(values.sort(0).values)
    size = (values - centre).abs().sort(0).values
    ties = (size == 0).double().mean(0)
    level = torch.where(ties <= 0.5, ties + 0.25, (1 + ties) / 2).clamp(0.5, _MOST)
    place = (level * (len(values) - 1)).long()
    higher = size.gather(0, place[None])[0]
    spread = NORMAL * torch.where(ties <= _FEW_TIES, _median(size), higher)
    return centre, torch.where(spread > 0, spread, torch.ones_like(spread))


def _median(ordered: Tensor) -> Tensor:
    """The median of each column of ordered values [n, D]: what torch.quantile gives, which would sort once more."""
    middle = (len(ordered) - 1) / 2
    return ordered[int(middle)].lerp(ordered[int(middle + 0.5)], middle % 1)


def _weighted(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The same of weighted rows, each quantile being one of the values."""
    total = weights.sum()
    centre = _quantile(values, weights, torch.full_like(values[0], 0.5))
    size = (values - centre).abs()
    ties = (weights[:, None] * (size == 0)).sum(0) / total
    level = torch.where(ties <= _FEW_TIES, 0.5, torch.where(ties <= 0.5, ties + 0.25, (1 + ties) / 2).clamp(0.5, _MOST))
    spread = NORMAL * _quantile(size, weights, level)
    return centre, torch.where(spread > 0, spread, torch.ones_like(spread))


def _quantile(values: Tensor, weights: Tensor, level: Tensor) -> Tensor:
    """The smallest value of each column up to which a share `level` [D] of the weights lies: [D]."""
    ordered, places = values.sort(0)
    below = weights[places].cumsum(0)
    # sums of weights are rounded, and must not fall short of their share for that
    first = (below < level * below[-1] * (1 - 1e-9)).sum(0)
    return ordered.gather(0, first[None])[0]
