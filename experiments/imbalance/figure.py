"""Draws figures/imbalance.png in a folder, from its records.parquet: two test metrics against the ratio, a line a loss.

`python experiments/imbalance/figure.py experiments/imbalance`, or with experiments/imbalance_long_tail. The report's own figures
cut long names, which hides pos_weight.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import t

WORDS = {"balanced_accuracy": "test balanced accuracy", "auroc": "test AUROC", "nll": "test NLL (lower is better)"}
MARKS = "os^Dv*P"


def main(folder: Path) -> None:
    """Means over the seeds of the comparison with 95 % t intervals, at the best epoch; trials are left out."""
    runs = pd.read_parquet(folder / "records.parquet")
    runs = runs[runs["study.phase"] == "confirm"]
    second = "auroc" if "metrics.best/test/auroc" in runs else "nll"
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for ax, metric in zip(axes, ("balanced_accuracy", second), strict=True):
        for mark, (loss, part) in zip(MARKS, runs.groupby("study.loss", sort=False), strict=False):
            each = part.groupby("config.corruption.ratio")[f"metrics.best/test/{metric}"]
            half = each.sem() * t.ppf(0.975, each.count() - 1)
            name = str(loss).replace(", label_smoothing=0.0", "")
            ax.errorbar(each.mean().index, each.mean(), half, marker=mark, capsize=3, label=name)
        ax.set(xscale="log", xlabel="ratio", ylabel=WORDS[metric])
        ax.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    (folder / "figures").mkdir(exist_ok=True)
    figure.savefig(folder / "figures" / "imbalance.png", dpi=130)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
