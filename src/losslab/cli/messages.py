"""What the terminal shows of runs that have finished."""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from losslab.errors import one_line

if TYPE_CHECKING:
    from losslab.records.record import Record
    from losslab.sweep.forecast import Forecast

_REASONS = 3  # why runs were not trained that are printed


def print_line(text: str) -> None:
    """Prints a line without buffering. If stdout is closed, as after a lost connection, training continues."""
    try:
        print(text, flush=True)
    except OSError:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Prints what losslab logs as a warning on stderr, a line each."""
    logger, handler = logging.getLogger("losslab"), _ToStderr(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _ToStderr(logging.Handler):
    """Prints on the current stderr, which tests and progress bars replace."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one message."""
        print(record.getMessage(), file=sys.stderr, flush=True)


@contextmanager
def at_once() -> Iterator[None]:
    """Buffers what is printed until the end, so that a reader that stops early, as in `train.py --help | head`, causes no error."""
    shown = StringIO()
    try:
        with redirect_stdout(shown):
            yield
    finally:
        if text := shown.getvalue().rstrip("\n"):
            print_line(text)


def report_run(record: Record, folder: Path, number: int | None, again: bool = False) -> int:
    """Prints the outcome of a run, in one line for run `number` of a sweep. Returns its exit status."""
    if number is None:
        _report_lone_run(record, folder)
        if again:
            from losslab.records.provenance import of_code

            print_line("This run had finished already and was not repeated; overwrite=true trains it again.")
            for said in of_code([record]):  # to read its data takes longer than all the rest
                print_line(said)
    else:
        names = record.metric_names()
        result = f"best test {names[0]} {_number(record.metrics[f'best/test/{names[0]}'])}" if names else ""
        words = one_line((record.reason or result).partition("\n")[0])
        print_line(f"run {number}: {record.status:8} {folder.name}  {words}{'  (finished already)' * again}")
    return int(record.status == "failed" or (record.status == "diverged" and number is None))


def report_sweep(runs: Mapping[Path, Record], again: int, notes: Sequence[str], folder: Path, seconds: float) -> None:
    """Prints what came of a sweep: how many runs ended how, a table, the best run, the folder and the next command.

    again: how many runs had finished before. notes: sentences on how the runs were trained.
    """
    from losslab.report import sweep_end

    counts = Counter(record.status for record in runs.values())
    ended = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    print_line(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} in {_time(seconds)}: {ended}.")
    if again:
        print_line(f"{again} had finished already and {'was' if again == 1 else 'were'} not repeated.")
    reasons = Counter((r.status, one_line(r.reason or "")) for r in runs.values() if r.status in ("skipped", "failed"))
    for (status, reason), count in reasons.most_common(_REASONS):
        print_line(f"{count} {status}: {reason}")
    for note in notes:
        print_line(note)
    console = Console(emoji=False)  # ':star:' may be part of where a loss stands
    with console.capture() as captured:  # where nobody reads any more, rich would end the process
        sweep_end.show(runs, console)
    if table := captured.get().rstrip("\n"):
        print_line(table)
        print_line(f"Folder: {folder}\nNext:   losslab report {quote(str(folder))}")


def plan(forecast: Forecast) -> str:
    """What a sweep is expected to take, in one line."""
    count = forecast.workers
    by = f"{count} worker{'s' * (count != 1)}" + (f" in {forecast.tasks} tasks" if forecast.tasks > count else "")
    parts = [f"{_many(forecast.runs, 'run')} in {_many(forecast.stacks, 'stack')} by {by}"]
    parts += [f"about {_time(forecast.seconds)}"] if forecast.seconds is not None else []
    parts += [f"{forecast.gpu_hours:.2g} GPU hours"] if forecast.gpu_hours else []
    return f"Plan: {', '.join(parts)}; {_many(forecast.files, 'file')} of about {_bytes(forecast.bytes)}."


def report_failures(failed: Sequence[Path]) -> None:
    """Prints where the traceback of failed runs is."""
    if failed:
        of = "" if len(failed) == 1 else " of the first"
        print_line(
            f"{len(failed)} failed: the traceback{of} is in {failed[0] / 'record.json'}; the same command tries again."
        )


def _report_lone_run(record: Record, folder: Path) -> None:
    """What a lone run says at its end."""
    table = Table(title=escape(f"{record.task}, {record.loss}: {record.status}"), title_justify="left")
    table.add_column("test metric")
    for column in (f"best epoch ({record.best_epoch})", f"last epoch ({record.epochs})"):
        table.add_column(column, justify="right")
    for name in record.metric_names():
        table.add_row(name, *(_number(record.metrics[f"{which}/test/{name}"]) for which in ("best", "last")))
    if record.metrics:
        console = Console(emoji=False)  # ':star:' may be part of where a loss stands
        with console.capture() as captured:  # where nobody reads any more, rich would end the process
            console.print(table)
        print_line(captured.get().rstrip("\n"))
    if record.reason:
        print_line(f"{record.status}: {one_line(record.reason)}")
    print_line(f"Record:      {folder / 'record.json'}")
    print_line(f"TensorBoard: tensorboard --logdir {quote(str(folder))}")


def _number(value: Any) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _bytes(count: int) -> str:
    """900 kB, 1.2 MB, 45 GB."""
    unit = next((unit for unit in ("kB", "MB", "GB") if count < 1000 ** (" kMGT".index(unit[0]) + 1)), "TB")
    return f"{count / 1000 ** ' kMGT'.index(unit[0]):.3g} {unit}"


def _time(seconds: float) -> str:
    """40 s, 3 min 20 s, 2 h 5 min."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
