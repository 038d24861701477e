"""`losslab report A B`: several folders as one report."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from losslab import Record, compose
from losslab.cli import main
from support.made_up_studies import sweep

MADE = sweep(*((loss, seed, value + seed / 10, 0.0) for loss, value in (("mse", 2.0), ("l1", 1.0)) for seed in (0, 1)))
RUNS = [replace(made, metrics=made.metrics | {"best/val/mae": made.metrics["best/test/mae"]}) for made in MADE]


def written(records: list[Record], folder: Path) -> Path:
    for number, each in enumerate(records):
        (folder / f"{number:03}").mkdir(parents=True)
        each.write(folder / f"{number:03}")
    return folder


def reported(folder: Path) -> list[tuple[str, int]]:
    table = pd.read_parquet(folder / "records.parquet")
    return sorted(zip(table["loss"], table["seed"], strict=True))


def test_runs_of_several_folders_make_one_report_in_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = written(RUNS[:3], tmp_path / "a"), written(RUNS[2:], tmp_path / "b")
    assert main.main(["report", str(first), str(second), str(first)]) == 0
    out = capsys.readouterr().out
    assert reported(first) == [("l1", 0), ("l1", 1), ("mse", 0), ("mse", 1)]
    assert f"Report:      {first / 'report.html'}" in out
    assert "4 runs are in several of the folders and counted once." in out.replace("\n", " ")
    assert not list(second.glob("report*"))


def test_the_report_of_several_folders_may_go_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = written(RUNS[:2], tmp_path / "a"), written(RUNS[2:], tmp_path / "b")
    assert main.main(["report", str(first), str(second), "--out", str(tmp_path / "new" / "both")]) == 0
    assert f"Report:      {tmp_path / 'new' / 'both' / 'report.html'}" in capsys.readouterr().out
    assert len(reported(tmp_path / "new" / "both")) == 4
    assert not list(first.glob("report*"))


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_a_run_that_is_in_both_the_one_that_ended_counts(
    order: tuple[int, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = replace(RUNS[0], status="failed", reason="the disk was full", metrics={})
    folders = written([failed], tmp_path / "0"), written(RUNS, tmp_path / "1")
    assert main.main(["report", *(str(folders[number]) for number in order), "--out", str(tmp_path / "out")]) == 0
    assert set(pd.read_parquet(tmp_path / "out" / "records.parquet")["status"]) == {"done"}
    assert "1 run is in several" in capsys.readouterr().out


def test_what_cannot_be_put_together_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = written(RUNS, tmp_path / "a")
    other = written([Record.of(compose("task=bbox"), "done")], tmp_path / "b")
    for words, said in (
        ([first, other], "different tasks (bbox, regression)"),
        ([first, tmp_path / "nowhere"], f"no records below {tmp_path / 'nowhere'}"),
    ):
        assert main.main(["report", *map(str, words), "--out", str(tmp_path / "out")]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_report_names_the_best_run_and_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = written(RUNS[:2], tmp_path / "a"), written(RUNS[2:], tmp_path / "b")
    best = min(RUNS, key=lambda record: record.metrics["best/val/mae"])
    assert main.main(["report", str(first), str(second)]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = next(number for number, line in enumerate(lines) if line.startswith("Best run: "))
    assert f"{best.loss}, seed {best.seed}: " in lines[named]
    where = (tmp_path / ("a" if best in RUNS[:2] else "b")) / f"{RUNS.index(best) % 2:03}"
    assert lines[named + 1] == f"  {where}"
