"""`losslab runs`: runs listed, compared and removed. No torch here."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from losslab.errors import BadRequest
from losslab.records import stacks
from losslab.records.locks import STUDY, holder, locked
from losslab.records.record import NAME
from losslab.records.run_folder import remove_folder
from losslab.records.runs import Run, run_in, runs_below
from losslab.schema.canonical import RUNS

_WIDTH = 80
_END = 8  # letters of a name, at least, by which a run is found: its hash
_LONGEST = 16  # letters of a loss or a metric in the list


def add_to(commands: Any) -> None:
    """Adds the command to a parser."""
    runs = commands.add_parser(
        "runs",
        help="list runs, say where two differ, remove some, or make their folders",
        usage="losslab runs [DIR] [--json | --csv] | compare RUN RUN | remove RUN ... [--yes] | extract RUN ...",
        description="RUN: the folder of a run, or the end of its name below runs/, 8 letters or more; for remove and extract "
        "also a folder of runs. extract makes the folders of runs that a large sweep has left together in its folder stacks.",
    )
    runs.add_argument("words", nargs="*", metavar="WORD", help="DIR (runs unless given), compare, remove or extract")
    form = runs.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="list them as JSON")
    form.add_argument("--csv", action="store_true", help="list them as CSV")
    runs.add_argument("--yes", action="store_true", help="remove without asking")


def answer(given: argparse.Namespace) -> int:
    """Does what was asked for. Returns the exit status. Raises BadRequest for what is no run."""
    what, *rest = given.words or [RUNS]
    if what == "compare":
        if len(rest) != 2:
            raise BadRequest("Two runs can be compared: losslab runs compare RUN RUN.")
        _compare(*map(_one, rest))
    elif what == "remove":
        if not rest:
            raise BadRequest("Name what is to be removed: losslab runs remove RUN.")
        return _remove(rest, given.yes)
    elif what == "extract":
        if not rest:
            raise BadRequest("Name what is to be made: losslab runs extract RUN.")
        _extract(rest)
    elif rest:
        raise BadRequest(f"'{what}' is none of compare, remove and extract, and one folder is listed at a time.")
    else:
        _list(Path(what), given)
    return 0


def _list(folder: Path, given: argparse.Namespace) -> None:
    if not folder.is_dir():
        raise BadRequest(f"There is no folder {folder}.")
    found = runs_below(folder)
    if given.json:
        print(json.dumps([run.plain() for run in found], indent=1))
    elif given.csv:
        rows = [run.plain() | {"params": json.dumps(run.plain()["params"])} for run in found]
        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else ["folder"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif not found:
        print(f"There are no runs below {folder}.")
    else:
        _print_list(found, folder)


def _print_list(found: Sequence[Run], below: Path) -> None:
    rows = []
    for run in found:
        metric, value = run.metric
        told = _short(f"{metric} {_number(value)}" if metric else "")
        loss, seed = (str(run.settings.get(key, "")) for key in ("loss", "seed"))
        rows.append((run.status, _short(loss), seed, told, run.when.strftime("%Y-%m-%d %H:%M")))
    titles = ("status", "loss", "seed", "test metric", "when")
    room = _WIDTH - sum(max(map(len, column)) + 2 for column in zip(titles, *rows, strict=True))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in (*titles, "folder"):
        table.add_column(title, no_wrap=True)
    for cells, run in zip(rows, found, strict=True):
        name = str(run.folder.relative_to(below))
        table.add_row(*map(escape, cells), escape(name if len(name) <= room else f"\u2026{name[1 - room :]}"))
    Console(emoji=False, width=_WIDTH, highlight=False).print(table)
    print(f"{len(found)} {'run' if len(found) == 1 else 'runs'} below {below}")


def _compare(one: Run, other: Run) -> None:
    """Prints a table of the settings that differ, and one of all metrics."""
    console = Console(emoji=False, width=_WIDTH, highlight=False)
    for letter, run in (("A", one), ("B", other)):
        console.print(f"{letter}: {run.status}  {run.folder}", markup=False, soft_wrap=True)
    first, second = one.settings, other.settings
    keys = [key for key in {**first, **second} if first.get(key, _ABSENT) != second.get(key, _ABSENT)]
    if keys:
        console.print(_table("setting", [(key, first.get(key, _ABSENT), second.get(key, _ABSENT)) for key in keys]))
    else:
        console.print("Their settings are the same.")
    measured = [run.record.metrics if run.record else {} for run in (one, other)]
    rows = []
    for name in {**measured[0], **measured[1]}:
        values = [metrics.get(name) for metrics in measured]
        both = None not in values
        rows.append((name, *map(_number, values), f"{values[1] - values[0]:+.4g}" if both else ""))  # type: ignore[operator]
    if rows:
        console.print(_table("metric", rows, "B - A"))


_ABSENT = "\u2013"


def _table(what: str, rows: Sequence[Sequence[Any]], *more: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=" ", title_justify="left")
    for name in (what, "A", "B", *more):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def _remove(names: Sequence[str], yes: bool) -> int:
    """Removes runs, all or none. Returns the exit status."""
    from losslab.study.recipe import NAME as STUDY_FILE

    found = {run.folder: run for name in names for run in _several(name)}
    for folder in found:
        studies = (holder(parent / STUDY_FILE, STUDY) for parent in folder.absolute().parents)
        if who := holder(folder) or next(filter(None, studies), None):
            raise BadRequest(f"{folder} is locked by {who}; nothing is removed.")
    what = f"{len(found)} runs" if len(found) > 1 else str(next(iter(found)))
    if not yes:
        if not sys.stdin.isatty():
            raise BadRequest(f"Add --yes to remove {what}.")
        if input(f"Remove {what}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing is removed.")
            return 0
    with locked(found):
        stacks.remove(found)
        kept = [folder for folder in found if not remove_folder(folder)]
    for name in names:
        _remove_rest(Path(name))
    print(f"Removed {what}.")
    for folder in kept:
        print(f"{folder} stays, as it holds files that are not of the run.")
    return 0


def _extract(names: Sequence[str]) -> None:
    """Makes the folders of runs, and says how many."""
    found = {run.folder: run for name in names for run in _several(name)}
    together = [folder for folder in found if stacks.file_of(folder) and not (folder / NAME).exists()]
    if together:
        from losslab.sweep.extracting import extract  # imports torch

        extract(together)
    had = len(found) - len(together)
    one = together[0] if len(together) == 1 else None
    made = f"Made {one or f'{len(together)} folders'}." if together else ""
    print(
        " ".join(
            filter(None, [made, f"{had} {'run has' if had == 1 else 'runs have'} a folder already." if had else ""])
        )
    )


def _remove_rest(folder: Path) -> None:
    """Removes the folder of a sweep that holds nothing any more but what Hydra has written there."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"multirun.yaml"}:
        (folder / "multirun.yaml").unlink(missing_ok=True)
        folder.rmdir()


def _several(name: str) -> list[Run]:
    """The run that is named, or all below the folder that is named."""
    folder = Path(name)
    if folder.is_dir() and run_in(folder) is None and (found := runs_below(folder)):
        return found
    return [_one(name)]


def _one(name: str) -> Run:
    """The run in a folder, or the only one below runs/ whose name ends so. Raises BadRequest where there is none."""
    if found := run_in(Path(name)):
        return found
    if Path(name).exists():
        raise BadRequest(f"{name} holds no run of losslab.")
    ends = [run for run in runs_below(Path(RUNS)) if len(name) >= _END and str(run.folder).endswith(name)]
    if len(ends) != 1:
        which = (
            f"and the names of {len(ends)} runs end so" if ends else f"and no run below {RUNS}/ has a name that ends so"
        )
        raise BadRequest(f"There is no folder {name}, {which}; `losslab runs` lists them.")
    return ends[0]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026"


def _number(value: float | None) -> str:
    return "undefined" if value is None or math.isnan(value) else f"{value:.4g}"
