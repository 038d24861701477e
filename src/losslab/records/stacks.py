"""Records of sweeps of thousands of runs: those of a stack in one file, where folders would be six files a run.

A folder `stacks` lies where the folders of the runs would lie. In it are, for each stack, KEY.jsonl with a record a line and KEY.pt
with weights and curves. A run is still named by the folder that it would have.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from losslab.records import files
from losslab.records.files import write_whole
from losslab.records.record import Record

FOLDER = "stacks"
_TRIES = 3
_NAME = re.compile(r'\{"folder": ("(?:[^"\\]|\\.)*"),')
_NAME_IN_BYTES = re.compile(_NAME.pattern.encode())


class _Place(NamedTuple):
    """Where the record of a run is: its file, and the bytes of its line. A million lines would not fit into memory."""

    path: Path
    start: int
    length: int


Places = dict[str, _Place]  # by the names of the folders of the runs
Marks = dict[str, tuple[object, ...]]  # what the files of a folder were when they were read, by their names
_READ: dict[Path, tuple[Marks, Places]] = {}
_looked: set[Path] | None = None  # the folders that are not looked at again for now


def write(parent: Path, key: str, records: Mapping[str, Record], weights: bytes) -> None:
    """Writes weights and records of a stack, by the names of the folders that its runs would have in `parent`.

    The records come last: where they are, the runs are finished.
    """
    folder = parent / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    while _names(path := folder / f"{key}.jsonl") - records.keys():  # an earlier stack, of which some runs were removed
        key += "-"
    write_whole(weights_beside(path), weights)
    lines = (json.dumps({"folder": name} | vars(record), allow_nan=False) for name, record in records.items())
    write_whole(path, "".join(f"{line}\n" for line in lines))


def weights_beside(path: Path) -> Path:
    """The file with the weights of the runs whose records are in `path`."""
    return path.with_suffix(".pt")


def file_of(folder: Path) -> Path | None:
    """The file with the record of the run that would have this folder; None where there is none."""
    found = _places(folder.parent / FOLDER).get(folder.name)
    return found.path if found else None


def record_of(folder: Path) -> Record | None:
    """The record of the run that would have this folder; None where there is none. Raises ValueError for one that is corrupt."""
    for _ in range(_TRIES):
        if (found := _places(folder.parent / FOLDER).get(folder.name)) is None:
            break
        with suppress(OSError, UnicodeDecodeError), found.path.open("rb") as file:
            file.seek(found.start)
            line = file.read(found.length).decode("ascii")
            if (name := _NAME.match(line)) and json.loads(name[1]) == folder.name:
                return _record(found.path, line)
        _READ.pop((folder.parent / FOLDER).absolute(), None)  # the file was written anew since it was read
        if _looked is not None:
            _looked.clear()
    return None


def records_below(folder: Path) -> tuple[dict[Path, Record], list[Path]]:
    """All records of stacks below a folder, by the folders that their runs would have, and the files that are corrupt."""
    records: dict[Path, Record] = {}
    corrupt: dict[Path, None] = {}
    for path in sorted(folder.rglob(f"{FOLDER}/*.jsonl")):
        try:
            lines = _lines(path)
        except ValueError:
            corrupt[path] = None
            continue
        for name, line in lines.items():
            try:
                records[path.parent.parent / name] = _record(path, line)
            except ValueError:
                corrupt[path] = None
    return records, list(corrupt)


def remove(folders: Iterable[Path]) -> None:
    """Removes the records of runs from the files that hold them; weights only where a file holds no other run."""
    names: dict[Path, set[str]] = defaultdict(set)
    for folder in folders:
        if path := file_of(folder):
            names[path].add(folder.name)
    for path, gone in names.items():
        if lines := [line for name, line in _lines(path).items() if name not in gone]:
            write_whole(path, "".join(f"{line}\n" for line in lines))
            continue
        path.unlink()
        weights_beside(path).unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()


def repair(parent: Path) -> None:
    """Moves files of the folder `stacks` in `parent` aside that are corrupt as a whole or cut off. Records that are whole are kept.

    Weights that were cut off, as in a power cut, make the runs of their stack unfinished.
    """
    for path in sorted((parent / FOLDER).glob("*.jsonl")):
        if files.is_cut(weights_beside(path)):
            path.unlink()
            files.quarantine(weights_beside(path), "the runs of its stack are done again")
            continue
        try:
            _lines(path)
        except ValueError:
            keep_whole(path)


def keep_whole(path: Path) -> None:
    """Moves a file that holds corrupt records aside, and writes one with the others in its place."""
    lines = []
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        with suppress(ValueError):
            _record(path, line)
            lines += [line] if _NAME.match(line) else []
    files.quarantine(path, "the runs whose records are not whole are done again")
    if lines:
        write_whole(path, "".join(f"{line}\n" for line in lines))


def _record(path: Path, line: str) -> Record:
    from losslab.records.validation import record_content  # pydantic takes some milliseconds

    try:
        return Record(**record_content(line))
    except ValueError as error:
        raise ValueError(
            f"{path} is corrupt ({error}); the same request, run again, moves it aside and trains its runs anew."
        ) from error


@contextmanager
def looked_at_once() -> Iterator[None]:
    """For its time the files of a folder are looked at once, and not for each of thousands of runs."""
    global _looked
    before = _looked
    _looked = set() if before is None else before
    try:
        yield
    finally:
        _looked = before


def _places(folder: Path) -> Places:
    """Where the record of each run in a folder of stacks is. Files that are corrupt as a whole are left out.

    A file that is as it was when it was read before is not read again.
    """
    folder = folder.absolute()
    if _looked is not None and folder in _looked and folder in _READ:
        return _READ[folder][1]
    try:
        found = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".jsonl"))
    except OSError:
        return {}
    marks = {name: _mark(folder / name) for name in found}
    before, places = _READ.get(folder, ({}, {}))
    if any(marks.get(name) != mark for name, mark in before.items()):  # removed, or written anew
        before, places = {}, {}
    for name in found:
        if before.get(name) != marks[name]:
            places |= _places_in(folder / name)
    _READ[folder] = marks, places
    if _looked is not None:
        _looked.add(folder)
    return places


def _places_in(path: Path) -> Places:
    """Where the records in a file are; nowhere where it is corrupt as a whole, as `_lines` has it."""
    places, start = Places(), 0
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    if not (content.endswith(b"\n") and content.isascii()):
        return {}
    for line in content.splitlines(keepends=True):
        name = _NAME_IN_BYTES.match(line)
        if name is None:
            return {}
        places[json.loads(name[1])] = _Place(path, start, len(line))
        start += len(line)
    return places


def _mark(path: Path) -> tuple[object, ...]:
    """What changes whenever a file is written whole."""
    try:
        now = path.stat()
    except OSError:
        return ()
    return now.st_ino, now.st_mtime_ns, now.st_size


def _names(path: Path) -> set[str]:
    try:
        return set(_lines(path))
    except ValueError:
        return set()


def _lines(path: Path) -> dict[str, str]:
    """The lines of a file by the names of their runs. Raises ValueError for a file that is corrupt as a whole."""
    try:
        text = path.read_text(encoding="ascii")  # UnicodeDecodeError is a ValueError
    except FileNotFoundError:
        return {}
    named = [(_NAME.match(line), line) for line in text.splitlines()]
    if not text.endswith("\n") or not all(name for name, _ in named):
        raise ValueError(f"{path} is corrupt; the same request, run again, moves it aside.")
    return {json.loads(name[1]): line for name, line in named if name}
