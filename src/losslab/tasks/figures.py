"""The confusion matrix, as a figure for TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def draw_confusion(writer: SummaryWriter, step: int, counts: Tensor, names: Sequence[str]) -> None:
    """Adds the figure `confusion`: counts [K, K], a row per true class, a column per predicted one; shaded by the share of the row."""
    from matplotlib.figure import Figure  # the class itself: pyplot would keep global state and choose a display

    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    side = 1.5 + 0.45 * max(len(names), 4)
    figure = Figure(figsize=(side, side), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share.cpu().numpy(), vmin=0, vmax=1, cmap="Blues")
    axes.set(xlabel="guessed", ylabel="true", title="validation split")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    for true, row in enumerate(counts.tolist()):
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
