"""Stacks as files: handed over once, taken by one worker at a time, and refused by other versions and on file systems without locks."""

import gzip
import json
from pathlib import Path

import pytest

from losslab.errors import BadRequest
from losslab.records.store import read_records
from losslab.sweep import head, shared, shared_locks, worker
from losslab.sweep.jobs import Stack
from losslab.sweep.resume import Resumption
from losslab.sweep.runner import train_all
from support.handing_over import Here, handed, jobs, quick_looks  # noqa: F401 - a fixture of every test
from support.lock_holders import another_process_holds


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


def test_how_a_stack_trains_goes_with_it(tmp_path: Path) -> None:
    stack = Stack(jobs(tmp_path, 2), "why", threads=2, processes=3, together=True, engine="eager")
    shared.hand_over(tmp_path / ".stacks/sweep", tmp_path, [stack])
    [path] = shared.listed(tmp_path / ".stacks/sweep")
    assert shared.read(path).stack == stack


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
