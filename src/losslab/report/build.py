"""The report of a sweep or a study: collected, analysed, printed, written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote

from rich.console import Console
from rich.markup import escape

from losslab.records.files import write_whole
from losslab.records.record import Record
from losslab.report import collect, published, render
from losslab.report.analysis import find
from losslab.report.export import save
from losslab.report.results import Results
from losslab.report.terminal import show
from losslab.schema import references
from losslab.study import papers
from losslab.study.recipe import NAME, Study, from_mark, last_asked


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
    _show_published(records, folder, console, asked, study if known else None, results.name)
    console.print(f"\nReport:      {render.write_html(results, folder / 'report.html', found)}", soft_wrap=True)
    console.print(f"Markdown:    {render.write_markdown(results, folder, found)}", soft_wrap=True)
    console.print(f"Records:     {save(records, folder / 'records.parquet')} and .csv", soft_wrap=True)
    console.print(f"TensorBoard: tensorboard --logdir {quote(str(folder))}", soft_wrap=True)
    return results


def _show_published(
    records: Sequence[Record],
    folder: Path,
    console: Console,
    asked: collect.ReportOptions | None,
    current: Study | None,
    name: str,
) -> None:
    """Prints the published table whose setting a study trains, beside ours, and writes it; nothing for another study."""
    if not name.startswith(papers.GROUP):
        return
    study = current or next(from_mark(record.study["study"]) for record in records if record.study)
    if (paper := papers.of_study(study)) is None:
        return
    made = published.rows(
        paper,
        lambda metric: collect.results(records, replace(asked or collect.ReportOptions(), metric=metric), current),
    )
    console.print(published.printed(made))
    said = [published.summary(made), *published.notes(paper)]
    for sentence in said:
        console.print(escape(sentence), soft_wrap=True)
    write_whole(folder / "published.md", "\n\n".join([published.markdown(made), *said]) + "\n")
