"""Whole runs, seen from outside: what they leave, and what equal seeds make equal."""

import itertools
import json
import signal
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import losslab.training.callbacks
import losslab.training.trainer
from faults import kills
from losslab import BadRequest, Record, compose, read_records
from losslab.losses.base import LOSSES
from losslab.records.store import read_record
from losslab.schema import cards, check, compatibility
from losslab.sweep.jobs import Job
from losslab.sweep.runner import train_all
from losslab.training.run import run
from support.event_files import curves

ROOT = Path(__file__).resolve().parents[2]
Quick = Callable[..., Record]
PAIRS = [(task, loss) for task in cards.names("task") for loss in compatibility.fitting("loss", task)]
FIELDS = {
    "status",
    "reason",
    "task",
    "loss",
    "loss_params",
    "data",
    "model",
    "optimizer",
    "corruption",
    "seed",
    "epochs",
    "metrics",
    "pairing",
    "fused",
    "seconds",
    "device",
    "versions",
    "commit",
    "config",
}


@pytest.mark.slow
@pytest.mark.parametrize(("task", "loss"), PAIRS)
def test_every_valid_pair_trains(quick: Quick, task: str, loss: str) -> None:
    record = quick(f"task={task}", f"loss={loss}", into=f"{task}-{loss}")
    assert (record.status, record.epochs) == ("done", 2)
    assert all(value is not None for value in record.metrics.values())


@pytest.mark.slow
@pytest.mark.parametrize("task", cards.names("task"))
def test_the_same_seed_gives_the_same_bits(quick: Quick, task: str) -> None:
    first, second = quick(f"task={task}", into="a"), quick(f"task={task}", into="b")
    assert first.metrics == second.metrics
    assert first.pairing == second.pairing
    other = quick(f"task={task}", "seed=1", into="c")
    assert first.metrics != other.metrics


def test_two_losses_with_one_seed_see_the_same(quick: Quick) -> None:
    first, second = quick("loss=mse", into="a"), quick("loss=huber", "optimizer=sgd", into="b")
    assert set(first.pairing) == {"data", "split", "test_rows", "corruption", "init", "order"}
    assert first.pairing == second.pairing
    other = quick("loss=mse", "seed=1", into="c")
    differing = {name for name in first.pairing if first.pairing[name] != other.pairing[name]}
    assert differing == {"split", "test_rows", "corruption", "init", "order"}, "the rows are the same for every seed"
    assert quick("data.noise=2", into="d").pairing["data"] != first.pairing["data"]


@pytest.mark.slow
@pytest.mark.parametrize("model", [name for name in cards.names("model") if name != "boxes"])  # see tests/experiments
@pytest.mark.parametrize("optimizer", cards.names("optimizer"))
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle", "steps"])
def test_models_optimizers_and_schedules_go_together(quick: Quick, model: str, optimizer: str, schedule: str) -> None:
    record = quick(
        "task=multiclass",
        f"model={model}",
        f"optimizer={optimizer}",
        f"optimizer.schedule={schedule}",
        "data.batch_size=256",
        *(["model.target=losslab.models:linear"] if model == "own" else []),
    )
    assert record.status == "done"


def test_training_learns(quick: Quick) -> None:
    assert quick("task=multiclass", "trainer.max_epochs=15").metrics["last/test/accuracy"] > 0.9
    assert quick("corruption=none", "data.rows=2000", "trainer.max_epochs=15", into="r").metrics["last/test/r2"] > 0.85


