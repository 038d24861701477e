"""What the statistics of a study promise, checked by symmetry and by simulation."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from losslab.stats.paired import EQUIVALENT, UNDECIDED, compare, interval, power_factor
from losslab.stats.scores import scores
from losslab.stats.summaries import flips, friedman, matrix, overall, ranking
from support.study_tables import compared, drawn, runs_of

BOTH = ("tuned", "shared")
KEYS = ["condition", "setting", "loss", "other"]
SIGNED = {
    "difference",
    "low",
    "high",
    "mean",
    "middle",
    "worst",
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
        "comparisons": compared(runs, "l1", better),
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
    right = compared(runs, "l0", "min")
    unpaired = runs.copy()
    of = unpaired["loss"] == "l1"
    unpaired.loc[of, "seed"] = np.roll(unpaired.loc[of, "seed"].to_numpy(), 1)
    wrong = compared(unpaired, "l0", "min")
    assert right["difference"].to_list() == pytest.approx(wrong["difference"].to_list())
    assert right["p"].iloc[0] < wrong["p"].iloc[0] / 3
    assert right["p"].iloc[1] == wrong["p"].iloc[1]


def test_a_matrix_is_antisymmetric() -> None:
    runs = broken(drawn())
    table = matrix(runs, "tuned", "fraction=0.0", "min").set_index(["loss", "other"])
    mirror = {"better": "worse", "worse": "better"}
    assert set(table["verdict"]) == {"better", "worse", UNDECIDED}
    for (loss, other), row in table.iterrows():
        back = table.loc[(other, loss)]
        assert (row["difference"], row["low"], row["high"]) == (-back["difference"], -back["high"], -back["low"])
        assert (row["p"], row["p_corrected"], row["wins"]) == (
            back["p"],
            back["p_corrected"],
            pytest.approx(1 - back["wins"]),
        )
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
@pytest.mark.parametrize(
    ("losses", "settings", "seeds"), [(2, 1, 5), (2, 14, 10), (6, 1, 9), (6, 4, 12), (12, 14, 10), (20, 1, 10)]
)
def test_few_reports_on_equal_losses_hold_a_claim(losses: int, settings: int, seeds: int) -> None:
    """Losses whose runs differ by chance alone: at most 5 % of reports call any pair of any setting apart."""
    studies = max(120, 24_000 // (losses * settings))
    values = np.random.default_rng(seeds).normal(size=(studies, settings, losses, seeds)) + np.arange(seeds)
    pairs = list(combinations(range(losses), 2))
    of = settings * len(pairs)
    smallest = np.ones(studies)
    for one, two in pairs:  # of all studies at once: what `Pair` computes one by one
        p = stats.ttest_rel(values[:, :, one], values[:, :, two], axis=2).pvalue
        smallest = np.minimum(smallest, p.min(axis=1))
    last = compare(values[-1, -1, one], values[-1, -1, two], 1, 0.95, family=of)
    assert last.p_corrected == pytest.approx(min(1.0, p[-1, -1] * of))
    wrong = int((smallest * of <= 0.05).sum())
    assert stats.binomtest(wrong, studies, 0.05, "greater").pvalue > 1e-3, f"{wrong} of {studies} reports"


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10])
def test_losses_that_differ_by_the_margin_are_seldom_called_equivalent(seeds: int) -> None:
    generator, studies, wrong = np.random.default_rng(seeds), 2000, 0
    for _ in range(studies):
        first = generator.normal(size=seeds)
        pair = compare(first, first + generator.normal(0.3, 0.1, seeds), 1, 0.95, margin=0.3)
        wrong += pair.verdict == EQUIVALENT
    assert 0.03 < wrong / studies < 0.065


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


def tuned_once_or_often(generator: np.random.Generator, often: bool) -> pd.DataFrame:
    """Ten seeds of two forms of one loss: what a tuning chose for each of them, and chance, decide what they come to."""
    repeats = np.arange(10) % 5 if often else np.zeros(10, int)
    runs = runs_of({loss: list(generator.normal(size=5)[repeats] + generator.normal(size=10)) for loss in ("a", "b")})
    return runs.assign(repeat=(runs["seed"] - 100) % 5) if often else runs


@pytest.mark.slow
def test_two_forms_of_one_loss_are_seldom_told_apart_where_the_tuning_is_drawn_anew() -> None:
    studies = 600
    wrong = {True: 0, False: 0}
    generator = np.random.default_rng(3)
    for often in wrong:
        for _ in range(studies):
            found = matrix(tuned_once_or_often(generator, often), "tuned", "one", "min")
            wrong[often] += set(found["verdict"]) != {UNDECIDED}
            assert set(found["n"]) == ({5} if often else {10})
    assert wrong[True] / studies < 0.08, "a nominal 5 %"
    assert wrong[False] / studies > 0.2, "one choice for all seeds is told apart as if it were a loss"


def test_a_repeat_with_a_run_that_diverged_has_diverged() -> None:
    runs = runs_of({"a": [1.0, 2.0, 3.0, None], "b": [2.0, 3.0, "missing", 5.0]})
    table = scores(runs.assign(repeat=(runs["seed"] - 100) % 2), "min")
    assert table["a"].tolist() == [2.0, np.inf]
    assert table["b"].tolist() == [2.0, 4.0], "what is missing is no evidence"
