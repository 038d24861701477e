"""Shares of a gap: they add up to it, and a factor that does nothing has none."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from losslab.errors import BadRequest
from losslab.stats.shares import shares

FACTORS = ("model", "decay", "epoch")
FIRST, SECOND = dict.fromkeys(FACTORS, 0), dict.fromkeys(FACTORS, 1)
CELLS = list(itertools.product((0, 1), repeat=3))


def runs(values: list[list[float]]) -> pd.DataFrame:
    """One list of eight values a seed, in the order of CELLS."""
    rows = [(*cell, seed, y) for seed, of in enumerate(values) for cell, y in zip(CELLS, of, strict=True)]
    return pd.DataFrame(rows, columns=[*FACTORS, "seed", "y"])


def means(table: pd.DataFrame, way: str) -> dict[str, float]:
    return table[table["way"] == way].set_index("factor")["mean"].to_dict()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.floats(-100, 100), min_size=8, max_size=8), min_size=2, max_size=4))
def test_shares_add_up_to_the_gap_and_lead_back_with_the_sign_turned(values: list[list[float]]) -> None:
    found = means(shares(runs(values), FIRST, SECOND, "y"), "share")
    gap = np.mean([of[-1] - of[0] for of in values])
    assert found.pop("") == pytest.approx(gap, abs=1e-9)
    assert sum(found.values()) == pytest.approx(gap, abs=1e-9)
    turned = means(shares(runs(values), SECOND, FIRST, "y"), "share")
    assert turned == pytest.approx({factor: -share for factor, share in found.items()} | {"": -gap}, abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-100, 100), min_size=8, max_size=8))
def test_a_factor_that_changes_nothing_has_no_share(values: list[float]) -> None:
    still = [values[4 * cell[0] + 2 * cell[1]] for cell in CELLS]  # the third factor is not read
    found = shares(runs([still, still]), FIRST, SECOND, "y").set_index(["factor", "way"])["mean"]
    assert np.allclose(found["epoch"], 0)


def test_a_step_alone_and_a_step_back_differ_where_factors_interact() -> None:
    both = [10.0 * (model and decay) for model, decay, _ in CELLS]  # it takes both
    table = shares(runs([both, both]), FIRST, SECOND, "y")
    assert means(table, "alone") == {"model": 0.0, "decay": 0.0, "epoch": 0.0}
    assert means(table, "back") == {"model": 10.0, "decay": 10.0, "epoch": 0.0}
    assert means(table, "share") == pytest.approx({"model": 5.0, "decay": 5.0, "epoch": 0.0, "": 10.0})


def test_intervals_hold_together() -> None:
    """Ten numbers of three seeds: each interval has the level 1 - 0.05 / 10."""
    seeds = [[0.0] * 7 + [end] for end in (8.0, 9.0, 10.0)]
    gap = shares(runs(seeds), FIRST, SECOND, "y").iloc[-1]
    assert (gap["mean"], gap["high"] - gap["mean"]) == pytest.approx((9.0, 14.0890 / 3**0.5), rel=1e-3)


def test_a_missing_combination_is_refused() -> None:
    with pytest.raises(BadRequest, match="one run for each of their 8 combinations"):
        shares(runs([list(range(8))]).iloc[1:], FIRST, SECOND, "y")
