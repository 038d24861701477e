"""A sweep that workers train: its records and files are those that this process would leave."""

from pathlib import Path
from typing import Any

import pytest

from losslab.errors import BadRequest
from losslab.events import Event, RunFinished, SweepPlanned
from losslab.records.store import read_records
from losslab.sweep import engines, head, shared
from losslab.sweep.engines.base import Engine
from losslab.sweep.jobs import Job, Stack
from losslab.sweep.resume import Resumption
from losslab.sweep.runner import train_all
from support.handing_over import Here, jobs, quick_looks  # noqa: F401 - a fixture of every test
from support.lock_holders import another_process_holds


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
