"""Draws figures/leverage.png beside itself: test MAE against the share of leverage points, by model, last epoch, from records.parquet.

The report's own figure leaves room for the best constant prediction, which here is far worse than all losses.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import t

from losslab.study.looks import look

HERE = Path(__file__).resolve().parent
PANELS = {"linear": "linear model", "mlp": "MLP"}


def main() -> None:
    """Means over the seeds of the comparison with 95 % t intervals; trials are left out."""
    runs = pd.read_parquet(HERE / "records.parquet")
    runs = runs[runs["study.phase"] == "confirm"]
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.0), layout="constrained")
    for ax, (model, title) in zip(axes, PANELS.items(), strict=True):
        for place, (loss, part) in enumerate(runs[runs["model"] == model].groupby("study.loss", sort=False)):
            each = part.groupby("corruption.fraction")["metrics.last/test/mae"]
            half = each.sem() * t.ppf(0.975, each.count() - 1)
            its = look(place)
            style = {"color": its.colour, "marker": its.marker[1], "linestyle": its.dash[1], "capsize": 2}
            ax.errorbar(each.mean().index, each.mean(), half, label=loss, **style)
        ax.set(title=title, xlabel="share of leverage points")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("test MAE (lower is better)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    (HERE / "figures").mkdir(exist_ok=True)
    figure.savefig(HERE / "figures" / "leverage.png", dpi=130)


if __name__ == "__main__":
    main()
