"""Whatever happens to files, processes and the machine: nothing lost, nothing twice, and a sentence."""

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra.errors import HydraException

from faults import files, kills, load, processes
from losslab import BadRequest, compose, errors, read_records
from losslab.cli import main, messages, train
from losslab.events import Event, RunFinished
from losslab.losses.base import LOSSES
from losslab.records import provenance
from losslab.records.files import checkpoint, is_cut, quarantine, write_whole
from losslab.records.locks import STUDY, locked
from losslab.records.record import Record
from losslab.records.run_folder import check_folder, check_writable, write_config
from losslab.records.store import finished_record, read_record
from losslab.request.command import StudyRequest
from losslab.schema import canonical
from losslab.schema.executor import LOCAL
from losslab.sweep import runner, training
from losslab.sweep.jobs import Job
from losslab.training.run import run
from support.lock_holders import another_process_holds

SMALL = "data.rows=200 trainer.max_epochs=1 logger=none trainer=cpu"
Typed = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """`typed("-m loss=l1")`: what the command gives in an empty folder: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])

    def call(line: str) -> tuple[int, str, str]:
        try:
            status = train.train(f"{line} {SMALL}".split())
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def same(one: Record | None, other: Record | None) -> bool:
    return bool(one and other and files.same(one, other))


def test_torn_files_lose_nothing(tmp_path: Path) -> None:
    (tally,) = files.inject(len(files.KINDS), 0, tmp_path)
    assert (tally.lost, tally.tracebacks, tally.stray) == (0, 0, 0)


@pytest.mark.slow
def test_torn_files_of_many_cuts_lose_nothing(tmp_path: Path) -> None:
    (tally,) = files.inject(50, 1, tmp_path)
    assert (tally.lost, tally.tracebacks, tally.stray) == (0, 0, 0)


def test_a_flipped_bit_of_a_weight_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, weights = tmp_path / "last.ckpt", torch.arange(1000.0)
    torch.save({"weights": weights}, path)
    whole = path.read_bytes()
    assert torch.equal(checkpoint(path)["weights"], weights)
    place = whole.index(weights.numpy().tobytes()[400:440])
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert checkpoint(path) is None
    assert (tmp_path / "last.ckpt.corrupt").exists()
    assert len(caplog.messages) == 1
    assert checkpoint(path) is None, "where there is none there is nothing to say"
    assert len(caplog.messages) == 1


@pytest.mark.slow
def test_what_another_process_trains_is_refused_and_a_dead_one_blocks_nothing(typed: Typed, tmp_path: Path) -> None:
    name = canonical.run_id(compose("loss=l1", *SMALL.split()))
    with another_process_holds(tmp_path / "all" / name) as pid:
        for line in ("-m loss=mse,l1 hydra.sweep.dir=all", f"loss=l1 hydra.run.dir=all/{name}"):
            status, out, err = typed(line)
            assert (status, out) == (2, "")
            assert err.count("\n") == 1
            assert f"{name} is locked by process {pid} on " in err
        assert read_records(tmp_path / "all") == [], "refused before anything is trained"
        assert typed("-m loss=mse,huber hydra.sweep.dir=all")[0] == 0, "other runs may train beside it"
    assert (tmp_path / "all" / ".losslab-runs").exists(), "left by the dead process"
    assert typed("-m loss=mse,l1 hydra.sweep.dir=all")[0] == 0
    assert not (tmp_path / "all" / ".losslab-runs").exists()
    assert len(read_records(tmp_path / "all")) == 3


def test_a_study_is_conducted_once_at_a_time(tmp_path: Path) -> None:
    with (
        another_process_holds(tmp_path / "study.yaml", STUDY),
        pytest.raises(BadRequest, match=r"study\.yaml is locked by process"),
        locked([tmp_path / "study.yaml"], STUDY),
    ):
        pass


def test_a_file_system_without_locks_gets_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", no_locks)
    with locked([tmp_path / "run"]):
        pass
    assert "cannot be locked" in caplog.text


def test_a_lock_whose_folder_another_process_removes_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened, calls = os.open, iter(range(10))

    def removed(path: Path, *more: int) -> int:
        if next(calls) == 0:
            Path(path).parent.rmdir()
        return opened(path, *more)

    monkeypatch.setattr("losslab.records.locks.os.open", removed)
    with locked([tmp_path / "all" / "run"]):
        assert (tmp_path / "all" / ".losslab-runs").exists()
    assert not caplog.messages, "it is locked, and not gone without"


@pytest.mark.slow
def test_a_run_of_a_stack_whose_weights_were_cut_off_is_done_again(typed: Typed, tmp_path: Path) -> None:
    line = "-m loss=mse,l1 hydra.sweep.dir=all"
    assert typed(line)[0] == 0
    before = kills.left_by(tmp_path / "all")
    best, last = (sorted(tmp_path.rglob(f"{name}.ckpt")) for name in ("best", "last"))
    best[0].write_bytes(b"")
    last[1].write_bytes(last[1].read_bytes()[:-1])
    status, out, err = typed(line)
    assert (status, out.count("finished already")) == (0, 0)
    assert err.count(" is corrupt: it is moved to ") == 2
    assert kills.left_by(tmp_path / "all") == before
    assert "2 had finished already" in typed(line)[1]


@pytest.mark.slow
def test_runs_that_fail_in_processes_of_another_launcher_are_told(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("mine")

    there = train.Command.__call__
    monkeypatch.setattr(
        train.Command, "__call__", lambda _, cfg: there(train.Command("train.py"), cfg)
    )  # what it notes, it notes there
    line = "-m loss=mse,l1 hydra/launcher=basic hydra.sweep.dir=all"
    with monkeypatch.context() as broken:
        broken.setitem(LOSSES, "l1", fails)
        status, out, _ = typed(line)
    assert status == 1
    assert out.splitlines()[-1].startswith("1 failed: the traceback is in ")
    assert typed(line)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1], ids=["stacks", "alone"])
def test_an_error_that_cannot_say_what_it_is_stops_no_other_run(
    size: int, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fails(*_: object) -> None:
        raise Mute

    monkeypatch.setitem(LOSSES, "l1", fails)
    status, out, _ = typed(f"-m loss=l1,mse hydra.sweep.dir=all fused.size={size}")
    found = {record.loss: record for record in read_records(tmp_path / "all")}
    assert (status, found["mse"].status, found["l1"].status) == (1, "done", "failed")
    assert found["l1"].reason == "Mute, whose text cannot be had"
    assert "1 failed: the traceback is in " in out


@pytest.mark.slow
def test_what_is_refused_removes_nothing_of_a_run_whose_weights_were_cut_off(typed: Typed, tmp_path: Path) -> None:
    assert typed("-m loss=mse hydra.sweep.dir=all")[0] == 0
    (cut,) = tmp_path.rglob("best.ckpt")
    cut.write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    other = canonical.run_id(compose("loss=l1", *SMALL.split()))
    with another_process_holds(tmp_path / "all" / other):
        assert typed("-m loss=mse,l1 hydra.sweep.dir=all")[0] == 2
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != ".losslab-runs"] == before


def test_a_disk_that_does_not_answer_is_no_cut_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", lambda *_: Broken(bytes(100)))
    with pytest.raises(OSError, match="Input/output"):
        is_cut(tmp_path / "best.ckpt")


def test_a_full_or_read_only_folder_is_refused_with_what_would_be_right(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("losslab.records.run_folder.tempfile.TemporaryFile", read_only)
    status, _, err = typed("hydra.run.dir=there")
    assert status == 2
    assert err.endswith(
        "Read-only file system; choose another with hydra.run.dir=DIR, for a sweep hydra.sweep.dir=DIR.\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["fused", "basic"])
def test_an_error_with_half_a_letter_in_it_leaves_a_whole_record(
    launcher: str, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no such file: \udcff")

    monkeypatch.setitem(LOSSES, "l1", fails)
    status, out, _ = typed(f"-m loss=l1 hydra/launcher={launcher} hydra.sweep.dir=all")
    assert status == 1
    assert out.splitlines()[-1].startswith("1 failed: the traceback is in ")
    (record,) = read_records(tmp_path / "all")
    assert record.reason == "RuntimeError: no such file: \\udcff"
    assert record.traceback
    assert "no such file" in record.traceback


def test_what_hydra_cannot_do_is_one_sentence(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise HydraException("Error instantiating 'a.Launcher'\nin two lines")

    full = os.environ.get("HYDRA_FULL_ERROR")
    monkeypatch.setattr("losslab.sweep.runner.train_all", fails)
    status, out, err = typed("-m seed=1,2")
    assert (status, out) == (2, "")
    assert err == "train.py: Hydra cannot do this: Error instantiating 'a.Launcher'.\n"
    assert os.environ.get("HYDRA_FULL_ERROR") == full


def test_a_torn_file_that_another_process_has_set_aside_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quarantine(tmp_path / "record.json", "its run is done again")
    assert not caplog.messages


def test_a_record_is_moved_into_a_study_only_by_who_holds_its_run(tmp_path: Path) -> None:
    request = compose(*SMALL.split())
    part = {"phase": "confirm", "loss": "mse", "setting": "all equal", "arms": ["shared"]}
    job = Job(request, tmp_path / canonical.run_id(request), 0, part | {"study": {"name": "old"}})
    job.folder.mkdir()
    Record.of(request, "done", study=job.part).write(job.folder)
    new = replace(job, part=part | {"study": {"name": "new"}})
    with another_process_holds(job.folder), pytest.raises(BadRequest, match="locked by process"):
        runner.train_all([new], lambda *_: None)
    seen: list[Event] = []
    outcome = runner.train_all([new], seen.append)
    assert [event.again for event in seen if isinstance(event, RunFinished)] == [True]
    assert outcome.finished == outcome.records == [read_record(job.folder)]
    assert outcome.records[0].study == new.part


def test_a_run_that_fails_leaves_what_another_process_has_made_of_it(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(request: dict, folder: Path) -> None:
        folder.mkdir()
        Record.of(request, "done").write(folder)
        raise RuntimeError("too late")

    monkeypatch.setattr("losslab.training.run.run_checked", overtaken)
    assert typed("hydra.run.dir=here")[0] == 1
    assert read_record(tmp_path / "here").status == "done"


def test_a_record_whose_request_this_version_does_not_know_is_none_of_its_own(tmp_path: Path) -> None:
    request = compose(*SMALL.split())
    old = {key: value for key, value in request.items() if key != "penalty"}
    replace(Record.of(request, "done"), config=old).write(tmp_path)
    assert finished_record(tmp_path, request) is None


@pytest.mark.slow
def test_processes_on_the_same_runs_lose_and_double_nothing(tmp_path: Path) -> None:
    (tally,) = processes.inject(3, 0, tmp_path)
    assert (tally.lost, tally.doubled, tally.tracebacks, tally.stray) == (0, 0, 0, 0)


@pytest.mark.slow
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
    assert "1 had finished already" in out
    assert len(read_records(tmp_path / "all")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("size", ["0", "1"], ids=["stacked", "alone"])
def test_a_folder_that_becomes_read_only_stops_a_sweep_that_then_goes_on(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    line = f"-m loss=mse,l1 fused.size={size} hydra.sweep.dir=all"
    replace_file = Path.replace

    def read_only(path: Path, target: Path) -> Path:
        if Path(target).name == "record.json":
            raise PermissionError(errno.EACCES, "Permission denied", str(target))
        return replace_file(path, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", read_only)
        status, _, err = typed(line)
    assert status == 1
    assert err.count("\n") == 1
    assert "Stopped, as nothing can be written: Permission denied (" in err
    assert typed(line)[0] == 0
    assert len(read_records(tmp_path / "all")) == 2


def test_a_report_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "runs/report.html")

    monkeypatch.setattr("losslab.report.build.make", read_only)
    monkeypatch.setattr("losslab.study.runner.conduct", lambda *_, **__: ({}, []))
    monkeypatch.setattr("losslab.records.store.records_by_folder", lambda _: ({tmp_path: None}, []))
    assert main.main(["report", str(tmp_path)]) == 2
    said = "Nothing can be written to runs/report.html: Read-only file system."
    assert capsys.readouterr().err == f"losslab report: {said}\n"
    study = StudyRequest(SimpleNamespace(losses=["mse"], settings=list), tmp_path, False, LOCAL)  # type: ignore[arg-type]
    monkeypatch.setattr("losslab.request.command.check_command", lambda *_: study)
    assert train.train([]) == 1
    err = capsys.readouterr().err
    assert err.startswith("train.py: Stopped, as the file system is read-only (runs/report.html).")
    assert err.count("\n") == 1


def test_short_memory_is_no_torn_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    torch.save({"weights": torch.ones(3)}, tmp_path / "last.ckpt")
    monkeypatch.setattr(torch, "load", short)
    with pytest.raises(RuntimeError, match="allocate"):
        checkpoint(tmp_path / "last.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("shapes differ"), False),
        (OSError(errno.ENOENT, "can't allocate memory"), False),
    ],
)
def test_what_says_that_memory_is_short(error: Exception, short: bool) -> None:
    assert errors.is_out_of_memory(error) == short


def test_an_error_that_is_its_own_cause_is_looked_at_once() -> None:
    error = ValueError("of a user's loss")
    error.__cause__ = error
    errors.raise_if_ended(error)


def test_where_nobody_reads_any_more_what_trains_goes_on() -> None:
    code = (
        "import os, sys; from losslab.cli.messages import print_line\n"
        "reader, writer = os.pipe(); os.dup2(writer, 1); os.close(reader)\n"
        "print_line('one'); print_line('two'); print('went on', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "went on\n")


def test_what_a_terminal_cannot_show_stops_no_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    record = Record.of(compose("loss=mse"), "failed", "E: \udcff\x1b[31m red\nand more")
    assert messages.report_run(record, Path("here"), 3) == 1
    assert capsys.readouterr().out == "run 3: failed   here  E: \\udcff\\x1b[31m red\n"


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
    module = training.FusedModule

    def little(runs, *engine):
        if len(runs) > 2:
            raise error
        return module(runs, *engine)

    monkeypatch.setattr(training, "FusedModule", little)
    assert typed(f"{line}halves")[0] == 0
    whole, halves = (read_records(tmp_path / name) for name in ("whole", "halves"))
    assert {record.fused for record in halves} == {2}
    for one, other in zip(whole, halves, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-4)


@pytest.mark.slow
def test_the_last_line_says_where_failures_are_told(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(pred, target):
        raise RuntimeError("my own loss is broken\nin two lines")

    monkeypatch.setitem(LOSSES, "l1", fails)
    status, out, err = typed("-m loss=l1,mse seed=0,1 hydra.sweep.dir=all")
    assert status == 1
    *_, last = out.splitlines()
    assert last.startswith("2 failed: the traceback of the first is in all/")
    path = Path(last.partition(" is in ")[2].partition(";")[0])
    assert "my own loss is broken" in json.loads((tmp_path / path).read_text())["traceback"]
    assert re.search(r"^4 runs in \d+ s: 2 (done, 2 failed|failed, 2 done)\.$", out, re.M)
    assert re.search(r"^2 failed: RuntimeError: my own loss is broken", out, re.M)
    assert err.count("failed: ") == 1, "of the first at once, and not of each"


@pytest.mark.slow
def test_the_last_line_says_it_whatever_launches_the_runs(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES, "l1", lambda pred, target: 1 / 0)
    for how in ("hydra/launcher=basic", "hydra.sweeper.max_batch_size=2"):
        folder = how.partition("=")[2]
        status, out, _ = typed(f"-m loss=l1,mse seed=0,1 {how} hydra.sweep.dir={folder}")
        assert status == 1
        last = out.splitlines()[-1]
        assert last.startswith("2 failed: the traceback of the first is in ")
        assert f"{folder}/regression-friedman-l1-" in last


@pytest.mark.parametrize("launcher", ["basic", "fused"])
def test_ctrl_c_stops_a_whole_sweep_with_its_status(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: str
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    for module in ("losslab.training.module.RunModule", "losslab.fused.module.FusedModule"):
        monkeypatch.setattr(f"{module}.on_train_epoch_end", stopped)
    status, _, err = typed(f"-m loss=l1,mse hydra/launcher={launcher} hydra.sweep.dir=all")
    assert (status, err.count("\n")) == (130, 2)
    assert "Stopped. The same command repeats no finished run and goes on from the last checkpoint" in err
    assert read_records(tmp_path / "all") == []
    assert signal.getsignal(signal.SIGINT) is before, "who calls run can be stopped again"


@pytest.mark.slow
def test_a_loss_that_ends_python_is_a_run_that_failed(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(1000))
    monkeypatch.setitem(LOSSES, "l1", lambda pred, target: (pred - target).mean(-1) if next(calls) < 2 else sys.exit(0))
    assert typed("-m loss=l1,mse hydra.sweep.dir=all fused.size=1")[0] == 1
    found = {record.loss: record for record in read_records(tmp_path / "all")}
    assert found["mse"].status == "done"
    assert found["l1"].reason == "RuntimeError: the loss or the model asked Python to exit"


@pytest.mark.slow
def test_other_code_and_other_data_are_said(typed: Typed, tmp_path: Path) -> None:
    line = "-m loss=mse,l1 hydra.sweep.dir=all"
    assert typed("-m loss=mse hydra.sweep.dir=all")[0] == 0
    assert "by other code" not in typed("-m loss=mse hydra.sweep.dir=all")[1]
    folder = next(path.parent for path in tmp_path.rglob("record.json"))
    record = read_record(folder)
    assert record
    replace(record, commit="0123456789ab", pairing=record.pairing | {"data": "f" * 16}).write(folder)
    _, out, _ = typed(line)
    assert "1 finished run was trained by other code (commit 0123456789ab, now " in out or provenance.commit() is None
    assert "1 finished run was trained on other data than are here now; overwrite=true trains them again." in out


def test_a_stopped_run_in_a_folder_of_another_name_keeps_a_foreign_config(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("a: project\n")
    with pytest.raises(BadRequest, match="holds another run"):
        run(compose(*SMALL.split()), tmp_path / "mine", bar=False)
    assert (tmp_path / "mine" / "config.yaml").read_text() == "a: project\n"


@pytest.mark.slow
def test_hundreds_of_records_are_no_load(tmp_path: Path) -> None:
    for tally in [load.fused(200, 0, tmp_path / "fused"), *load.records(200, 0, tmp_path / "records")]:
        assert (tally.lost, tally.doubled, tally.tracebacks) == (0, 0, 0)


def test_where_no_file_can_be_opened_the_request_is_not_blamed(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_: object, **__: object) -> None:
        try:
            raise OSError(errno.EMFILE, "Too many open files", "conf/config.yaml")
        finally:
            raise UnboundLocalError("cannot access local variable 'f'")  # as Hydra does

    monkeypatch.setattr("losslab.request.compose.hydra_compose", hidden)
    status, _, err = typed("seed=1")
    assert status == 1
    assert err.startswith("train.py: Stopped, as this process may open no more files (conf/config.yaml).")
    assert err.count("\n") == 1


@contextmanager
def no_handles() -> Iterator[None]:
    """A time in which this process can open no file."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_without_handles_no_folder_is_blamed_and_no_file_called_torn(tmp_path: Path) -> None:
    request = compose(*SMALL.split())
    folder = tmp_path / canonical.run_id(request)
    folder.mkdir()
    write_config(folder, request)
    for look in (lambda: check_writable(folder), lambda: check_folder(folder, request), provenance.commit.__wrapped__):
        with no_handles(), pytest.raises(errors.Halted, match="this process may open no more files"):
            look()
    assert [path.name for path in folder.iterdir()] == ["config.yaml"]
    with no_handles(), pytest.raises(errors.Halted, match="this process may open no more files"):
        errors.raise_if_ended(ValueError("of a library that hid why it could not read its file"))


def test_without_handles_from_the_first_line_on_there_is_one_sentence() -> None:
    code = (
        "import resource; code = compile(open('train.py').read(), 'train.py', 'exec')\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)); exec(code, {'__name__': '__main__'})"
    )
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert ended.stderr.startswith("train.py: Stopped, as nothing can be read: [Errno 24] Too many open files: ")


def test_without_handles_in_hydras_hands_there_is_one_sentence(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def hides(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files", "conf/config.yaml")

    monkeypatch.setattr("hydra._internal.hydra.Hydra.multirun", hides)
    status, _, err = typed("-m seed=1,2")
    assert status == 1
    assert err.startswith("train.py: Stopped, as this process may open no more files (conf/config.yaml).")
    assert err.count("\n") == 1


def test_a_writing_thread_that_fails_leaves_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", b"events")

    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    small = ["data.rows=200", "trainer.max_epochs=1", "trainer=cpu"]
    assert train.train([*small, "logger.figures=0", f"hydra.run.dir={tmp_path / 'one'}"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("train.py: Stopped, as the disk is full (events).")
