"""What each table of a report shows, as text in cells, which HTML and Markdown print alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import pandas as pd

from losslab.report.analysis import ARMS, Findings
from losslab.report.formatting import NONE, between, chance, decimals, fixed, metric_name, span
from losslab.report.results import Results
from losslab.stats.paired import CANNOT_SAY


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        caption: above it; losses in backticks.
        head: of its columns.
        rows: as many texts each.
        words: the columns (from 0) that hold words and stand left; all others hold numbers.
        prose: those of them that hold sentences, with losses in backticks.
        over: what stands over the heads, "" for nothing; neighbours that are alike are one. Empty: nothing over any.
        below: sentences that stand under the table.
    """

    caption: str
    head: list[str]
    rows: list[list[str]]
    words: frozenset[int] = frozenset({0})
    prose: frozenset[int] = frozenset()
    over: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)

    @property
    def spans(self) -> list[tuple[str, int]]:
        """What stands over the heads, and over how many of them."""
        return [(text, len(list(alike))) for text, alike in groupby(self.over)]

    @property
    def full(self) -> list[str]:
        """The heads, each with what stands over it."""
        over = self.over or [""] * len(self.head)
        return [f"{head}, {above}" if above else head for head, above in zip(self.head, over, strict=True)]


def ranking(results: Results, found: Findings) -> dict[str, Table]:
    """By setting: each loss with mean, interval and place, the arms beside one another; the best of the first arm on top."""
    tables = {}
    for setting, block in found.ranking.groupby("setting", sort=False):
        arms = _arms(results, block)
        rows = {(row["arm"], row["loss"]): row for row in block.to_dict("records")}
        digits = decimals(block["high"] - block["low"])
        body = []
        for loss in block[block["arm"] == arms[0]].sort_values(["place", "mean_rank"], kind="stable")["loss"]:
            cells = []
            for arm in arms:
                row = rows.get((arm, loss))
                cells += [NONE] * 4 if row is None else [str(row["place"]), between(row, "mean", "low", "high", digits)]
                cells += [] if row is None else [str(row["n"]), str(row["diverged"])]
            body.append([loss, *cells])
        caption = (
            f"Test {metric_name(results.metric)} at the {results.epoch} epoch{_in(results, setting)}: "
            "mean over n runs and its 95 % interval. "
            "A loss of which runs diverged stands below those of which fewer did, whatever its mean."
        )
        head = ["place", "mean [interval]", "n", "diverged"]
        tables[str(setting)] = Table(
            caption, ["loss", *head * len(arms)], body, over=_over(results, arms, 1, len(head))
        )
    return tables


def overall(results: Results, found: Findings) -> Table | None:
    """Mean rank over all settings; None where there is one setting only."""
    if len(results.settings) < 2 or found.overall.empty:
        return None
    rows = {(row["arm"], row["loss"]): row for row in found.overall.to_dict("records")}
    arms = _arms(results, found.overall)
    leading = found.overall[found.overall["arm"] == arms[0]].sort_values("mean_rank", kind="stable")
    body = []
    for loss in leading["loss"]:
        cells = []
        for arm in arms:
            row = rows.get((arm, loss))
            cells += [NONE] * 3 if row is None else [between(row, "mean_rank", "low", "high", 2), str(row["first_in"])]
            cells += [] if row is None else [str(row["settings"])]
        body.append([loss, *cells])
    seeds = span(found.ranking["n"] + found.ranking["diverged"])
    caption = f"Mean rank over n settings, 1 is best, and its 95 % interval over {seeds} seeds; and in how many it is the first."
    head = ["mean rank [interval]", "first in", "n"]
    return Table(caption, ["loss", *head * len(arms)], body, over=_over(results, arms, 1, len(head)))


def flips(results: Results, found: Findings) -> dict[str, Table]:
    """By setting: pairs of losses whose order the rate decides, the sure ones first."""
    tables = {}
    for setting, block in found.flips.groupby("setting", sort=False):
        ordered = block.sort_values("sure", ascending=False, kind="stable")
        digits = decimals(pd.concat([ordered[f"{arm}_high"] - ordered[f"{arm}_low"] for arm in ("shared", "tuned")]))
        body = [
            [
                row["loss"],
                row["other"],
                between(row, "shared", "shared_low", "shared_high", digits),
                between(row, "tuned", "tuned_low", "tuned_high", digits),
                "yes" if row["sure"] else "no",
            ]
            for row in ordered.to_dict("records")
        ]
        n = span(found.ranking.loc[found.ranking["setting"] == setting, "n"])
        caption = (
            f"Pairs that change their order{_in(results, setting)}: first minus second in test {metric_name(results.metric)}, and its 95 % "
            f"interval over n = {n} paired seeds. Clear: both intervals exclude zero."
        )
        head = [
            "better at the shared rate",
            "better at its own rate",
            "at the shared rate",
            "at their own rates",
            "clear",
        ]
        tables[str(setting)] = Table(caption, head, body, frozenset({0, 1, 4}))
    return tables


