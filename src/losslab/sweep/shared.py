"""Stacks as files in a folder that machines share: handed over by a command, taken by workers, one worker a stack.

Below `.stacks/<hash of the sweep>/`, where the plan and the checkpoints of a sweep are:

    open/<number>-<key>.json.gz   a stack that is not done, the largest first; removed when all its runs have records
    attempts/<the same>           how often in a row a worker began it and got no further
    workers/<host>-<process>.json what a worker is doing, for whoever watches

A worker holds two locks while it trains: one on the file of the stack, and those on its runs, which every command of losslab
respects. The system releases both when the worker ends, however. A stack whose worker has ended goes on, under the next, from
its last checkpoint. Paths travel, not arrays: a file holds requests, and folders below the shared one.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest
from losslab.records.environment import commit, versions
from losslab.records.files import quarantine, write_whole
from losslab.records.locks import locked
from losslab.schema import cards
from losslab.sweep.jobs import Job, Stack

HIDDEN = ".stacks"
MOST_ATTEMPTS = 3  # in a row that got no further
NO_FURTHER = f"{MOST_ATTEMPTS} workers in a row ended while they trained it, none further than the one before"
_OPEN, _ATTEMPTS, _WORKERS = "open", "attempts", "workers"
_LOCKS = ".losslab-stacks"
_END = ".json.gz"
_HOW = tuple(field.name for field in fields(Stack) if field.name != "jobs")  # how a stack trains, and what it leaves


@dataclass(frozen=True)
class Handed:
    """A stack as it was handed over.

    Attributes:
        path: its file.
        stack: its runs, with their folders on this machine.
        made_by: versions and commit of the command that handed it over.
        stood_in: the folder in which that command stood.
        cards: the folders of the user's cards that it knew.
    """

    path: Path
    stack: Stack
    made_by: dict[str, Any]
    stood_in: str
    cards: str

    @property
    def folder(self) -> Path:
        """Of the sweep: where the checkpoint of the stack is."""
        return self.path.parents[1]


def hand_over(folder: Path, root: Path, stacks: Sequence[Stack], first: int = 0) -> dict[str, Stack]:
    """Writes a file for each stack, in this order, and returns the stacks by the names of their files.

    A stack that is there already, or a part of one, keeps its file.

    Args:
        folder: of the sweep, below `root`/.stacks.
        root: the shared folder; the folders of all runs lie below it.
        stacks: which stacks.
        first: the number of the first of them.
    """
    kept = {path.name: read(path).stack for path in listed(folder)}
    there = {job.folder for stack in kept.values() for job in stack.jobs}
    (folder / _OPEN).mkdir(parents=True, exist_ok=True)
    for number, stack in enumerate(stacks, first):
        if not any(job.folder in there for job in stack.jobs):
            name = name_of(stack, f"{number:07d}")
            _write(folder / _OPEN / name, stack, root, _origin())
            kept[name] = stack
    return kept


def listed(folder: Path) -> list[Path]:
    """The files of the stacks of a sweep that are not done, in the order in which they are to be trained."""
    try:
        names = os.listdir(folder / _OPEN)  # noqa: PTH208 - not one object a name, as there may be many
    except FileNotFoundError:
        return []
    return [folder / _OPEN / name for name in sorted(names) if name.endswith(_END) and not name.startswith(".")]


def sweeps(root: Path) -> list[Path]:
    """The folders of all sweeps below a shared folder that have handed stacks over."""
    return [folder for folder in sorted((root / HIDDEN).glob("*")) if folder.is_dir()]


def read(path: Path) -> Handed:
    """A stack from its file. Raises FileNotFoundError where it is gone, ValueError where it is corrupt."""
    root = path.parents[3]
    try:
        kept = json.loads(gzip.decompress(path.read_bytes()))
        jobs = [Job(job["request"], root / job["folder"], job["number"], job["part"]) for job in kept["jobs"]]
        stack = Stack(jobs, **{key: kept[key] for key in _HOW})
        return Handed(path, stack, kept["made_by"], kept["stood_in"], kept["cards"])
    except (EOFError, OSError, KeyError, TypeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path} is corrupt ({error})") from error


@contextmanager
def taken(path: Path) -> Iterator[Handed | None]:
    """A stack for the time in which this process trains it; None where another process does, and where it is done or corrupt."""
    with ExitStack() as held:
        try:
            held.enter_context(locked([path], _LOCKS))
            handed = read(path)
            held.enter_context(locked(job.folder for job in handed.stack.jobs))
        except (BadRequest, FileNotFoundError):
            handed = None
        except ValueError:
            quarantine(path, "its command hands the stack over again")
            handed = None
        yield handed


def done(handed: Handed) -> None:
    """Notes that all runs of a stack that this process has taken have their records."""
    handed.path.unlink(missing_ok=True)
    _attempts(handed).unlink(missing_ok=True)


def split(handed: Handed) -> None:
    """Hands over the halves of a stack that this process has taken, in its place."""
    origin = {"made_by": handed.made_by, "stood_in": handed.stood_in, "cards": handed.cards}
    for half in halves(handed.stack):
        _write(handed.path.with_name(name_of(half, handed.path.name)), half, handed.path.parents[3], origin)
    done(handed)


def halves(stack: Stack) -> list[Stack]:
    """Two stacks in the place of one that has taken workers with it."""
    return stack.halves(f"{NO_FURTHER}, and others with it")


def name_of(stack: Stack, place: str) -> str:
    """The name of the file of a stack that comes where another has stood."""
    return f"{place.partition('-')[0]}-{stack.key}{_END}"


def begin(handed: Handed, progress: Any) -> int:
    """Notes that a worker begins a stack, and returns how many did in a row without getting any further, this one included.

    progress: plain values that are others once the stack has got further.
    """
    before = _read_attempts(handed)
    count = before["count"] + 1 if before and before["progress"] == progress else 1
    _write_attempts(handed, {"count": count, "progress": progress, "by": who(), "said": before.get("said", "")})
    return count


def give_back(handed: Handed, said: str = "") -> None:
    """Notes that a worker leaves a stack: asked to, which counts as no attempt, or because of what it says."""
    before = _read_attempts(handed)
    if before:
        count = before["count"] - (not said)
        _write_attempts(handed, before | {"count": count, "said": said or before["said"]})


def last_said(handed: Handed) -> str:
    """What the last worker that could not train a stack has said of it."""
    return str(_read_attempts(handed).get("said", ""))


def who() -> str:
    """This process, for others."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def tell(folder: Path, **what: Any) -> None:
    """Says what this worker is doing, for whoever watches the sweep; nothing where the sweep is over."""
    path = _own_file(folder)
    with suppress(FileNotFoundError):
        if (folder / _OPEN).is_dir():
            path.parent.mkdir(exist_ok=True)
            write_whole(path, json.dumps({"by": who(), **what}), lasting=False)


