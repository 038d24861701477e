"""Stacks as files: handed over once, taken by one worker at a time, given up after three attempts, and refused by other versions."""

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from losslab import compose, errors
from losslab.cli import main, train
from losslab.errors import BadRequest, Halted
from losslab.events import Event, RunFinished, StackEnded, StackHalved, SweepPlanned
from losslab.records.store import read_records
from losslab.schema import canonical, executor
from losslab.sweep import engines, head, shared, shared_locks, worker
from losslab.sweep.engines.base import Engine
from losslab.sweep.jobs import Job, Stack
from losslab.sweep.resume import Resumption
from losslab.sweep.runner import train_all
from support.lock_holders import another_process_holds

SMALL = ("data.rows=200", "trainer=cpu", "trainer.max_epochs=2", "model.hidden=[8]", "logger=none")


def jobs(folder: Path, count: int = 4, *words: str, **fused: Any) -> list[Job]:
    asked = [compose(*SMALL, *words, f"seed={seed}") for seed in range(count)]
    asked = [request | {"fused": request["fused"] | fused} for request in asked]
    return [Job(request, folder / canonical.run_id(request), number) for number, request in enumerate(asked)]


def handed(folder: Path, *sizes: int) -> list[shared.Handed]:
    """Stacks of these sizes, handed over by this process."""
    left = iter(jobs(folder, sum(sizes)))
    stacks = [Stack([next(left) for _ in range(size)]) for size in sizes]
    shared.hand_over(folder / ".stacks" / "sweep", folder, stacks)
    return [shared.read(path) for path in shared.listed(folder / ".stacks" / "sweep")]


class Here(Engine):
    """An engine whose worker is this process, between two looks of the command that watches."""

    def __init__(self, root: Path, workers: int = 2) -> None:
        super().__init__({"name": "here", "workers": workers}, root)
        self.starts: list[int] = []

    def start(self, count: int, tasks: int) -> None:
        self.starts.append(count)
        worker.serve(self.root, 0)

    def running(self) -> int:
        return 0

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(head, "_SECONDS_BETWEEN_STARTS", 0.0)
    monkeypatch.setattr(head, "_LOOKS", (0.0, 0.01))
    before = os.environ.get("LOSSLAB_CARDS")
    yield
    os.environ.pop("LOSSLAB_CARDS", None)
    if before is not None:
        os.environ["LOSSLAB_CARDS"] = before


def test_a_stack_reads_back_as_it_was_handed_over_wherever_its_folder_lies(tmp_path: Path) -> None:
    [first] = handed(tmp_path / "here", 3)
    assert first.stack == Stack(jobs(tmp_path / "here", 3))
    (tmp_path / "here").rename(tmp_path / "there")
    [path] = shared.listed(tmp_path / "there/.stacks/sweep")
    assert shared.read(path).stack == Stack(jobs(tmp_path / "there", 3))


def test_a_stack_that_is_there_is_not_handed_over_twice(tmp_path: Path) -> None:
    first = handed(tmp_path, 2, 1)
    assert [one.path for one in handed(tmp_path, 2, 1)] == [one.path for one in first]
    again = shared.hand_over(tmp_path / ".stacks/sweep", tmp_path, [Stack(jobs(tmp_path, 3))])
    assert list(again) == [one.path.name for one in first], "runs that are in another stack stay there"


def test_one_worker_at_a_time_takes_a_stack(tmp_path: Path) -> None:
    one, other = handed(tmp_path, 2, 1)
    with another_process_holds(one.path, shared._LOCKS):
        with shared.taken(one.path) as mine:
            assert mine is None
        with shared.taken(other.path) as mine:
            assert mine == other
    with another_process_holds(one.stack.jobs[1].folder), shared.taken(one.path) as mine:
        assert mine is None, "another command trains one of its runs"
    with shared.taken(one.path) as mine:
        assert mine == one
        shared.done(mine)
    with shared.taken(one.path) as mine:
        assert mine is None


def test_a_corrupt_stack_is_handed_over_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked, spoilt = jobs(tmp_path, 2, size=2), []

    class Spoils(Here):
        def start(self, count: int, tasks: int) -> None:
            if not spoilt:
                spoilt.extend(shared.listed(Resumption(asked, self.root).folder))
                spoilt[0].write_bytes(spoilt[0].read_bytes()[:50])
            super().start(count, tasks)

    outcome = train_all(asked, engine=Spoils(tmp_path))
    assert [record.status for record in outcome.records] == ["done"] * 2
    assert "is corrupt" in caplog.text


