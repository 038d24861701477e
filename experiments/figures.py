"""Draws a study's own figure from the records beside its page: two panels, a line a loss, means over seeds with 95 % t intervals.

    python experiments/figures.py label_noise

For studies whose report draws it less well: names that it would cut, or a scale that the best constant prediction would set.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from scipy.stats import t

from losslab.report.charts import matplotlib_backend
from losslab.report.charts.build import USELESS
from losslab.report.charts.emphasis import placed
from losslab.report.charts.spec import Chart, Series, alike

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
    runs = runs[runs["study.phase"] == "confirm"].assign(loss=lambda table: table["study.loss"].astype(str))
    if asked.cut:
        runs["loss"] = runs["loss"].str.replace(asked.cut, "", regex=True)
    losses = list(dict.fromkeys(runs["loss"]))
    first = asked.panels[0]
    merit = runs.groupby("loss")[f"metrics.{first.metric}"].mean().sort_values(ascending="lower" in first.name)
    places = placed(losses, list(merit.index), losses[0])
    charts = [
        _chart(asked, panel, runs[runs["model"] == panel.model] if panel.model else runs, places.get)
        for panel in asked.panels
    ]
    if asked.same_scale:
        charts = alike(charts, [end for chart in charts for one in chart.series for end in one.low + one.high])
    (folder / "figures").mkdir(exist_ok=True)
    matplotlib_backend.draw({"": charts}, folder / "figures" / f"{asked.file}.png")
    return 0


def _chart(asked: Figure, panel: Panel, runs: pd.DataFrame, place: Callable[[str], int | None]) -> Chart:
    series = []
    for loss, part in runs.groupby("loss", sort=False):
        each = part.groupby(asked.along)[f"metrics.{panel.metric}"]
        mean, half = each.mean(), each.sem() * t.ppf(0.975, each.count() - 1)
        ends = list(mean - half), list(mean + half)
        series.append(Series(str(loss), place(str(loss)) or 0, "line", list(mean.index), list(mean), *ends))
    chart = Chart(panel.metric, panel.title, asked.name, panel.name, series, log_x=asked.log)
    if not panel.model:
        return chart
    # as in a report, what is beyond the best constant prediction needs no room
    most = USELESS * runs[f"metrics.constant/test/{panel.metric.rpartition('/')[2]}"].min()
    (chart,) = alike([chart], [min(height, most) for one in series for height in one.y])
    return chart


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2] or [""]))
