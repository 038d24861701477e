"""Calibration error: how far predicted probabilities are from observed frequencies."""

from __future__ import annotations

import torch
from torch import Tensor

_BINS = 15


def calibration_error(stated: Tensor, happened: Tensor) -> Tensor:
    """Expected calibration error over 15 bins of equal width (Guo et al., 2017), for R runs at once.

    Args:
        stated: probabilities [R, n], in [0, 1].
        happened: [R, n], 0 or 1.

    Returns:
        [R], in [0, 1]. As in torchmetrics, but for all runs at once.
    """
    borders = torch.linspace(0, 1, _BINS + 1, dtype=stated.dtype, device=stated.device)
    bins = (torch.bucketize(stated, borders, right=True) - 1).clamp(0, _BINS - 1)
    gaps = torch.zeros(len(stated), _BINS, dtype=stated.dtype, device=stated.device)
    return gaps.scatter_add(1, bins, stated - happened).abs().sum(1) / stated.shape[1]
