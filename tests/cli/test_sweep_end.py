"""The end of a sweep: the folder that it goes into by default, and what it prints."""

import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

from losslab import compose, read_records
from losslab.cli import messages, train
from losslab.records.record import Record
from losslab.report import sweep_end
from losslab.request.command import SweepRequest, check_command

SMALL = "data.rows=100 data.batch_size=16 trainer.max_epochs=1 trainer=cpu logger=none"
Result = tuple[int, str, str]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])

    def call(line: str) -> Result:
        GlobalHydra.instance().clear()
        status = train.train(line.split())
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def folder_of(line: str) -> Path:
    asked = check_command(line.split(), multirun=True)
    assert isinstance(asked, SweepRequest)
    return asked.folder


@pytest.mark.slow
def test_a_sweep_goes_into_a_folder_of_its_own_and_goes_on_there(typed, tmp_path: Path) -> None:
    assert typed(f"-m loss=mse,l1 seed=0,1 {SMALL}")[0] == 0
    (sweep,) = (tmp_path / "runs").iterdir()
    assert sweep.name.startswith("sweep-regression-friedman-l1_mse-")
    assert len(read_records(sweep)) == 4
    status, out, _ = typed(f"-m seed=1,0 {SMALL} loss=l1,mse task=regression overwrite=false logger=tensorboard")
    assert (status, "4 had finished already and were not repeated." in out) == (0, True)
    assert typed(f"-m loss=mse,l1 seed=0,1,2 {SMALL} hydra.sweep.dir=runs")[0] == 0, "a folder that is named is kept"
    assert len(read_records(tmp_path / "runs")) == 4 + 6
    assert len(list((tmp_path / "runs").glob("sweep-*"))) == 1


@pytest.mark.slow
def test_the_default_folder_follows_from_the_runs_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    base = folder_of("loss=huber,l1 corruption.fraction=0,0.1 seed=range(0,20)")
    assert len(f"Next:   losslab report {base}") <= 80
    assert re.fullmatch(r"[\w.+-]+-[0-9a-f]{8}", base.name)
    for same in (
        "seed=range(0,20) corruption.fraction=0.10,0.0 loss=l1,huber",
        "loss=huber,l1 corruption.fraction=0,0.1 seed=range(0,20) overwrite=true logger=none fused.size=1",
        "task=regression data=friedman loss=huber,l1 corruption.fraction=0,0.1 seed=range(0,20)",
    ):
        assert folder_of(same) == base, same
    for other in (
        "loss=huber,l1 corruption.fraction=0,0.1 seed=range(0,21)",
        "loss=huber,l1 corruption.fraction=0,0.2 seed=range(0,20)",
        "loss=huber,mse corruption.fraction=0,0.1 seed=range(0,20)",
        "loss=huber,l1 corruption.fraction=0,0.1 seed=range(0,20) trainer.max_epochs=3",
    ):
        assert folder_of(other) != base, other
    assert folder_of("loss=huber,l1 hydra.sweep.dir=runs") == Path("runs")
    assert folder_of("experiment=outliers_first_look") == Path("runs/outliers_first_look")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_sweep_ends_with_a_table_the_best_run_and_what_comes_next(typed, tmp_path: Path) -> None:
    status, out, err = typed(f"-m loss=mse,l1 optimizer.lr=0.01,0.0001 seed=0,1 {SMALL} hydra.sweep.dir=all")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Training 8 runs in all."
    assert "run 0" not in out
    assert sum("│ lr=" in line for line in lines) == 2, "a row for each loss, and the setting once"
    assert sum(bool(re.search("│ (mse|l1) ", line)) for line in lines) == 4
    assert max(len(line) for line in lines if not line.startswith("  ")) <= 80
    records = read_records(tmp_path / "all")
    best = min(records, key=lambda record: record.metrics["best/val/mae"])
    assert best.optimizer["lr"] == 0.01
    named = next(number for number, line in enumerate(lines) if line.startswith("Best run: "))
    assert lines[named].startswith(f"Best run: {best.loss}, lr=0.01, seed {best.seed}: MAE ")
    assert Path(lines[named + 1].strip(), "record.json").exists()
    assert [record.metrics for record in read_records(Path(lines[named + 1].strip()))] == [best.metrics]
    assert lines[-2:] == ["Folder: all", "Next:   losslab report all"]


def made(loss: str, seed: int, val: float, *words: str, status: str = "done") -> tuple[Path, Record]:
    request = compose(f"loss={loss}", f"seed={seed}", *words)
    metrics = {f"{which}/{part}/mae": val for which in ("best", "last") for part in ("val", "test")}
    chosen = {"metric": "mae", "better": "min", "validation": "clean"}
    record = Record.of(request, status, metrics=metrics, selection=chosen)
    return Path("all", f"{loss}-{seed}-{val}-{'-'.join(words)}"), record


def shown(runs: dict[Path, Record]) -> list[str]:
    console = Console(file=StringIO(), width=80)
    sweep_end.show(runs, console)
    return console.file.getvalue().splitlines()


def test_the_table_of_hundreds_of_runs_stays_a_page() -> None:
    _, one = made("l1", 0, 1.0)
    runs = {}
    for loss in ("l1", "mse", "huber"):
        for rate in range(1, 41):
            for seed in range(3):
                config = one.config | {"loss": {"name": loss}, "seed": seed}
                config["optimizer"] = one.config["optimizer"] | {"lr": rate / 1000}
                value = abs(rate - 20) + seed / 10 + {"l1": 1, "mse": 2, "huber": 3}[loss]
                metrics = {f"best/{part}/mae": value for part in ("val", "test")}
                runs[Path(f"{loss}{rate}s{seed}")] = replace(one, loss=loss, seed=seed, config=config, metrics=metrics)
    lines = shown(runs)
    assert len(lines) < 40
    assert max(map(len, lines)) <= 80
    assert "96 more rows are in the report" in " ".join(" ".join(lines).split())
    assert lines[-2].startswith("Best run: l1, lr=0.02, seed 0: MAE 1.00")
    assert lines[-1].strip() == "l120s0"


def test_the_best_run_is_named_for_each_condition_over_all_rates_and_diverged_runs_count_as_lost() -> None:
    runs = dict(
        [
            made("l1", 0, 3.0, "corruption.fraction=0", "optimizer.lr=0.1"),
            made("l1", 0, 1.0, "corruption.fraction=0", "optimizer.lr=0.2"),
            made("mse", 0, 2.0, "corruption.fraction=0", "optimizer.lr=0.1"),
            made("mse", 0, 0.5, "corruption.fraction=0", "optimizer.lr=0.2", status="diverged"),
            made("l1", 0, 5.0, "corruption.fraction=0.2", "optimizer.lr=0.1"),
            made("mse", 0, 6.0, "corruption.fraction=0.2", "optimizer.lr=0.1"),
        ]
    )
    lines = shown(runs)
    best = [line for line in lines if line.startswith("Best run: ")]
    assert [line.split(", seed")[0] for line in best] == [
        "Best run: l1, fraction=0.0, lr=0.2",
        "Best run: l1, fraction=0.2, lr=0.1",
    ]
    assert any("0 of 1" in line for line in lines)


def test_a_long_sweep_says_its_time_in_minutes_and_few_of_its_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    request = compose()
    runs = {Path(f"r{n}"): Record.of(request, "failed", f"reason {n % 20}") for n in range(100)}
    messages.report_sweep(runs, 1, [], Path("all"), 200.4)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["100 runs in 3 min 20 s: 100 failed.", "1 had finished already and was not repeated."]
    assert len(lines) < 10
