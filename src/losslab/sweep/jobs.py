"""The runs of a sweep as they are handed on: a job for each, and stacks of jobs that train fused."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One run of a sweep: its request in canonical form, its folder and its number. Its parts need not fit one another yet.

    part: which part of which study it is; None outside a study.
    """

    request: dict[str, Any]
    folder: Path
    number: int
    part: dict[str, Any] | None = None


@dataclass(frozen=True)
class Stack:
    """Runs that train as one; `why` says what keeps a run alone.

    threads: on how many CPU threads it trains, where that was measured.
    processes: how many such stacks train at the same time, each in a process of its own; they share the CPU's threads.
    engine: how its steps are executed, where that was measured.
    together: whether it leaves a few files for all its runs, and not a folder for each.
    """

    jobs: list[Job]
    why: str | None = None
    threads: int | None = None
    processes: int = 1
    together: bool = False
    engine: str | None = None

    @property
    def key(self) -> str:
        """A hash of which runs it holds, by their folders; the same wherever the folder of the whole sweep lies."""
        folders = [job.folder.absolute() for job in self.jobs]
        root = Path(os.path.commonpath([folder.parent for folder in folders]))
        return short_hash(folder.relative_to(root).as_posix() for folder in folders)

    def halves(self, why: str) -> list[Stack]:
        """Two stacks in the place of this one; `why` for a half of one run."""
        middle = len(self.jobs) // 2
        parts = (self.jobs[:middle], self.jobs[middle:])
        return [replace(self, jobs=jobs, why=why if len(jobs) == 1 else None) for jobs in parts]


def short_hash(parts: Iterable[Any]) -> str:
    """A hash of plain values, 12 hexadecimal digits."""
    return hashlib.sha256(json.dumps(list(parts), sort_keys=True).encode()).hexdigest()[:12]
