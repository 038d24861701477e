"""The commands as a user types them: answers, refusals and exit status."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from losslab import compose, read_records
from losslab.cli import main, train
from losslab.losses.base import LOSSES
from losslab.request import compose as request_compose
from losslab.request.command import check_command
from losslab.schema import canonical, cards, compatibility

ROOT = Path(__file__).resolve().parents[2]
Result = tuple[int, str, str]

REFUSED = [  # what is typed, and words that the one sentence must hold
    ("loss=MSELoss", ["did you mean 'mse'?", "`losslab losses` lists all"]),
    ("loss=GIoU", ["did you mean 'giou'?"]),
    ("loss=ce", ["did you mean 'cross_entropy'?"]),
    ("loss=kl_div", ["did you mean 'cross_entropy'?"]),
    ("loss=SmoothL1Loss", ["did you mean 'smoothl1'?"]),
    ("lr=0.1", ["no key 'lr' at the top; write optimizer.lr=0.1."]),
    ("delta=0.1 loss=huber", ["write loss.delta=0.1."]),
    ("seed=1-5", ["'1-5' is not; -m seed=range(1,6) takes each from 1 to 5."]),
    ("loss=smothl1", ["no loss 'smothl1'", "did you mean 'smoothl1'", "`losslab losses` lists all"]),
    ("loss=", ["no loss ''", "`losslab losses` lists all"]),
    ("task=bxo", ["no task 'bxo'", "did you mean 'bbox'", "lists all 9"]),
    ("data=digit", ["no data set 'digit'", "did you mean 'digits'"]),
    ("model=resnet", ["no model 'resnet'", "cnn, linear, mlp"]),
    ("optimizer=adamm", ["did you mean 'adam'"]),
    ("corruption=outlier", ["did you mean 'outliers'"]),
    ("trainer=tpu", ["auto, cpu, gpu"]),
    ("experiment=nothing", ["no recipe 'nothing'"]),
    (
        "task=bbox loss=cross_entropy",
        ["'cross_entropy' does not fit task 'bbox'", "`losslab losses --task bbox` lists the"],
    ),
    ("task=multiclass loss=bce", ["does not fit", "`losslab losses --task multiclass` lists the"]),
    ("data=digits", ["does not fit task 'regression'", "diabetes, engel, friedman"]),
    ("task=binary corruption=outliers", ["does not fit task 'binary'", "none"]),
    ("model=cnn", ["'friedman' is a table", "linear, mlp"]),
    ("los=mse", ["no key 'los'", "did you mean 'loss'"]),
    ("loss.betaa=1", ["'mse' has no key 'loss.betaa'"]),
    ("loss=smoothl1 loss.betaa=1", ["did you mean 'loss.beta'"]),
    ("trainer.max_epoch=3", ["did you mean 'trainer.max_epochs'"]),
    ("penalty.l=1", ["did you mean 'penalty.l1' or 'penalty.l2'?", "Valid: penalty.l1, penalty.l2."]),
    ("penalty.2l=1", ["cannot be read", "did you mean 'penalty.l1' or 'penalty.l2'?"]),
    ("1oss.delta=1", ["cannot be read", "did you mean 'loss.delta'?"]),
    ("+foo=1", ["no key 'foo'"]),
    ("+loss.foo=1", ["has no key 'loss.foo'"]),
    ("~loss", ["'loss' is missing"]),
    ("loss=smoothl1 ~loss.beta", ["'loss.beta' is missing"]),
    ("loss=smoothl1 loss.beta=0", ["loss.beta must be above 0"]),
    ("loss=smoothl1 loss.beta=-1", ["loss.beta must be above 0"]),
    ("loss=huber loss.delta=0", ["loss.delta must be above 0"]),
    ("loss=huber loss.delta=one", ["loss.delta must be a number"]),
    ("corruption.fraction=1.5", ["corruption.fraction must be at least 0 and at most 1"]),
    ("corruption.fraction=-0.1", ["corruption.fraction must be"]),
    ("corruption.side=left", ["symmetric, one_sided"]),
    ("corruption.splits=[test]", ["train, val"]),
    ("trainer.max_epochs=0", ["trainer.max_epochs must be at least 1"]),
    ("trainer.max_epochs=2.5", ["trainer.max_epochs must be a whole number"]),
    ("data.batch_size=0", ["data.batch_size must be at least 1"]),
    ("data.batch_size=1201", ["larger than the training split, which has 1200 rows"]),
    ("data.val_fraction=0.5 data.test_fraction=0.5", ["together below 1"]),
    ("data.rows=10 data.val_fraction=0.1", ["two rows or more"]),
    ("seed=-1", ["seed must be at least 0"]),
    ("seed=x", ["seed must be a whole number", "'x'"]),
    ("seed=null", ["seed must be a whole number"]),
    ("seed=true", ["seed must be a whole number"]),
    ("seed=0,1", ["several values", "-m"]),
    ("optimizer.lr=nan", ["optimizer.lr must be a finite number above 0"]),
    ("optimizer.lr=1e999", ["optimizer.lr must be a finite number above 0"]),
    ("optimizer.betas=[0.9]", ["must hold 2 values"]),
    ("optimizer.betas=[0.9,1]", ["optimizer.betas must be at least 0 and below 1"]),
    ("optimizer.schedule=linear", ["constant, cosine, one_cycle, steps"]),
    ("penalty.l1=-1", ["penalty.l1 must be at least 0"]),
    ("loss.about.reads=[boxes]", ["is a fact, not a setting"]),
    ("loss.name=l1", ["cannot be set by itself", "loss=NAME"]),
    ("loss.beta=0.5", ["The loss 'mse' has no key 'loss.beta'; these have: anl, balanced_l1, ", "smoothl1"]),
    ("corruption=none corruption.fraction=0.2", ["The corruption 'none' has no key 'corruption.fraction'", "outliers"]),
    ("loss=null", ["no loss 'null'"]),
    ("experiment=null", ["no recipe 'null'"]),
    ("+loss=l1", ["cannot be composed"]),
    ("loss@x=mse", ["cannot be composed"]),
    ("--config-dir=nowhere", ["--config-dir=nowhere: there is no such folder"]),
    ("seed=${nothing}", ["cannot be resolved"]),
    ("loss", ["'loss' cannot be read", "KEY=VALUE"]),
    ("seed=[1,2", ["cannot be read"]),
    ("hydra.run.dir=", ["must name a folder"]),
    ("hydra.run.dir=/dev/null/x", ["Nothing can be written to /dev/null/x"]),
    ("hydra.foo=1", ["'hydra.foo' cannot be set here", "hydra.run.dir"]),
    ("hydra/launcher=nothing", ["cannot be composed"]),
    ("-m loss=mse,nothing", ["no loss 'nothing'"]),
    ("-m loss=huber loss.delta=1,-1 seed=0,1", ["loss.delta must be above 0"]),
    ("-m loss=mse,l1 seed=0,-1", ["seed must be at least 0"]),
    ("-m task=bbox loss=bce,cross_entropy", ["does not fit task 'bbox'"]),
    ("-m optimizer.lr=interval(0.1,1)", ["range without steps"]),
    ("-m hydra.sweep.dir=/dev/null/x", ["Nothing can be written"]),
    ("-m seed=range(0,10,0)", ["must name a range of at most 100,000 steps"]),
    ("-m seed=range(0,1000000000000)", ["must name a range of at most 100,000 steps"]),
    ("-m seed=range(0,1000) optimizer.lr=range(1,1000)", ["999,000 runs", "at most 100,000"]),
    ("-m loss=glob(zzz)", ["stands for no value"]),
    ("hydra.mode=${seed}", ["hydra.mode must be RUN or MULTIRUN"]),
    ("hydra.run.dir=${nothing}", ["hydra.run.dir names no folder"]),
    ("-m hydra.sweep.dir=${nothing}", ["hydra.sweep.dir names no folder"]),
    (f"hydra.run.dir={'a' * 300}", ["Nothing can be written to"]),
    (f"trainer.max_epochs=1{'0' * 400}", ["trainer.max_epochs must be a number that fits into 64 bits"]),
    (f"-m optimizer.lr=0.1,-1{'0' * 400}", ["optimizer.lr must be a number that fits into 64 bits"]),
    ("trainer.max_epochs=9223372036854775808", ["trainer.max_epochs must be a number that fits into 64 bits"]),
    ("-m trainer=auto ++trainer.max_epochs.x=1", ["trainer.max_epochs must be a whole number"]),
    ("study=fair study.losses=[mse,l1] +study.axes.data.rows.x=[1]", ["'data.rows' is a single value"]),
    ("data.rows=${data}", ["cannot be resolved"]),
    ("loss=huber loss.delta=${oc.deprecated:logger.name}", ["loss.delta must be a number", "'tensorboard' is neither"]),
    ("--foo", ["unrecognized arguments: --foo", "--help"]),
    ("--cfg job loss=zzz", ["no loss 'zzz'"]),
    ("--cfg job --package zzz", ["no part 'zzz'"]),
    ("--cfg job --package loss.zzz", ["no part 'loss.zzz'"]),
    ("--cfg hydra --package loss", ["no part 'loss'"]),
    ("--cfg hydra --resolve", ["--cfg all --resolve"]),
    ("--cfg all --resolve loss=huber loss.delta=0", ["cannot be shown: loss.delta must be above 0"]),
    ("--cfg all --resolve study=fair study.losses=[mse,l1]", ["cannot be shown: A study is many runs"]),
    ("--experimental-rerun x.pickle", ["pickle"]),
    ("--shell-completion", ["install=bash"]),
    ("--shell-completion install=ksh", ["install=bash", "not 'install=ksh'"]),
    ("--shell-completion query=bash", ["COMP_LINE", "install=SHELL"]),
    ("-m hydra.launcher._target_=os.system", ["'hydra.launcher._target_' cannot be typed"]),
    ("-m hydra.sweeper={_target_:os.system}", ["is built by nothing"]),
    ("-m hydra.sweeper.max_batch_size=x", ["max_batch_size must be a whole number"]),
    ("-m +hydra.callbacks.x._target_=os.system", ["cannot be set here"]),
    ("-m +hydra.sweeper.x=1", ["neither added nor deleted"]),
    ("-m hydra.sweep.dir=a,b", ["'hydra.sweep.dir' holds for all runs of a sweep; give it one value"]),
    ("-m hydra/launcher=fused,basic", ["'hydra/launcher' holds for all runs of a sweep"]),
    ("-m hydra.launcher._target_=hydra_plugins.x,os.system", ["holds for all runs of a sweep"]),
    ("--cfg job seed=0,1", ["'seed' was given several values"]),
    ("loss=huber loss.delta=inf", ["loss.delta must be a finite number above 0, and inf is not"]),
    (
        "loss=reverse_ce task=multiclass loss.log_zero=-inf",
        ["loss.log_zero must be a finite number below 0, and -inf is not"],
    ),
    ("loss=reverse_ce task=multiclass loss.log_zero=1", ["loss.log_zero must be below 0, and 1.0 is not"]),
    ("model=own", ["A model of yours is needed", "model.target=my_models.py:Net"]),
    ("model=own model.target=os:system", ["'os' is a module of Python itself"]),
    ("model=own model.target=subprocess:Popen", ["'subprocess' is a module of Python itself"]),
    ("-m trainer.devices=2 seed=0,1", ["trainer.devices=2 is for one run", "leave it away"]),
    ("trainer.devices=65", ["trainer.devices=65 gives each device a part of every batch", "larger batches"]),
]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], Result]:
    """`typed("loss=l1")`: what `python train.py loss=l1` gives in an empty folder: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])

    def call(line: str) -> Result:
        GlobalHydra.instance().clear()
        status = train.train(line.split())
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.mark.parametrize(("line", "words"), REFUSED, ids=[line for line, _ in REFUSED])
def test_a_wrong_request_gets_one_sentence_and_leaves_nothing(
    typed, tmp_path: Path, line: str, words: list[str]
) -> None:
    status, out, err = typed(line)
    assert status == 2
    assert out == ""
    assert err.startswith("train.py: ")
    assert err.count("\n") == 1
    assert err.rstrip().endswith(".")
    for word in words:
        assert word in err
    assert list(tmp_path.iterdir()) == []


