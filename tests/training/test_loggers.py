"""Loggers beside TensorBoard: what a run, a stack and a sweep leave there, and what is said where a package is missing."""

import csv
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from losslab import Record
from losslab.cli import train
from losslab.records.store import read_record
from losslab.schema import requirements
from losslab.training import callbacks
from support.event_files import curves

Quick = Callable[..., Record]
SWEEP = ["-m", "seed=0,1,2", "trainer.max_epochs=3", "data.rows=200", "trainer=cpu", "model.hidden=[8]"]


def table(path: Path) -> dict[int, dict[str, float]]:
    """The numbers of a CSV file by their step."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {int(row.pop("step")): {name: float(value) for name, value in row.items() if value} for row in rows}


def curve(record: Record) -> list[dict[str, float]]:
    return [dict(zip(record.curves, values, strict=True)) for values in zip(*record.curves.values(), strict=True)]


def test_a_csv_file_holds_the_curves_of_a_run(quick: Quick, tmp_path: Path) -> None:
    record = quick("logger=csv", "data.batch_size=60")
    found = table(tmp_path / "run/metrics.csv")
    assert list(found) == [3, 6]
    assert [pytest.approx(values, rel=1e-5, abs=1e-6) for values in found.values()] == curve(record)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "metrics.csv",
        "config.yaml",
        "record.json",
        "checkpoints",
    }
    quick("logger=none", "overwrite=true", "data.batch_size=60")
    assert not (tmp_path / "run/metrics.csv").exists(), "overwrite=true removes it"


def test_a_run_that_goes_on_logs_the_epochs_before_its_stop_too(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    asked = ("logger=csv", "trainer.max_epochs=4")
    judged = callbacks.LastCheckpoint.on_train_epoch_end

    def stop(self: callbacks.LastCheckpoint, trainer: object, module: object) -> None:
        judged(self, trainer, module)  # type: ignore[arg-type]
        if trainer.current_epoch == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(callbacks.LastCheckpoint, "on_train_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            quick(*asked)
    record = quick(*asked)
    assert [
        pytest.approx(values, rel=1e-5, abs=1e-6) for values in table(tmp_path / "run/metrics.csv").values()
    ] == curve(record)
    assert len(curve(record)) == 4


def test_each_run_of_a_stack_leaves_a_csv_file(tmp_path: Path) -> None:
    assert train.train([*SWEEP, "logger=csv", f"hydra.sweep.dir={tmp_path}"]) == 0
    found = sorted(tmp_path.glob("*/record.json"))
    assert len(found) == 3
    for path in found:
        record = read_record(path.parent)
        assert record.fused == 3
        assert [
            pytest.approx(values, rel=1e-5, abs=1e-6) for values in table(path.with_name("metrics.csv")).values()
        ] == curve(record)
        assert not list(path.parent.glob("events.*"))


def test_runs_without_a_folder_leave_their_mean_as_a_csv_file(tmp_path: Path) -> None:
    words = [*SWEEP, "loss=mse,l1", "store=stacks"]
    assert train.train([*words, "logger=csv", f"hydra.sweep.dir={tmp_path / 'csv'}"]) == 0
    assert train.train([*words, f"hydra.sweep.dir={tmp_path / 'board'}"]) == 0
    for loss in ("mse", "l1"):
        found = table(tmp_path / "csv/summary" / loss / "metrics.csv")
        expected = curves(tmp_path / "board/summary" / loss)
        assert list(found) == [1, 2, 3]
        for name in expected.Tags()["scalars"]:
            values = [event.value for event in expected.Scalars(name)]
            assert [found[epoch][name] for epoch in (1, 2, 3)] == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize("logger", ["mlflow", "wandb"])
def test_a_logger_that_is_not_installed_is_refused(
    logger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    for words in ([f"logger={logger}"], ["-m", "seed=0,1", f"logger={logger}"]):
        assert train.train(words) == 2
        said = capsys.readouterr().err
        assert f"logger={logger} needs the package '{logger}': pip install 'losslab[{logger}]', or pip install" in said
        assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mlflow"), reason="needs MLflow")
def test_mlflow_holds_a_run_and_the_means_of_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: Quick
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own
        from mlflow.tracking import MlflowClient

        record = quick("logger=mlflow", "data.batch_size=60")
        assert train.train([*SWEEP, "logger=mlflow", "loss=mse,l1", "hydra.sweep.dir=sweep"]) == 0
        client = MlflowClient(Path("mlruns").absolute().as_uri())
        [experiment] = [found for found in client.search_experiments() if found.name == "losslab"]
        runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"run", "mse", "l1"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["run"].data.params["Loss"] == "mse"
    assert runs["run"].data.metrics["val/mae"] == pytest.approx(record.curves["val/mae"][-1])
    assert runs["run"].data.metrics["test/best/mae"] == pytest.approx(record.metrics["best/test/mae"])
    assert {"val/mae", "band/val/mae/low", "band/val/mae/high"} <= runs["l1"].data.metrics.keys()


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="needs Weights & Biases")
def test_wandb_holds_a_run_and_the_means_of_a_sweep_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: Quick
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quick("logger=wandb")
        assert train.train([*SWEEP, "logger=wandb", "loss=mse,l1", "hydra.sweep.dir=sweep"]) == 0
    assert len(list(Path("runs/wandb").glob("offline-run-*"))) == 3
