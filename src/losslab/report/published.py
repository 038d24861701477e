"""A published table beside ours: the numbers, our intervals, and what came out again, as published and after fair tuning."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from losslab.report.analysis import find
from losslab.report.formatting import alike, counted, listed, name, number
from losslab.report.results import Results
from losslab.stats import published, summaries
from losslab.stats.paired import BETTER, WORSE
from losslab.study.papers import Cell, Paper

_NO_WIDTH = 1e-3  # of a mean: an interval that is narrower is not shown
HEADS = {"shared": "as published", "tuned": "after fair tuning"}


@dataclass(frozen=True)
class Ours:
    """What came of it under one condition, in the unit of the paper."""

    mean: float
    low: float
    high: float
    verdict: str

    def __str__(self) -> str:
        width = self.high - self.low
        if not math.isfinite(width) or width < _NO_WIDTH * abs(self.mean):
            return number(self.mean, 4)
        value, low, high = alike(self.mean, self.low, self.high)
        return f"{value} ({low} to {high})"


@dataclass(frozen=True)
class Row:
    """A published number or difference, and ours by condition.

    Attributes:
        what: the loss, or the two losses of a difference, and the setting.
        effect: whether it is a difference.
        paper: the published number; NaN where the paper gives the order alone.
        ours: by condition, "shared" and "tuned".
    """

    what: str
    effect: bool
    paper: float
    ours: dict[str, Ours]


def rows(paper: Paper, results_of: Callable[[str], Results]) -> list[Row]:
    """All rows of a published table.

    paper: its card.
    results_of: the results of the study by a metric.

    The intervals of the numbers hold together: they are corrected for how many there are (Bonferroni). Those of differences are
    corrected for all tests of the report.
    """
    results = results_of(paper.metrics[0])
    conditions = [condition for condition in HEADS if condition in results.conditions]
    tables = {}
    for metric in paper.metrics:
        of = results_of(metric) if metric != paper.metrics[0] else results
        level = 1 - (1 - of.level) / max(1, len(paper.cells) * len(conditions))
        ranked = summaries.ranking(of.runs, of.better, level, of.overlap, of.bounds)
        tables[metric] = {(row["condition"], row["setting"], row["loss"]): row for row in ranked.to_dict("records")}
    made = [
        Row(
            _named(cell, results, paper),
            False,
            cell.value,
            {
                condition: _number(cell, paper, tables[cell.metric][condition, cell.setting, cell.loss])
                for condition in conditions
            },
        )
        for cell in paper.cells
    ]
    return [*made, *_differences(paper, results, conditions)]


def _named(cell: Cell, results: Results, paper: Paper) -> str:
    """What a number is of: '`l1`, slope1', '`mae`, 20 % wrong labels'."""
    words = [name(_short(cell.loss)), cell.metric if len(paper.metrics) > 1 else ""]
    return ", ".join([*filter(None, words), *([results.words(cell.setting)] if len(results.settings) > 1 else [])])


def _short(loss: str) -> str:
    return loss.partition("(")[0] if len(loss) > 40 else loss


def _number(cell: Cell, paper: Paper, row: Mapping[Any, Any]) -> Ours:
    mean, low, high = (paper.scale * float(row[key]) for key in ("mean", "low", "high"))
    told = published.of_value(cell.value, paper.within, low, high) if not row["diverged"] else published.NOT_REPRODUCED
    return Ours(mean, low, high, _left_out(told, paper))


def _left_out(verdict: str, paper: Paper) -> str:
    return published.LEFT_OUT if verdict == published.NOT_REPRODUCED and paper.left_out else verdict


def _differences(paper: Paper, results: Results, conditions: list[str]) -> Iterator[Row]:
    """The differences from the first loss of each setting that the paper has a number of, and the orders that it states."""
    asked: list[tuple[str, str, str, float]] = []
    by_setting: dict[str, list[Cell]] = {}
    for cell in paper.cells if paper.effects else ():
        if cell.metric == paper.metrics[0]:
            by_setting.setdefault(cell.setting, []).append(cell)
    for setting, (first, *others) in by_setting.items():
        asked += [(cell.loss, first.loss, setting, cell.value - first.value) for cell in others]
    if not asked and not paper.orders:
        return
    found = find(results)
    towards = 1.0 if results.better == "max" else -1.0
    asked += [
        (one, other, str(setting), towards * math.inf)
        for setting in results.settings.index
        for one, other in paper.orders
    ]
    for one, other, setting, difference in asked:
        stated = math.isfinite(difference)
        where = f", {results.words(setting)}" if len(results.settings) > 1 else ""
        what = (
            f"{name(_short(one))} \u2212 {name(_short(other))}{where}"
            if stated
            else f"{name(_short(one))} better than {name(_short(other))}{where}"
        )
        ours = {}
        for condition in conditions:
            matrix = found.matrices[condition, setting]
            (row,) = matrix[(matrix["loss"] == one) & (matrix["other"] == other)].to_dict("records")
            ours[condition] = _difference(difference, paper, row, results.better)
        yield Row(what, True, difference if stated else math.nan, ours)


def _difference(difference: float, paper: Paper, row: Mapping[Any, Any], better: str) -> Ours:
    """Ours for a published difference; where a run diverged, the verdict of the report on the pair decides."""
    mean, low, high, margin = (paper.scale * float(row[key]) for key in ("difference", "low", "high", "margin"))
    if row["first_diverged"] or row["second_diverged"]:
        told = _of_diverged(difference, margin, str(row["verdict"]), better)
    else:
        told = published.of_effect(difference, margin, low, high)
    return Ours(mean, low, high, _left_out(told, paper))


def _of_diverged(difference: float, margin: float, verdict: str, better: str) -> str:
    """Of two losses whose difference has no size, as runs diverged."""
    if verdict not in (BETTER, WORSE) or abs(difference) <= margin:
        return published.CANNOT_TELL
    first_is_better = (difference > 0) == (better == "max")
    return published.REPRODUCED if first_is_better == (verdict == BETTER) else published.NOT_REPRODUCED


def summary(table: list[Row]) -> str:
    """How many numbers and differences came out again: '5 of 6 numbers reproduced as published'."""
    said = []
    for effect, word in ((False, "number"), (True, "difference")):
        kept = [row for row in table if row.effect == effect]
        for condition in dict.fromkeys(condition for row in kept for condition in row.ours):
            counts = Counter(row.ours[condition].verdict for row in kept)
            parts = [f"{counts[verdict]} {verdict}" for verdict in published.VERDICTS if counts[verdict]]
            said.append(f"{HEADS[condition]}, of {counted(len(kept), word)}: {listed(parts)}")
    return "; ".join(said)[:1].upper() + "; ".join(said)[1:] + "."


def cells(table: list[Row]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table, as text."""
    conditions = list(dict.fromkeys(condition for row in table for condition in row.ours))
    head = ["", "paper"]
    for condition in conditions:
        head += [f"ours, {HEADS[condition]}", "verdict"]
    lines = []
    for row in table:
        sign = "+" if row.effect and row.paper > 0 else ""
        line = [row.what, "better" if math.isnan(row.paper) else f"{sign}{round(row.paper, 6):g}"]
        for condition in conditions:
            line += [str(row.ours[condition]), row.ours[condition].verdict]
        lines.append(line)
    return head, lines


def markdown(table: list[Row]) -> str:
    """The table in Markdown."""
    head, lines = cells(table)
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])


def notes(paper: Paper) -> list[str]:
    """What a reader of the table must know: where the numbers come from, what differs, by which rule."""
    said = [f"Published: {paper.table}. The numbers were read {paper.read}."]
    if paper.differs:
        said.append(f"Here differs: {'; '.join(paper.differs)}.")
    if paper.left_out:
        said.append(f"Left out where the losses are written down: {'; '.join(paper.left_out)}.")
    if paper.cells:
        unit = " points" if paper.unit == "%" else f" {paper.unit}" if paper.unit else ""
        said.append(
            f"A number is reproduced where the whole interval of ours lies at most {paper.within:g}{unit} from it."
        )
    if paper.once:
        said.append(f"There is no table after tuning: {paper.once}.")
    return said


def printed(made: list[Row]) -> Table:
    """The table for a terminal."""
    head, lines = cells(made)
    shown = Table(title="Published and ours", title_justify="left")
    for word in head:
        shown.add_column(word)
    for line in lines:
        shown.add_row(*map(escape, line))
    return shown
