"""What a report prints in the terminal."""

from __future__ import annotations

from collections import Counter

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from losslab.report import answer
from losslab.report.formatting import counted, metric_name
from losslab.report.results import Results
from losslab.stats import summaries

_TITLES = {"tuned": "tuned rates", "shared": "shared rate"}


def show(results: Results, console: Console) -> None:
    """Prints the answer, then the mean of each loss in each setting with its interval, and whatever a reader must know."""
    console.print(escape(answer.answer(results)))
    if set(results.arms) == {"tuned", "shared"}:
        console.print(escape(answer.flip_sentence(results)))
    console.print(_table(results))
    for note in [*results.protocol[-1:], *results.notes, *_failures(results)]:
        console.print(escape(note))


def _table(results: Results) -> Table:
    """Place, mean and interval of each loss, setting by setting, the best of the first column first."""
    columns = _columns(results)
    counts = sorted(results.runs.groupby(["arm", "setting", "loss"]).size().unique())
    seeds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    title = f"test {metric_name(results.metric)}: place, mean and 95 % interval over seeds ({seeds})"
    printed = Table(title=title, title_justify="left")
    printed.add_column("loss")
    for name in columns:
        printed.add_column(name)
    first = next(iter(columns.values()))
    for setting in results.settings.index:
        printed.add_row(f"[bold]{escape(str(setting))}[/bold]")
        for loss in first[first["setting"] == setting].sort_values("place", kind="stable")["loss"]:
            rows = [ranked[(ranked["setting"] == setting) & (ranked["loss"] == loss)] for ranked in columns.values()]
            printed.add_row(escape(str(loss)), *map(_cell, rows))
        printed.add_section()
    return printed


def _columns(results: Results) -> dict[str, pd.DataFrame]:
    """The rankings that the table shows side by side: those of both rates, or of a plain sweep both epochs."""
    if results.arms == ["asked"]:
        either = {which: results.runs.assign(value=results.runs[which]) for which in ("best", "last")}
        return {f"{which} epoch": summaries.ranking(runs, results.better) for which, runs in either.items()}
    ranked = summaries.ranking(results.runs, results.better)
    return {_TITLES[arm]: ranked[ranked["arm"] == arm] for arm in results.arms}


def _cell(found: pd.DataFrame) -> str:
    """What the table says of one loss in one column."""
    if found.empty:
        return ""
    row = found.iloc[0]
    lost = f", {row['diverged']} not done" if row["diverged"] else ""
    if pd.isna(row["mean"]):
        return f"{row['place']:>2}  no mean{lost}"
    between = "" if pd.isna(row["low"]) else f" ({row['low']:.3g} to {row['high']:.3g})"
    return f"{row['place']:>2}  {row['mean']:.3g}{between}{lost}"


def _failures(results: Results) -> list[str]:
    """A sentence on the runs that did not end well."""
    counts = Counter(results.failures["status"] if len(results.failures) else [])
    return (
        [
            ", ".join(f"{counted(count, 'run')} {status}" for status, count in counts.items())
            + "; the report lists them."
        ]
        if counts
        else []
    )
