"""Several processes train a sweep to the same bits as one, and none of them can take the sweep with it."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from faults import kills
from losslab import compose, register
from losslab.cli import train as cli_train
from losslab.errors import Halted
from losslab.events import EpochStarted, Event, RunFinished, StackHalved, SweepStarted
from losslab.records.record import Record
from losslab.schema import canonical
from losslab.sweep import executors, planning
from losslab.sweep.jobs import Job, Stack
from losslab.sweep.progress import SweepBar
from losslab.sweep.runner import train_all
from losslab.training import threads

SMALL = ("data.rows=200", "trainer=cpu", "trainer.max_epochs=3", "model.hidden=[8]")
Asked = list[dict[str, Any]]

ODD_LOSS = """
import errno, logging, multiprocessing, os, signal

def odd(pred, target):
    if multiprocessing.parent_process() is not None:
        {happens}
    return (pred - target).abs().mean(-1)
"""


def jobs(asked: Asked, folder: Path, **fused: Any) -> list[Job]:
    requests = [request | {"fused": request["fused"] | fused} for request in asked]
    return [Job(request, folder / canonical.run_id(request), number) for number, request in enumerate(requests)]


def seeds(count: int, *words: str) -> Asked:
    return [compose(*SMALL, *words, f"seed={seed}") for seed in range(count)]


def left_by(folder: Path) -> dict[str, Any]:
    """Records and checkpoints, without what was asked of `fused`."""
    left = {name: json.loads(text) for name, text in kills.left_by(folder).items()}
    for record, *_ in left.values():
        del record["config"]["fused"]
    return left


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Asked]:
    """Three runs, of which the second has a loss where something happens, though not in the process of the tests."""
    monkeypatch.chdir(tmp_path)

    def asked(happens: str) -> Asked:
        Path("odd.py").write_text(ODD_LOSS.format(happens=happens))
        return [compose(*SMALL, f"loss={loss}") for loss in ("mse", "odd.py:odd", "huber")]

    return asked


@pytest.mark.slow
@pytest.mark.parametrize(("size", "fused"), [(1, {1}), (3, {3})], ids=["alone", "stacks"])
def test_two_processes_leave_the_same_bits_as_one(size: int, fused: set[int], tmp_path: Path) -> None:
    asked = [request for loss in ("mse", "huber") for request in seeds(3, f"loss={loss}")]
    one = train_all(jobs(asked, tmp_path / "one", size=size, processes=1))
    seen: list[Event] = []
    two = train_all(jobs(asked, tmp_path / "two", size=size, processes=2), seen.append)
    assert left_by(tmp_path / "two") == left_by(tmp_path / "one")
    assert {record.fused for record in two.records} == fused
    assert [record.seed for record in two.records] == [record.seed for record in one.records]
    assert (two.stacked, two.alone) == (one.stacked, one.alone)
    assert (one.processes, two.processes) == (1, 2)
    assert sum(isinstance(event, RunFinished) for event in seen) == 6
    assert sum(isinstance(event, EpochStarted) for event in seen) == (6 if size == 3 else 0)
    assert not list((tmp_path / "two").glob(".*"))
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_process_that_ends_is_a_run_that_failed(odd: Callable[[str], Asked], tmp_path: Path) -> None:
    asked = odd("os.kill(os.getpid(), signal.SIGKILL)")
    records = train_all(jobs(asked, tmp_path / "runs", size=1, processes=2)).records
    assert [record.status for record in records] == ["done", "failed", "done"]
    assert records[1].reason == executors._ENDED
    records = train_all(jobs(asked, tmp_path / "runs", size=1, processes=1)).records
    assert [record.status for record in records] == ["done"] * 3, "the same command tries again"


@pytest.mark.slow
def test_halves_of_a_stack_go_on_where_its_process_ends(tmp_path: Path) -> None:
    asked = seeds(8, "trainer.max_epochs=30")
    whole = train_all(jobs(asked, tmp_path / "whole", size=4)).records
    seen: list[Event] = []

    def kill_once(event: Event) -> None:
        if isinstance(event, EpochStarted) and not any(isinstance(one, EpochStarted) for one in seen):
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
        seen.append(event)

    records = train_all(jobs(asked, tmp_path / "halved", size=4, processes=2), kill_once).records
    assert [record.status for record in records] == ["done"] * 8
    assert sum(isinstance(event, StackHalved) for event in seen) == 1
    assert sorted(record.fused for record in records) == [2] * 4 + [4] * 4
    for one, other in zip(records, whole, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-3)


@pytest.mark.slow
def test_a_process_that_ends_between_two_runs_is_replaced(tmp_path: Path) -> None:
    seen: list[Event] = []

    def kill_once(event: Event) -> None:
        seen.append(event)
        if len(seen) == 1:
            kills.ended(multiprocessing.active_children()[0].pid or 0)

    asked = jobs(seeds(3), tmp_path)
    executors._train_in_processes([Stack([job], "alone") for job in asked], tmp_path, kill_once, 1)
    assert [event.record.status for event in seen if isinstance(event, RunFinished)] == ["done"] * 3


@pytest.mark.slow
def test_a_full_disk_stops_all_processes(odd: Callable[[str], Asked], tmp_path: Path) -> None:
    asked = jobs(odd('raise OSError(errno.ENOSPC, "No space", "here")'), tmp_path / "runs", size=1, processes=2)
    with pytest.raises(Halted, match=r"^Stopped, as the disk is full \(here\)"):
        train_all(asked)
    assert not multiprocessing.active_children()
    assert not (asked[1].folder / "record.json").exists()


@pytest.mark.slow
def test_what_a_process_logs_is_logged_here(
    odd: Callable[[str], Asked], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = odd('logging.getLogger("losslab.odd").warning("%s days", 3)')
    train_all(jobs(asked, tmp_path / "runs", size=1, processes=2))
    assert {(record.name, record.getMessage()) for record in caplog.records} == {("losslab.odd", "3 days")}


@pytest.mark.slow
def test_where_no_process_can_be_started_one_trains_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(executors, "_begin", os.abort)  # which takes no arguments
    records = train_all(jobs(seeds(3), tmp_path, size=1, processes=2)).records
    assert [record.status for record in records] == ["done"] * 3
    assert "goes on in one process, as no other can be started" in caplog.text


def test_a_record_that_was_just_written_is_no_failure(tmp_path: Path) -> None:
    asked = jobs(seeds(2), tmp_path, size=1)
    records = train_all(asked[:1]).records
    seen: list[Event] = []
    assert executors._without_process(Stack(asked[:1], "fused.size=1"), seen.append) == []
    assert seen == [RunFinished(asked[0], records[0], alone="fused.size=1")]
    executors._without_process(Stack(asked[1:]), seen.append)
    assert isinstance(seen[1], RunFinished)
    assert seen[1].record.status == "failed"


LINE = ["-m", "loss=mse,huber", "seed=0,1", "fused.processes=2", "trainer.max_epochs=300", *SMALL[:2], SMALL[3]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, Any]]:
    """What the command leaves that nobody stops."""

    @cache
    def left(size: int) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("whole")
        assert cli_train.train([*LINE, f"fused.size={size}", f"hydra.sweep.dir={folder}"]) == 0
        return kills.left_by(folder)

    return left


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "whom", "size"),
    [
        pytest.param(signal.SIGINT, os.killpg, 1, id="Ctrl-C, runs alone"),
        pytest.param(signal.SIGKILL, os.kill, 2, id="SIGKILL for one process, stacks"),
    ],
)
def test_the_same_command_goes_on_where_it_was_stopped(
    how: signal.Signals,
    whom: Callable[[int, int], None],
    size: int,
    tmp_path: Path,
    undisturbed: Callable[[int], dict[str, Any]],
) -> None:
    asked = [*LINE, f"fused.size={size}", f"hydra.sweep.dir={tmp_path}"]
    process = kills.start(asked)
    kills.until(process, lambda: list(tmp_path.rglob("*.ckpt")))
    whom(process.pid, how)
    _, said = process.communicate(timeout=60)  # which waits for all processes that may still write
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    assert "Traceback" not in said
    assert cli_train.train(asked) == 0
    assert kills.left_by(tmp_path) == undisturbed(size)
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A machine with four CPUs, on which a run takes so many seconds."""
    monkeypatch.setattr("losslab.training.threads.most", lambda: 4)
    monkeypatch.setattr("losslab.training.threads.chosen_by_user", lambda: False)

    def take(seconds: float) -> None:
        monkeypatch.setattr(planning, "seconds_a_run", lambda *_: seconds)

    return take


