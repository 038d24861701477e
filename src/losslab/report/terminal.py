"""What a report prints in the terminal."""

from __future__ import annotations

from collections import Counter

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from losslab.report import answer
from losslab.report.analysis import Findings
from losslab.report.flipped import flip_sentence
from losslab.report.formatting import between, counted, decimals, percent, span
from losslab.report.results import Results
from losslab.report.usage import usage

_TITLES = {"tuned": "tuned rates", "shared": "shared rate"}


def show(results: Results, found: Findings, console: Console) -> None:
    """Prints the answer, what was done, then the mean of each loss in each setting with its interval, and the notes."""
    first = (*answer.parts(results, found), flip_sentence(results, found))
    for sentence in (*first, results.done, *usage(results, found)):
        if sentence:
            console.print(escape(sentence))
    console.print(_table(results, found))
    for note in [*results.protocol[-1:], *results.notes, *_failures(results)]:
        console.print(escape(note))


def _table(results: Results, found: Findings) -> Table:
    """Rank, mean and interval of each loss, setting by setting, the best of the first column first."""
    columns = _columns(results, found)
    seeds = span(results.runs.groupby(["condition", "setting", "loss"])[results.unit].nunique())
    title = f"Test {results.measure}: rank, mean and {percent(results.level)} interval over {seeds} {results.unit}s"
    printed = Table(title=title, title_justify="left")
    printed.add_column("loss")
    for name in columns:
        printed.add_column(name)
    first = next(iter(columns.values()))
    for setting in results.settings.index:
        if len(results.settings) > 1:
            printed.add_row(f"[bold]{escape(results.words(str(setting)))}[/bold]")
        of_setting = first[first["setting"] == setting]
        digits = decimals(of_setting["high"] - of_setting["low"])
        for loss in of_setting.sort_values("rank", kind="stable")["loss"]:
            rows = [ranked[(ranked["setting"] == setting) & (ranked["loss"] == loss)] for ranked in columns.values()]
            printed.add_row(escape(str(loss)), *(_cell(row, digits) for row in rows))
        printed.add_section()
    return printed


def _columns(results: Results, found: Findings) -> dict[str, pd.DataFrame]:
    """The rankings that the table shows side by side: those of both rates, or of a plain sweep both epochs."""
    if found.epochs:
        return {f"{which} epoch": ranked for which, ranked in found.epochs.items()}
    return {
        _TITLES[condition]: found.ranking[found.ranking["condition"] == condition] for condition in results.conditions
    }


def _cell(found: pd.DataFrame, digits: int) -> str:
    """What the table says of one loss in one column."""
    if found.empty:
        return ""
    row = found.iloc[0]
    lost = f", {row['diverged']} not done" if row["diverged"] else ""
    if pd.isna(row["mean"]):
        return f"{row['rank']:>2}  no mean{lost}"
    return f"{row['rank']:>2}  {between(row.to_dict(), 'mean', 'low', 'high', digits)}{lost}"


def _failures(results: Results) -> list[str]:
    """A sentence on the runs that failed or diverged."""
    counts = Counter(results.failures["status"] if len(results.failures) else [])
    return (
        [
            ", ".join(f"{counted(count, 'run')} {status}" for status, count in counts.items())
            + "; the report lists them."
        ]
        if counts
        else []
    )
