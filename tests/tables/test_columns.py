"""What columns are taken for, what is doubted, and targets that are refused with their row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from losslab.errors import BadRequest
from losslab.tables import describe, target_values, with_target

N = 60
RNG = np.random.default_rng(3)


def look(**columns: Any) -> Any:
    frame = pd.DataFrame(columns | {"z": RNG.normal(size=N), "y": RNG.normal(size=N)})
    return describe(frame, "y")[0]


@pytest.mark.parametrize(
    ("values", "kind", "used"),
    [
        (RNG.normal(size=N), "numbers", "number"),
        (RNG.integers(0, 9, N), "whole numbers", "number"),
        (np.arange(N), "identifier", "unused"),
        (np.arange(N) + 1000, "identifier", "unused"),
        ([f"{n * 7919:032x}" for n in range(N)], "identifier", "unused"),
        (["same"] * N, "constant", "unused"),
        ([None] * N, "empty", "unused"),
        (RNG.choice(["a", "b", None], N), "words", "category"),
        (RNG.choice(["yes", "no"], N), "yes or no", "category"),
        (RNG.random(N) < 0.5, "yes or no", "category"),
        (pd.date_range("2020-01-01", periods=N), "dates", "date"),
        (pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d"), "dates", "date"),
        (pd.date_range("2020-01-01", periods=N).strftime("%d.%m.%Y"), "dates", "date"),
        (pd.date_range("2020-01-01", periods=N, freq="h").strftime("%Y-%m-%d %H:%M"), "dates", "date"),
        ([f"this is the text of row {n}, which is long" for n in range(N)], "text", "text"),
        (["n/k" if n == 7 else f"{n / 3:.3f}" for n in range(N)], "numbers", "number"),
    ],
)
def test_what_a_column_is(values: Any, kind: str, used: str) -> None:
    found = look(x=values)
    assert (found.kind, found.used_as) == (kind, used)


@pytest.mark.parametrize(
    ("values", "doubt"),
    [
        (["n/k" if n == 7 else f"{n / 3:.3f}" for n in range(N)], "1 cells are no numbers, such as row 8, 'n/k'"),
        (["1/2/2020"] * 30 + ["3/4/2021"] * 30, "days and months cannot be told apart; read as month/day"),
        (["1.2.2020"] * 30 + ["3.4.2021"] * 30, "read as day.month"),
        (["2020-01-05"] * 58 + ["never", "2020-02-01"], "1 cells are no dates, such as row 59, 'never'"),
    ],
)
def test_what_is_doubted_is_said_with_its_row(values: list[str], doubt: str) -> None:
    assert doubt in look(x=values).doubt


def test_a_copy_of_the_target_is_doubted() -> None:
    y = RNG.normal(size=N)
    frame = pd.DataFrame({"a": 2 * y + 1, "b": RNG.normal(size=N), "y": y})
    assert "is the target 'y' in another form" in describe(frame, "y")[0].doubt
    kinds = RNG.choice(["x", "z"], N)
    frame = pd.DataFrame({"a": np.where(kinds == "x", "p", "q"), "b": RNG.normal(size=N), "y": kinds})
    assert "goes with one value of 'y'" in describe(frame, "y")[0].doubt
    yes = [number % 4 == 0 for number in range(40)]
    reason = pd.DataFrame(
        {"why": [f"reason {n % 3}" if one else None for n, one in enumerate(yes)], "x": range(40), "y": yes}
    )
    assert "missing just where 'y' has one value" in describe(reason.assign(x=reason["x"] ** 2), "y")[0].doubt
    some = reason.assign(why=reason["why"].mask(reason["x"] == 4))
    assert describe(some.assign(x=some["x"] ** 2), "y")[0].doubt == ""
    assert not describe(frame, "y")[1].doubt


def test_what_the_user_says_wins() -> None:
    frame = pd.DataFrame(
        {"zip": RNG.integers(0, 5, N), "id": range(N), "who": RNG.integers(0, 9, N), "y": RNG.normal(size=N)}
    )
    found = {column.name: column for column in describe(frame, "y", category=["zip"], number=["id"], group="who")}
    assert found["zip"].used_as == "category"
    assert found["id"].used_as == "number"
    assert (found["who"].used_as, found["who"].doubt) == ("unused", "it groups the rows")
    assert found["y"].used_as == "target"
    words = frame.assign(zip=["a"] * 7 + ["b"] * (N - 7))
    with pytest.raises(BadRequest, match=r"Column 'zip', row 1: 'a' is no number"):
        describe(words, "y", number=["zip"])
    with pytest.raises(BadRequest, match=r"There is no column 'zap' \(did you mean 'zip'\?\)"):
        describe(frame, "y", drop=["zap"])
    with pytest.raises(BadRequest, match="'y' is the target"):
        describe(frame, "y", drop=["y"])
    with pytest.raises(BadRequest, match="No column is left"):
        describe(frame, "y", drop=["zip", "who"])


def test_infinite_inputs_are_refused_with_their_row() -> None:
    with pytest.raises(BadRequest, match=r"Column 'x', row 5 is infinite"):
        look(x=[1.0, 2, 3, 4, np.inf] * 12)


@pytest.mark.parametrize(
    ("values", "yes"),
    [
        (["no", "yes"], "yes"),
        ([1, 0], "1"),
        ([-1, 1], "1"),
        ([1, 2], "2"),
        (["good", "bad", "good"], "bad"),
        (["positive", "negative"], "positive"),
        ([True, False], "True"),
        ([0.5, 2.5], "2.5"),
    ],
)
def test_the_positive_class(values: list[Any], yes: str) -> None:
    column = pd.Series(values * 30, name="y")
    targets, names = target_values(column.to_frame(), "y", "binary")
    assert names[1] == yes
    assert set(targets) == {0, 1}
    assert [names[target] for target in targets[:2]] == [
        f"{v:g}" if isinstance(v, float) else str(v) for v in values[:2]
    ]


def test_classes_are_in_their_order() -> None:
    _, names = target_values(pd.DataFrame({"y": [10, 9, 2] * 5}), "y", "multiclass")
    assert names == ("2", "9", "10")
    targets, names = target_values(pd.DataFrame({"y": ["b", "a", "c"] * 5}), "y", "multiclass")
    assert names == ("a", "b", "c")
    assert targets[:3].tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        ([None] * 9, "regression", "has no values"),
        ([1.5, None, 2.5] * 3, "regression", "no value in 3 of 9 rows, such as row 2; data.missing_target=drop"),
        ([1.0, 2.0, np.inf] * 3, "regression", "row 3 is inf"),
        ([1.0, 2.0, 1e38] * 3, "regression", "too large"),
        ([2.0] * 9, "regression", "always 2, so there is nothing to learn"),
        (["a", "b", "c"] * 3, "regression", "row 1: 'a' is no number, which regression needs; with task=multiclass"),
        (["1", "b"] * 5, "regression", "row 2: 'b' is no number, which regression needs; with task=binary"),
        ([1, 2, -1] * 3, "counts", "row 3 is -1, and a count is 0, 1, 2"),
        ([1, 2, 1.5] * 3, "counts", "row 3 is 1.5"),
        (["a"] * 9, "binary", "has one class, 'a'"),
        (["a", "b", "c"] * 3, "binary", "has 3 values, and task=binary needs two"),
        (["a"] * 9 + ["b"], "binary", "class 'b' has 1 row, and each of train, validation and test needs one"),
        (["a"] * 9 + ["b"] * 9 + ["c"] * 2, "multiclass", "class 'c' has 2 rows"),
        (list(range(1500)) * 3, "multiclass", "1,500 values, which are too many classes"),
        (pd.date_range("2020-01-01", periods=9), "regression", "is no number"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(values: Any, task: str, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        target_values(pd.DataFrame({"y": values}), "y", task)


def test_no_such_target_and_rows_without_one() -> None:
    frame = pd.DataFrame({"price": [1.0, None, 3.0]})
    with pytest.raises(BadRequest, match=r"There is no column 'prize' \(did you mean 'price'\?\)"):
        target_values(frame, "prize", "regression")
    assert with_target(frame, "price", "drop")["price"].tolist() == [1.0, 3.0]
    assert len(with_target(frame, "price", "refuse")) == 3
