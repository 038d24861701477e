"""Charts of how runs and trials spread: near the best in which share of the runs, and the best trial by the number of trials."""

from __future__ import annotations

import numpy as np
import pandas as pd

from losslab.report.analysis import Findings
from losslab.report.charts.build import condition_title
from losslab.report.charts.emphasis import places
from losslab.report.charts.spec import Chart, Series
from losslab.report.formatting import number, percent
from losslab.report.results import Results

Tabs = dict[str, list[Chart]]


def profiles(results: Results, found: Findings) -> list[Chart]:
    """The share of the runs of each loss that come so near to the best of their seed and setting, one chart a condition."""
    looks, made = places(results, found), []
    for condition in results.conditions:
        table = found.profiles[found.profiles["condition"] == condition]
        if not (table["share"] > 0).any():
            continue
        end = _far(table)
        series = []
        for loss in results.losses:
            steps = table[(table["loss"] == loss) & (table["behind"] <= end)]
            if len(steps):
                x = np.append(np.repeat(steps["behind"].to_numpy(), 2)[1:], end)  # as stairs
                y = np.repeat(steps["share"].to_numpy(), 2)
                said = [
                    f"{loss}: {percent(share)} of the runs at most {number(at, 2)} behind"
                    for at, share in zip(x, y, strict=True)
                ]
                series.append(Series(loss, looks[loss], "line", list(x), list(y), hover=said))
        label = f"behind the best run of the seed, test {results.measure}"
        chart = Chart(f"profile-{condition}", condition_title(results, condition), label, "share of runs", series)
        made.append(chart)
    return made


def _far(table: pd.DataFrame) -> float:
    """Where the figure ends: most runs of all losses but the worst lie within."""
    reached = table[table["share"] >= 0.9].groupby("loss")["behind"].min().sort_values()
    far = float(reached.iloc[-2] if len(reached) > 1 else table["behind"].max())
    return 1.05 * far if far > 0 else 1.0


def budgets(results: Results, found: Findings) -> Tabs:
    """The best trial so far against the number of trials, by where it was tuned."""
    looks, tabs = places(results, found), {}
    for tab, (at, block) in enumerate(found.budgets.groupby("at", sort=False)):
        series = []
        for loss in results.losses:
            path = block[(block["loss"] == loss) & np.isfinite(block["value"])]
            if len(path):
                said = [
                    f"{loss}, {tried} trials: {number(value)}"
                    for tried, value in zip(path["tried"], path["value"], strict=True)
                ]
                series.append(
                    Series(
                        loss,
                        looks[loss],
                        "line",
                        [float(tried) for tried in path["tried"]],
                        list(path["value"]),
                        hover=said,
                    )
                )
        label = f"validation {results.measure} of the best so far"
        if series:
            tabs[str(at)] = [Chart(f"budget-{tab}", "", "trials", label, series)]
    return tabs
