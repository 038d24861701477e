"""Records on the disk: reading one or many, and which runs are finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from losslab.records import files, stacks
from losslab.records.record import NAME, Record
from losslab.schema import references
from losslab.schema.canonical import WHERE_AND_HOW, id_of, run_id
from losslab.schema.check import of_user


def read_record(folder: Path) -> Record | None:
    """The record in a folder, or kept for it with those of its stack; None where there is none.

    Raises ValueError for a file that is not a whole record.
    """
    path = Path(folder) / NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return stacks.record_of(Path(folder))
    from losslab.records.validation import record_content  # pydantic takes some milliseconds

    try:
        return Record(**record_content(text.decode(json.detect_encoding(text))))  # an editor may leave UTF-16
    except ValueError as error:
        raise ValueError(
            f"{path} is corrupt ({error}); the same request, run again, moves it aside and trains its run anew."
        ) from error


def finished_record(folder: Path, request: Mapping[str, Any]) -> Record | None:
    """The record of this request in a folder, if its run is finished and need not be repeated.

    That is so where it trained to an end, from the same files of the user's as are here now.
    """
    record = _ended(folder, request)
    return None if record is None or _changed(record, request) else record


def outdated(folder: Path, request: Mapping[str, Any]) -> list[str]:
    """The files of the user's that are not as they were when the run of this request in a folder trained to its end."""
    record = _ended(folder, request)
    return [] if record is None else _changed(record, request)


def _changed(record: Record, request: Mapping[str, Any]) -> list[str]:
    return [what for what, digest in of_user(request).items() if record.pairing.get(what) != digest]


def _ended(folder: Path, request: Mapping[str, Any]) -> Record | None:
    """The record of this request in a folder, if it trained to an end.

    A record is forced onto the disk and checkpoints are not, so after a power cut these may be cut off; then there is none.
    """
    try:
        record = read_record(folder)
    except ValueError:
        path = Path(folder) / NAME
        if path.exists() or (of_stack := stacks.file_of(Path(folder))) is None:
            files.quarantine(path, "its run is done again")
        else:
            stacks.keep_whole(of_stack)
        return None
    if record is None or record.status not in ("done", "diverged") or request["overwrite"]:
        return None
    then, now = (
        {key: value for key, value in asked.items() if key not in WHERE_AND_HOW} for asked in (record.config, request)
    )
    try:
        with references.without_imports():
            same = then == now or run_id(record.config) == id_of(request)  # an id takes a while
    except ValueError:  # its request is none of this version's
        return None
    return record if same and not any(map(files.is_cut, checkpoints(folder))) else None


def quarantine_truncated(folder: Path) -> None:
    """Moves truncated checkpoints aside. The record beside them is removed first, so that the run is trained again."""
    cut = [path for path in checkpoints(folder) if files.is_cut(path)]
    if cut:
        (Path(folder) / NAME).unlink(missing_ok=True)
    for path in cut:
        files.quarantine(path, "its run begins anew")


def checkpoints(folder: Path) -> list[Path]:
    """Where a run leaves the weights of its best and of its last epoch."""
    return [Path(folder) / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]


def read_records(folder: Path) -> list[Record]:
    """All records below a folder, in the order of their paths. Raises ValueError for one that is corrupt."""
    whole, corrupt = records_by_folder(folder)
    for path in corrupt:
        if path.name == NAME:
            read_record(path.parent)  # raises, and says what is wrong
        raise ValueError(f"{path} is corrupt; the same request, run again, moves it aside and trains its runs anew.")
    return list(whole.values())


def whole_records(folder: Path) -> tuple[list[Record], list[Path]]:
    """The records below a folder that are whole, in the order of their paths, and the paths of corrupt ones."""
    whole, others = records_by_folder(folder)
    return list(whole.values()), others


def records_by_folder(folder: Path) -> tuple[dict[Path, Record], list[Path]]:
    """The same, by the folders of the runs, which those of stacks would have."""
    of_stacks, others = stacks.records_below(Path(folder))
    whole: dict[Path, Record] = {}
    for path in sorted(Path(folder).rglob(NAME)):
        try:
            record = read_record(path.parent)
        except ValueError:
            others.append(path)
        else:
            whole |= {path.parent: record} if record else {}
    return dict(sorted((of_stacks | whole).items())), others
