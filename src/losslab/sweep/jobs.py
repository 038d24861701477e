"""The runs of a sweep as they are handed on: a job for each, and stacks of jobs that train fused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One run of a sweep: what is asked for, where it is to lie, and its number. The request may still be incompatible.

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
    finished: folders of runs that have their records. They train once more with the others, whose last bits depend on it.
    """

    jobs: list[Job]
    why: str | None = None
    finished: frozenset[Path] = frozenset()
    threads: int | None = None
