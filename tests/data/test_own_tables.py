"""data=table: nothing is fitted outside the training rows, shapes do not depend on the seed, and runs train to the end."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from losslab import compose
from losslab.data import encoding, load
from losslab.errors import BadRequest
from losslab.request.own_data import Options, ask
from losslab.training.run import run

N = 300


def made(rows: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "area": rng.lognormal(4, 1, rows).round(2),
            "rooms": rng.integers(1, 8, rows),
            "city": rng.choice(["Rome", "Oslo", "Bonn", "Bern"], rows),
            "sold": pd.date_range("2020-01-01", periods=rows).strftime("%Y-%m-%d"),
            "notes": [" ".join(rng.choice(["old", "new", "quiet", "near", "view", "sea"], 6)) for _ in range(rows)],
            "who": rng.integers(0, 40, rows),
            "w": rng.integers(1, 4, rows),
        }
    )
    frame["price"] = (1000 * frame["area"] + 5000 * frame["rooms"] + rng.normal(0, 500, rows)).round(2)
    frame.loc[::11, "area"] = np.nan
    frame.loc[::13, "city"] = None
    return frame


def saved(frame: pd.DataFrame, folder: Path, name: str = "t.csv") -> Path:
    frame.to_csv(folder / name, index=False)
    return folder / name


def request(path: Path, *words: str, task: str = "regression", target: str = "price") -> dict[str, Any]:
    return compose(
        f"task={task}",
        "data=table",
        f"data.path={path}",
        f"data.target={target}",
        "trainer=cpu",
        "logger=none",
        "trainer.max_epochs=2",
        *words,
    )


def test_a_task_brings_no_corruption_to_a_file_of_the_users(tmp_path: Path) -> None:
    path = saved(made(), tmp_path)
    assert request(path)["corruption"]["name"] == "none"
    assert request(path, "corruption=outliers")["corruption"]["name"] == "outliers"


@pytest.mark.parametrize("seed", [0, 1])
def test_training_inputs_do_not_depend_on_other_rows(tmp_path: Path, seed: int) -> None:
    frame = made()
    asked = request(saved(frame, tmp_path))
    before, split = load(asked["data"], seed, "regression")
    others = torch.cat([split["val"], split["test"]]).numpy()
    frame.loc[others, "area"] = frame.loc[others, "area"] * 1e6
    frame.loc[others, "rooms"] = 99
    frame.loc[others, "city"] = "Rome"
    frame.loc[others, "sold"] = "1999-12-31"
    frame.loc[others, "notes"] = "quite other words that nobody has seen before at all"
    after, same = load(request(saved(frame, tmp_path, "u.csv"))["data"], seed, "regression")
    assert all(torch.equal(split[part], same[part]) for part in split)
    torch.testing.assert_close(before.inputs[split["train"]], after.inputs[split["train"]], rtol=0, atol=0)
    assert not torch.equal(before.inputs[split["test"]], after.inputs[split["test"]])


@pytest.mark.slow
def test_inputs_have_one_shape_for_all_seeds_and_stay_in_bounds(tmp_path: Path) -> None:
    frame = made()
    frame.loc[5, "city"] = "a village"  # one row alone: in some seeds no training row has it
    asked = request(saved(frame, tmp_path))
    found = [load(asked["data"], seed, "regression")[0].inputs for seed in range(8)]
    assert len({tuple(one.shape) for one in found}) == 1
    for inputs in found:
        assert torch.isfinite(inputs).all()
        assert inputs.abs().max() < 30


def test_runs_of_one_split_share_their_inputs(tmp_path: Path) -> None:
    asked = request(saved(made(), tmp_path))["data"]
    one, two = load(asked, 0, "regression")[0], load(asked | {"batch_size": 16}, 0, "regression")[0]
    assert one.inputs is two.inputs


def test_encoding_holds_its_inputs_once(tmp_path: Path) -> None:
    """The most memory that it takes, inputs included; blocks that are joined at the end take twice theirs."""
    rng = np.random.default_rng(0)
    rows = 30_000
    frame = pd.DataFrame({f"x{n}": rng.normal(size=rows) for n in range(5)})
    frame = frame.assign(**{f"c{n}": rng.integers(0, 20, rows).astype(str) for n in range(4)})
    used = {name: "number" if name[0] == "x" else "category" for name in frame}
    encode = encoding.encoder(encoding.columns_as_read(frame, used), used, 20)
    encode(torch.arange(100))  # imports
    tracemalloc.start()
    try:
        inputs = encode(torch.arange(rows))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert inputs.shape == (rows, 85)
    assert most < 1.6 * inputs.numel() * inputs.element_size()


def test_rare_values_are_taken_together(tmp_path: Path) -> None:
    frame = made().assign(city=[f"c{n % 90}" for n in range(N)])
    only = "data.drop=[area,rooms,sold,notes,who,w]"
    wide = load(request(saved(frame, tmp_path), only)["data"], 0, "regression")[0].inputs
    narrow = load(request(tmp_path / "t.csv", only, "data.levels=5")["data"], 0, "regression")[0].inputs
    assert wide.shape[1] == 30
    assert narrow.shape[1] == 5
    assert set(narrow.sum(1).tolist()) == {1.0}


@pytest.mark.slow
def test_groups_times_parts_and_weights_reach_the_run(tmp_path: Path) -> None:
    frame = made()
    frame["part"] = ["train"] * 200 + ["val"] * 50 + ["test"] * 50
    path = saved(frame, tmp_path)
    data, split = load(request(path, "data.group=who")["data"], 0, "regression")
    groups = frame["who"].to_numpy()
    assert not set(groups[split["train"]]) & set(groups[split["test"]])
    _, split = load(request(path, "data.time=sold")["data"], 3, "regression")
    assert split["train"].max() < split["val"].min()
    assert split["val"].max() < split["test"].min()
    _, split = load(request(path, "data.parts=part")["data"], 3, "regression")
    assert split["test"].tolist() == list(range(250, 300))
    data, _ = load(request(path, "data.row_weight=w")["data"], 0, "regression")
    assert data.weights is not None
    assert data.weights.tolist() == frame["w"].tolist()


@pytest.mark.slow
def test_rows_of_a_second_file_are_the_test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = made(), made(60, seed=1)
    path, test = saved(first, tmp_path), saved(second[second.columns[::-1]], tmp_path, "holdout.csv")
    data, split = load(request(path, f"data.test_path={test}")["data"], 3, "regression")
    assert split["test"].sort().values.tolist() == list(range(N, N + 60))
    assert data.targets[N:, 0].tolist() == pytest.approx(second["price"].tolist(), rel=1e-6)
    alone, _ = load(request(path)["data"], 3, "regression")
    assert data.inputs.shape[1] == alone.inputs.shape[1], "where a row came from is no input"
    question = ask(path, Options(target="price", words=(f"data.test_path={test}",)))
    assert "the rows of holdout.csv are for testing" in question.split
    assert question.rows == N + 60
    for broken, said in (
        (second.drop(columns="rooms"), "holdout.csv has no column 'rooms'"),
        (second.assign(rooms="many"), "Column 'rooms' holds numbers in .*t.csv and not in .*holdout.csv"),
    ):
        saved(broken, tmp_path, "holdout.csv")
        with pytest.raises(BadRequest, match=said):
            ask(path, Options(target="price", words=(f"data.test_path={test}",)))
    with pytest.raises(BadRequest, match=r"data.test_path=none.csv: there is no such file"):
        request(path, "data.test_path=none.csv")
    saved(second, tmp_path, "holdout.csv")
    with pytest.raises(BadRequest, match="leave one away"):
        load(request(path, f"data.test_path={test}", "data.parts=city")["data"], 0, "regression")


def test_weights_decide_what_is_learnt(tmp_path: Path) -> None:
    frame = made().assign(w=lambda table: (table["price"] < table["price"].median()).astype(int))
    low = run(request(saved(frame, tmp_path), "data.row_weight=w", "trainer.max_epochs=15"), tmp_path / "w")
    even = run(request(tmp_path / "t.csv", "data.drop=[w]", "trainer.max_epochs=15"), tmp_path / "e")
    assert "weights" in low.pairing
    assert "weights" not in even.pairing
    assert low.metrics["last/test/rmse"] > even.metrics["last/test/rmse"]


@pytest.mark.parametrize(
    ("task", "target"),
    [
        ("regression", "price"),
        ("quantiles", "price"),
        ("counts", "rooms"),
        ("binary", "big"),
        ("multiclass", "kind"),
        ("ordinal", "rooms"),
    ],
)
def test_runs_of_every_task_train_to_the_end(tmp_path: Path, task: str, target: str) -> None:
    frame = made()
    frame["big"] = np.where(frame["price"] > frame["price"].median(), "yes", "no")
    frame["kind"] = pd.qcut(frame["price"], 3, labels=["low", "mid", "high"]).astype(str)
    record = run(request(saved(frame, tmp_path), task=task, target=target), tmp_path / "run")
    assert record.status == "done"
    assert "source/data" in record.pairing


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = saved(made(), tmp_path)
    asked = request(path)
    first = load(asked["data"], 0, "regression")[0].fingerprint
    saved(made(seed=1), tmp_path)
    assert load(asked["data"], 0, "regression")[0].fingerprint != first


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        ({}, ["data.group=whom"], r"t.csv: There is no column 'whom' \(did you mean 'who'\?\)"),
        ({"price": ["x", *range(N - 1)]}, [], r"t.csv: Column 'price', row 1: 'x' is no number"),
        (
            {"sold": ["never", *["2020-01-01"] * (N - 1)]},
            ["data.time=sold"],
            r"Column 'sold', row 1: 'never' is no date",
        ),
        ({"who": [None, *range(N - 1)]}, ["data.group=who"], r"Column 'who', row 1 is empty"),
        ({"who": [0] * N}, ["data.group=who"], "The rows belong to 1 group"),
        ({"w": [-1, *range(N - 1)]}, ["data.row_weight=w"], r"Column 'w', row 1: a weight is a finite number"),
        ({"w": ["holdout", *["train"] * (N - 1)]}, ["data.parts=w"], r"Column 'w', row 1: 'holdout' is no part"),
        ({"w": ["train"] * N}, ["data.parts=w"], "names no row for testing"),
        ({}, ["data.path=gone.csv"], "there is no such file"),
        ({}, ["data.path=''"], "needs data.path"),
        ({}, ["data.levels=1"], "data.levels must be at least 2"),
        ({}, ["model=cnn"], "reads picture data and 'table' is a table"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path: Path, change: dict[str, Any], words: list[str], message: str
) -> None:
    path = saved(made().assign(**change), tmp_path)
    with pytest.raises(BadRequest, match=message):
        run(request(path, *words), tmp_path / "run")
    assert not (tmp_path / "run").exists()