def tell_no_more(folder: Path) -> None:
    """Takes back what this worker has said."""
    _own_file(folder).unlink(missing_ok=True)


def told(folder: Path) -> list[dict[str, Any]]:
    """What the workers of a sweep have said."""
    found = []
    for path in sorted((folder / _WORKERS).glob("*.json")):
        with suppress(FileNotFoundError, ValueError):
            found.append(json.loads(path.read_text(encoding="utf-8")))
    return found


def made_here() -> dict[str, Any]:
    """Versions and commit of this process, which must be those of the command that hands stacks over."""
    return {"versions": versions(), "commit": commit()}


def _origin() -> dict[str, Any]:
    return {"made_by": made_here(), "stood_in": str(Path.cwd()), "cards": os.environ.get(cards.FOLDERS, "")}


def _write(path: Path, stack: Stack, root: Path, origin: Mapping[str, Any]) -> None:
    jobs = [
        {
            "request": job.request,
            "folder": job.folder.absolute().relative_to(root.absolute()).as_posix(),
            "number": job.number,
            "part": job.part,
        }
        for job in stack.jobs
    ]
    kept = {"jobs": jobs, **{key: getattr(stack, key) for key in _HOW}, **origin}
    write_whole(path, gzip.compress(json.dumps(kept).encode(), 1))


def anew(stack: Stack) -> Stack:
    """The same stack for whoever goes on with it, wherever they stand: its command has removed what overwrite=true replaces."""
    return replace(
        stack,
        jobs=[
            replace(job, request=job.request | {"overwrite": False}, folder=job.folder.absolute()) for job in stack.jobs
        ],
    )


def _attempts(handed: Handed) -> Path:
    return handed.folder / _ATTEMPTS / handed.path.name.removesuffix(".gz")


def _read_attempts(handed: Handed) -> dict[str, Any]:
    try:
        found = json.loads(_attempts(handed).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) and found.keys() >= {"count", "progress", "said"} else {}
    except (FileNotFoundError, ValueError):
        return {}


def _write_attempts(handed: Handed, noted: Mapping[str, Any]) -> None:
    _attempts(handed).parent.mkdir(exist_ok=True)
    write_whole(_attempts(handed), json.dumps(noted), lasting=False)


def _own_file(folder: Path) -> Path:
    return folder / _WORKERS / f"{socket.gethostname()}-{os.getpid()}.json"
