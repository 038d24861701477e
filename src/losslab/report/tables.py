"""What each table of a report shows, as text in cells, which HTML and Markdown print alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import pandas as pd

from losslab.report import wording
from losslab.report.analysis import CONDITIONS, Findings
from losslab.report.formatting import NONE, between, chance, counted, decimals, fixed, number, percent, span
from losslab.report.results import Results
from losslab.report.setting_words import in_words
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
    """By setting: each loss with mean, interval and rank, the conditions beside one another; the best of the first condition on top."""
    tables = {}
    for setting, block in found.ranking.groupby("setting", sort=False):
        conditions = _conditions(results, block)
        rows = {(row["condition"], row["loss"]): row for row in block.to_dict("records")}
        digits = decimals(block["high"] - block["low"])
        body = []
        for loss in block[block["condition"] == conditions[0]].sort_values(["rank", "mean_rank"], kind="stable")[
            "loss"
        ]:
            cells = []
            for condition in conditions:
                row = rows.get((condition, loss))
                cells += [NONE] * 4 if row is None else [str(row["rank"]), between(row, "mean", "low", "high", digits)]
                cells += [] if row is None else [str(row["n"]), str(row["diverged"])]
            body.append([loss, *cells])
        caption = (
            f"Test {results.measure} at the {results.epoch} epoch{_in(results, setting)}: "
            f"mean over n {results.unit}s and its {percent(results.level)} interval. "
            f"Losses are ranked by the number that diverged first, then by the mean.{_constant(results, setting, digits)}"
        )
        head = ["rank", "mean [interval]", "n", "diverged"]
        tables[str(setting)] = Table(
            caption, ["loss", *head * len(conditions)], body, over=_over(results, conditions, 1, len(head))
        )
    return tables


def _constant(results: Results, setting: object, digits: int) -> str:
    """The metric of the best constant prediction in a setting, as a baseline; "" where it is not known."""
    known = results.runs.loc[results.runs["setting"] == setting, "constant"].dropna()
    return f" The best constant prediction has {fixed(float(known.mean()), digits)}." if len(known) else ""


def overall(results: Results, found: Findings) -> Table | None:
    """Mean rank over all settings; None where there is one setting only."""
    if len(results.settings) < 2 or found.overall.empty:
        return None
    rows = {(row["condition"], row["loss"]): row for row in found.overall.to_dict("records")}
    conditions = _conditions(results, found.overall)
    leading = found.overall[found.overall["condition"] == conditions[0]].sort_values("mean_rank", kind="stable")
    body = []
    for loss in leading["loss"]:
        cells = []
        for condition in conditions:
            row = rows.get((condition, loss))
            cells += [NONE] * 3 if row is None else [between(row, "mean_rank", "low", "high", 2), str(row["first_in"])]
            cells += [] if row is None else [str(row["settings"])]
        body.append([loss, *cells])
    seeds = span(found.ranking["n"] + found.ranking["diverged"])
    caption = (
        f"Mean rank over n settings (1 is best) with its {percent(results.level)} interval over {seeds} {results.unit}s, and the number of "
        "settings in which the loss has the best mean."
    )
    head = ["mean rank [interval]", "best in", "n"]
    return Table(caption, ["loss", *head * len(conditions)], body, over=_over(results, conditions, 1, len(head)))


def flips(results: Results, found: Findings) -> dict[str, Table]:
    """By setting: pairs of losses whose order the rate decides, the sure ones first."""
    tables = {}
    for setting, block in found.flips.groupby("setting", sort=False):
        ordered = block.sort_values("sure", ascending=False, kind="stable")
        digits = decimals(
            pd.concat([ordered[f"{condition}_high"] - ordered[f"{condition}_low"] for condition in ("shared", "tuned")])
        )
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
            f"Pairs whose order the rate reverses{_in(results, setting)}: first minus second in test {results.measure}, with "
            f"its {percent(results.level)} interval over n = {n} paired {results.unit}s. Clear: both intervals exclude zero."
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
    """By panel, an condition each: area, clean-data cost and breakdown level of each loss, the smallest area for the better first."""
    tables: dict[str, list[Table]] = {}
    table = found.robustness
    if table.empty:
        return tables
    areas, costs = decimals(table["area_high"] - table["area_low"]), decimals(table["cost_high"] - table["cost_low"])
    for panel, block in table.groupby("panel", sort=False):
        for condition in _conditions(results, block):
            rows = block[block["condition"] == condition].sort_values(
                "area", ascending=results.better == "min", kind="stable"
            )
            body = [
                [
                    row["loss"],
                    between(row, "area", "area_low", "area_high", areas),
                    "reference"
                    if row["loss"] == results.reference
                    else between(row, "clean_cost", "cost_low", "cost_high", costs),
                    f"{row['breakdown']:g}" if pd.notna(row["breakdown"]) else NONE,
                    wording.breakdown(row),
                ]
                for row in rows.to_dict("records")
            ]
            of_condition = f", {CONDITIONS[condition]}" if len(results.conditions) > 1 else ""
            ns = found.ranking.loc[found.ranking["setting"].isin(found.panels.index[found.panels == panel])]
            caption = (
                f"Over the {results.axes.get(found.axis, found.axis)}{of_condition}, n = {span(ns['n'] + ns['diverged'])} "
                f"{results.unit}s a level. Area: under the line of test {results.measure} against the level, over the width of the "
                f"levels. Clean-data cost: how much worse than `{results.reference}` at the lowest level, with intervals corrected for the "
                f"{found.family} tests of this report. Breakdown: the lowest level at which the mean is no better than that of the best "
                "constant prediction for the same training targets."
            )
            head = ["loss", "area [interval]", "clean-data cost [interval]", "breakdown", "in words"]
            tables.setdefault(in_words(str(panel), results.axes), []).append(
                Table(caption, head, body, frozenset({0, 4}), frozenset({4}))
            )
    return tables


def comparisons(results: Results, found: Findings) -> dict[str, list[Table]]:
    """By setting, an condition each: what every loss differs by from the reference, and what may be said of it."""
    tables: dict[str, list[Table]] = {}
    for setting, block in found.comparisons.groupby("setting", sort=False):
        for condition in _conditions(results, block):
            rows = block[block["condition"] == condition]
            digits = decimals(rows["high"] - rows["low"])
            body = [
                [
                    row["loss"],
                    NONE if row["diverged"] else between(row, "difference", "low", "high", digits),
                    chance(row["p_corrected"]),
                    NONE if pd.isna(row["wins"]) else f"{100 * row['wins']:.0f} %",
                    fixed(row["detectable"], digits),
                    str(row["n"]),
                    str(row["diverged"]),
                    str(row["verdict"]),
                ]
                for row in rows.to_dict("records")
            ]
            of_condition = f", {CONDITIONS[condition]}" if len(results.conditions) > 1 else ""
            caption = (
                f"Paired differences to `{results.reference}` in test {results.measure}{_in(results, setting)}{of_condition}: "
                f"mean over n {results.unit}s with its {percent(results.level)} interval. Intervals and p are corrected for the "
                f"{found.family} tests of this report. Wins: share of the {results.unit}s on which the loss is better. Detectable: "
                f"the smallest true difference that so many {results.unit}s would show with power 0.8. Equivalent: closer than "
                f"{number(max(rows['margin']), 2)}, the smallest difference that matters."
            )
            head = ["loss", "difference [interval]", "p", "wins", "detectable", "n", "diverged", "verdict"]
            explained = rows[(rows["verdict"] == CANNOT_SAY) | (rows["diverged"] > 0)].to_dict("records")
            sentences = (wording.comparison(row, row["loss"], results.reference, results.level) for row in explained)
            below = list(dict.fromkeys(sentences))
            table = Table(caption, head, body, frozenset({0, 7}), below=below)
            tables.setdefault(str(setting), []).append(table)
    return tables


def rare(results: Results, found: Findings) -> Table | None:
    """How the runs of each loss spread: the middle half, the worst one, and how often they may diverge; of the first condition."""
    rows = found.ranking[(found.ranking["condition"] == results.conditions[0]) & (found.ranking["n"] > 0)]
    if rows.empty:
        return None
    several = rows["setting"].nunique() > 1
    body = []
    for setting, block in rows.groupby("setting", sort=False):
        digits = decimals(block["high"] - block["low"])
        for row in block.to_dict("records"):
            numbers = [fixed(row[key], digits) for key in ("mean", "middle", "worst")]
            shares = [f"{row['broken']} of {row['runs']}", f"{100 * row['unseen']:.0f} %"]
            body.append([*([str(setting)] if several else []), row["loss"], *numbers, *shares])
    caption = (
        f"Test {results.measure}: the mean of the {results.unit}s, and of single runs. Middle half: the mean of the runs between the "
        f"quartiles. May diverge: so large a "
        f"share of runs is not excluded by those that were trained, at {percent(results.level)}."
    )
    head = [*(["setting"] if several else []), "loss", "mean", "middle half", "worst run", "diverged", "may diverge"]
    return Table(caption, head, body, frozenset(range(1 + several)))


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
        f"validation {results.measure}",
        "n",
        "diverged",
        "at an edge",
    ]
    words = frozenset({0, len(first), len(first) + 2, len(first) + 6})
    caption = "What each loss was tuned to, in n trials, and in how many of them a run diverged."
    return Table(caption, head, body, words, frozenset({len(first) + 6}))


def failures(results: Results) -> Table | None:
    """Every run that failed, diverged or was skipped, those alike in one row; None where there is none."""
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
    count = len(results.failures)
    caption = f"{counted(count, 'run')} that failed, diverged or {'was' if count == 1 else 'were'} skipped; n: how many in each row."
    head = ["phase", "loss", "setting", "status", "n", "seeds", "reason"]
    return Table(caption, head, body, frozenset({0, 1, 2, 3, 5, 6}), frozenset({6}))


def _conditions(results: Results, table: pd.DataFrame) -> list[str]:
    return [condition for condition in results.conditions if condition in set(table["condition"])]


def _over(results: Results, conditions: Sequence[str], before: int, columns: int) -> list[str]:
    return (
        [""] * before + [CONDITIONS[condition] for condition in conditions for _ in range(columns)]
        if len(results.conditions) > 1
        else []
    )


def _in(results: Results, setting: object) -> str:
    return f", {results.words(str(setting))}" if len(results.settings) > 1 else ""
