"""Simulates a sweep of a million runs on 64 GPUs: `python experiments/clusters/simulate.py [RUNS] [WORKERS]`, some three minutes.

Which stacks there are and in which order they come is decided by losslab's own planner; how often workers and the command look is
read from them. What is made up is the clock: how long a stack trains, and what an operation on the shared folder costs.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from losslab import compose
from losslab.fused.sizing import Size
from losslab.sweep import forecast, head, planning, worker
from losslab.sweep.jobs import Job, Stack


@dataclass(frozen=True)
class Kind:
    """Runs that are alike, as measured on one H200: notes on many runs as one, "whole sweeps".

    share: of all runs. size: runs of a stack. seconds: that a stack of this size takes, its preparation counted in.
    """

    words: tuple[str, ...]
    share: float
    size: int
    seconds: float


KINDS = (
    Kind(("task=regression", "trainer.max_epochs=30"), 0.6, 1000, 3.5 + 5.9),
    Kind(("task=multiclass", "model=cnn", "trainer.max_epochs=30"), 0.3, 50, 3.0 + 1.0),
    Kind(("task=bbox", "trainer.max_epochs=4"), 0.1, 60, 1.7 + 1.0),
)


@dataclass(frozen=True)
class Costs:
    """Seconds of one operation. The first four are CPU time that was measured here; a lock and a look are those of a slow NFS server.

    reread: whether all records are read again where one file is new, and listed again for each run, as before 2026-11-28.
    """

    ask: float = 1.74e-3  # composing, checking and naming one run, by the command
    hand_over: float = 47e-6  # of one run
    read_stack: float = 58e-6  # of one run, by the worker that takes it
    record: float = 83e-6  # reading the record of one run, by the command
    index: float = 17e-6  # finding the record of one run in a file that is new
    write: float = 168e-6  # the record of one run
    operation: float = 1e-3  # opening, locking or removing one file
    listing: float = 6e-6  # one name of a folder
    spread: float = 0.2  # by which a stack takes longer or shorter than expected
    bytes_of_record: int = 3900
    bytes_of_weights: int = 2 * 4 * 4929
    reread: bool = False


@dataclass
class Outcome:
    """What came of a simulated sweep; seconds count from the first word of the command.

    Attributes:
        runs, stacks, workers: how many.
        planned: seconds of CPU time that losslab's planner took for these stacks.
        began: when the first worker could take a stack.
        makespan: from then until the last stack was trained.
        best: the same, where workers take stacks for nothing.
        lag: from then until the command has read the last record.
        idle: share of the time of all workers in which they did not train, until the last stack was trained.
        head: share of that time in which the command was busy.
        operations: on files, a second, in the mean and in the busiest second.
        bytes: written a second, in the mean.
        read: bytes that workers and the command have read, in all.
        refused: locks that another worker held, of all that were tried.
    """

    runs: int
    stacks: int
    workers: int
    planned: float
    began: float
    makespan: float
    best: float
    lag: float
    idle: float
    head: float
    operations: tuple[float, float]
    bytes: float
    read: float
    refused: float


def jobs(runs: int, kinds: Sequence[Kind] = KINDS) -> Iterator[Job]:
    """Runs of all kinds, each with a seed of its own."""
    number = itertools.count()
    for kind in kinds:
        request = compose(*kind.words, "trainer=cpu", "logger=none", "store=stacks")
        for seed in range(round(runs * kind.share)):
            place = next(number)
            yield Job(request | {"seed": seed}, Path(f"/shared/run-{place}"), place)


def plan(asked: Sequence[Job], workers: int, kinds: Sequence[Kind] = KINDS) -> list[Stack]:
    """The stacks in their order, by losslab's planner; only what it would measure on the GPU is put in."""
    by_task = {str(compose(*kind.words)["task"]["name"]): kind for kind in kinds}

    def size(requests: Sequence[dict[str, Any]]) -> tuple[Size, str | None]:
        return Size(by_task[requests[0]["task"]["name"]].size, None), None

    def seconds(stack: Stack) -> float:
        kind = by_task[stack.jobs[0].request["task"]["name"]]
        return kind.seconds * len(stack.jobs) / kind.size

    with mock.patch.object(planning, "stack_size", size), mock.patch.object(forecast, "seconds", seconds):
        return forecast.largest_first(planning.plan(asked, workers=workers, together=True))


