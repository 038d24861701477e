"""The task of a target: right, or a question; never silently wrong. Each case was read by a person."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from losslab.tables import infer_task

RNG = np.random.default_rng(0)
N = 600
ASKS = ""


def whole(low: int, high: int, rows: int = N) -> np.ndarray[Any, Any]:
    return np.random.default_rng(low + 7 * high).integers(low, high + 1, rows)


def words(*values: str, rows: int = N) -> np.ndarray[Any, Any]:
    return np.random.default_rng(len(values)).choice(values, rows)


def real(name: str) -> Any:
    import sklearn.datasets as sets
    import statsmodels.api as sm

    if name in ("iris", "wine", "breast_cancer", "digits", "diabetes"):
        return getattr(sets, f"load_{name}")(return_X_y=True)[1]
    package, _, column = name.partition("/")
    return getattr(sm.datasets, package).load_pandas().data[column]


def gaps(values: Any) -> pd.Series[Any]:
    found = pd.Series(values).astype("object")
    found[::7] = None
    return found


# name of the column, its values, and the tasks that are right: the one, or "" where a person would have to ask
CASES: list[tuple[str, Any, str]] = [
    ("churn", words("yes", "no"), "binary"),
    ("survived", whole(0, 1), "binary"),
    ("survived", whole(0, 1).astype(float), "binary"),
    ("sick", whole(0, 1).astype(bool), "binary"),
    ("label", whole(0, 1) * 2 - 1, "binary"),
    ("class", whole(1, 2), "binary"),
    ("sex", words("f", "m"), "binary"),
    ("fraud", (np.arange(N) % 97 == 0).astype(int), "binary"),
    ("default", gaps(words("Y", "N")), "binary"),
    ("group", words("control", "treated"), "binary"),
    ("dose", np.where(whole(0, 1) == 1, 2.5, 0.5), "binary"),
    ("breast cancer", real("breast_cancer"), "binary"),
    ("species", words("setosa", "versicolor", "virginica"), "multiclass"),
    ("colour", words("red", "green", "blue", "black", "white"), "multiclass"),
    ("genre", gaps(words("pop", "rock", "jazz")), "multiclass"),
    ("grade", words("A", "B", "C", "D", "F"), "multiclass"),
    ("satisfied", words("very", "rather", "hardly", "not at all"), "multiclass"),
    ("cut", words("Fair", "Good", "Very Good", "Premium", "Ideal"), "multiclass"),
    ("income", words("<20k", "20k-40k", "40k-80k", ">80k"), "multiclass"),
    ("stars", words("1 star", "2 stars", "3 stars", "4 stars", "5 stars"), "multiclass"),
    ("month", words("Jan", "Feb", "Mar", "Apr", "May", "Jun"), "multiclass"),
    ("country", words(*(f"country {n}" for n in range(30))), "multiclass"),
    ("size", words("S", "M", "L", "XL"), "multiclass"),
    ("blood", words("0", "A", "B", "AB"), "multiclass"),
    ("code", words("A1", "A2", "B1", "B2"), "multiclass"),
    ("price", RNG.lognormal(5, 1, N).round(2), "regression"),
    ("log_price", RNG.normal(5, 1, N), "regression"),
    ("temperature", RNG.normal(15, 8, N).round(1), "regression"),
    ("share", RNG.random(N), "regression"),
    ("percent", (100 * RNG.random(N)).round(1), "regression"),
    ("age", RNG.integers(18, 91, N), "regression"),
    ("price", RNG.lognormal(12, 0.5, N).round(-3).astype(int), "regression"),
    ("salary", (RNG.integers(20, 200, N) * 1000), "regression"),
    ("weight", gaps(RNG.normal(70, 12, N)), "regression"),
    ("profit", RNG.normal(0, 1000, N).round(), "regression"),
    ("delay", RNG.integers(-30, 500, N), "regression"),
    ("distance", RNG.integers(1, 5000, N), "regression"),
    ("seconds", RNG.integers(100, 100000, N), "regression"),
    ("elevation", RNG.integers(-200, 4000, N), "regression"),
    ("length", pd.Series(RNG.normal(5, 1, N).round(3)).astype(str), "regression"),
    ("score", RNG.normal(500, 100, N).round(), "regression"),
    ("diabetes", real("diabetes"), "regression"),
    ("foodexp", real("engel/foodexp"), "regression"),
    ("stackloss", real("stackloss/STACKLOSS"), "regression or ask"),
    ("temperature", real("elnino/JAN"), "regression"),
    ("visits", RNG.poisson(12, N), "counts or ask"),
    ("claims", RNG.negative_binomial(1, 0.05, N), "counts"),
    ("rentals", RNG.poisson(RNG.gamma(1, 50, N)), "counts"),
    ("calls", RNG.poisson(RNG.gamma(0.7, 60, N)), "counts"),
    ("crimes", RNG.negative_binomial(1, 0.02, N), "counts"),
    ("goals", RNG.poisson(1.5, N), ASKS),
    ("children", RNG.poisson(1.1, N), ASKS),
    ("doctor visits", RNG.poisson(2.9, N), ASKS),
    ("rating", whole(1, 5), ASKS),
    ("stars", whole(1, 5).astype(float), ASKS),
    ("rating", whole(2, 10) / 2, ASKS),
    ("quality", whole(3, 9), ASKS),
    ("likert", pd.Series(whole(1, 7)).astype(str), ASKS),
    ("pclass", whole(1, 3), ASKS),
    ("stage", whole(0, 4), ASKS),
    ("severity", whole(0, 2), ASKS),
    ("rooms", whole(1, 9), ASKS),
    ("cylinders", np.random.default_rng(1).choice([4, 6, 8], N), ASKS),
    ("month", whole(1, 12), ASKS),
    ("hour", whole(0, 19), ASKS),
    ("digit", real("digits"), ASKS),
    ("iris", real("iris"), ASKS),
    ("wine", real("wine"), ASKS),
    ("twelve", np.arange(N) % 12, ASKS),
    ("year", whole(1950, 2020), ASKS),
    ("built", whole(1900, 2010).astype(float), ASKS),
    ("zip", RNG.choice(RNG.integers(10000, 99999, 40), N), ASKS),
    ("customer_id", RNG.choice(RNG.integers(1000, 9999, 80), N), ASKS),
    ("id", np.arange(N), ASKS),
    ("date", pd.date_range("2020-01-01", periods=N), ASKS),
    ("date", pd.date_range("2020-01-01", periods=N).strftime("%d.%m.%Y"), ASKS),
    ("name", [f"person {n}" for n in range(N)], ASKS),
    ("comment", [f"a long text about {n} and {n * 7 % 13}" for n in range(N)], ASKS),
    ("uuid", [f"{n * 7919:032x}" for n in range(N)], ASKS),
    ("amount", ["n/k" if n % 60 == 0 else str(n / 7) for n in range(N)], ASKS),
    ("constant", np.ones(N), ASKS),
    ("empty", [None] * N, ASKS),
    ("level", whole(0, 3) * 0.25, ASKS),
]


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 70


@pytest.mark.parametrize(("name", "values", "right"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_the_task_of_a_target_is_right_or_asked_for(name: str, values: Any, right: str) -> None:
    found = infer_task(pd.Series(values, name=name))
    task, _, ask = right.partition(" or ")
    assert found.task in ({task, ""} if ask else {task}), found
    assert name in found.why
    if not found.task and found.alternatives:
        assert set(found.alternatives) <= {"regression", "counts", "binary", "multiclass", "ordinal"}
        assert len(found.alternatives) == (3 if "ordinal" in found.alternatives else 2)


def test_ordered_categories_are_ordinal() -> None:
    words = pd.Series(["low", "high", "mid"] * 20, name="grade")
    kept = words.astype(pd.CategoricalDtype(["low", "mid", "high"], ordered=True))
    assert infer_task(kept).task == "ordinal"
    assert infer_task(words.astype("category")).task == infer_task(words).task == "multiclass"


def test_a_short_table_is_read_the_same() -> None:
    assert infer_task(pd.Series(["a", "b", "c"] * 6, name="kind")).task == "multiclass"
    assert infer_task(pd.Series([1.5, 2.25, 3.75, 9.5, 2.1, 7.3] * 2, name="dose")).task in ("regression", "")
