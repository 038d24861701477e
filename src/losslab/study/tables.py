"""What each table of a report shows, as text in cells, which HTML and Markdown print alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from losslab.study.findings import ARMS, Findings
from losslab.study.results import Results

NONE = "–"


@dataclass(frozen=True)
class Table:
    """A caption, the heads of its columns, and rows of as many texts; `numbers` says which columns (from 0) hold numbers."""

    caption: str
    head: list[str]
    rows: list[list[str]]
    numbers: set[int] = field(default_factory=set)


def ranking(results: Results, found: Findings) -> dict[str, Table]:
    """By setting: each loss with mean, interval and place, the arms beside one another; the best of the first arm on top."""
    tables = {}
    for setting, block in found.ranking.groupby("setting", sort=False):
        arms = [arm for arm in results.arms if arm in set(block["arm"])]
        rows = {(row["arm"], row["loss"]): row for row in block.to_dict("records")}
        places = _places(block["high"] - block["low"])
        leading = block[block["arm"] == arms[0]].sort_values(["place", "mean_rank"], kind="stable")
        body = []
        for loss in leading["loss"]:
            of_loss = [rows[arm, loss] for arm in arms if (arm, loss) in rows]
            cells = [text for row in of_loss for text in (str(row["place"]), _between(row, "mean", "low", "high", places))]
            body.append([loss, *cells, _span(row["n"] for row in of_loss), str(sum(row["diverged"] for row in of_loss))])
        heads = [head for arm in arms for head in _heads(results, arm)]
        tables[setting] = Table(
            f"Test {results.metric}, {_setting(results, setting)}: mean over the runs and its 95 % interval; "
            "n: runs of each loss" + (" at each rate." if len(arms) > 1 else "."),
            ["loss", *heads, "n", "diverged"],
            body,
            set(range(1, 3 + len(heads))),
        )
    return tables


def overall(results: Results, found: Findings) -> Table | None:
    """Mean rank over all settings; None where there is one setting only."""
    if len(results.settings) < 2 or found.overall.empty:
        return None
    rows = {(row["arm"], row["loss"]): row for row in found.overall.to_dict("records")}
    arms = [arm for arm in results.arms if arm in set(found.overall["arm"])]
    leading = found.overall[found.overall["arm"] == arms[0]].sort_values("mean_rank", kind="stable")
    body, heads = [], []
    for loss in leading["loss"]:
        of_loss = [rows[arm, loss] for arm in arms if (arm, loss) in rows]
        cells = [text for row in of_loss for text in (_between(row, "mean_rank", "low", "high", 2), str(row["first_in"]))]
        body.append([loss, *cells, _span(row["settings"] for row in of_loss)])
    for arm in arms:
        of_arm = f", {ARMS[arm]}" if len(arms) > 1 else ""
        heads += [f"mean rank{of_arm}", f"first in{of_arm}"]
    caption = "Mean rank over all settings (1 is best) and its 95 % interval; in how many settings it is first; n: settings."
    return Table(caption, ["loss", *heads, "n"], body, set(range(1, 2 + len(heads))))


def flips(results: Results, found: Findings) -> Table | None:
    """Pairs of losses whose order the rate decides, the sure ones first; None where there are none."""
    if found.flips.empty:
        return None
    ordered = found.flips.sort_values("sure", ascending=False, kind="stable")
    places = _places(pd.concat([ordered[f"{arm}_high"] - ordered[f"{arm}_low"] for arm in ("shared", "tuned")]))
    n = _span(found.ranking["n"])
    body = [
        [
            row["setting"],
            row["loss"],
            row["other"],
            _between(row, "shared", "shared_low", "shared_high", places),
            _between(row, "tuned", "tuned_low", "tuned_high", places),
            "yes" if row["sure"] else "no",
        ]
        for row in ordered.to_dict("records")
    ]
    return Table(
        f"Pairs that change their order: difference of the first from the second in test {results.metric} and its 95 % "
        f"interval, at one shared rate and at their own; sure: both intervals exclude zero; n = {n} paired seeds.",
        ["setting", "first", "second", "at one shared rate", "at their own rates", "sure"],
        body,
        {3, 4},
    )


def robustness(results: Results, found: Findings) -> Table | None:
    """Area, clean-data cost and breakdown level of each loss; None without a numeric axis."""
    if found.robustness.empty:
        return None
    table = found.robustness
    areas, costs = _places(table["area_high"] - table["area_low"]), _places(table["cost_high"] - table["cost_low"])
    panels, arms = table["panel"].nunique() > 1, len(results.arms) > 1
    body = [
        ([str(row["panel"])] if panels else [])
        + ([ARMS[row["arm"]]] if arms else [])
        + [
            row["loss"],
            _between(row, "area", "area_low", "area_high", areas),
            _between(row, "clean_cost", "cost_low", "cost_high", costs),
            number(row["breakdown"], 2),
            str(row["words"]),
        ]
        for row in table.to_dict("records")
    ]
    first = (["other settings"] if panels else []) + (["rate"] if arms else [])
    caption = (
        f"Over {found.axis}: normalised area under test {results.metric}; cost on clean data (against the best there); "
        f"breakdown: the level from which it is worse than the best constant prediction; n = {_span(found.ranking['n'])} "
        "seeds a level."
    )
    head = [*first, "loss", "area", "clean-data cost", "breakdown", "in words"]
    return Table(caption, head, body, {len(first) + 1, len(first) + 2, len(first) + 3})


def comparisons(results: Results, found: Findings) -> dict[str, list[Table]]:
    """By setting, an arm each: what every loss differs by from the reference, and what may be said of it."""
    tables: dict[str, list[Table]] = {}
    for setting, block in found.comparisons.groupby("setting", sort=False):
        for arm in results.arms:
            rows = block[block["arm"] == arm]
            if rows.empty:
                continue
            places = _places(rows["high"] - rows["low"])
            body = [
                [
                    row["loss"],
                    _between(row, "difference", "low", "high", places),
                    _chance(row["p_holm"]),
                    NONE if pd.isna(row["wins"]) else f"{row['wins']:.0%}",
                    number(row["detectable"], places),
                    str(row["n"]),
                    str(row["words"]),
                ]
                for row in rows.to_dict("records")
            ]
            of_arm = f", {ARMS[arm]}" if len(results.arms) > 1 else ""
            caption = (
                f"Paired differences to {results.reference} in test {results.metric}, {_setting(results, setting)}{of_arm}: mean "
                "and 95 % interval; p by Holm; wins: share of the seeds; detectable: the smallest difference that so many seeds "
                "would show; n: seeds."
            )
            head = ["loss", "difference", "p", "wins", "detectable", "n", "in words"]
            tables.setdefault(setting, []).append(Table(caption, head, body, {1, 2, 3, 4, 5}))
    return tables


def choices(results: Results) -> Table | None:
    """What every loss was tuned to; None where nothing was tuned."""
    if results.choices.empty:
        return None
    several = results.choices["at"].nunique() > 1
    body = [
        ([str(row["at"])] if several else [])
        + [
            row["loss"],
            f"{row['lr']:.3g}",
            row["params"] or NONE,
            f"{row['value']:.4g}",
            str(row["trials"]),
            str(row["diverged"]),
            row["edge"] or NONE,
        ]
        for row in results.choices.to_dict("records")
    ]
    first = ["tuned at"] if several else []
    head = [*first, "loss", "rate", "hyperparameters", f"validation {results.metric}", "n", "diverged", "at an edge"]
    number_columns = {len(first) + column for column in (1, 3, 4, 5)}
    caption = "What each loss was tuned to; n: trials; diverged: trials of which a run diverged."
    return Table(caption, head, body, number_columns)


def failures(results: Results) -> Table | None:
    """Every run that did not end well, those alike in one row; None where all did."""
    if results.failures.empty:
        return None
    body = []
    for (phase, loss, setting, status), rows in results.failures.groupby(
        ["phase", "loss", "setting", "status"], sort=False, dropna=False
    ):
        reasons = [str(reason) for reason in rows["reason"].dropna().unique() if str(reason)]
        more = f"; and {len(reasons) - 2} other reasons" if len(reasons) > 2 else ""
        seeds = ", ".join(map(str, sorted(rows["seed"].unique())))
        said = "; ".join(reasons[:2]) + more
        body.append([str(phase), str(loss), str(setting), str(status), str(len(rows)), seeds, said or NONE])
    caption = f"The {len(results.failures)} runs that failed or diverged; n: runs in a row."
    return Table(caption, ["phase", "loss", "setting", "status", "n", "seeds", "reason"], body, {4})


def number(value: float, places: int) -> str:
    """With so many decimals and a true minus; – where not finite; in powers of ten where that is shorter."""
    if not np.isfinite(value):
        return NONE
    text = f"{value:.3g}" if abs(value) >= 1e6 or places > 6 else f"{value:.{places}f}"
    return text.replace("-", "−")


def _between(row: dict[str, float], value: str, low: str, high: str, places: int) -> str:
    if not np.isfinite(row[value]):
        return NONE
    if not np.isfinite(row[low]):
        return number(row[value], places)
    return f"{number(row[value], places)} [{number(row[low], places)}, {number(row[high], places)}]"


def _places(widths: pd.Series[float]) -> int:
    """Decimals that show two digits of the usual width of an interval; 3 where no interval is known."""
    known = widths[np.isfinite(widths) & (widths > 0)]
    return 3 if known.empty else max(0, 1 - math.floor(math.log10(known.median() / 2)))


def _chance(p: float) -> str:
    if not np.isfinite(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _span(counts: Iterable[int]) -> str:
    distinct: Sequence[int] = sorted({int(count) for count in counts})
    return str(distinct[0]) if len(distinct) == 1 else f"{distinct[0]} to {distinct[-1]}"


def _heads(results: Results, arm: str) -> list[str]:
    if len(results.arms) == 1:
        return ["place", f"test {results.metric}"]
    return [f"place, {ARMS[arm]}", f"test {results.metric}, {ARMS[arm]}"]


def _setting(results: Results, setting: str) -> str:
    return setting if len(results.settings) > 1 else f"{results.epoch} epoch"
