"""What figures for TensorBoard share: pictures in three channels, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


_NUMBERED = 30  # classes, at most, whose counts and names can be read
_LARGEST = 15.0  # inches a side


def in_colour(pictures: Tensor) -> Tensor:
    """Pictures [n, channels, height, width] in [0, 1] as [n, 3, height, width]: of other than three channels the first, as grey."""
    return pictures if pictures.shape[1] == 3 else pictures[:, :1].expand(-1, 3, -1, -1)


def draw_confusion(writer: SummaryWriter, step: int, counts: Tensor, names: Sequence[str]) -> None:
    """Adds the figure `confusion`: counts [K, K], a row per true class, a column per predicted one; shaded by the share of the row.

    Of more than 30 classes only the shades are shown.
    """
    from matplotlib.figure import Figure  # the class itself: pyplot would keep global state and choose a display

    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    side = min(1.5 + 0.45 * max(len(names), 4), _LARGEST)
    figure = Figure(figsize=(side, side), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share.cpu().numpy(), vmin=0, vmax=1, cmap="Blues")
    axes.set(xlabel="guessed", ylabel="true", title="validation split")
    few = len(names) <= _NUMBERED
    if few:
        upright = max(map(len, names)) > 4
        axes.set_xticks(range(len(names)), names, rotation="vertical" if upright else "horizontal")
        axes.set_yticks(range(len(names)), names)
    for true, row in enumerate(counts.tolist() if few else []):
        for guess, count in enumerate(row):
            axes.text(
                guess,
                true,
                str(count),
                ha="center",
                va="center",
                color="white" if share[true, guess] > 0.5 else "black",
            )
    writer.add_figure("confusion", figure, step, close=False)
