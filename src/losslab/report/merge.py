"""The runs of several folders as those of one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from losslab.records.record import Record
from losslab.schema import canonical


def merged(each: Sequence[Mapping[Path, Record]]) -> tuple[dict[Path, Record], int]:
    """The records of several folders, each run once, and how many copies were left out.

    Of a run that is in several folders the first record counts, or the first of a run that trained to an end. A run that is twice
    in one folder stays there twice, for the report to refuse.
    """
    if len(each) == 1:
        return dict(each[0]), 0
    kept: dict[Path, Record] = {}
    places: dict[tuple[str, ...], Path] = {}
    copies = 0
    for records in each:
        new: dict[tuple[str, ...], Path] = {}
        for folder, record in records.items():
            before = places.get(key := _key(record))
            if before is not None:
                copies += 1
                if _ended(kept[before]) or not _ended(record):
                    continue
                del kept[before]
            kept[folder] = record
            new[key] = folder
        places |= new
    return kept, copies


def _key(record: Record) -> tuple[str, ...]:
    """What makes a run the same in two folders: its request, and which part of which study it is."""
    part = record.study
    whose = (part["study"]["name"], part["phase"], part["loss"]) if part else ()
    return (*map(str, whose), canonical.run_id_as_read(record.config))


def _ended(record: Record) -> bool:
    return record.status in ("done", "diverged")
