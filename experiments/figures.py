"""Draws a study's own figure from the records beside its page: two panels, a line a loss, means over seeds with 95 % t intervals.

    python experiments/figures.py label_noise

For studies whose report draws it less well: names that it would cut, or a scale that the best constant prediction would set.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import t

from losslab.report.charts.style import look

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Panel:
    """What one panel shows: a metric's column, its name on the axis; of the runs of one model where one is named."""

    metric: str
    name: str
    title: str = ""
    model: str = ""


@dataclass(frozen=True)
class Figure:
    """A file's name, the column and the name of what goes along, and the panels; which parts of a loss's name are left out."""

    file: str
    along: str
    name: str
    panels: tuple[Panel, Panel]
    log: bool = False
    same_scale: bool = False
    cut: str = ""  # a regular expression


def _of_imbalance(second: Panel) -> Figure:
    first = Panel("best/test/balanced_accuracy", "test balanced accuracy")
    cut = r", label_smoothing=0\.0"
    return Figure("imbalance", "config.corruption.ratio", "ratio", (first, second), log=True, cut=cut)


FIGURES = {
    "imbalance": _of_imbalance(Panel("best/test/auroc", "test AUROC")),
    "imbalance_long_tail": _of_imbalance(Panel("best/test/nll", "test NLL (lower is better)")),
    "label_noise": Figure(
        "epochs",
        "corruption.fraction",
        "share of wrong labels",
        (
            Panel("best/test/accuracy", "test accuracy", "best epoch, by clean validation"),
            Panel("last/test/accuracy", "test accuracy", "last epoch"),
        ),
        same_scale=True,
        cut=r"\((?!label_smoothing=0\.1).*",  # but for cross-entropy, which is there twice
    ),
    "leverage": Figure(
        "leverage",
        "corruption.fraction",
        "share of leverage points",
        (
            Panel("last/test/mae", "test MAE (lower is better)", "linear model", "linear"),
            Panel("last/test/mae", "test MAE (lower is better)", "MLP", "mlp"),
        ),
    ),
}


def main(study: str) -> int:
    """Draws the figure of a study; trials are left out. Returns the exit status."""
    if study not in FIGURES:
        print(f"There is no figure of '{study}'; there are: {', '.join(FIGURES)}.", file=sys.stderr)
        return 2
    asked, folder = FIGURES[study], HERE / study
    runs = pd.read_parquet(folder / "records.parquet")
    runs = runs[runs["study.phase"] == "confirm"]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.9), sharey=asked.same_scale, layout="constrained")
    for ax, panel in zip(axes, asked.panels, strict=True):
        shown = runs[runs["model"] == panel.model] if panel.model else runs
        for place, (loss, part) in enumerate(shown.groupby(shown["study.loss"].astype(str), sort=False)):
            each = part.groupby(asked.along)[f"metrics.{panel.metric}"]
            half = each.sem() * t.ppf(0.975, each.count() - 1)
            its = look(place)
            style = {"color": its.colour, "marker": its.marker[1], "linestyle": its.dash[1], "capsize": 3}
            ax.errorbar(each.mean().index, each.mean(), half, label=loss, **style)
        ax.set(title=panel.title, xlabel=asked.name, ylabel=panel.name, xscale="log" if asked.log else "linear")
        ax.grid(alpha=0.3)
    lines, losses = axes[0].get_legend_handles_labels()
    names = pd.Series(losses).str.replace(asked.cut, "", regex=True) if asked.cut else losses
    figure.legend(lines, names, loc="outside lower center", ncols=5, fontsize=8)
    (folder / "figures").mkdir(exist_ok=True)
    figure.savefig(folder / "figures" / f"{asked.file}.png", dpi=130)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2] or [""]))
