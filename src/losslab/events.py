"""What happens while runs train, as events. Whoever starts runs may pass a listener that shows them; without one, nothing is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from losslab.records.record import Record
    from losslab.sweep.forecast import Forecast
    from losslab.sweep.jobs import Job, Stack


@dataclass(frozen=True)
class SweepStarted:
    """A sweep begins to train the runs that are not finished: how many there are, and their epochs in sum."""

    runs: int
    epochs: int


@dataclass(frozen=True)
class EpochStarted:
    """A stack of so many runs begins an epoch, from 0, of so many; `stack` tells it from others that train at the same time."""

    runs: int
    epoch: int
    epochs: int
    stack: str = ""


@dataclass(frozen=True)
class StackHalved:
    """Memory did not hold a stack; its halves are trained in its place."""

    stack: Stack
    halves: list[Stack]


@dataclass(frozen=True)
class RunFinished:
    """A run of a sweep has its record.

    Attributes:
        again: whether it had it before, so that nothing was trained.
        alone: why it was trained by itself; None for a run of a stack.
        stack: the stack of which EpochStarted told.
    """

    job: Job
    record: Record
    again: bool = False
    alone: str | None = None
    stack: str = ""


@dataclass(frozen=True)
class SweepPlanned:
    """What a sweep that begins is expected to take."""

    forecast: Forecast


@dataclass(frozen=True)
class WorkersAwaited:
    """A sweep has handed its stacks over, and somebody is to start workers on this folder."""

    folder: Path


@dataclass(frozen=True)
class StackTaken:
    """A worker begins to train a stack."""

    stack: Stack


@dataclass(frozen=True)
class StackEnded:
    """A worker has trained a stack, whose runs have these records."""

    stack: Stack
    records: list[Record]


@dataclass(frozen=True)
class SweepEnded:
    """All runs of a sweep have their records."""


@dataclass(frozen=True)
class TuningStarted:
    """A study begins to tune so many losses, each with so many trials of so many runs, so often."""

    losses: int
    trials: int
    seeds: int
    repeats: int


@dataclass(frozen=True)
class ComparisonStarted:
    """A study begins to compare its losses on so many fresh seeds, with so many runs in all."""

    seeds: int
    runs: int


Event = (
    SweepPlanned
    | SweepStarted
    | WorkersAwaited
    | EpochStarted
    | StackHalved
    | RunFinished
    | SweepEnded
    | StackTaken
    | StackEnded
    | TuningStarted
    | ComparisonStarted
)
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that shows nothing."""


def together(*listeners: Listener) -> Listener:
    """A listener that gives each event to several, in their order."""

    def listen(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return listen
