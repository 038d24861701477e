"""The report of a sweep or a study: collected, analysed, printed, written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from rich.console import Console

from losslab.records.record import Record
from losslab.report import collect, render
from losslab.report.analysis import find
from losslab.report.export import save
from losslab.report.results import Results
from losslab.report.terminal import show
from losslab.schema import references
from losslab.study.recipe import NAME, last_asked


def make(
    records: Sequence[Record],
    folder: Path,
    console: Console,
    asked: collect.ReportOptions | None = None,
    notes: Sequence[str] = (),
    study_in: Path | None = None,
) -> Results:
    """Prints the comparison that some records make and writes all forms of its report into `folder`.

    `notes`: what else a reader must know. `study_in`: the folder of their study, if it is another.
    Raises BadRequest for records that cannot be compared; see `collect.results`.
    """
    with references.without_imports():
        return _make(records, folder, console, asked, notes, study_in or folder)


def _make(
    records: Sequence[Record],
    folder: Path,
    console: Console,
    asked: collect.ReportOptions | None,
    notes: Sequence[str],
    study_in: Path,
) -> Results:
    study = last_asked(study_in)
    if study is None and (study_in / NAME).exists():
        notes = [*notes, f"{study_in / NAME} is corrupt and was not read; the records say what they belong to."]
    known = study and any(record.study and study.made(record.study["study"]) for record in records)
    results = collect.results(records, asked, study if known else None)
    results.notes.extend(notes)
    found = find(results)
    folder.mkdir(parents=True, exist_ok=True)
    show(results, found, console)
    console.print(f"\nReport:      {render.write_html(results, folder / 'report.html', found)}", soft_wrap=True)
    console.print(f"Markdown:    {render.write_markdown(results, folder, found)}", soft_wrap=True)
    console.print(f"Records:     {save(records, folder / 'records.parquet')} and .csv", soft_wrap=True)
    console.print(f"TensorBoard: tensorboard --logdir {quote(str(folder))}", soft_wrap=True)
    return results
