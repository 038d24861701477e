"""What the statistics of a study promise, checked by symmetry and by simulation."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from losslab.stats.paired import CANNOT_SAY, NOT_APART, compare, holm, interval, power_factor
from losslab.stats.scores import scores
from losslab.stats.summaries import comparisons, flips, friedman, matrix, overall, ranking
from support.study_tables import drawn

BOTH = ("tuned", "shared")
KEYS = ["condition", "setting", "loss", "other"]
SIGNED = {
    "difference",
    "low",
    "high",
    "mean",
    "shared",
    "shared_low",
    "shared_high",
    "tuned",
    "tuned_low",
    "tuned_high",
}


def tables(runs: pd.DataFrame, better: str = "min") -> dict[str, pd.DataFrame]:
    """All that is said of some runs, in an order that is not that of the runs, without sentences."""
    made = {
        "ranking": ranking(runs, better),
        "comparisons": comparisons(runs, "l1", better),
        "matrix": matrix(runs, "tuned", "fraction=0.1", better),
        "overall": overall(runs, better),
        "friedman": friedman(runs, better),
        "flips": flips(runs, better),
    }
    tidy = dict(made)
    return {
        name: table.sort_values([key for key in KEYS if key in table], ignore_index=True)
        for name, table in tidy.items()
    }


def broken(runs: pd.DataFrame) -> pd.DataFrame:
    """The same with three runs that diverged."""
    runs = runs.copy()
    runs.loc[[3, 25, 70], ["status", "value"]] = ["diverged", np.nan]
    return runs


def test_the_order_of_the_rows_changes_nothing() -> None:
    runs = broken(drawn(conditions=BOTH))
    shuffled = runs.sample(frac=1, random_state=1)
    before, after = tables(runs), tables(shuffled)
    for name in ("ranking", "comparisons", "overall", "friedman"):
        pd.testing.assert_frame_equal(before[name], after[name])
    both = [
        table.assign(key=[frozenset(pair) for pair in zip(table["loss"], table["other"], strict=True)])
        for table in (before["flips"], after["flips"])
    ]
    assert set(both[0]["key"]) == set(both[1]["key"])


def test_seeds_are_what_pairs() -> None:
    runs = drawn(settings=1)
    right = comparisons(runs, "l0", "min")
    unpaired = runs.copy()
    of = unpaired["loss"] == "l1"
    unpaired.loc[of, "seed"] = np.roll(unpaired.loc[of, "seed"].to_numpy(), 1)
    wrong = comparisons(unpaired, "l0", "min")
    assert right["difference"].to_list() == pytest.approx(wrong["difference"].to_list())
    assert right["p"].iloc[0] < wrong["p"].iloc[0] / 3
    assert right["p"].iloc[1] == wrong["p"].iloc[1]


def test_a_matrix_is_antisymmetric() -> None:
    runs = broken(drawn())
    table = matrix(runs, "tuned", "fraction=0.0", "min").set_index(["loss", "other"])
    mirror = {"better": "worse", "worse": "better"}
    assert set(table["verdict"]) == {"better", "worse", NOT_APART}
    for (loss, other), row in table.iterrows():
        back = table.loc[(other, loss)]
        assert (row["difference"], row["low"], row["high"]) == (-back["difference"], -back["high"], -back["low"])
        assert (row["p"], row["p_holm"], row["wins"]) == (back["p"], back["p_holm"], pytest.approx(1 - back["wins"]))
        assert row["verdict"] == mirror.get(back["verdict"], back["verdict"])


def test_more_is_better_mirrors_less_is_better() -> None:
    runs = broken(drawn(conditions=BOTH))
    less, more = tables(runs), tables(runs.assign(value=-runs["value"]), "max")
    assert len(less["flips"])
    for name, table in less.items():
        turned = SIGNED & set(table) if name != "overall" else set()  # ranks are the same
        same = [column for column in table if column not in turned]
        pd.testing.assert_frame_equal(table[same], more[name][same])
        for column in turned:
            other = {"low": "high", "high": "low"}.get(end := column.split("_")[-1], end)
            np.testing.assert_allclose(table[column], -more[name][column.removesuffix(end) + other])


@pytest.mark.parametrize("seeds", [5, 10])
def test_intervals_cover_what_they_say(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    means = differences = 0
    for _ in range(4000):
        shared = generator.normal(size=seeds)
        first, second = shared + generator.normal(2.0, 1.0, seeds), shared + 0.5 * generator.normal(size=seeds)
        _, low, high = interval(first, 0.95)
        means += low <= 2.0 <= high
        _, low, high = compare(-first, -second, -1, 0.95).interval  # as scores: less is better
        differences += low <= 2.0 <= high
    assert 0.93 < means / 4000 < 0.97
    assert 0.93 < differences / 4000 < 0.97


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [9, 12])
@pytest.mark.parametrize("all_pairs", [False, True])
def test_equal_losses_are_seldom_told_apart(seeds: int, all_pairs: bool) -> None:
    studies, losses = 1200, 6
    values = np.random.default_rng(seeds).normal(size=(studies, losses, seeds)) + np.arange(seeds)
    asked = list(combinations(range(losses), 2)) if all_pairs else [(loss, 0) for loss in range(1, losses)]
    first, second = ([values[:, pair[end]] for pair in asked] for end in (0, 1))
    p = stats.ttest_rel(first, second, axis=2).pvalue.T  # [studies, pairs], all at once: one by one would take long
    wrong = 0
    for study, of_study in zip(values, p, strict=True):
        pairs = [compare(study[one], study[two], 1, 0.95) for one, two in asked]
        verdicts = {pair.verdict(held, losses - 1) for pair, held in zip(pairs, holm(of_study), strict=True)}
        assert CANNOT_SAY not in verdicts
        wrong += verdicts != {NOT_APART}
    assert pairs[-1].p == pytest.approx(of_study[-1])
    assert 0.01 < wrong / studies < 0.065


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_what_is_called_detectable_is_seen_in_four_of_five_studies(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    size = power_factor(seeds, 0.95) * 3.0
    seen = 0
    for _ in range(3000):
        _, low, high = compare(generator.normal(size, 3.0, seeds), np.zeros(seeds), 1, 0.95).interval
        seen += low > 0 or high < 0
    assert seen / 3000 == pytest.approx(0.8, abs=0.025)


def test_scores_make_less_better() -> None:
    runs = broken(drawn())
    less, more = scores(runs, "min"), scores(runs, "max")
    finite = np.isfinite(less)
    assert less[finite].equals(-more[finite])
    assert int(np.isinf(less).sum().sum()) == int(np.isinf(more).sum().sum()) == 3
    assert (more[np.isinf(more)].max().max()) == np.inf
