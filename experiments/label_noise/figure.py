"""Draws figures/epochs.png beside itself: test accuracy against the share of wrong labels, best and last epoch, from records.parquet."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import t

from losslab.study.looks import look

HERE = Path(__file__).resolve().parent
EPOCHS = {"best": "best epoch, by clean validation", "last": "last epoch"}


def main() -> None:
    """Means over the seeds of the comparison with 95 % t intervals; trials are left out."""
    runs = pd.read_parquet(HERE / "records.parquet")
    runs = runs[runs["study.phase"] == "confirm"]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), sharey=True, layout="constrained")
    for ax, (epoch, title) in zip(axes, EPOCHS.items(), strict=True):
        for place, (loss, part) in enumerate(runs.groupby("study.loss", sort=False)):
            each = part.groupby("corruption.fraction")[f"metrics.{epoch}/test/accuracy"]
            half = each.sem() * t.ppf(0.975, each.count() - 1)
            its = look(place)
            style = {"color": its.colour, "marker": its.marker[1], "linestyle": its.dash[1], "capsize": 3}
            ax.errorbar(each.mean().index, each.mean(), half, label=short(str(loss)), **style)
        ax.set(title=title, xlabel="share of wrong labels")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("test accuracy")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    (HERE / "figures").mkdir(exist_ok=True)
    figure.savefig(HERE / "figures" / "epochs.png", dpi=130)


def short(loss: str) -> str:
    """The name without its settings, but for cross-entropy, which is there twice."""
    return loss if loss.endswith("(label_smoothing=0.1)") else loss.partition("(")[0]


if __name__ == "__main__":
    main()