def test_workers_leave_the_records_that_this_process_would(tmp_path: Path) -> None:
    seen: list[Event] = []
    here, there = (jobs(tmp_path / name, 5, size=2) for name in ("here", "there"))
    local = train_all(here)
    engine = Here(tmp_path / "there")
    outcome = train_all(there, seen.append, engine=engine)
    plain = [[{**vars(one), "seconds": 0} for one in found.records] for found in (local, outcome)]
    assert plain[0] == plain[1]
    assert (outcome.stacked, outcome.alone) == (local.stacked, local.alone)
    assert [event.job for event in seen if isinstance(event, RunFinished)] != []
    assert {event.job.folder for event in seen if isinstance(event, RunFinished)} == {job.folder for job in there}
    [planned] = [event.forecast for event in seen if isinstance(event, SweepPlanned)]
    assert (planned.runs, planned.stacks, planned.workers) == (5, 3, 2)
    assert not list((tmp_path / "there").glob(".*"))
    assert train_all(there, engine=engine).finished == outcome.records
    assert len(engine.starts) == 1, "no worker is started where nothing is left"


def records_and_files(folder: Path, engine: Engine | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """What a sweep of three stacks leaves that keep their runs together, without what differs from one time to the next."""
    asked = jobs(folder, 6, "store=stacks", size=2)
    records = [{**vars(record), "seconds": 0} for record in train_all(asked, engine=engine).records]
    assert len(train_all(asked, engine=engine).finished) == 6
    return records, sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_workers_leave_the_same_few_files_that_this_process_would(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    expected = records_and_files(here)
    assert [Path(name).suffix for name in expected[1]] == [".jsonl", ".pt"] * 3
    assert records_and_files(there, Here(there)) == expected


@pytest.mark.slow
def test_two_workers_at_a_time_leave_the_same_few_files(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with engines.opened({"name": "worker", "workers": 2, "expect": 0}, there) as engine:
        assert records_and_files(there, engine) == records_and_files(here)


def test_how_a_stack_trains_goes_with_it(tmp_path: Path) -> None:
    stack = Stack(jobs(tmp_path, 2), "why", threads=2, processes=3, together=True, engine="eager")
    shared.hand_over(tmp_path / ".stacks/sweep", tmp_path, [stack])
    [path] = shared.listed(tmp_path / ".stacks/sweep")
    assert shared.read(path).stack == stack


def test_the_folder_of_a_sweep_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked, seen = jobs(Path("sweep"), 3, size=2), list[Event]()
    folder = Resumption(asked, tmp_path / "sweep").folder
    shared.hand_over(folder, tmp_path / "sweep", [shared.anew(Stack(asked[:2]))])
    engine = Here(tmp_path / "sweep")
    assert [record.status for record in train_all(asked, seen.append, engine=engine).records] == ["done"] * 3
    ended = [event.job for event in seen if isinstance(event, RunFinished)]
    assert sorted(ended, key=lambda job: job.number) == asked


def test_runs_that_are_replaced_are_trained_once_more(tmp_path: Path) -> None:
    asked = jobs(tmp_path, 2, size=2)
    train_all(asked, engine=Here(tmp_path))
    before = [(job.folder / "record.json").stat().st_mtime_ns for job in asked]
    anew = [Job(job.request | {"overwrite": True}, job.folder, job.number) for job in asked]
    with another_process_holds(asked[0].folder), pytest.raises(BadRequest, match="is locked by process"):
        train_all(anew, engine=Here(tmp_path))
    assert [(job.folder / "record.json").stat().st_mtime_ns for job in asked] == before
    train_all(anew, engine=Here(tmp_path))
    assert all((job.folder / "record.json").stat().st_mtime_ns > old for job, old in zip(asked, before, strict=True))


def test_a_second_command_is_refused_while_one_watches(tmp_path: Path) -> None:
    asked = jobs(tmp_path, 2)
    folder = Resumption(asked, tmp_path).folder
    with another_process_holds(folder, head.LOCK), pytest.raises(BadRequest, match="is locked by process"):
        train_all(asked, engine=Here(tmp_path))
    assert not read_records(tmp_path)


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


def test_another_version_is_refused_in_one_sentence_on_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    [one] = handed(tmp_path, 2)
    here = shared.made_here()
    monkeypatch.setattr(worker.shared, "made_here", lambda: {**here, "versions": {**here["versions"], "torch": "9.9"}})
    with pytest.raises(BadRequest, match=r"handed over with torch \S+ \(here 9.9\); start the worker from the same"):
        worker.serve(tmp_path, 0)
    watch = head._Watch([one.stack], one.folder, Here(tmp_path), lambda event: None)
    watch.look()
    watch.look()
    assert caplog.text.count("has left: The stacks were handed over with torch") == 1


def test_what_a_worker_cannot_train_on_its_machine_it_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [one] = handed(tmp_path, 1)
    kept = json.loads(gzip.decompress(one.path.read_bytes()))
    kept["jobs"][0]["request"]["trainer"]["name"] = "gpu"
    one.path.write_bytes(gzip.compress(json.dumps(kept).encode()))
    monkeypatch.setattr("losslab.hardware.has_gpu", lambda: False)
    with pytest.raises(BadRequest, match="this machine shows no GPU"):
        worker.serve(tmp_path, 0)
    assert one.path.exists()
    assert not read_records(tmp_path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("host:/home {} nfs rw,nolock 0 0", "nfs mounted with nolock"),
        ("host:/home {} nfs4 rw,local_lock=all 0 0", "nfs4 mounted with local_lock=all"),
        ("host:/home {} nfs4 rw,local_lock=none 0 0", ""),
        ("l@tcp:/x {} lustre rw,seclabel 0 0", "lustre mounted with no flock"),
        ("l@tcp:/x {} lustre rw,flock 0 0", ""),
        ("me@host: {} fuse.sshfs rw 0 0", "(fuse.sshfs), which does not hold locks"),
        ("/dev/vda {} ext4 rw 0 0", ""),
    ],
)
def test_what_holds_no_locks_between_machines_is_refused(line: str, says: str, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\n{line.format(tmp_path)}\n")
    if says:
        with pytest.raises(BadRequest) as refused:
            shared_locks.check(tmp_path / "sweep", mounts)
        assert says in str(refused.value)
    else:
        shared_locks.check(tmp_path, mounts)
        assert [path.name for path in tmp_path.iterdir()] == ["mounts"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["executor=worker"], "executor=worker is for a sweep or a study"),
        (["executor.dry_run=true"], "executor.dry_run=true is for a sweep or a study"),
        (["-m", "seed=0,1", "executor=worker,local"], "'executor' holds for all runs of a sweep"),
        (["-m", "seed=0,1", "executor=slurn"], "There is no executor 'slurn'"),
        (["-m", "seed=0,1", "executor.partition=gpu"], "The executor 'local' has no key 'executor.partition'"),
        (["-m", "seed=0,1", "executor=worker", "executor.workers=-1"], "executor.workers must be at least 0"),
        (["-m", "seed=0,1", "executor=worker", "hydra/launcher=basic"], "hydra/launcher=basic starts lone runs"),
        (["-m", "seed=0,1", "executor.name=slurm"], "write executor=NAME"),
        (["-m", "seed=0,1", "executor=worker", "hydra.sweep.subdir=../${run_id:}"], "would lie outside"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.train([*words, *SMALL]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_where_stacks_are_trained_is_no_part_of_a_run() -> None:
    with pytest.raises(BadRequest, match="this is one run"):
        compose(*SMALL, "executor=worker")
    assert "executor" not in compose(*SMALL)
    assert executor.without(["loss=l1", "executor=slurm", "+executor.gpus=1", "executors=2"]) == [
        "loss=l1",
        "executors=2",
    ]


def test_a_plan_is_printed_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["-m", "seed=0,1,2,3", "fused.size=2", *SMALL, "executor=worker", "executor.workers=3"]
    assert train.train([*words, "executor.dry_run=true"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Plan: 4 runs in 2 stacks by 2 workers, about ")
    assert "; 16 files of about " in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "says"), [(["nowhere"], "There is no folder"), ([".", "--wait=-1"], "--wait must be")]
)
def test_a_worker_says_what_it_cannot_serve(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["worker", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_function_of_this_process_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "of_this_process", lambda: True)
    with pytest.raises(errors.BadRequest, match="put it into a file"):
        engines.check({"name": "worker"})
    engines.check({"name": "local"})
