"""Known records give a known table."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from losslab import Record, cli, compose
from losslab.study import report


def record(loss: str, seed: int, mae: float | None, *overrides: str, status: str = "done") -> Record:
    request = compose(f"loss={loss}", f"seed={seed}", *overrides)
    metrics = {
        f"{which}/test/mae": float("nan") if mae is None else mae * factor
        for which, factor in (("best", 1), ("last", 2))
    }
    selection = {"metric": "mae", "better": "min", "validation": "clean"}
    return Record.of(request, status, metrics=metrics, selection=selection)


KNOWN = [
    record("mse", 0, 2.0, "corruption.fraction=0.2"),
    record("mse", 1, 4.0, "corruption.fraction=0.2"),
    record("l1", 0, 1.0, "corruption.fraction=0.2"),
    record("l1", 1, None, "corruption.fraction=0.2", status="diverged"),
    record("mse", 0, 0.5, "corruption.fraction=0.0"),
]


def printed(records: list[Record]) -> str:
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as captured:
        report.show(report.table(records), console)
    return captured.get()


def test_the_table_gives_mean_and_spread_by_loss_and_setting() -> None:
    made = report.table(KNOWN)
    assert list(made["setting"].unique()) == ["fraction=0.2", "fraction=0.0"]
    text = printed(KNOWN)
    assert "3 ± 1.4" in text
    assert "6 ± 2.8" in text
    assert "1 runs diverged" in text


def test_losses_that_differ_in_a_hyperparameter_stand_apart() -> None:
    made = report.table([record("huber", 0, 1.0, f"loss.delta={delta}") for delta in (0.5, 2.0)])
    assert list(made["loss"]) == ["huber delta=0.5", "huber delta=2.0"]
    assert set(made["setting"]) == {"all equal"}


def test_runs_that_did_not_train_are_counted_and_not_hidden() -> None:
    skipped = Record.of(compose("loss=l1"), "skipped", "does not fit")
    assert "1 runs were skipped or failed" in printed([*KNOWN, skipped])


def test_tasks_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="different tasks"):
        report.table([*KNOWN, replace(KNOWN[0], task="bbox")])
    with pytest.raises(ValueError, match="None of the 1 runs trained"):
        report.table([Record.of(compose("loss=l1"), "failed", "why")])


def test_the_command_prints_the_table_and_draws_the_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, each in enumerate(KNOWN):
        (tmp_path / str(number)).mkdir()
        each.write(tmp_path / str(number))
    assert cli.main(["report", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "3 ± 1.4" in out
    assert f"tensorboard --logdir {tmp_path}" in out
    kept = pd.read_parquet(tmp_path / "records.parquet")
    assert sorted(zip(kept["loss"], kept["seed"], kept["config.corruption.fraction"], strict=True)) == sorted(
        (r.loss, r.seed, r.config["corruption"]["fraction"]) for r in KNOWN
    )
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_folder_is_answered_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path / "nothing")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "no records below" in err


def test_a_torn_record_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = KNOWN[0].write(tmp_path)
    path.write_text(path.read_text()[:100])
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "is not a whole record" in capsys.readouterr().err


def test_what_is_not_paired_is_said() -> None:
    assert "not every loss has seed 1" in printed([KNOWN[0], KNOWN[1], KNOWN[2]])
    same, other = (replace(each, pairing={"order": order}) for each, order in ((KNOWN[0], "a"), (KNOWN[2], "b")))
    assert "the runs of seed 0 differ in order" in printed([same, other])
    assert "differ in" not in printed([same, replace(other, pairing={"order": "a"})])


def test_a_copy_of_a_run_is_not_another_seed() -> None:
    made = report.table([*KNOWN, KNOWN[0]])
    assert len(made) == len(KNOWN)
    assert "1 copies of runs were left out" in printed([*KNOWN, KNOWN[0]])
