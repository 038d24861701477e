"""`losslab runs`: runs listed, compared and removed."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from losslab import Record
from losslab.cli import main
from losslab.records.locks import STUDY
from losslab.records.run_folder import write_config
from losslab.schema import canonical
from support.lock_holders import another_process_holds
from support.made_up_studies import sweep

Result = tuple[int, str, str]
RECORDS = sweep(("mse", 0, 2.0, 0.0), ("l1", 1, 1.5, 0.2), ("l1", 2, None, 0.2))


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """`typed("compare", "A", "B")`: what `losslab runs compare A B` gives: status, stdout, stderr; no terminal reads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", StringIO())

    def call(*words: str | Path) -> Result:
        status = main.main(["runs", *map(str, words)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three runs below runs/sweep, as a sweep leaves them."""
    return [written(record, tmp_path / "runs" / "sweep") for record in RECORDS]


def written(record: Record, below: Path) -> Path:
    folder = below / canonical.run_id(record.config)
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.ckpt").touch()
    write_config(folder, record.config)
    record.write(folder)
    return folder


def refused(result: Result, said: str) -> None:
    status, out, err = result
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_runs_are_listed_in_eighty_columns_for_people_and_whole_for_scripts(typed, runs: list[Path]) -> None:
    status, out, _ = typed()
    assert status == 0
    lines = out.splitlines()
    assert len(lines) == 5
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["status", "loss", "seed", "test", "metric", "when", "folder"]
    for folder, record in zip(runs, RECORDS, strict=True):
        (line,) = (line for line in lines if line.rstrip().endswith(folder.name[-8:]))
        assert line.split()[:3] == [record.status, record.loss, str(record.seed)]
    assert "mae 1.5 " in out
    assert lines[-1] == "3 runs below runs"
    given = json.loads(typed("--json")[1])
    assert {row["folder"] for row in given} == {str(folder.relative_to(Path.cwd())) for folder in runs}
    of_mse = next(row for row in given if row["loss"] == "mse")
    assert (of_mse["status"], of_mse["seed"], of_mse["metric"], of_mse["value"]) == ("done", 0, "mae", 2.0)
    table = list(csv.DictReader(StringIO(typed("runs/sweep", "--csv")[1])))
    assert [(row["status"], row["value"]) for row in table if row["loss"] == "l1"] != []
    assert {row["status"] for row in table} == {"done", "diverged"}


def test_runs_without_a_record_are_listed_as_they_stand(typed, tmp_path: Path, runs: list[Path]) -> None:
    for folder in runs[:2]:
        (folder / "record.json").unlink()
    (runs[2] / "record.json").write_text("{")
    (tmp_path / "runs" / "other").mkdir()
    (tmp_path / "runs" / "other" / "config.yaml").write_text("mine: 1")
    with another_process_holds(runs[0]):
        status, out, _ = typed("--json")
    assert status == 0
    found = {Path(row["folder"]).name: row["status"] for row in json.loads(out)}
    assert found == {folder.name: kind for folder, kind in zip(runs, ("running", "stopped", "corrupt"), strict=True)}


def test_two_runs_are_compared_in_settings_and_metrics(typed, runs: list[Path]) -> None:
    status, out, _ = typed("compare", runs[0], runs[1].name[-8:])
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["loss", "mse", "l1"] in rows
    assert ["seed", "0", "1"] in rows
    assert ["corruption.fraction", "0.0", "0.2"] in rows
    assert not any(row[:1] == ["optimizer.lr"] for row in rows), "what is the same is left out"
    assert ["best/test/mae", "2", "1.5", "-0.5"] in rows
    same = typed("compare", runs[0], runs[0])[1]
    assert "Their settings are the same." in same
    refused(typed("compare", runs[0]), "compare RUN RUN")
    refused(typed("compare", runs[0], "nothing_there"), "There is no folder nothing_there")
    refused(typed("nowhere"), "There is no folder nowhere.")
    refused(typed("runs", "runs"), "none of compare, remove and extract")


def test_runs_are_removed_when_that_is_confirmed(typed, runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    refused(typed("remove", runs[0]), "Add --yes to remove")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for said, gone in (("", False), ("n", False), ("y", True)):
        monkeypatch.setattr("builtins.input", lambda _, said=said: said)
        assert typed("remove", runs[0])[0] == 0
        assert runs[0].exists() != gone
    assert typed("remove", "runs/sweep", "--yes")[0] == 0
    assert not Path("runs/sweep").exists()


def test_only_what_losslab_left_is_removed(typed, tmp_path: Path, runs: list[Path]) -> None:
    (runs[0] / "notes.txt").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("a: 1")
    refused(typed("remove", runs[0], "mine", "--yes"), "mine holds no run of losslab")
    assert (runs[0] / "record.json").exists(), "all or none"
    status, out, _ = typed("remove", runs[0], "--yes")
    assert status == 0
    assert f"{runs[0]} stays" in out
    assert [path.name for path in runs[0].iterdir()] == ["notes.txt"]
    assert (tmp_path / "mine" / "config.yaml").exists()
    assert runs[1].exists()


def test_what_a_process_holds_is_not_removed(typed, runs: list[Path]) -> None:
    with another_process_holds(runs[1]):
        refused(typed("remove", *runs, "--yes"), f"{runs[1]} is locked by process")
    with another_process_holds(runs[0].parent / "study.yaml", STUDY):
        refused(typed("remove", runs[2], "--yes"), "is locked by process")
    assert all((folder / "record.json").exists() for folder in runs)
    assert typed("remove", *runs, "--yes")[0] == 0


def test_a_short_end_of_a_name_removes_nothing(typed, runs: list[Path]) -> None:
    end = runs[0].name[-4:]
    refused(typed("remove", end, "--yes"), f"There is no folder {end}")
    twice = written(replace(RECORDS[0]), Path("runs/again"))
    refused(typed("remove", twice.name, "--yes"), "the names of 2 runs end so")
    assert typed("remove", f"again/{twice.name}", "--yes")[0] == 0
    assert runs[0].exists()
