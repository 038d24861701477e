"""A centre and a spread that a minority of outliers cannot move."""

from __future__ import annotations

import torch
from torch import Tensor

NORMAL = 1.4826  # makes the MAD of a normal variable equal its standard deviation


def robust_scale(values: Tensor) -> tuple[Tensor, Tensor]:
    """Median and spread of each column: values [n, D] -> two of [D].

    The spread is 1.4826 times the median absolute deviation. Where that is 0, since more than half of the values are the
    same, the standard deviation serves, and 1 where all are the same.
    """
    centre = values.quantile(0.5, dim=0)
    spread = NORMAL * (values - centre).abs().quantile(0.5, dim=0)
    spread = torch.where(spread > 0, spread, values.std(0))
    return centre, torch.where(spread > 0, spread, torch.ones_like(spread))
