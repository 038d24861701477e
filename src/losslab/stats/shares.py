"""How much of the gap between two settings each of their factors accounts for, where every combination of the factors was trained."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd

from losslab.errors import BadRequest
from losslab.stats.paired import interval

_COLUMNS = ["factor", "way", "mean", "low", "high"]
WAYS = ("alone", "share", "back")


def shares(
    runs: pd.DataFrame,
    first: Mapping[str, Hashable],
    second: Mapping[str, Hashable],
    value: str,
    block: str = "seed",
    level: float = 0.95,
) -> pd.DataFrame:
    """What each factor adds on the way from one setting to another: one row per factor and way, with its interval over the blocks.

    Args:
        runs: one row for each combination of the factors and block.
        first: the value of each factor in the setting from which the way leads.
        second: its value in the setting to which it leads.
        value: the column that is explained.
        block: the column of what is independent.
        level: of all intervals together (Bonferroni).

    Returns:
        Columns factor, way, mean, low, high. Ways: alone, the factor is changed in the first setting and nothing else; back, the
        second setting less what it has with this factor as in the first; share, the mean over all orders in which the factors can
        be changed (Shapley, 1953). In each block the shares add up to the whole gap. A last factor, "", has the gap itself.

    Raises:
        BadRequest: a combination is missing or there twice.

    >>> runs = pd.DataFrame([(a, b, 10 * a + 2 * b, 0) for a in (0, 1) for b in (0, 1)], columns=["a", "b", "y", "seed"])
    >>> found = shares(runs, {"a": 0, "b": 0}, {"a": 1, "b": 1}, "y")
    >>> found[found["way"] == "share"].set_index("factor")["mean"].to_dict()
    {'a': 10.0, 'b': 2.0, '': 12.0}
    """
    factors = list(first)
    kept = runs
    for factor in factors:
        kept = kept[kept[factor].isin([first[factor], second[factor]])]
    each = [_of_block(part, factors, second, value, str(name)) for name, part in kept.groupby(block, sort=False)]
    table = pd.concat(each, ignore_index=True)
    number = len(WAYS) * len(factors) + 1
    rows = [
        (factor, way, *interval(part["value"].to_numpy(dtype=float), 1 - (1 - level) / number))
        for (factor, way), part in table.groupby(["factor", "way"], sort=False)
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _of_block(
    runs: pd.DataFrame, factors: list[str], second: Mapping[str, Hashable], value: str, block: str
) -> pd.DataFrame:
    """The same of one block, without intervals: factor, way, value."""
    changed = [
        frozenset(factor for factor in factors if row[factor] == second[factor]) for row in runs.to_dict("records")
    ]
    if len(changed) != 2 ** len(factors) or len(set(changed)) != len(changed):
        raise BadRequest(
            f"Block {block} has {len(changed)} runs, {len(set(changed))} of them different; {len(factors)} factors need one run for "
            f"each of their {2 ** len(factors)} combinations."
        )
    found = dict(zip(changed, runs[value].astype(float), strict=True))
    every = frozenset(factors)
    rows: list[tuple[str, str, float]] = []
    for factor in factors:
        others = sorted(every - {factor})
        steps = {
            frozenset(before): found[frozenset(before) | {factor}] - found[frozenset(before)]
            for size in range(len(factors))
            for before in combinations(others, size)
        }
        weights = [factorial(len(s)) * factorial(len(others) - len(s)) / factorial(len(factors)) for s in steps]
        share = float(np.dot(weights, list(steps.values())))
        rows += [(factor, "alone", steps[frozenset()]), (factor, "share", share)]
        rows += [(factor, "back", steps[every - {factor}])]
    return pd.DataFrame([*rows, ("", "share", found[every] - found[frozenset()])], columns=["factor", "way", "value"])
