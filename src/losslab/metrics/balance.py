"""How much is right where every class counts the same, however rare it is."""

from __future__ import annotations

from torch import Tensor


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
