"""Workers that end while they train: a stack goes on, is halved, or is given up after three attempts."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from losslab.errors import Halted
from losslab.events import Event, RunFinished, StackEnded, StackHalved
from losslab.sweep import head, shared, worker
from losslab.sweep.jobs import Stack
from losslab.sweep.runner import train_all
from support.handing_over import Here, handed, jobs, quick_looks  # noqa: F401 - a fixture of every test
from support.lock_holders import another_process_holds


class Ends(Exception):
    """A worker that is killed."""


def kill_while_training(monkeypatch: pytest.MonkeyPatch, which: int, further: bool = False) -> list[int]:
    """Workers are killed as they train a stack that holds the run of a seed; returns the sizes of the stacks that they had."""
    killed: list[int] = []
    trained = worker.train_stack

    def train(stack: Stack, folder: Path, listen: Any) -> Any:
        if which in [job.request["seed"] for job in stack.jobs]:
            killed.append(len(stack.jobs))
            if further:
                (folder / f"{stack.key}.ckpt").write_text(str(len(killed)))
                os.utime(folder / f"{stack.key}.ckpt", (len(killed), len(killed)))
            if not further or len(killed) < 6:
                raise Ends("of a sudden")
            (folder / f"{stack.key}.ckpt").unlink()
        return trained(stack, folder, listen)

    monkeypatch.setattr(worker, "train_stack", train)
    return killed


class Mortal(Here):
    """An engine whose worker may be killed."""

    def start(self, count: int, tasks: int) -> None:
        with suppress(Ends):
            super().start(count, tasks)


def test_a_run_that_takes_three_workers_with_it_has_failed_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = kill_while_training(monkeypatch, which=1)
    seen: list[Event] = []
    records = train_all(jobs(tmp_path, 4, size=4), seen.append, engine=Mortal(tmp_path)).records
    assert killed == [4] * 3 + [2] * 3 + [1] * 3
    assert [record.status for record in records] == ["done", "failed", "done", "done"]
    assert records[1].reason == f"{shared.NO_FURTHER} (Ends: of a sudden)"
    assert [len(event.stack.jobs) for event in seen if isinstance(event, StackHalved)] == [4, 2]
    assert sorted(event.job.number for event in seen if isinstance(event, RunFinished)) == [0, 1, 2, 3]
    monkeypatch.undo()
    again = train_all(jobs(tmp_path, 4, size=4), engine=Here(tmp_path)).records
    assert [record.status for record in again] == ["done"] * 4, "the same command tries again"


def test_a_stack_that_gets_further_each_time_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = kill_while_training(monkeypatch, which=1, further=True)
    records = train_all(jobs(tmp_path, 2, size=2), engine=Mortal(tmp_path)).records
    assert len(killed) == 6
    assert [record.status for record in records] == ["done"] * 2


def test_a_worker_that_is_asked_to_leave_costs_no_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    handed(tmp_path, 2)
    with monkeypatch.context() as patched:
        patched.setattr(worker, "train_stack", stop)
        for _ in range(2 * shared.MOST_ATTEMPTS):
            with pytest.raises(KeyboardInterrupt):
                worker.serve(tmp_path, 0)
    ended: list[Event] = []
    assert worker.serve(tmp_path, 0, listen=ended.append) == 1
    [end] = [event for event in ended if isinstance(event, StackEnded)]
    assert [record.status for record in end.records] == ["done"] * 2


def test_a_worker_looks_less_often_while_all_stacks_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [one] = handed(tmp_path, 1)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            raise Ends

    monkeypatch.setattr(worker, "sleep", sleep)
    with another_process_holds(one.path, shared._LOCKS), pytest.raises(Ends):
        worker.serve(tmp_path, 1e6)
    assert pauses[:3] == [1.0, 1.5, 2.25]
    assert pauses[-1] == 8.0


def test_workers_that_end_before_they_train_stop_the_command(tmp_path: Path) -> None:
    class Idle(Here):
        def start(self, count: int, tasks: int) -> None:
            self.starts.append(count)

    engine = Idle(tmp_path)
    with pytest.raises(Halted, match="workers end before they have trained anything; see their output"):
        train_all(jobs(tmp_path, 4, size=1), engine=engine)
    assert engine.starts == [2] * head._FRUITLESS
