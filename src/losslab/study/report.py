"""The report of some records: a table in the terminal, a page, Markdown with figures, and the records as one table in two files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from losslab.record import Record, flatten
from losslab.study import gather, page, statistics, verdict
from losslab.study.findings import find
from losslab.study.plan import NAME, last_asked
from losslab.study.results import Results
from losslab.study.words import counted, metric_name

_TITLES = {"tuned": "tuned rates", "shared": "shared rate"}


def make(
    records: Sequence[Record],
    folder: Path,
    console: Console,
    asked: gather.Asked | None = None,
    notes: Sequence[str] = (),
) -> Results:
    """Prints the comparison that some records make and writes all forms of its report into `folder`.

    `notes`: what else a reader must know. Raises BadRequest for records that cannot be compared; see `gather.results`.
    """
    study = last_asked(folder)
    if study is None and (folder / NAME).exists():
        notes = [*notes, f"{folder / NAME} is torn and was not read; the records say what they belong to."]
    known = study and any(record.study and record.study["study"] == study.mark() for record in records)
    results = gather.results(records, asked, study if known else None)
    results.notes.extend(notes)
    show(results, console)
    found = find(results)
    console.print(f"\nReport:      {page.write_html(results, folder / 'report.html', found)}", soft_wrap=True)
    console.print(f"Markdown:    {page.write_markdown(results, folder, found)}", soft_wrap=True)
    console.print(f"Records:     {save(records, folder / 'records.parquet')} and .csv", soft_wrap=True)
    console.print(f"TensorBoard: tensorboard --logdir {quote(str(folder))}", soft_wrap=True)
    return results


def show(results: Results, console: Console) -> None:
    """Prints the answer, then the mean of each loss in each setting with its interval, and whatever a reader must know."""
    console.print(escape(verdict.answer(results)))
    if set(results.arms) == {"tuned", "shared"}:
        console.print(escape(verdict.flip_sentence(results)))
    console.print(_table(results))
    for note in [*results.protocol[-1:], *results.notes, *_failures(results)]:
        console.print(escape(note))


def save(records: Sequence[Record], path: Path) -> Path:
    """Writes one row a record as parquet and, beside it, as CSV; nested names joined by dots, curves left out.

    Lists are text, and so is a column whose values are of several types or numbers of more than 64 bits.
    """
    rows = []
    for record in records:
        part = {key: value for key, value in (record.study or {}).items() if key != "study"}
        plain = vars(record) | {"curves": {}, "study": part}
        rows.append({key: str(value) if isinstance(value, list) else value for key, value in flatten(plain).items()})
    made = pd.DataFrame(rows)
    for column in made:
        several = made[column].dtype == object and pd.api.types.infer_dtype(made[column]) not in ("boolean", "empty")
        if several:
            made[column] = made[column].map(str, na_action="ignore")
    made.to_parquet(path, index=False)
    made.to_csv(path.with_suffix(".csv"), index=False)
    return path


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
        return {f"{which} epoch": statistics.ranking(runs, results.better) for which, runs in either.items()}
    ranked = statistics.ranking(results.runs, results.better)
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
