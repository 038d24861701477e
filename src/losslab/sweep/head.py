"""The command that hands a sweep over to workers, and watches: it trains nothing, and may end and be started again at any time."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from losslab.errors import Halted
from losslab.events import EpochStarted, Listener, RunFinished, StackHalved, WorkersAwaited
from losslab.records import stacks
from losslab.records.record import Record
from losslab.records.store import finished_record, read_record
from losslab.safe_points import check, sleep
from losslab.sweep import shared, shared_locks
from losslab.sweep.engines import Engine
from losslab.sweep.forecast import Forecast
from losslab.sweep.jobs import Job, Stack
from losslab.sweep.training import untrained

_LOG = logging.getLogger(__name__)
LOCK = ".losslab-heads"  # of a sweep: one command watches it at a time
_LOOKS = (0.2, 5.0)  # seconds between two looks at the folder: at first, and while nothing happens
_SECONDS_BETWEEN_STARTS = 10.0  # of further workers in the place of those that have ended
_FRUITLESS = 3  # starts in a row, after which no further worker is started


def check_folder(engine: Engine) -> None:
    """Raises BadRequest where the folder of a sweep holds no locks, or would not be seen by the workers of an engine."""
    engine.root.mkdir(parents=True, exist_ok=True)
    shared_locks.check(engine.root)
    engine.probe()


def train_by_workers(
    stacks: Sequence[Stack], folder: Path, engine: Engine, forecast: Forecast, listen: Listener
) -> int:
    """Has stacks trained by workers, in this order, and returns by how many at the most at the same time.

    Args:
        stacks: which stacks; their folders are free of what is to be replaced.
        folder: of the sweep, below `engine.root`/.stacks.
        engine: that starts the workers.
        forecast: what they are expected to take.
        listen: is given RunFinished, EpochStarted, StackHalved and WorkersAwaited.

    Raises:
        Halted: where workers end again and again before they have trained anything, and where disk space or file handles end.
        KeyboardInterrupt: after Ctrl-C; workers that the engine does not end go on.
    """
    watch = _Watch(stacks, folder, engine, listen)
    starts = _Starts(engine, forecast, watch)
    if engine.hands:
        listen(WorkersAwaited(engine.root))
    pause = _LOOKS[0]
    while watch.left:
        check()
        pause = _LOOKS[0] if watch.look() else min(1.5 * pause, _LOOKS[1])
        if watch.left:
            starts.tend()
            sleep(pause)
    return watch.most


class _Watch:
    """What of a sweep is not done yet, by the files of its stacks."""

    def __init__(self, stacks: Sequence[Stack], folder: Path, engine: Engine, listen: Listener) -> None:
        self.folder, self.root, self.listen = folder, engine.root, listen
        self.jobs = {job.folder.absolute(): job for stack in stacks for job in stack.jobs}
        self.left = self._over(stacks)
        self.most = 0
        self._missing: dict[str, int] = {}  # how often in a row a stack was seen to be gone without its records
        self._refusals: set[str] = set()
        self._reported: set[Path] = set()

    def look(self) -> bool:
        """Takes in what has happened since the last look; whether a stack is done or was halved."""
        there = {path.name: path for path in shared.listed(self.folder)}
        changed = self._halved(there)
        for name in [name for name in self.left if name not in there]:
            changed |= self._gone(name)
        self._hear()
        return changed

    def signs(self) -> object:
        """What differs once a worker has begun or ended something."""
        with suppress(FileNotFoundError):
            return sorted(self.left), (self.folder / "attempts").stat().st_mtime_ns
        return sorted(self.left), 0

    def _over(self, stacks: Sequence[Stack]) -> dict[str, Stack]:
        return shared.hand_over(self.folder, self.root, [shared.anew(stack) for stack in stacks])

    def _halved(self, there: dict[str, Path]) -> bool:
        """Looks for stacks that a worker has handed over in the place of one that had taken workers with it."""
        changed = False
        for name in [name for name in there if name not in self.left]:
            with suppress(FileNotFoundError, ValueError):
                half = shared.read(there[name]).stack
                folders = {job.folder for job in half.jobs}
                for parent in [key for key, stack in self.left.items() if folders < {job.folder for job in stack.jobs}]:
                    if parent not in there:
                        whole = self.left.pop(parent)
                        halves = shared.halves(whole)
                        self.listen(StackHalved(self._own(whole), [self._own(one) for one in halves]))
                        self.left |= {shared.name_of(one, parent): one for one in halves}
                        changed = True
                self.left[name] = half
        return changed

    def _gone(self, name: str) -> bool:
        """A stack whose file is not there: done, or corrupt and handed over again."""
        stack = self.left[name]
        with stacks.looked_at_once():
            records = {job.folder: record for job in stack.jobs if (record := _record(job))}
        for folder in records.keys() - self._reported:
            record = records[folder]
            alone = stack.why or "one run" if len(stack.jobs) == 1 else _BY_ITSELF
            self._reported.add(folder)
            self.listen(
                RunFinished(self.jobs[folder], record, alone=None if record.fused > 1 else alone, stack=stack.key)
            )
        if len(records) == len(stack.jobs):
            del self.left[name]
            return True
        self._missing[name] = self._missing.get(name, 0) + 1
        if self._missing[name] == 2 * shared.MOST_ATTEMPTS:
            for job in stack.jobs:
                if job.folder not in records:
                    untrained(job, "failed", "the file of its stack was lost again and again")
        elif self._missing[name] > 1:  # else it may have been halved between two looks
            del self.left[name]
            self.left |= self._over([stack])
        return False

    def _hear(self) -> None:
        words = shared.told(self.folder)
        self.most = max(self.most, sum("stack" in said for said in words))
        for said in words:
            if "refused" in said and said["refused"] not in self._refusals:
                self._refusals.add(said["refused"])
                _LOG.warning(f"A worker, {said['by']}, has left: {said['refused']}")
            elif "stack" in said:
                self.listen(EpochStarted(said["runs"], said["epoch"], said["epochs"], said["stack"]))

    def _own(self, stack: Stack) -> Stack:
        """A stack of the jobs as the sweep has them, whose folders may be relative."""
        return replace(stack, jobs=[self.jobs[job.folder] for job in stack.jobs])


_BY_ITSELF = "their worker could not train them as a stack"


class _Starts:
    """Keeps as many workers as there is work for."""

    def __init__(self, engine: Engine, forecast: Forecast, watch: _Watch) -> None:
        self.engine, self.forecast, self.watch = engine, forecast, watch
        self.last, self.fruitless, self.signs = float("-inf"), 0, watch.signs()

    def tend(self) -> None:
        """Starts workers where too few are left. Raises Halted where that has come to nothing several times."""
        if time.monotonic() - self.last < _SECONDS_BETWEEN_STARTS:
            return
        wanted = min(self.forecast.workers, len(self.watch.left))
        wanted = min(wanted, getattr(self.engine, "count", wanted))
        missing = wanted - self.engine.running()
        if missing <= 0:
            return
        signs = self.watch.signs()
        self.fruitless = self.fruitless + 1 if signs == self.signs else 0
        if self.fruitless > _FRUITLESS:
            raise Halted(
                f"Stopped, as workers end before they have trained anything; see {self.engine.logs()}. Once that is mended the same "
                "command goes on; it repeats no finished run."
            )
        self.signs, self.last = signs, time.monotonic()
        self.engine.start(missing, max(missing, self.forecast.tasks))


def _record(job: Job) -> Record | None:
    """The record of a run that is over: finished, or failed in this sweep."""
    if record := finished_record(job.folder, job.request):
        return record
    try:
        record = read_record(job.folder)
    except ValueError:
        return None
    return record if record and record.status == "failed" else None
