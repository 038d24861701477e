"""Where the stacks of a sweep are trained: in this process one after another, or in several processes at the same time."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from losslab.errors import raise_if_ended, threads_say_no_more
from losslab.events import Event, Listener, RunFinished, StackHalved
from losslab.hardware import keep_freed_memory
from losslab.records.store import finished_record
from losslab.safe_points import check, held_back
from losslab.sweep.jobs import Stack
from losslab.sweep.training import train_stack, untrained
from losslab.training.children import STARTING, attach

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LOOKS = 0.1  # at what the processes have sent, and at whether Ctrl-C came
_ENDED = "the process that trained it ended, as where memory is short (fused.processes=1 takes less)"


class Unstarted(Exception):
    """No process could be started."""


def train_stacks(stacks: Sequence[Stack], folder: Path, listen: Listener) -> int:
    """Trains stacks, in so many processes as they were planned for, and returns how many there were; see `train_stack`.

    Where processes cannot be started, says so and goes on in this one.
    """
    processes = min([len(stacks), *(stack.processes for stack in stacks)])
    if processes > 1:
        try:
            _train_in_processes(stacks, folder, listen, processes)
            return processes
        except Unstarted as error:
            _LOG.warning(f"The sweep goes on in one process, as no other can be started: {error}.")
            stacks = [stack for stack in stacks if not _are_finished(stack, listen)]
    for stack in stacks:
        train_stack(stack, folder, listen)
    return 1


def _train_in_processes(stacks: Sequence[Stack], folder: Path, listen: Listener, count: int) -> None:
    left, busy = deque(stacks), dict[Future[None], tuple[_Process, Stack]]()
    with ExitStack() as started:
        idle = [started.enter_context(_Process()) for _ in range(count)]
        while left or busy:
            while left and idle:
                process = idle.pop()
                try:
                    busy[process.train(left[0], folder)] = process, left[0]
                    left.popleft()
                except BrokenProcessPool:  # it ended between two stacks
                    idle.append(started.enter_context(_Process()))
            done, _ = wait(busy, _SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
            check()
            for process, _ in busy.values():
                process.hand_on(listen)
            for future in done:
                process, stack = busy.pop(future)
                try:
                    future.result()
                except BrokenProcessPool:
                    if not process.began:
                        raise Unstarted("it ended before its first run") from None
                    left.extendleft(reversed(_without_process(stack, listen)))
                    process = started.enter_context(_Process())
                idle.append(process)


def _without_process(stack: Stack, listen: Listener) -> list[Stack]:
    """What is left of a stack whose process has ended: its halves, as one of its runs or their number may be why. A lone run failed."""
    if _are_finished(stack, listen):
        return []
    if len(stack.jobs) == 1:
        listen(RunFinished(stack.jobs[0], untrained(stack.jobs[0], "failed", _ENDED), alone=_why(stack)))
        return []
    halves = stack.halves(f"{_ENDED}, and others with it")
    listen(StackHalved(stack, halves))
    return halves


def _are_finished(stack: Stack, listen: Listener) -> bool:
    """Whether all runs of a stack have their records; gives those that are there to the listener, which may have got them before."""
    records = {job.folder: finished_record(job.folder, job.request) for job in stack.jobs}
    for job in stack.jobs:
        if record := records[job.folder]:
            listen(RunFinished(job, record, alone=_why(stack)))
    return all(records.values())


def _why(stack: Stack) -> str | None:
    return (stack.why or "one run") if len(stack.jobs) == 1 else None


class _Process:
    """A process that trains stacks, one at a time. It ends where it stands with this one, and at the end of the context."""

    def __init__(self) -> None:
        self.began = False
        STARTING.set_forkserver_preload([__name__])
        with _starting():
            self._pipe, self._its_end = STARTING.Pipe()
            given = (self._its_end, torch.get_num_threads(), dict(os.environ))
            self._pool = ProcessPoolExecutor(1, STARTING, _begin, given)

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._its_end.close()
        self._pool.shutdown()

    def train(self, stack: Stack, folder: Path) -> Future[None]:
        """Begins to train a stack. Raises Unstarted where the process cannot be started, BrokenProcessPool where it has ended."""
        with _starting(), held_back():  # this process acts on signals, and ends the others
            future = self._pool.submit(_train, stack, folder)
        self._its_end.close()  # else nobody sees that the process has ended in the middle of a message
        return future

    def hand_on(self, listen: Listener) -> None:
        """Gives what the process has sent to a listener, and to the log."""
        for sent in self._sent():
            if sent is None:
                self.began = True
            elif isinstance(sent, logging.LogRecord):
                logging.getLogger(sent.name).handle(sent)
            else:
                listen(sent)

    def _sent(self) -> Iterator[Event | logging.LogRecord | None]:
        with suppress(EOFError, OSError):  # it has ended
            while self._pipe.poll():
                yield self._pipe.recv()


@contextmanager
def _starting() -> Iterator[None]:
    """Raises Unstarted where the system refuses what a process takes."""
    try:
        yield
    except OSError as error:
        raise_if_ended(error)
        raise Unstarted(error.strerror) from error


# --- in the processes ---

_parent: Connection


def _begin(parent: Connection, threads: int, environment: Mapping[str, str]) -> None:
    """Prepares a process, and says that it has begun."""
    os.environ.clear()
    os.environ.update(environment)
    global _parent
    _parent = parent
    attach(parent)
    torch.set_num_threads(threads)
    keep_freed_memory()
    parent.send(None)


def _train(stack: Stack, folder: Path) -> None:
    with threads_say_no_more():
        train_stack(stack, folder, _parent.send)
