"""Whatever happens to files, processes and the machine: nothing lost, nothing twice, and a sentence."""

import errno
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from faults import files, load, processes

from losslab import BadRequest, cli, compose, config, origin, read_records, sweep
from losslab.claim import STUDY, claimed
from losslab.losses.base import LOSSES
from losslab.record import Record, read_record, write_whole
from losslab.run import run
from losslab.torn import checkpoint

SMALL = "data.rows=200 trainer.max_epochs=1 logger=none trainer=cpu"
Typed = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """`typed("-m loss=l1")`: what the command gives in an empty folder: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])

    def call(line: str) -> tuple[int, str, str]:
        try:
            status = cli.train(f"{line} {SMALL}".split())
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@contextmanager
def another_process_holds(folder: Path, kind: str = "") -> Iterator[int]:
    """A process that holds the claim on a folder until it is killed; its id."""
    code = (
        "import sys, time; from pathlib import Path; from losslab.claim import claimed\n"
        "with claimed([Path(sys.argv[1])], *sys.argv[2:]): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder), *filter(None, [kind])], stdout=-1) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        try:
            yield process.pid
        finally:
            process.kill()


def same(one: Record | None, other: Record | None) -> bool:
    return bool(one and other and files.same(one, other))


def test_torn_files_lose_nothing(tmp_path: Path) -> None:
    (tally,) = files.inject(5, 0, tmp_path)
    assert (tally.lost, tally.tracebacks, tally.stray) == (0, 0, 0)


@pytest.mark.slow
def test_torn_files_of_many_cuts_lose_nothing(tmp_path: Path) -> None:
    (tally,) = files.inject(50, 1, tmp_path)
    assert (tally.lost, tally.tracebacks, tally.stray) == (0, 0, 0)


def test_a_flipped_bit_of_a_weight_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, weights = tmp_path / "last.ckpt", torch.arange(1000.0)
    torch.save({"weights": weights}, path)
    whole = path.read_bytes()
    assert torch.equal(checkpoint(path)["weights"], weights)
    place = whole.index(weights.numpy().tobytes()[400:440])
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert checkpoint(path) is None
    assert (tmp_path / "last.ckpt.torn").exists()
    assert capsys.readouterr().err.count("\n") == 1
    assert checkpoint(path) is None, "where there is none there is nothing to say"
    assert capsys.readouterr().err == ""


def test_what_another_process_trains_is_refused_and_a_dead_one_blocks_nothing(typed: Typed, tmp_path: Path) -> None:
    name = config.run_id(compose("loss=l1", *SMALL.split()))
    with another_process_holds(tmp_path / "all" / name) as pid:
        for line in ("-m loss=mse,l1 hydra.sweep.dir=all", f"loss=l1 hydra.run.dir=all/{name}"):
            status, out, err = typed(line)
            assert (status, out) == (2, "")
            assert err.count("\n") == 1
            assert f"{name} is in the hands of process {pid} on " in err
        assert read_records(tmp_path / "all") == [], "refused before anything is trained"
        assert typed("-m loss=mse,huber hydra.sweep.dir=all")[0] == 0, "other runs may train beside it"
    assert (tmp_path / "all" / ".losslab-runs").exists(), "left by the dead process"
    assert typed("-m loss=mse,l1 hydra.sweep.dir=all")[0] == 0
    assert not (tmp_path / "all" / ".losslab-runs").exists()
    assert len(read_records(tmp_path / "all")) == 3


def test_a_study_is_conducted_once_at_a_time(tmp_path: Path) -> None:
    with (
        another_process_holds(tmp_path / "study.yaml", STUDY),
        pytest.raises(BadRequest, match=r"study\.yaml is in the hands of process"),
        claimed([tmp_path / "study.yaml"], STUDY),
    ):
        pass


def test_a_file_system_without_locks_gets_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", no_locks)
    with claimed([tmp_path / "run"]):
        pass
    assert "cannot be locked" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_on_the_same_runs_lose_and_double_nothing(tmp_path: Path) -> None:
    (tally,) = processes.inject(5, 0, tmp_path)
    assert (tally.lost, tally.doubled, tally.tracebacks, tally.stray) == (0, 0, 0, 0)


@pytest.mark.parametrize("size", ["0", "1"], ids=["stacked", "alone"])
def test_a_full_disk_stops_a_sweep_that_then_goes_on(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    line = f"-m loss=mse,l1,huber fused.size={size} hydra.sweep.dir=all"
    written: list[Path] = []
    replace_file = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).name == "record.json":
            if len(written) == 1:
                raise OSError(errno.ENOSPC, "No space left on device", str(target))
            written.append(target)
        return replace_file(path, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", full)
        status, _, err = typed(line)
    assert status == 1
    assert err.count("\n") == 1
    assert "Stopped, as the disk is full (" in err
    assert len(read_records(tmp_path / "all")) == 1
    assert not list(tmp_path.rglob("*.draft"))
    status, out, _ = typed(line)
    assert status == 0
    assert out.count("(was over already)") == 1
    assert len(read_records(tmp_path / "all")) == 3


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "a", "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.slow
@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("no"), RuntimeError("can't allocate memory")])
def test_where_memory_ends_halves_of_a_stack_give_the_same(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    line = "-m loss=mse,l1 seed=0,1 fused.size=4 hydra.sweep.dir="
    assert typed(f"{line}whole")[0] == 0
    module = sweep.FusedModule

    def little(runs):
        if len(runs) > 2:
            raise error
        return module(runs)

    monkeypatch.setattr(sweep, "FusedModule", little)
    assert typed(f"{line}halves")[0] == 0
    whole, halves = (read_records(tmp_path / name) for name in ("whole", "halves"))
    assert {record.fused for record in halves} == {2}
    for one, other in zip(whole, halves, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-4)


def test_the_last_line_says_where_failures_are_told(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(pred, target):
        raise RuntimeError("my own loss is broken\nin two lines")

    monkeypatch.setitem(LOSSES, "l1", fails)
    status, out, _ = typed("-m loss=l1,mse seed=0,1 hydra.sweep.dir=all")
    assert status == 1
    *_, last = out.splitlines()
    assert last.startswith("2 failed: the traceback of the first is in all/")
    path = Path(last.partition(" is in ")[2].partition(";")[0])
    assert "my own loss is broken" in json.loads((tmp_path / path).read_text())["traceback"]
    assert sum(line.startswith("run ") for line in out.splitlines()) == 4
    assert "in two lines" not in out


def test_other_code_and_other_data_are_said(typed: Typed, tmp_path: Path) -> None:
    line = "-m loss=mse,l1 hydra.sweep.dir=all"
    assert typed("-m loss=mse hydra.sweep.dir=all")[0] == 0
    assert "by other code" not in typed("-m loss=mse hydra.sweep.dir=all")[1]
    folder = next(path.parent for path in tmp_path.rglob("record.json"))
    record = read_record(folder)
    assert record
    replace(record, commit="0123456789ab", pairing=record.pairing | {"data": "f" * 16}).write(folder)
    _, out, _ = typed(line)
    assert "1 run that was over was trained by other code (commit 0123456789ab, now " in out or origin.commit() is None
    assert "1 run that was over was trained on other data than are here now; overwrite=true trains them again." in out


def test_a_stopped_run_in_a_folder_of_another_name_keeps_a_foreign_config(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("a: project\n")
    with pytest.raises(BadRequest, match="holds another run"):
        run(compose(*SMALL.split()), tmp_path / "mine", bar=False)
    assert (tmp_path / "mine" / "config.yaml").read_text() == "a: project\n"


@pytest.mark.slow
def test_a_thousand_records_are_no_load(tmp_path: Path) -> None:
    for tally in load.inject(1000, 0, tmp_path / "all"):
        assert (tally.lost, tally.doubled, tally.tracebacks) == (0, 0, 0)
