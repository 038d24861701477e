"""Figures of paired differences: of each loss to the reference, and of all pairs of losses as squares."""

from __future__ import annotations

import numpy as np
import pandas as pd

from losslab.report import wording
from losslab.report.analysis import Findings
from losslab.report.charts.build import condition_title, in_order, told
from losslab.report.charts.emphasis import places
from losslab.report.charts.spec import Chart, Heat, Series
from losslab.report.formatting import NONE, Row, fixed
from losslab.report.results import Results
from losslab.stats.paired import BETTER, WORSE


def paired(results: Results, found: Findings) -> dict[str, list[Chart]]:
    """What each loss differs by from the reference on the same seeds, in the condition that leads; hollow: neither is shown to be better.

    The bars of a ranking show how runs vary between seeds; these show what is left of it in a comparison.
    """
    tabs: dict[str, list[Chart]] = {}
    looks, reference = places(results, found), results.reference
    leading = found.comparisons[found.comparisons["condition"] == results.conditions[0]]
    for tab, (setting, block) in enumerate(leading.groupby("setting", sort=False)):
        known = block[np.isfinite(block["difference"]) & (block["diverged"] == 0)]
        if known.empty:
            continue
        known = known.sort_values("difference", ascending=results.better == "min", kind="stable")
        names = list(known["loss"])
        at = int((known["difference"] < 0).sum()) if results.better == "min" else int((known["difference"] > 0).sum())
        names[at:at] = [reference]
        heights = {loss: float(len(names) - 1 - index) for index, loss in enumerate(names)}
        series = [
            Series(
                row["loss"],
                looks[row["loss"]],
                "dots" if row["verdict"] in (BETTER, WORSE) else "hollow",
                [row["difference"]],
                [heights[row["loss"]]],
                [row["low"]],
                [row["high"]],
                [f"{row['loss']} minus {reference}: {told(row | {'mean': row['difference']})}; {row['verdict']}"],
            )
            for row in in_order(results, known)
        ]
        series.append(Series(reference, looks[reference], "dots", [0.0], [heights[reference]], hover=["the reference"]))
        side = "left" if results.better == "min" else "right"
        label = f"test {results.measure} minus that of {reference} ({side} of 0: better)"
        ticks = {height: loss for loss, height in heights.items()}
        chart = Chart(f"paired-{tab}", "", label, "", series, y_ticks=ticks, rows=2 * len(names), zero=True)
        tabs[str(setting)] = [chart]
    return tabs


def differences(results: Results, found: Findings) -> dict[str, list[Heat]]:
    """Row minus column for all pairs of losses, in each setting and condition; one scale of colour for a setting.

    Only pairs that are told apart have a colour.
    """
    tabs: dict[str, list[Heat]] = {}
    for tab, setting in enumerate(results.settings.index):
        of_setting = {
            condition: found.matrices[condition, setting]
            for condition in results.conditions
            if (condition, setting) in found.matrices
        }
        rows = [row for pairs in of_setting.values() for row in pairs.to_dict("records") if _numeric(row)]
        sizes = [abs(row["difference"]) for row in rows]
        if not any(sizes):
            continue
        for condition, pairs in of_setting.items():
            heat = _heat(
                f"differences-{tab}-{condition}", condition_title(results, condition), results, pairs, max(sizes)
            )
            tabs.setdefault(str(setting), []).append(heat)
    return tabs


def _heat(key: str, title: str, results: Results, pairs: pd.DataFrame, limit: float) -> Heat:
    known = {(row["loss"], row["other"]): row for row in pairs.to_dict("records")}
    names = [loss for loss in results.losses if loss in set(pairs["loss"])]
    cells: list[list[Row]] = [[known.get((loss, other), {}) for other in names] for loss in names]
    decimals = max(0, 2 - int(np.ceil(np.log10(limit)))) if limit < 1e3 else 0
    return Heat(
        key,
        title,
        names,
        [
            [float(cell["difference"]) if _numeric(cell) and _told_apart(cell) else np.nan for cell in row]
            for row in cells
        ],
        [[_cell(cell, decimals) for cell in row] for row in cells],
        [[_sentence(cell, results.level) for cell in row] for row in cells],
        limit,
        1 if results.better == "min" else -1,
    )


def _cell(cell: Row, decimals: int) -> str:
    if not cell:
        return ""
    apart = _told_apart(cell)
    if not _numeric(cell):
        return str(cell["verdict"]) if apart else NONE
    return fixed(cell["difference"], decimals) + ("*" if apart else "")


def _sentence(cell: Row, level: float) -> str:
    """What a pair says, without backticks."""
    return wording.comparison(cell, cell["loss"], cell["other"], level).replace("`", "") if cell else ""


def _numeric(cell: Row) -> bool:
    """Whether a pair has a difference to be trusted: no run of it diverged."""
    return bool(cell) and not cell["diverged"] and np.isfinite(cell["difference"])


def _told_apart(cell: Row) -> bool:
    return cell["verdict"] in (BETTER, WORSE)
