"""Balanced accuracy, in which every class has the same weight, even a rare one."""

from __future__ import annotations

from torch import Tensor


def balanced(hit: Tensor, labels: Tensor) -> Tensor:
    """Balanced accuracy of R runs (Brodersen et al., 2010): the mean, over the classes that occur, of the share that is right.

    Args:
        hit: [R, n], 1 where the prediction is right, else 0.
        labels: [R, n, K], one-hot.

    Returns:
        [R], in [0, 1]. As in scikit-learn, but for all runs at once.
    """
    rows = labels.sum(1)  # [R, K]
    right = (hit[..., None] * labels).sum(1) / rows.clamp(min=1)
    return right.sum(1) / (rows > 0).sum(1)