@pytest.mark.parametrize(
    ("seconds", "runs", "count"), [(0.1, 20, 1), (1.0, 20, 2), (1.0, 39, 3), (100.0, 3, 3), (100.0, 9, 4)]
)
def test_each_process_has_enough_to_do(
    seconds: float, runs: int, count: int, four: Callable[[float], None], tmp_path: Path
) -> None:
    four(seconds)
    asked = jobs([compose("trainer=cpu", "trainer.max_epochs=100")] * runs, tmp_path, size=1)
    stacks = planning.plan(asked, spread=True)
    assert {stack.processes for stack in stacks} == {count}
    assert {stack.processes for stack in planning.plan(asked)} == {1}
    assert threads.share(count) == 4 // count


def test_what_keeps_a_sweep_in_one_process(
    four: Callable[[float], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    four(100)

    def count(asked: Sequence[dict[str, Any]], spread: bool = True, **fused: int) -> int:
        return planning._processes([Stack([job], "alone") for job in jobs(list(asked), tmp_path, **fused)], spread)

    many = [compose("trainer=cpu", "trainer.max_epochs=100", f"seed={seed}") for seed in range(10)]
    assert [count(many), count(many[:1]), count([]), count(seeds(10))] == [4, 1, 1, 1]
    assert [count(many, processes=1), count(many, processes=7), count(many[:5], False, processes=7)] == [1, 7, 5]
    with monkeypatch.context() as patched:
        patched.setattr("losslab.training.threads.chosen_by_user", lambda: True)
        assert [count(many), count(many, processes=2)] == [1, 2]
    with monkeypatch.context() as patched:
        patched.setattr(planning, "seconds_a_run", lambda *_: 1 / 0)
        assert count(many) == 1
    with monkeypatch.context() as patched:
        patched.setattr("losslab.schema.memory.memory", lambda: 10**6)
        assert count(many) == 1
    register.loss(reads="values")(lambda_loss)
    assert count(many, processes=7) == 1, "another process would not know it"


def lambda_loss(pred: Any, target: Any) -> Any:
    return (pred - target).square()


def test_the_bar_counts_all_stacks_that_train(tmp_path: Path) -> None:
    job, record = jobs(seeds(1), tmp_path)[0], Record.of(seeds(1)[0], "done")
    with SweepBar() as bar:
        bar(SweepStarted(4, 12))
        for event in (EpochStarted(2, 1, 3, "a"), EpochStarted(1, 1, 3, "b"), EpochStarted(2, 2, 3, "a")):
            bar(event)
        assert bar._bar
        assert bar._bar.tasks[0].completed == 2 * 2 + 1
        bar(RunFinished(job, record, stack="a"))
        assert bar._bar.tasks[0].completed == 3 + 1
        stack = Stack([job, job])
        bar(EpochStarted(2, 1, 3, stack.key))
        bar(StackHalved(stack, stack.halves("")))
        bar(EpochStarted(1, 2, 3, "b"))
        assert bar._bar.tasks[0].completed == 3 + 2