def robustness(results: Results, found: Findings) -> dict[str, list[Table]]:
    """By panel, an arm each: area, clean-data cost and breakdown level of each loss, the smallest area for the better first."""
    tables: dict[str, list[Table]] = {}
    table = found.robustness
    if table.empty:
        return tables
    areas, costs = decimals(table["area_high"] - table["area_low"]), decimals(table["cost_high"] - table["cost_low"])
    for panel, block in table.groupby("panel", sort=False):
        for arm in _arms(results, block):
            rows = block[block["arm"] == arm].sort_values("area", ascending=results.better == "min", kind="stable")
            body = [
                [
                    row["loss"],
                    between(row, "area", "area_low", "area_high", areas),
                    "reference"
                    if row["loss"] == results.reference
                    else between(row, "clean_cost", "cost_low", "cost_high", costs),
                    fixed(row["breakdown"], 2),
                    str(row["words"]),
                ]
                for row in rows.to_dict("records")
            ]
            of_arm = f", {ARMS[arm]}" if len(results.arms) > 1 else ""
            ns = found.ranking.loc[found.ranking["setting"].isin(found.panels.index[found.panels == panel])]
            caption = (
                f"Over {found.axis}{of_arm}, n = {span(ns['n'] + ns['diverged'])} seeds a level. "
                f"Area: mean test {metric_name(results.metric)} "
                f"over the levels. Clean-data cost: how much worse than `{results.reference}` at the lowest level. Breakdown: the "
                "level from which it is no better than the best constant prediction, which is taken from the same corrupted "
                "training targets."
            )
            head = ["loss", "area [interval]", "clean-data cost [interval]", "breakdown", "in words"]
            tables.setdefault(str(panel), []).append(Table(caption, head, body, frozenset({0, 4}), frozenset({4})))
    return tables


def comparisons(results: Results, found: Findings) -> dict[str, list[Table]]:
    """By setting, an arm each: what every loss differs by from the reference, and what may be said of it."""
    tables: dict[str, list[Table]] = {}
    for setting, block in found.comparisons.groupby("setting", sort=False):
        for arm in _arms(results, block):
            rows = block[block["arm"] == arm]
            digits = decimals(rows["high"] - rows["low"])
            body = [
                [
                    row["loss"],
                    NONE if row["diverged"] else between(row, "difference", "low", "high", digits),
                    chance(row["p_holm"]),
                    NONE if pd.isna(row["wins"]) else f"{100 * row['wins']:.0f} %",
                    fixed(row["detectable"], digits),
                    str(row["n"]),
                    str(row["diverged"]),
                    str(row["verdict"]),
                ]
                for row in rows.to_dict("records")
            ]
            of_arm = f", {ARMS[arm]}" if len(results.arms) > 1 else ""
            caption = (
                f"Paired differences to `{results.reference}` in test {metric_name(results.metric)}{_in(results, setting)}{of_arm}: "
                "mean over n "
                "seeds and its 95 % interval; p by Holm; wins: share of the seeds on which it is better; detectable: the "
                "smallest difference that so many seeds would probably show."
            )
            head = ["loss", "difference [interval]", "p", "wins", "detectable", "n", "diverged", "verdict"]
            told = rows[(rows["verdict"] == CANNOT_SAY) | (rows["diverged"] > 0)]
            below = list(dict.fromkeys(told["words"]))
            table = Table(caption, head, body, frozenset({0, 7}), below=below)
            tables.setdefault(str(setting), []).append(table)
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
    head = [
        *first,
        "loss",
        "rate",
        "hyperparameters",
        f"validation {metric_name(results.metric)}",
        "n",
        "diverged",
        "at an edge",
    ]
    words = frozenset({0, len(first), len(first) + 2, len(first) + 6})
    caption = "What each loss was tuned to, in n trials, and in how many of them a run diverged."
    return Table(caption, head, body, words, frozenset({len(first) + 6}))


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
    caption = f"All {len(results.failures)} runs that did not end well, n of them in a row."
    head = ["phase", "loss", "setting", "status", "n", "seeds", "reason"]
    return Table(caption, head, body, frozenset({0, 1, 2, 3, 5, 6}), frozenset({6}))


def _arms(results: Results, table: pd.DataFrame) -> list[str]:
    return [arm for arm in results.arms if arm in set(table["arm"])]


def _over(results: Results, arms: Sequence[str], before: int, columns: int) -> list[str]:
    return [""] * before + [ARMS[arm] for arm in arms for _ in range(columns)] if len(results.arms) > 1 else []


def _in(results: Results, setting: object) -> str:
    return f", {setting}" if len(results.settings) > 1 else ""