def test_a_number_may_be_as_large_as_its_type_holds() -> None:
    assert compose("loss=huber", "loss.delta=10000000000000000000")["loss"]["delta"] == 1e19


def test_a_gpu_that_is_not_there_is_refused(typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("losslab.hardware.has_gpu", lambda: False)
    status, _, err = typed("trainer=gpu")
    assert status == 2
    assert "shows no GPU; use trainer=auto or trainer=cpu" in err


@pytest.mark.slow
@pytest.mark.parametrize("line", ["los=mse", "loss=huber loss.delta=-1", "task=bbox loss=bce", "--help"])
def test_help_and_refusals_do_not_import_torch(line: str, tmp_path: Path) -> None:
    code = (
        "import sys; from losslab.cli.train import train\n"
        "try: status = train(sys.argv[1:])\n"
        "except SystemExit as stop: status = stop.code\n"
        "print(status, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *line.split()], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    expected = "0 False" if line == "--help" else "2 False"
    assert done.stdout.splitlines()[-1] == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["--help", "--info", "data.rows=100 data.batch_size=16 trainer.max_epochs=1 logger=none"]
)
def test_who_reads_no_further_breaks_nothing(line: str, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        command = [sys.executable, str(ROOT / "train.py"), *line.split()]
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_help_names_every_choice(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "--help"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0
    for group in cards.GROUPS:
        assert f"{group}: {', '.join(cards.names(group))}" in done.stdout


def test_a_run_tells_its_metrics_and_where_it_lies(typed, tmp_path: Path) -> None:
    line = "loss=l1 data.rows=300 trainer.max_epochs=2 hydra.run.dir=here"
    status, out, err = typed(line)
    assert (status, err) == (0, "")
    last = out.splitlines()
    assert "regression, l1: done" in last[0]
    assert any(word in out for word in ("mae", "rmse"))
    assert last[-2] == f"Record:      {tmp_path}/here/record.json"
    assert last[-1] == f"TensorBoard: tensorboard --logdir {tmp_path}/here"
    again = typed(line)
    assert again[0] == 0
    assert "had finished already" in again[1]
    refused = typed(line + " seed=1")
    assert refused[0] == 2
    assert "holds another run" in refused[2]


def test_a_diverged_run_ends_with_status_1(typed) -> None:
    status, out, _ = typed("optimizer=sgd optimizer.lr=1e10 data.rows=300 trainer.max_epochs=2 logger=none")
    assert status == 1
    assert "diverged: the loss or a prediction was not finite in epoch 1" in out


def test_a_failing_run_is_recorded_with_its_traceback_and_tried_again(typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(pred, target):
        raise RuntimeError("my own loss is broken")

    line = "data.rows=300 trainer.max_epochs=2 logger=none hydra.run.dir=here"
    with monkeypatch.context() as patched:
        patched.setitem(LOSSES, "mse", fails)
        status, out, err = typed(line)
    assert status == 1
    assert "failed: RuntimeError: my own loss is broken" in out
    assert "Traceback" in err
    record = json.loads(Path("here/record.json").read_text())
    assert record["status"] == "failed"
    assert "my own loss is broken" in record["traceback"]
    assert typed(line)[0] == 0


def test_a_sweep_gives_each_run_its_folder_and_skips_what_does_not_fit(typed, tmp_path: Path) -> None:
    line = "-m loss=mse,giou,huber seed=0,1 data.rows=300 trainer.max_epochs=1 logger=none hydra.sweep.dir=all"
    status, out, err = typed(line)
    assert (status, err) == (0, "")
    records = read_records(tmp_path / "all")
    assert sorted((r.loss, r.seed, r.status) for r in records) == [
        ("giou", 0, "skipped"),
        ("giou", 1, "skipped"),
        *((loss, seed, "done") for loss in ("huber", "mse") for seed in (0, 1)),
    ]
    folders = sorted(p.name for p in (tmp_path / "all").iterdir() if p.is_dir())
    assert folders == sorted(canonical.run_id(r.config) for r in records)
    assert re.search(r"^6 runs in \d+ s: 4 done, 2 skipped\.$", out, re.M)
    assert "2 skipped: The loss 'giou' does not fit task 'regression'" in out
    assert "4 trained in stacks." in out
    assert "4 had finished already" in typed(line)[1]


@pytest.mark.slow
def test_a_sweep_goes_on_after_a_run_that_fails(typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(pred, target):
        raise RuntimeError("broken")

    monkeypatch.setitem(LOSSES, "l1", fails)
    status, *_ = typed("-m loss=l1,mse data.rows=300 trainer.max_epochs=1 logger=none hydra.sweep.dir=all")
    assert status == 1
    assert sorted((r.loss, r.status) for r in read_records(tmp_path / "all")) == [("l1", "failed"), ("mse", "done")]


def test_the_run_id_names_what_was_asked_for_and_nothing_else(typed, tmp_path: Path) -> None:
    from losslab import compose

    base = canonical.run_id(compose("loss=smoothl1", "loss.beta=0.5"))
    assert base.startswith("regression-friedman-smoothl1_beta0.5-outliers-mlp-adam-s0-")
    assert canonical.run_id(compose("loss.beta=5e-1", "loss=smoothl1", "logger=none", "overwrite=true")) == base
    for other in ("seed=1", "penalty.l2=0.1", "optimizer.lr=0.1", "data.batch_size=32", "trainer.max_epochs=7"):
        assert canonical.run_id(compose("loss=smoothl1", "loss.beta=0.5", other)) != base


def test_a_sweep_of_many_values_is_checked_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[object] = []

    def counted(*given: object, **named: object) -> object:
        composed.append(given)
        return compose_whole(*given, **named)

    compose_whole = request_compose.hydra_compose
    monkeypatch.setattr(request_compose, "hydra_compose", counted)
    monkeypatch.chdir(tmp_path)
    check_command(["loss=mse,l1", "seed=range(0,200)", "optimizer.lr=0.001,0.01,0.1"], multirun=True)
    assert 0 < len(composed) < 20  # 1,200 runs; composing each would take a minute


def test_the_catalogue_lists_what_serves_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["losses", "--task", "bbox"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in compatibility.fitting("loss", "bbox"))
    assert "cross_entropy" not in out


@pytest.mark.slow
def test_a_sweep_over_all_losses_runs_those_that_fit(typed, tmp_path: Path) -> None:
    small = "data.rows=40 data.batch_size=8 trainer.max_epochs=1 logger=none"
    status, _, _ = typed(f"-m task=bbox loss=glob(*) {small} hydra.sweep.dir=all")
    assert status == 0
    assert sorted(r.loss for r in read_records(tmp_path / "all") if r.status == "done") == compatibility.fitting(
        "loss", "bbox"
    )


@pytest.mark.slow
def test_two_runs_do_not_share_a_folder(typed, tmp_path: Path) -> None:
    status, _, err = typed("-m seed=0,1 data.rows=300 hydra.sweep.subdir=same hydra.sweep.dir=all logger=none")
    assert status == 2
    assert "would share the folder" in err
    assert list(tmp_path.iterdir()) == [], "what was refused leaves nothing"
    status, out, _ = typed("-m seed=0,0 data.rows=300 trainer.max_epochs=1 hydra.sweep.dir=twice logger=none")
    assert status == 0
    assert len(read_records(tmp_path / "twice")) == 1
    assert re.search(r"^1 run in \d+ s: 1 done\.$", out, re.M)


@pytest.mark.slow
def test_a_sweep_that_is_refused_late_removes_nothing(typed, tmp_path: Path) -> None:
    """Each value is checked beside the first of the others; that the second of both do not go together shows in the jobs alone."""
    small = "trainer.max_epochs=1 logger=none hydra.sweep.dir=all"
    assert typed(f"-m data.rows=1000 data.batch_size=16 {small}")[0] == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "all").glob("*/*")}
    status, _, err = typed(f"-m data.rows=1000,100 data.batch_size=16,512 overwrite=true {small}")
    assert status == 2
    assert "larger than the training split" in err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "all").glob("*/*")} == before


@pytest.mark.parametrize("word", ["overwrite=true", "overwrite=True", "++overwrite=true"])
def test_who_stops_a_run_that_begins_anew_is_told_how_it_goes_on(
    typed, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("losslab.request.command.check_command", stopped)
    status, _, err = typed(word)
    assert status == 130
    assert "The same command without overwrite=true repeats no finished run and goes on from the last checkpoint" in err


@pytest.mark.slow
def test_another_launcher_gives_the_same_records(typed, tmp_path: Path) -> None:
    line = "-m loss=mse,l1 seed=0,1 data.rows=300 trainer.max_epochs=2 logger=none trainer=cpu"
    for launcher in ("fused", "basic"):
        assert typed(f"{line} hydra/launcher={launcher} hydra.sweep.dir={launcher}")[0] == 0
    fused, basic = (read_records(tmp_path / launcher) for launcher in ("fused", "basic"))
    assert [r.fused for r in fused] == [4] * 4
    assert [r.fused for r in basic] == [1] * 4
    for one, other in zip(fused, basic, strict=True):
        assert canonical.run_id(one.config) == canonical.run_id(other.config)
        assert one.pairing == other.pairing
        assert one.metrics == pytest.approx(other.metrics, rel=1e-3)


def test_a_record_of_another_request_is_never_taken_for_this_one(typed, tmp_path: Path) -> None:
    line = "data.rows=300 trainer.max_epochs=1 logger=none hydra.run.dir=here"
    assert typed(line)[0] == 0
    (tmp_path / "here/config.yaml").unlink()
    status, out, _ = typed(line + " seed=1")
    assert "finished already" not in out
    (tmp_path / "here/config.yaml").write_text("[not, a, config]")
    status, _, err = typed(line)
    assert status == 2
    assert "holds another run" in err


@pytest.mark.slow
def test_a_terminal_shows_a_bar_and_gets_its_cursor_back(tmp_path: Path) -> None:
    import pty

    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        asked = ["data.rows=300", "trainer.max_epochs=5", "logger=none", "hydra.run.dir=here"]
        os.execv(sys.executable, [sys.executable, str(ROOT / "train.py"), *asked])
    shown = b""
    while True:
        try:
            chunk = os.read(screen, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"val/mae" in shown
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") > 0
