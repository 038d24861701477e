"""The page of the study of splits says what its records say."""

import re
from pathlib import Path

import pandas as pd
import pytest
from split_schemes import study

HERE = Path(study.__file__).parent


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return pd.read_parquet(HERE / "runs.parquet")


def test_its_tables_are_those_of_the_records(runs: pd.DataFrame) -> None:
    text = (HERE / "README.md").read_text()
    for block in study.page(runs).split("\n\n"):
        assert block in text


def test_its_records_come_from_one_clean_commit_and_are_whole(runs: pd.DataFrame) -> None:
    assert runs["commit"].nunique() == 1
    assert re.fullmatch(r"[0-9a-f]{12}", runs["commit"].iloc[0]), "no + of uncommitted changes"
    for (table, scheme), block in runs.groupby(["table", "scheme"]):
        counts = block.groupby("loss")["seed"].nunique()
        assert set(counts) == {study.SEEDS}, (table, scheme)
    assert set(runs.groupby("table")["scheme"].nunique()) == {len(study.SCHEMES)}


def test_regret_is_zero_where_the_best_is_the_same_and_positive_elsewhere() -> None:
    values = {
        "random": {"a": 1.0, "b": 2.0},
        "again": {"a": 1.0, "b": 2.0},
        "group": {"a": 3.0, "b": 2.0},
        "time": {"a": 1.0, "b": 1.5},
    }
    rows = [
        {"table": "t", "scheme": scheme, "loss": loss, "seed": seed, "value": value + 0.01 * seed, "metric": "mae", "overlap": 0.2}
        for scheme, losses in values.items()
        for loss, value in losses.items()
        for seed in range(6)
    ]  # fmt: skip
    made = study.regret(pd.DataFrame(rows)).set_index("scheme")
    assert made.loc["again", "percent"] == 0
    assert made.loc["group", "best"] == "b"
    assert made.loc["group", "percent"] == pytest.approx(100 / 2.025)
    assert study.best(pd.DataFrame(rows))["best"].tolist() == ["a", "a", "b", "a"]
