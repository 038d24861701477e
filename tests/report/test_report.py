"""The report of known records: what the terminal shows, which files there are, what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from losslab import Record
from losslab.cli import main
from losslab.report import collect, export, terminal
from losslab.report.analysis import find
from support.made_up_studies import asked, conducted, sweep

KNOWN = sweep(
    ("mse", 0, 2.0, 0.2), ("mse", 1, 4.0, 0.2), ("l1", 0, 1.0, 0.2), ("l1", 1, None, 0.2), ("mse", 0, 0.5, 0.0)
)


def printed(records: list[Record]) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        made = collect.results(records)
        terminal.show(made, find(made), console)
    return captured.get()


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")]


def test_a_sweep_is_shown_at_both_epochs_with_what_went_wrong() -> None:
    text = printed(KNOWN)
    assert rows(text) == [
        ["no outliers", "", ""],
        ["mse", "1  0.500", "1  1.000"],
        ["20 % outliers", "", ""],
        ["mse", "1  3 [−10, 16]", "1  6 [−19, 31]"],  # noqa: RUF001
        ["l1", "2  1, 1 not done", "2  2, 1 not done"],
    ]
    assert "1 run diverged; the report lists them." in text
    assert "cannot" in text, "two seeds support no claim"


def test_a_study_is_shown_at_both_rates() -> None:
    """l1 is the better at the shared rate, mse at its own, which the made-up figures make better the higher it is."""

    def mae(request: dict[str, Any]) -> float:
        lr = request["optimizer"]["lr"]
        return 1.0 if request["loss"]["name"] == "l1" else 0.5 if lr > 0.01 else 2.0

    text = printed(conducted(asked("study.seeds=6", "study.tuning.widen=0"), mae))
    header = next(line for line in text.splitlines() if "tuned rates" in line and "┃" in line)
    assert "shared rate" in header
    assert rows(text) == [
        ["mse", "1  0.500 [0.500, 0.500]", "2  2.000 [2.000, 2.000]"],
        ["l1", "2  1.000 [1.000, 1.000]", "1  1.000 [1.000, 1.000]"],
    ]
    assert "At the shared rate" in text


def written(records: list[Record], folder: Path) -> Path:
    for number, each in enumerate(records):
        (folder / f"{number:03}").mkdir(parents=True)
        each.write(folder / f"{number:03}")
    return folder


def test_the_command_writes_every_form_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(KNOWN, tmp_path / "sweep")
    assert main.main(["report", str(folder)]) == 0
    out = capsys.readouterr().out
    assert f"tensorboard --logdir {folder}" in out
    for name in ("report.html", "report.md", "records.parquet", "records.csv"):
        assert (folder / name).stat().st_size > 0
    kept, text = pd.read_parquet(folder / "records.parquet"), pd.read_csv(folder / "records.csv")
    wanted = sorted((r.loss, r.seed, r.config["corruption"]["fraction"]) for r in KNOWN)
    for table in (kept, text):
        assert sorted(zip(table["loss"], table["seed"], table["config.corruption.fraction"], strict=True)) == wanted
    assert "test/mae" in " ".join(kept.columns)


@pytest.mark.slow
def test_the_report_of_a_study_is_made_from_its_records_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(conducted(asked("study.seeds=2", "study.question=Which one?")), tmp_path / "study")
    assert main.main(["report", str(folder)]) == 0
    assert "Which one?" in (folder / "report.html").read_text()
    assert "Which one?" in (folder / "report.md").read_text()
    table = pd.read_parquet(folder / "records.parquet")
    assert set(table["study.phase"]) == {"tune", "confirm"}
    assert set(table["study.loss"]) == {"mse", "l1"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metric", "maee"], "did you mean 'mae'"),
        (["--reference", "huber"], "one of the losses compared"),
    ],
)
def test_what_the_records_do_not_have_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(KNOWN, tmp_path / "sweep")
    assert main.main(["report", str(folder), *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_copy_of_a_run_is_refused_unless_mixing_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written([*KNOWN, KNOWN[0]], tmp_path / "sweep")
    assert main.main(["report", str(folder)]) == 2
    assert "is there twice" in capsys.readouterr().err
    assert main.main(["report", str(folder), "--mix"]) == 0
    assert "1 copies of runs are left out." in capsys.readouterr().out


def test_an_empty_folder_is_answered_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["report", str(tmp_path / "nothing")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "no records below" in err


@pytest.mark.slow
def test_torn_files_are_named_and_the_rest_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(KNOWN, tmp_path / "sweep")
    path = sorted(folder.rglob("record.json"))[0]
    path.write_text(path.read_text()[:100])
    (folder / "study.yaml").write_text("nonsense: 1")
    assert main.main(["report", str(folder)]) == 0
    out = capsys.readouterr().out.replace("\n", "")
    assert f"1 corrupt record was left out (first: {path})" in out
    assert "study.yaml is corrupt and was not read" in out
    for path in folder.rglob("record.json"):
        path.write_bytes(b"")
    assert main.main(["report", str(folder)]) == 2
    err = capsys.readouterr().err
    assert f"{len(KNOWN)} corrupt records were left out" in err
    assert err.count("\n") == 1


def test_a_column_of_several_types_or_of_huge_numbers_is_text(tmp_path: Path) -> None:
    (first,) = sweep(("l1", 0, 1.0, 0.0))
    values = (3, "auto", None)
    records = [replace(first, loss_params={"delta": value, "count": 10**30, "whole": 1}) for value in values]
    made = pd.read_parquet(export.save(records, tmp_path / "records.parquet"))
    assert made["loss_params.delta"].dropna().tolist() == ["3", "auto"]
    assert made["loss_params.count"].tolist() == [str(10**30)] * 3
    assert made["loss_params.whole"].tolist() == [1] * 3
