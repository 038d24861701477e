"""A worker: takes stacks from a shared folder, one after another, and trains each. What `losslab worker DIR` does."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from losslab import hardware
from losslab.errors import BadRequest, describe, raise_if_ended
from losslab.events import EpochStarted, Event, Listener, StackEnded, StackTaken, ignore
from losslab.hardware import keep_freed_memory
from losslab.records import stacks
from losslab.records.store import finished_record
from losslab.safe_points import check, sleep
from losslab.schema import cards
from losslab.schema import check as schema_check
from losslab.sweep import shared, shared_locks
from losslab.sweep.shared import Handed
from losslab.sweep.training import train_stack, untrained

_LOOKS = (
    1.0,
    8.0,
)  # seconds between two looks, where all stacks are taken, at whether one is free again: at first, and later on
_SECONDS_BETWEEN_WORDS = 5.0  # for whoever watches


def serve(root: Path, wait: float, most: float = float("inf"), listen: Listener = ignore) -> int:
    """Trains stacks that commands hand over below a folder, until there was none for a while. Returns how many it trained.

    Several workers may serve one folder, and each stack is trained by one of them. A worker that is stopped, in whatever way,
    leaves its stack to the next, which goes on from the last checkpoint.

    Args:
        root: the folder of a sweep or a study.
        wait: seconds without a stack to train after which it leaves.
        most: seconds after which it takes no further stack.
        listen: is given StackTaken, what `train_stack` tells, and StackEnded.

    Raises:
        BadRequest: where the folder is not there or holds no locks, and where this machine cannot train what was handed over, as
            with another version of losslab.
        Halted: where disk space or file handles end.
        KeyboardInterrupt: after Ctrl-C and SIGTERM.
    """
    if not root.is_dir():
        raise BadRequest(f"There is no folder {root} on this machine; a worker must see the folder of the sweep.")
    root = root.absolute()
    shared_locks.check(root)
    keep_freed_memory()
    began = idle = time.monotonic()
    trained, pause = 0, _LOOKS[0]
    while time.monotonic() - began < most:
        check()
        if _train_next(root, listen):
            trained, idle, pause = trained + 1, time.monotonic(), _LOOKS[0]
        elif (left := wait - (time.monotonic() - idle)) <= 0:
            break
        else:
            sleep(min(pause, left))
            pause = min(1.5 * pause, _LOOKS[1])
    return trained


def _train_next(root: Path, listen: Listener) -> bool:
    """Trains the first stack that no other worker has; False where there is none."""
    for folder in shared.sweeps(root):
        for path in shared.listed(folder):
            check()
            with shared.taken(path) as handed:
                if handed:
                    _train(handed, listen)
                    return True
    return False


def _train(handed: Handed, listen: Listener) -> None:
    _refuse_unless_able(handed)
    if shared.begin(handed, _progress(handed)) > shared.MOST_ATTEMPTS:
        _give_up(handed, listen)
        return
    listen(StackTaken(handed.stack))
    words = _Words(handed, listen)
    try:
        records = train_stack(handed.stack, handed.folder, words)
    except KeyboardInterrupt:
        shared.give_back(handed)
        raise
    except Exception as error:
        shared.give_back(handed, describe(error))
        raise_if_ended(error)
        raise
    finally:
        shared.tell_no_more(handed.folder)
    shared.done(handed)
    listen(StackEnded(handed.stack, records))


def _give_up(handed: Handed, listen: Listener) -> None:
    """Halves a stack that has taken several workers with it, as one of its runs or their number may be why. A lone run failed."""
    if len(handed.stack.jobs) > 1:
        shared.split(handed)
        return
    job = handed.stack.jobs[0]
    if not (record := finished_record(job.folder, job.request)):
        said = shared.last_said(handed) or "as where memory or time is short"
        record = untrained(job, "failed", f"{shared.NO_FURTHER} ({said})")
    shared.done(handed)
    listen(StackEnded(handed.stack, [record]))


def _progress(handed: Handed) -> list[int]:
    """How far a stack is: its checkpoints by the time of the last, and how many of its runs have a record."""
    moments = [0]
    for path in handed.folder.glob("*.ckpt"):  # one of its own, or of the halves into which memory has split it
        if path.stem == handed.stack.key:
            with suppress(FileNotFoundError):
                moments.append(path.stat().st_mtime_ns)
    alone = [job.folder / "checkpoints" / "last.ckpt" for job in handed.stack.jobs]
    for path in alone:
        with suppress(FileNotFoundError):
            moments.append(path.stat().st_mtime_ns)
    with stacks.looked_at_once():
        finished = sum(finished_record(job.folder, job.request) is not None for job in handed.stack.jobs)
    return [max(moments), finished]


def _refuse_unless_able(handed: Handed) -> None:
    """Raises BadRequest, which whoever watches is told too, where this machine cannot train a stack as it was meant."""
    try:
        _check_code(handed.made_by)
        os.environ[cards.FOLDERS] = handed.cards
        if handed.stood_in and Path(handed.stood_in).is_dir():
            os.chdir(handed.stood_in)  # what a request names of the user's is sought from here
        cards.refresh()
        request = handed.stack.jobs[0].request
        if request["trainer"]["deterministic"]:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when torch first uses it
        schema_check.check(request)
        hardware.of_run(request)
    except BadRequest as error:
        shared.tell(handed.folder, refused=str(error))
        raise


def _check_code(made_by: Mapping[str, Any]) -> None:
    here = shared.made_here()
    then, now = ({**made["versions"], "commit": made["commit"]} for made in (made_by, here))
    others = [f"{name} {then.get(name)} (here {now[name]})" for name in now if then.get(name) != now[name]]
    if others:
        raise BadRequest(
            f"The stacks were handed over with {', '.join(others)}; start the worker from the same installation of losslab."
        )


class _Words:
    """Hands events on, and says for whoever watches which epoch a stack is in."""

    def __init__(self, handed: Handed, listen: Listener) -> None:
        self.handed, self.listen, self.said = handed, listen, float("-inf")

    def __call__(self, event: Event) -> None:
        """Takes an event."""
        if isinstance(event, EpochStarted) and time.monotonic() - self.said > _SECONDS_BETWEEN_WORDS:
            self.said = time.monotonic()
            stack = self.handed.stack.key
            shared.tell(self.handed.folder, stack=stack, runs=event.runs, epoch=event.epoch, epochs=event.epochs)
        self.listen(event)
