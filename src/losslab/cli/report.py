"""`losslab report`: the records below one folder or several, as one report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from losslab.errors import BadRequest


def report_on(
    folders: Sequence[Path],
    out: Path | None = None,
    metric: str = "",
    epoch: str = "",
    reference: str = "",
    mix: bool = False,
    margin: str = "",
) -> int:
    """Prints the table over all records below some folders and writes their report into `out`, or into the first of them.

    Returns the exit status. Raises BadRequest where a folder holds no records, or they cannot be compared.
    """
    from losslab.records.store import records_by_folder
    from losslab.report import build, merge, sweep_end
    from losslab.report.collect import ReportOptions

    each, notes = [], []
    for folder in folders:
        records, corrupt = records_by_folder(folder) if folder.is_dir() else ({}, [])
        left_out = (
            f"{len(corrupt)} corrupt {'records were' if len(corrupt) > 1 else 'record was'} left out (first: {corrupt[0]}); "
            "the command that made the runs sets it aside and trains again what is missing."
            if corrupt
            else ""
        )
        if not records:
            raise BadRequest(
                left_out
                or f"There are no records below {folder}; a sweep leaves them in its folder, hydra.sweep.dir=DIR."
            )
        each.append(records)
        notes += [left_out] if left_out else []
    runs, copies = merge.merged(each)
    if copies:
        notes.append(f"{copies} {'run is' if copies == 1 else 'runs are'} in several of the folders and counted once.")
    console = Console(emoji=False)
    asked = ReportOptions(metric, epoch, reference, mix, margin)
    results = build.make(list(runs.values()), out or folders[0], console, asked, notes, study_in=folders[0])
    if not results.name:
        trained = {folder: record for folder, record in runs.items() if record.selection}
        for line in sweep_end.best_runs(sweep_end.rows(trained)):
            console.print(escape(line), soft_wrap=True, highlight=False)
    return 0
