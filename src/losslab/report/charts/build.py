"""Which charts a report has. Each function gives them by the label of the tab they stand in; no data: no chart."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from losslab.report.analysis import CONDITIONS, Findings
from losslab.report.charts.emphasis import places
from losslab.report.charts.spec import Chart, Series, alike, edge, wide
from losslab.report.charts.style import CONSTANT as OF_CONSTANT
from losslab.report.formatting import Row, number
from losslab.report.results import Results
from losslab.report.setting_words import in_words

CONSTANT = "best constant prediction"
Tabs = dict[str, list[Chart]]
_FAR = 3.0  # times the best error of the loss that fares worst: what lies beyond is shown at the edge
USELESS = 1.5  # times the best constant prediction where it is best: errors beyond need no room in a figure


def ranking(results: Results, found: Findings) -> Tabs:
    """Mean and interval of each loss, the best at the top; where there are two conditions, the second is hollow."""
    return {
        str(setting): [_dots(f"ranking-{index}", _metric(results), results, found, block)]
        for index, (setting, block) in enumerate(found.ranking.groupby("setting", sort=False))
        if block["mean"].notna().any()
    }


def overall(results: Results, found: Findings) -> list[Chart]:
    """Mean rank and interval of each loss over the settings; nothing where there is one setting only."""
    if len(results.settings) < 2 or found.overall.empty:
        return []
    ranks = found.overall.assign(mean=found.overall["mean_rank"], rank=found.overall["mean_rank"], diverged=0, n=0)
    return [_dots("ranking-overall", "mean rank (1 is best)", results, found, ranks)]


def _dots(key: str, label: str, results: Results, found: Findings, block: pd.DataFrame) -> Chart:
    looks = places(results, found)
    conditions = [condition for condition in results.conditions if condition in set(block["condition"])]
    order = list(block[block["condition"] == conditions[0]].sort_values(["rank", "mean_rank"], kind="stable")["loss"])
    heights = {loss: float(len(order) - 1 - index) for index, loss in enumerate(order)}
    series, remarks = [], {}
    for row in in_order(results, block):
        loss, condition = row["loss"], conditions.index(row["condition"])
        height = heights.get(loss, 0.0) + (0.0 if len(conditions) == 1 else 0.16 - 0.32 * condition)
        if row["diverged"]:
            remarks[height] = f"{row['diverged']} of {row['n'] + row['diverged']} diverged"
        if np.isfinite(row["mean"]):
            ends = (
                [row["mean"]],
                [height],
                [row["low"]],
                [row["high"]],
                [f"{loss}, {CONDITIONS[row['condition']]}: {told(row)}"],
            )
            series.append(Series(loss, looks[loss], "hollow" if condition else "dots", *ends))
    log = wide(block["mean"]) and bool((block["low"].dropna() > 0).all())
    ticks = {height: loss for loss, height in heights.items()}
    rows = len(order) * (len(conditions) + 1)
    return Chart(key, "", label, "", series, log_x=log, y_ticks=ticks, remarks=remarks, rows=rows)


def slopes(results: Results, found: Findings) -> Tabs:
    """The rank of each loss at the shared rate, and at its own."""
    if not {"tuned", "shared"} <= set(results.conditions):
        return {}
    tabs: Tabs = {}
    looks = places(results, found)
    ends = {0.0: "shared rate", 1.0: "own rate"}
    for tab, (setting, block) in enumerate(found.ranking.groupby("setting", sort=False)):
        ranks = {
            condition: _apart(rows) for condition, rows in block.groupby("condition") if rows["mean"].notna().any()
        }
        shared, tuned = ranks.get("shared", {}), ranks.get("tuned", {})
        series = [
            Series(
                loss,
                looks[loss],
                "points",
                [0.0, 1.0],
                [-float(shared[loss]), -float(tuned[loss])],
                hover=[
                    f"{loss}: rank {shared[loss]} at one shared rate",
                    f"{loss}: rank {tuned[loss]} at its own rate",
                ],
            )
            for loss in results.losses
            if loss in shared and loss in tuned
        ]
        ticks = {-float(height): str(height) for height in range(1, len(series) + 1)}
        chart = Chart(f"slopes-{tab}", "", "", "", series, x_ticks=ends, y_ticks=ticks, rows=len(series) + 1)
        if series:
            tabs[str(setting)] = [chart]
    return tabs


def curves(results: Results, found: Findings) -> Tabs:
    """The metric on validation against the epoch: mean and t interval over the runs that did not diverge."""
    means = found.curves
    if means.empty:
        return {}
    blocks = dict(iter(means.groupby(["setting", "condition", "loss"])))
    looks = places(results, found)
    tabs: Tabs = {}
    for tab, setting in enumerate(results.settings.index):
        made, heights = [], []
        for condition in results.conditions:
            of_condition = [(loss, blocks.get((setting, condition, loss))) for loss in results.losses]
            series = [_line(loss, looks[loss], "epoch", rows) for loss, rows in of_condition if rows is not None]
            label = f"validation {results.measure}"
            if series:
                made.append(
                    Chart(f"curves-{tab}-{condition}", condition_title(results, condition), "epoch", label, series)
                )
                # the first epochs are far from all that follows, and would press it flat
                heights += [value for one in series for ends in (one.low, one.y) for value in ends[len(ends) // 6 :]]
        if made:
            tabs[str(setting)] = alike(made, heights)
    return tabs


def robustness(results: Results, found: Findings) -> Tabs:
    """The metric against the level, with bands and the best constant prediction as a dashed line; a cross where runs diverged."""
    constants = results.runs.groupby("setting", sort=False)["constant"].mean()
    placed = found.ranking.assign(
        level=found.ranking["setting"].map(found.levels), constant=found.ranking["setting"].map(constants)
    )
    tabs: Tabs = {}
    for tab, (panel, settings) in enumerate(found.panels.groupby(found.panels, sort=False)):
        block = placed[placed["setting"].isin(settings.index)].sort_values("level", kind="stable")
        heights = [*block["mean"], *block["constant"].dropna()]
        if not np.isfinite(heights).any():
            continue
        if results.better == "max":  # a constant far below would press the losses flat
            worst, best = block["mean"].min(), block["mean"].max()
            heights = [height for height in heights if not height < worst - (best - worst)]
        elif block["constant"].notna().any():
            heights = [min(height, USELESS * block["constant"].min()) for height in heights]
        beyond = edge(heights, wide(heights), results.better)
        made = []
        for condition in results.conditions:
            series = _levels(results, found, block[block["condition"] == condition], beyond)
            if series:
                made.append(
                    Chart(
                        f"robustness-{tab}-{condition}",
                        condition_title(results, condition),
                        results.axes.get(found.axis, found.axis),
                        _metric(results),
                        series,
                    )
                )
        tabs[in_words(str(panel), results.axes)] = alike(
            made, [*heights, beyond] if (block["diverged"] > 0).any() else heights
        )
    return tabs


def _levels(results: Results, found: Findings, block: pd.DataFrame, beyond: float) -> list[Series]:
    series = []
    looks = places(results, found)
    for loss in results.losses:
        rows = block[block["loss"] == loss]
        fine = rows[rows["mean"].notna()]
        if len(fine):
            series.append(_line(loss, looks[loss], "level", fine))
        broken = rows[rows["diverged"] > 0]
        said = [
            f"{loss}, level {number(row['level'])}: {row['diverged']} of {row['n'] + row['diverged']} diverged"
            for row in broken.to_dict("records")
        ]
        if len(broken):
            series.append(
                Series(loss, looks[loss], "crosses", list(broken["level"]), [beyond] * len(broken), hover=said)
            )
    known = block.dropna(subset="constant").drop_duplicates("level")
    if len(known):
        said = [f"{CONSTANT}: {number(value)}" for value in known["constant"]]
        series.append(
            Series("best constant", OF_CONSTANT, "dashed", list(known["level"]), list(known["constant"]), hover=said)
        )
    return series


def rates(results: Results, found: Findings) -> Tabs:
    """Each trial's mean over its seeds against its rate; the chosen one ringed.

    Trials that diverged are crossed at the worse edge, and so are those whose errors would flatten all others.
    """
    if results.trials.empty:
        return {}
    trials = results.trials.assign(bad=results.trials["status"] != "done")
    names = ["at", "loss", "trial", "lr", "params"]
    looks = places(results, found)
    means = trials.groupby(names, sort=False).agg(value=("value", "mean"), n=("value", "size"), bad=("bad", "sum"))
    tabs: Tabs = {}
    for tab, (at, block) in enumerate(means.reset_index().groupby("at", sort=False)):
        block = block.assign(shown=(block["bad"] == 0) & np.isfinite(block["value"]))
        if results.better == "min":
            best = block[block["shown"]].groupby("loss")["value"].min()
            block["shown"] &= block["value"] <= _FAR * best.max()
        fine = block["shown"]
        if not fine.any():
            continue
        log = wide(block.loc[fine, "value"])
        beyond = edge(block.loc[fine, "value"], log, results.better)
        series = [
            one
            for loss in results.losses
            for one in _trials(
                results, loss, looks[loss], str(at), block[block["loss"] == loss].sort_values("lr"), beyond
            )
        ]
        remarks = {} if fine.all() else {beyond: "diverged or far off"}
        label = f"validation {results.measure}"
        chart = Chart(f"rates-{tab}", "", "learning rate", label, series, True, log, remarks=remarks, aside=0)
        tabs[str(at)] = [chart]
    return tabs


def _trials(results: Results, loss: str, index: int, at: str, trials: pd.DataFrame, beyond: float) -> list[Series]:
    fine, bad = trials[trials["shown"]], trials[~trials["shown"]]
    said = [f"{loss}: {number(row['value'])} {_tried(row)}, mean of {row['n']} runs" for row in fine.to_dict("records")]
    lost = [
        f"{loss}: {row['bad']} of {row['n']} runs diverged or failed {_tried(row)}"
        if row["bad"]
        else f"{loss}: {number(row['value'])} {_tried(row)}, mean of {row['n']} runs"
        for row in bad.to_dict("records")
    ]
    series = []
    if len(fine):
        series.append(Series(loss, index, "points", list(fine["lr"]), list(fine["value"]), hover=said))
    if len(bad):
        series.append(Series(loss, index, "crosses", list(bad["lr"]), [beyond] * len(bad), hover=lost))
    if len(results.choices):
        chosen = results.choices[(results.choices["loss"] == loss) & (results.choices["at"] == at)]
        mine = fine.merge(chosen[["lr", "params"]], on=["lr", "params"])
        rings = list(mine["lr"]), list(mine["value"])
        series += [Series(loss, index, "rings", *rings, hover=[f"{loss}: chosen"] * len(mine))] if len(mine) else []
    return series


def _line(loss: str, index: int, along: str, rows: pd.DataFrame) -> Series:
    said = [f"{loss}, {along} {number(row[along])}: {told(row)}" for row in rows.to_dict("records")]
    x = [float(value) for value in rows[along]]
    return Series(loss, index, "line", x, list(rows["mean"]), list(rows["low"]), list(rows["high"]), said)


def in_order(results: Results, block: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows of a table, in the order of the losses."""
    return sorted(block.to_dict("records"), key=lambda row: results.losses.index(row["loss"]))


def _apart(rows: pd.DataFrame) -> dict[str, int]:
    """A rank for each loss, ties in the order of their mean ranks, so that no two share one."""
    order = rows.sort_values(["rank", "mean_rank"], kind="stable")["loss"]
    return {loss: rank for rank, loss in enumerate(order, start=1)}


def _metric(results: Results) -> str:
    return f"test {results.measure} ({'lower' if results.better == 'min' else 'higher'} is better)"


def condition_title(results: Results, condition: str) -> str:
    """The title of a chart of one rate condition; "" where there is one only."""
    return CONDITIONS[condition] if len(results.conditions) > 1 else ""


def told(row: Row) -> str:
    """A mean with its interval, where there is one."""
    between = f" [{number(row['low'])}, {number(row['high'])}]" if np.isfinite(row["low"]) else ""
    return number(row["mean"]) + between


def _tried(row: Row) -> str:
    return f"at rate {number(row['lr'])}" + (f" with {row['params']}" if row["params"] else "")
