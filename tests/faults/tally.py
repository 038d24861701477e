"""What came of injecting one kind of fault many times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """One row of the table of faults.

    what: the fault, in words, as the table shows it.
    tried: how many were injected.
    runs: how many runs were asked for beside them.
    lost: runs without a record afterwards, or with another result than an undisturbed run; requests left without an answer.
    doubled: runs that were trained twice although they were over.
    tracebacks: tracebacks that a user saw.
    stray: files that nobody asked for.
    seconds: that it took.
    """

    what: str
    tried: int
    runs: int = 0
    lost: int = 0
    doubled: int = 0
    tracebacks: int = 0
    stray: int = 0
    seconds: float = 0.0
