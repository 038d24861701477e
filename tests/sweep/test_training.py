"""A stack is a plain function: it prints nothing, can be sent to another process, and repeats nothing."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from losslab import compose, read_records
from losslab.events import EpochStarted, Event, RunFinished
from losslab.schema import canonical
from losslab.sweep.jobs import Job, Stack
from losslab.sweep.training import train_stack

ELSEWHERE = """
import pickle, sys
from losslab.sweep.training import train_stack

with open(sys.argv[1], "rb") as file:
    stack, folder = pickle.load(file)
records = train_stack(stack, folder)
with open(sys.argv[1], "wb") as file:
    pickle.dump(records, file)
"""


def stack(folder: Path) -> Stack:
    requests = [
        compose("data.rows=200", "trainer=cpu", "trainer.max_epochs=3", f"loss={loss}", f"seed={seed}")
        for loss in ("mse", "l1")
        for seed in (0, 1)
    ]
    return Stack([Job(request, folder / canonical.run_id(request), n) for n, request in enumerate(requests)])


def test_each_record_is_an_event_and_nothing_is_printed_or_repeated(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made, seen, again = stack(tmp_path), list[Event](), list[Event]()
    records = train_stack(made, tmp_path / ".kept", seen.append)
    assert [record.seed for record in records] == [0, 1, 0, 1]
    assert {record.fused for record in records} == {4}
    finished = [event for event in seen if isinstance(event, RunFinished)]
    assert {event.job.folder for event in finished} == {job.folder for job in made.jobs}
    assert [event.epoch for event in seen if isinstance(event, EpochStarted)] == [0, 1, 2]
    assert train_stack(made, tmp_path / ".kept", again.append) == records
    assert not again
    (made.jobs[1].folder / "record.json").unlink()
    assert train_stack(made, tmp_path / ".kept", again.append)[1].metrics == records[1].metrics
    assert [event.job for event in again if isinstance(event, RunFinished)] == [made.jobs[1]]
    assert not list((tmp_path / ".kept").glob("*"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_another_process_trains_it_to_the_same_bits(tmp_path: Path) -> None:
    here, parcel = train_stack(stack(tmp_path / "here"), tmp_path / "here" / ".kept"), tmp_path / "parcel"
    parcel.write_bytes(pickle.dumps((stack(tmp_path / "there"), tmp_path / "there" / ".kept")))
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, str(parcel)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    there = pickle.loads(parcel.read_bytes())
    assert [record.metrics for record in there] == [record.metrics for record in here]
    assert [record.curves for record in there] == [record.curves for record in here]
    assert len(read_records(tmp_path / "there")) == 4