def expected(stacks: Sequence[Stack], kinds: Sequence[Kind] = KINDS) -> list[float]:
    """Seconds that each stack takes."""
    by_task = {str(compose(*kind.words)["task"]["name"]): kind for kind in kinds}
    found = [by_task[stack.jobs[0].request["task"]["name"]] for stack in stacks]
    return [kind.seconds * len(stack.jobs) / kind.size for kind, stack in zip(found, stacks, strict=True)]


@dataclass
class Clock:
    """What happens, in the order of time."""

    now: float = 0.0
    _next: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _number: Iterator[int] = field(default_factory=itertools.count)

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Has something happen so many seconds from now."""
        heapq.heappush(self._next, (self.now + seconds, next(self._number), what))

    def run(self) -> None:
        """Until nothing happens any more."""
        while self._next:
            self.now, _, what = heapq.heappop(self._next)
            what()


class Cluster:
    """The shared folder, the workers on it and the command that watches."""

    def __init__(self, sizes: Sequence[int], seconds: Sequence[float], workers: int, costs: Costs) -> None:
        self.sizes, self.costs, self.clock = sizes, costs, Clock()
        rng = np.random.default_rng(0)
        factors = rng.uniform(1 - costs.spread, 1 + costs.spread, len(seconds))
        self.seconds = [float(one * factor) for one, factor in zip(seconds, factors, strict=True)]
        self.open = dict.fromkeys(range(len(sizes)))  # the stacks whose files are there, in their order
        self.taken: set[int] = set()
        self.workers = workers
        self.each_second: dict[int, float] = {}
        self.trained = self.busy = self.last = self.ended = self.written = self.read = 0.0
        self.tries = self.refusals = 0
        self.unseen: list[int] = []  # stacks that are done and that the command has not seen
        self.seen = 0
        self.recorded = 0  # runs whose records are there
        self.known = dict.fromkeys(range(workers), 0)  # how many of them each worker has found

    def operate(self, count: float) -> float:
        """Operations on files; the seconds that they take."""
        second = int(self.clock.now)
        self.each_second[second] = self.each_second.get(second, 0.0) + count
        return count * self.costs.operation

    def work(self, who: int, pause: float = worker._LOOKS[0]) -> None:
        """A worker looks for a stack: it lists the folder, and tries the lock of each stack until it gets one."""
        cost = self.operate(1) + len(self.open) * self.costs.listing
        free = None
        for stack in self.open:
            self.tries += 1
            cost += self.operate(2)
            if stack not in self.taken:
                free = stack
                break
            self.refusals += 1
        if free is None:
            if self.open:
                later = min(1.5 * pause, worker._LOOKS[1])
                self.clock.after(cost + pause, lambda: self.work(who, later))
            return
        self.taken.add(free)
        runs = self.sizes[free]
        cost += self.operate(3 + runs) + runs * self.costs.read_stack  # a lock on each run
        new = self.recorded if self.costs.reread else self.recorded - self.known[who]
        self.known[who] = self.recorded
        cost += new * self.costs.index
        self.read += new * self.costs.bytes_of_record
        self.clock.after(cost + self.seconds[free], lambda: self.done(free, who))

    def done(self, stack: int, who: int) -> None:
        """A worker has trained a stack: it writes records and weights, removes the file, and looks for another."""
        runs, seconds = self.sizes[stack], self.seconds[stack]
        self.trained += seconds
        words = seconds / worker._SECONDS_BETWEEN_WORDS
        cost = self.operate(8 + words) + runs * self.costs.write
        self.written += runs * (self.costs.bytes_of_record + self.costs.bytes_of_weights)

        def leave() -> None:
            del self.open[stack]
            self.recorded += runs
            self.unseen.append(stack)
            self.last = self.clock.now
            self.work(who)

        self.clock.after(cost, leave)

    def look(self, pause: float = head._LOOKS[0]) -> None:
        """The command lists the folder, hears its workers, and reads the records of each stack that is done."""
        gone, self.unseen = self.unseen, []
        cost = self.operate(2 + self.workers) + len(self.open) * self.costs.listing
        for stack in gone:
            runs = self.sizes[stack]
            new = self.recorded if self.costs.reread else runs
            cost += runs * self.costs.record + new * self.costs.index + self.operate(3)
            if self.costs.reread:
                cost += runs * (self.seen + len(gone)) * self.costs.listing
            self.read += new * self.costs.bytes_of_record
        self.seen += len(gone)
        self.busy += cost if self.open else 0.0
        if self.seen == len(self.sizes):
            self.ended = self.clock.now + cost
            return
        pause = head._LOOKS[0] if gone else min(1.5 * pause, head._LOOKS[1])
        self.clock.after(cost + pause, lambda: self.look(pause))


@cache
def planned(runs: int, workers: int) -> tuple[list[Stack], float]:
    """The stacks of so many runs, and the seconds of CPU time that planning them took."""
    asked = list(jobs(runs))
    before = time.process_time()
    stacks = plan(asked, workers)
    return stacks, time.process_time() - before


def simulate(runs: int, workers: int, costs: Costs = Costs()) -> Outcome:
    """What a sweep of so many runs on so many workers, each with a GPU, comes to."""
    stacks, seconds_of_planning = planned(runs, workers)
    sizes, seconds = [len(stack.jobs) for stack in stacks], expected(stacks)
    cluster = Cluster(sizes, seconds, workers, costs)
    for who in range(workers):
        cluster.clock.after(forecast.START, partial(cluster.work, who))
    cluster.look()
    cluster.clock.run()
    span = cluster.last
    return Outcome(
        runs=sum(sizes),
        stacks=len(sizes),
        workers=workers,
        planned=seconds_of_planning,
        began=sum(sizes) * (costs.ask + costs.hand_over),
        makespan=span,
        best=forecast.makespan(cluster.seconds, workers),
        lag=max(0.0, cluster.ended - cluster.last),
        idle=1 - cluster.trained / (workers * span),
        head=cluster.busy / span,
        operations=(sum(cluster.each_second.values()) / span, max(cluster.each_second.values())),
        bytes=cluster.written / span,
        read=cluster.read,
        refused=cluster.refusals / cluster.tries,
    )


def main(runs: int = 1_000_000, workers: int = 64) -> None:
    """Prints the table."""
    now, before = (simulate(runs, workers, Costs(reread=reread)) for reread in (False, True))
    print(f"{now.runs:,} runs, {now.stacks:,} stacks, {workers} workers; planned in {now.planned:.0f} s of CPU time\n")
    print("| | records read once | records read at each look |\n|---|---|---|")
    rows: dict[str, Callable[[Outcome], str]] = {
        "the command asks, plans and hands over, s": lambda one: f"{one.began:,.0f}",
        "makespan of the workers, s": lambda one: f"{one.makespan:,.0f}",
        "the same without any cost but training, s": lambda one: f"{one.best:,.0f}",
        "idle share of the GPUs": lambda one: f"{one.idle:.1%}",
        "share in which the command is busy": lambda one: f"{one.head:.0%}",
        "from the last stack to the end of the command, s": lambda one: f"{one.lag:,.0f}",
        "operations on files a second, mean": lambda one: f"{one.operations[0]:,.0f}",
        "operations on files in the busiest second": lambda one: f"{one.operations[1]:,.0f}",
        "locks that another worker held": lambda one: f"{one.refused:.0%}",
        "written a second, MB": lambda one: f"{one.bytes / 1e6:,.1f}",
        "read in all, GB": lambda one: f"{one.read / 1e9:,.0f}",
    }
    for name, of in rows.items():
        print(f"| {name} | {of(now)} | {of(before)} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