def test_a_run_on_the_cpu_beside_a_gpu_is_silent(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    """trainer=cpu asked for the CPU, so nobody need hear of the GPU."""
    monkeypatch.setattr("pytorch_lightning.trainer.setup.CUDAAccelerator.is_available", lambda: True)
    assert quick("task=regression", "trainer=cpu", "trainer.max_epochs=1").status == "done"


def test_what_a_run_leaves(quick: Quick, tmp_path: Path) -> None:
    record = quick("loss=smoothl1", "loss.beta=0.5", "corruption.fraction=0.25", "logger=tensorboard")
    folder = tmp_path / "run"
    assert sorted(p.name for p in folder.iterdir() if not p.name.startswith("events.out")) == [
        "checkpoints",
        "config.yaml",
        "record.json",
    ]
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    written = json.loads((folder / "record.json").read_text())
    assert set(written) >= FIELDS
    assert read_record(folder) == record
    assert (record.loss, record.loss_params, record.fused, record.seed) == ("smoothl1", {"beta": 0.5}, 1, 0)
    assert record.corruption["rows_hit"] == {"train": 45, "val": 0, "test": 0}
    assert record.data["rows_in"] == {"train": 180, "val": 60, "test": 60}
    assert record.model["parameters"] == 4929
    wanted = itertools.product(("best", "last"), ("val", "test"), ("mae", "rmse", "median_ae", "r2"))
    constant = itertools.product(("constant",), ("test",), ("mae", "rmse", "median_ae", "r2"))
    assert set(record.metrics) == {"/".join(parts) for parts in (*wanted, *constant)}
    assert {name: len(values) for name, values in record.curves.items()} == dict.fromkeys(
        ("train/loss", "val/loss", "val/mae", "val/rmse", "val/median_ae", "val/r2"), 2
    )
    assert record.curves["val/mae"][-1] == pytest.approx(record.metrics["last/val/mae"], rel=1e-5)
    assert check.check(record.config) == record.config, "the config of a record can be run again"


def test_a_record_of_an_earlier_version_is_read(quick: Quick, tmp_path: Path) -> None:
    record = quick("loss=l1")
    path = tmp_path / "run/record.json"
    path.write_text(json.dumps({key: value for key, value in vars(record).items() if key not in ("curves", "study")}))
    assert read_record(tmp_path / "run") == replace(record, curves={}, study=None)


def test_checkpoints_hold_the_best_and_the_last_weights(quick: Quick, tmp_path: Path) -> None:
    record = quick("loss=mse", "trainer.max_epochs=8", "optimizer.lr=0.02", "logger=tensorboard")
    series = [event.value for event in curves(tmp_path / "run").Scalars("val/mae")]
    assert record.best_epoch == 1 + series.index(min(series))
    assert record.metrics["best/val/mae"] == pytest.approx(min(series), rel=1e-6)
    assert record.metrics["last/val/mae"] == pytest.approx(series[-1], rel=1e-6)
    best, last = (
        torch.load(tmp_path / "run/checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("best", "last")
    )
    assert (best["epoch"] + 1, last["epoch"] + 1) == (record.best_epoch, 8)


@pytest.mark.slow
def test_curves_hyperparameters_and_figures_in_tensorboard(quick: Quick, tmp_path: Path) -> None:
    seen = {}
    for task, more in {"regression": ["penalty.l2=0.01"], "multiclass": [], "binary": [], "bbox": []}.items():
        record = quick(f"task={task}", "logger=tensorboard", "logger.figures=2", *more, into=task)
        events = seen[task] = curves(tmp_path / task)
        tags = set(events.Tags()["scalars"])
        assert {"train/loss", "val/loss"} | {f"val/{name}" for name in record.metric_names()} <= tags
        assert {f"test/{which}/{name}" for which in ("best", "last") for name in record.metric_names()} <= tags
        assert "hp_metric" not in tags
        assert len(events.Scalars("train/loss")) == 2
        plugins = events.summary_metadata
        assert "_hparams_/session_start_info" in plugins
        info = plugins["_hparams_/session_start_info"].plugin_data.content
        assert task.encode() in info
        assert b"optimizer.lr" in info
    assert "train/penalty" in seen["regression"].Tags()["scalars"]
    assert "train/penalty" not in seen["multiclass"].Tags()["scalars"]
    assert set(seen["regression"].Tags()["histograms"]) == {"residuals/clean_rows", "residuals/corrupted_rows"}
    assert {
        task: len(seen[task].Images(seen[task].Tags()["images"][0])) for task in ("multiclass", "binary", "bbox")
    } == {
        "multiclass": 2,
        "binary": 2,
        "bbox": 2,
    }


def test_a_penalty_shrinks_the_weights_and_is_logged_apart(quick: Quick, tmp_path: Path) -> None:
    def weights(into: str) -> float:
        state = torch.load(tmp_path / into / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        return sum(w.abs().sum().item() for name, w in state.items() if name.endswith("weight"))

    quick("trainer.max_epochs=5", into="plain")
    quick("trainer.max_epochs=5", "penalty.l1=0.1", into="penalised")
    assert weights("penalised") < 0.7 * weights("plain")


def test_a_run_that_diverges_says_so(quick: Quick, tmp_path: Path) -> None:
    record = quick("optimizer=sgd", "optimizer.lr=1e10", "trainer.max_epochs=5")
    assert record.status == "diverged"
    assert "epoch 1" in record.reason
    assert record.epochs == 1
    assert record.metrics["last/test/mae"] is None
    assert "NaN" not in (tmp_path / "run/record.json").read_text()


def test_a_late_divergence_keeps_the_best_epoch(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()

    def breaks(pred, target):
        return (pred - target).square().mean(-1) * (float("nan") if next(calls) > 6 else 1.0)

    monkeypatch.setitem(LOSSES, "mse", breaks)  # two steps and one validation an epoch
    record = quick("trainer.max_epochs=10")
    assert (record.status, record.epochs) == ("diverged", 3)
    assert "epoch 3" in record.reason
    assert record.best_epoch < 3
    assert record.metrics["best/test/mae"] is not None


def test_a_finished_run_is_not_repeated_unless_asked(quick: Quick, tmp_path: Path) -> None:
    quick()
    written = (tmp_path / "run/record.json").stat().st_mtime_ns
    quick()
    assert (tmp_path / "run/record.json").stat().st_mtime_ns == written
    (tmp_path / "run/record.json").write_text("{corrupt")
    assert quick().status == "done", "a record that is not whole is made again"
    written = (tmp_path / "run/record.json").stat().st_mtime_ns
    quick("overwrite=true")
    assert (tmp_path / "run/record.json").stat().st_mtime_ns > written


def test_a_folder_of_another_run_is_refused(quick: Quick) -> None:
    quick("seed=0")
    with pytest.raises(BadRequest, match="holds another run"):
        quick("seed=1")
    assert quick("seed=1", "overwrite=true").seed == 1


def test_bad_data_is_refused_before_anything_is_written(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from losslab.data import SOURCES, base

    original = SOURCES["scenes"]

    def swapped(**settings):
        made = original(**settings)
        return replace(made, targets=made.targets[:, [2, 1, 0, 3]])

    base._rows.cache_clear()
    monkeypatch.setitem(SOURCES, "scenes", swapped)
    with pytest.raises(ValueError, match="is no box"):
        quick("task=bbox")
    base._rows.cache_clear()
    assert not (tmp_path / "run").exists()


class Stopped(Exception):
    """A power cut."""


def test_a_stopped_run_resumes_to_the_same_end(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losslab.training.callbacks, "_SECONDS_BETWEEN_CHECKPOINTS", -1)
    asked = ["trainer.max_epochs=6", "optimizer.schedule=one_cycle", "penalty.l1=1e-4", "logger=tensorboard"]
    whole = quick(*asked, into="whole")
    original = losslab.training.module.RunModule.on_train_epoch_end

    def stop(self) -> None:
        original(self)
        if self.current_epoch == 3:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(losslab.training.module.RunModule, "on_train_epoch_end", stop)
        with pytest.raises(Stopped):
            quick(*asked, into="stopped")
    assert not (tmp_path / "stopped/record.json").exists()
    resumed = quick(*asked, into="stopped")
    assert resumed.metrics == whole.metrics
    assert resumed.best_epoch == whole.best_epoch
    assert resumed.curves == whole.curves
    first, second = (
        [(event.step, event.value) for event in curves(tmp_path / into).Scalars("train/loss")]
        for into in ("whole", "stopped")
    )
    assert first == second


def test_a_stopped_run_may_be_moved(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losslab.training.callbacks, "_SECONDS_BETWEEN_CHECKPOINTS", -1)
    asked = ["trainer.max_epochs=8", "optimizer.lr=0.02", "loss=mse"]  # its best epoch comes before it is stopped
    whole = quick(*asked, into="whole")
    original = losslab.training.module.RunModule.on_train_epoch_end

    def stop(self) -> None:
        original(self)
        if self.current_epoch == 6:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(losslab.training.module.RunModule, "on_train_epoch_end", stop)
        with pytest.raises(Stopped):
            quick(*asked, into="stopped")
    (tmp_path / "stopped").rename(tmp_path / "moved")
    path = tmp_path / "moved/checkpoints/last.ckpt"
    before = 1000.0  # as of a slow machine
    torch.save(torch.load(path, weights_only=True) | {"fit_seconds": before}, path)
    moved = quick(*asked, into="moved")
    assert moved.best_epoch == whole.best_epoch < 6
    assert moved.metrics == whole.metrics
    assert moved.seconds["fit"] > before, "the seconds before the stop count"


def test_a_diverged_run_that_lost_its_record_diverges_again(quick: Quick, tmp_path: Path) -> None:
    asked = ["optimizer=sgd", "optimizer.lr=1e10", "trainer.max_epochs=5"]
    first = quick(*asked)
    (tmp_path / "run/record.json").unlink()
    again = quick(*asked)
    assert (again.reason, again.epochs, again.metrics) == (first.reason, first.epochs, first.metrics)


@pytest.mark.slow
def test_a_run_stopped_from_outside_resumes_to_the_same_end(tmp_path: Path) -> None:
    asked = ["trainer=cpu", "trainer.max_epochs=20", "logger=none", "data.rows=1000"]
    for how, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        folder = tmp_path / how.name
        stopped = kills.start_held([*asked, f"hydra.run.dir={folder}"])
        stopped.send_signal(how)
        _, said = stopped.communicate()
        assert not (folder / "record.json").exists()
        assert stopped.returncode == status
        advice = "Stopped. The same command repeats no finished run and goes on from the last checkpoint"
        assert said.strip().startswith(advice if how == signal.SIGINT else "")
    whole, *resumed = (run(compose(*asked), tmp_path / name) for name in ("whole", "SIGINT", "SIGKILL"))
    assert [record.metrics for record in resumed] == [whole.metrics] * 2


@pytest.mark.slow
def test_outliers_hurt_mse_and_not_l1_or_smoothl1(tmp_path: Path) -> None:
    """The project's thesis: over five paired seeds with 20 % one-sided outliers, judged on clean data."""
    words = ("trainer=cpu", "corruption.fraction=0.2", "corruption.side=one_sided", "logger=none")
    asked = [
        compose(*words, f"loss={loss}", f"seed={seed}")
        for loss, seed in itertools.product(("mse", "l1", "smoothl1"), range(5))
    ]
    train_all([Job(request, tmp_path / str(number), number) for number, request in enumerate(asked)])
    found = {(r.loss, r.seed): r for r in read_records(tmp_path)}
    for robust in ("l1", "smoothl1"):
        for which in ("best", "last"):
            worse = [
                found["mse", s].metrics[f"{which}/test/mae"] / found[robust, s].metrics[f"{which}/test/mae"]
                for s in range(5)
            ]
            assert min(worse) > 1.3, f"mse against {robust}, {which} epoch"
            assert statistics.mean(worse) > 2
        assert all(found["mse", s].pairing == found[robust, s].pairing for s in range(5))
