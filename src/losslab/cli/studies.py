"""A study at the command line: how far it is, its plan, and its report at the end."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from rich.console import Console

from losslab.cli import messages
from losslab.errors import must_be_written
from losslab.events import (
    ComparisonStarted,
    Event,
    RunFinished,
    SweepPlanned,
    TuningStarted,
    WorkersAwaited,
    together,
)

if TYPE_CHECKING:
    from losslab.request.command import StudyRequest
    from losslab.study.recipe import Study


def train(asked: StudyRequest) -> int:
    """A study from its first trial to its report. Returns the exit status."""
    if asked.executor["dry_run"]:
        print_plan(asked.study, asked.folder, asked.executor)
        return 0
    with must_be_written():
        from losslab.records.provenance import changes
        from losslab.report import build, mean_curves
        from losslab.report.collect import ReportOptions
        from losslab.study.runner import conduct
        from losslab.sweep.progress import SweepBar

        with SweepBar() as bar:
            listen = together(bar, report)
            records, finished = conduct(
                asked.study, asked.folder, asked.mix, listen, spread=True, executor=asked.executor
            )
        mean_curves.write(records)
        messages.print_line("")
        build.make(list(records.values()), asked.folder, Console(emoji=False), ReportOptions(mix=asked.mix))
        for said in changes(finished, records.values()):
            messages.print_line(said)
        failed = [folder for folder, record in records.items() if record.status == "failed"]
        messages.report_failures(failed)
    return int(bool(failed))


def print_plan(study: Study, folder: Path, where: Mapping[str, Any]) -> None:
    """Prints what a study is expected to take, and trains nothing."""
    from losslab.request import budgets
    from losslab.study.runner import plan_comparison

    tuning, compared = budgets.runs(study)
    if tuning:
        messages.print_line(
            f"The tuning takes about {tuning} runs, which is {tuning / compared:.2g} times the comparison:"
        )
    plan_comparison(study, folder, report, where)


def report(event: Event) -> None:
    """Prints how far a study is. Runs that are done or diverged are left to its report, as there are hundreds."""
    if isinstance(event, TuningStarted):
        runs = "one run" if event.seeds == 1 else f"{event.seeds} runs"
        often = f", {event.repeats} times" if event.repeats > 1 else ""
        messages.print_line(f"Tuning {event.losses} losses: {event.trials} trials of {runs} each{often}.")
    elif isinstance(event, SweepPlanned):
        messages.print_line(messages.plan(event.forecast))
    elif isinstance(event, WorkersAwaited):
        messages.print_line(
            f"Start as many workers as you like, wherever the folder is seen: losslab worker {quote(str(event.folder))}"
        )
    elif isinstance(event, ComparisonStarted):
        messages.print_line(f"Comparing them on {event.seeds} fresh seeds: {event.runs} runs.")
    elif isinstance(event, RunFinished) and event.record.status == "failed" and not event.again:
        print(f"failed: {event.job.folder.name}: {event.record.reason}", file=sys.stderr, flush=True)
