"""Draws figures/runs.png beside itself: final test NLL of both losses against the learning rate, from records.parquet."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

HERE = Path(__file__).resolve().parent
PRECISIONS = ("32-true", "bf16-mixed", "bf16-true", "16-true")
LOOKS = {"bce_with_logits": ("tab:blue", "o-"), "bce": ("tab:red", "s--")}


def main() -> None:
    """One panel a precision: the mean over the seeds with the runs as dots; crosses at the top where all diverged."""
    runs = pd.read_parquet(HERE / "records.parquet")
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.3), sharex=True, sharey=True, layout="constrained")
    for ax, precision in zip(axes, PRECISIONS, strict=True):
        for loss, (colour, line) in LOOKS.items():
            part = runs[(runs["config.trainer.precision"] == precision) & (runs["loss"] == loss)]
            each = part.groupby("config.optimizer.lr")["metrics.last/test/nll"]
            ax.plot(part["config.optimizer.lr"], part["metrics.last/test/nll"], ".", color=colour, alpha=0.3)
            ax.plot(each.mean().index, each.mean(), line, color=colour, label=loss)
            dead = each.count()[each.count() == 0].index
            ax.plot(
                dead,
                [20.0] * len(dead),
                "x",
                color=colour,
                ms=9,
                mew=2,
                label=f"{loss}: all diverged" if len(dead) else None,
            )
        ax.set(xscale="log", yscale="log", title=precision, xlabel="learning rate")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("test NLL, last epoch")
    axes[0].legend(fontsize=8)
    axes[-1].legend(fontsize=8)
    figure.savefig(HERE / "figures" / "runs.png", dpi=130)


if __name__ == "__main__":
    main()
