"""What a notebook calls: arrays, frames and files give the same; results are there to be read, drawn and saved."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import losslab
from losslab import api
from losslab.cli.main import main
from losslab.errors import BadRequest
from losslab.stats import margins

N = 240
RNG = np.random.default_rng(9)
X = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.choice(["u", "v"], N), "who": RNG.integers(0, 30, N)})
Y = (2 * X["a"] + (X["b"] == "u") + RNG.standard_t(2, N)).round(3)
SMALL = [
    "trainer.max_epochs=2",
    "trainer=cpu",
    "logger=none",
    "fused.size=100",
]  # its measured size depends on the load
FEW: dict[str, Any] = {"seeds": 7, "trials": 2, "options": SMALL, "progress": False}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> losslab.Comparison:
    return losslab.compare(X, Y, ["mse", "l1", "huber(delta=1)"], store=tmp_path_factory.mktemp("api") / "s", **FEW)


@pytest.mark.slow
def test_the_examples_of_docstrings_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for module in (api, margins):
        found = doctest.testmod(module)
        assert found.attempted
        assert found.failed == 0


def test_everything_is_in_dir() -> None:
    assert {"compare", "train", "losses", "read_records", "register", "compose"} <= set(dir(losslab))
    for name in dir(losslab):
        assert getattr(losslab, name) is not None


def test_the_answer_can_be_read_in_every_form(found: losslab.Comparison, tmp_path: Path) -> None:
    assert "test MAE" in found.answer
    assert found.best.loss in ("mse", "l1", "huber(delta=1)")
    frame = found.frame()
    assert len(frame) == 21
    assert set(frame["status"]) == {"done"}
    assert list(zip(found.pairs()["loss"], found.pairs()["other"], strict=True)) == [
        ("mse", "l1"),
        ("mse", "huber(delta=1)"),
        ("l1", "huber(delta=1)"),
    ]
    assert found.failures.empty
    page = found.save(tmp_path / "report.html").read_text()
    assert "huber(delta=1)" in page
    short = found._repr_html_()
    assert len(short) < 20_000
    assert "<table" in short
    for kind in ("ranking", "pairs", "curves"):
        assert found.plot(kind).data
    with pytest.raises(BadRequest, match="takes a study with an axis"):
        found.plot("robustness")
    with pytest.raises(BadRequest, match="There is no plot 'rank'"):
        found.plot("rank")


def test_the_best_loss_is_a_function_and_code(found: losslab.Comparison) -> None:
    function = found.best.function()
    assert function(torch.zeros(3, 1), torch.ones(3, 1)) > 0
    code = found.snippet
    worse = [row for row in found.pairs().to_dict("records") if row["verdict"] in ("better", "worse")]
    assert found.decided == any(found.best.loss in (row["loss"], row["other"]) for row in worse)
    assert "class_weights" not in code, "a setting that does nothing is left out"
    names: dict[str, Any] = {
        "model": torch.nn.Linear(4, 1),
        "batches": [(torch.randn(8, 4), torch.randn(8, 1))],
        "train_targets": torch.randn(50, 1),
    }
    exec(compile(code, "snippet", "exec"), names)
    assert torch.isfinite(names["loss"])


def test_the_settings_of_the_best_loss_are_those_of_its_best_run(found: losslab.Comparison) -> None:
    """Also where its metric on validation is 0, the best that an error can be."""
    runs = [one for one in found.records if one.study and one.study["phase"] == "confirm"]
    for chosen in runs:
        if chosen.loss != found.best.loss.split("(")[0]:
            continue
        marked = replace(
            chosen, metrics=chosen.metrics | {"best/val/mae": 0.0}, optimizer=chosen.optimizer | {"lr": 0.125}
        )
        records = [marked if one is chosen else one for one in found.records]
        best = losslab.Comparison(found.question, found.study, records, found.folder)
        best.__dict__.update(results=found.results, findings=found.findings)
        assert best.best.lr == 0.125


def test_a_word_is_no_list_of_losses() -> None:
    with pytest.raises(BadRequest, match=r"losses is a list.*\['mse', 'l1'\]"):
        losslab.compare(X, Y, "l1", **FEW)


def test_nothing_is_trained_twice_or_printed(found: losslab.Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    again = losslab.compare(X, Y, ["mse", "l1", "huber(delta=1)"], store=found.folder, **FEW)
    assert again.answer == found.answer
    assert sum(record.seconds["total"] for record in again.records) == sum(r.seconds["total"] for r in found.records)
    assert capsys.readouterr() == ("", "")


def metrics(records: Any) -> dict[str, Any]:
    return {
        f"{record.study['phase']} {record.study['loss']} {record.seed} {record.optimizer['lr']}": record.metrics
        for record in records
    }


@pytest.mark.slow
def test_library_command_and_hydra_give_the_same_records_to_the_bit(
    found: losslab.Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    X.assign(price=Y).to_csv("table.csv", index=False)
    typed = ["--losses", "mse", "l1", "huber(delta=1)", "--seeds", "7", "--trials", "2", "--out", "byhand"]
    assert main(["compare", "table.csv", "--target", "price", *typed, *SMALL]) == 0
    question = losslab.request.own_data.ask(
        Path("table.csv"),
        losslab.request.own_data.Options(
            target="price", losses=["mse", "l1", "huber(delta=1)"], seeds=7, trials=2, words=SMALL
        ),
    )
    assert main(["train", "study=fair", *question.words, *question.study, "hydra.sweep.dir=hydra"]) == 0
    mine = metrics(found.records)
    assert mine == metrics(losslab.read_records(Path("byhand")))
    assert mine == metrics(losslab.read_records(Path("hydra")))


@pytest.mark.slow
def test_arrays_frames_and_names_are_taken(tmp_path: Path) -> None:
    values = X[["a", "who"]].to_numpy()
    asked: Any = dict(FEW, store=tmp_path / "a")
    by_array = losslab.compare(values, Y.to_numpy(), ["mse", "l1"], groups=X["who"].to_numpy(), **asked)
    assert by_array.question.target == "y"
    assert "group" in " ".join(by_array.question.words)
    frame = X.assign(y=Y)
    by_name = losslab.compare(frame, "y", ["mse", "l1"], groups="who", **dict(FEW, store=tmp_path / "n"))
    assert by_name.question.target == "y"


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 2, 2)), np.zeros(4), "has one value, so there is nothing to learn"),
        (X, np.zeros(3), "y must have one value for each of the 240 rows"),
        (X, None, "y is missing"),
        (X, "z", "there is no column 'z'"),
        ("gone.csv", "y", "there is no such file"),
        ("gone.csv", np.zeros(3), "With a path, y is the name of a column"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, x: Any, y: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        losslab.compare(x, y, ["mse", "l1"], **dict(FEW, store=tmp_path / "s"))
    assert not (tmp_path / "s").exists(), "nothing is written"


def test_a_function_is_a_loss_like_any(tmp_path: Path) -> None:
    def fair_loss(pred: Any, target: Any, *, c: float = 1.3998) -> Any:
        size = (pred - target).abs() / c
        return c**2 * (size - (1 + size).log())

    try:
        found = losslab.compare(X, Y, ["mse", fair_loss], **dict(FEW, store=tmp_path / "s"))
        assert {record.loss for record in found.records} == {"mse", "fair_loss"}
        assert any("source/loss/fair_loss" in record.pairing for record in found.records)
    finally:
        losslab.register.forget("loss", "fair_loss")


def test_one_run(tmp_path: Path) -> None:
    record = losslab.train("data.rows=200", *SMALL, store=tmp_path / "run", progress=False)
    assert record.status == "done"
    assert losslab.train("data.rows=200", *SMALL, store=tmp_path / "run", progress=False) == record
