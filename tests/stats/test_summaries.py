"""The statistics of a study, held to scipy, statsmodels and numbers worked by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from losslab.errors import BadRequest
from losslab.report import wording
from losslab.report.wording import comparison
from losslab.stats.paired import holm, refused, seeds_needed
from losslab.stats.summaries import comparisons, flips, friedman, matrix, overall, rank_matrix, ranking
from support.counted import calls
from support.study_tables import DIVERGED, MISSING, drawn, runs_of

A = [1.1, 1.3, 0.9, 1.6, 1.2, 1.0, 1.4, 1.5, 0.8, 1.3]
B = [1.4, 1.5, 1.3, 1.7, 1.8, 1.1, 1.9, 1.6, 1.2, 1.2]
SIGNS = [1, -1, 1, 1, -1, 1, 1, -1, 1, 1]


def of(table: pd.DataFrame, **where: object) -> pd.Series:
    """The one row where columns have these values."""
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_means_and_intervals_are_those_of_scipy() -> None:
    table = ranking(runs_of({"a": A, "b": B}), "min", level=0.9)
    for loss, values in (("a", A), ("b", B)):
        row = of(table, loss=loss)
        low, high = stats.t.interval(0.9, 9, np.mean(values), stats.sem(values))
        assert (row["mean"], row["low"], row["high"]) == pytest.approx((np.mean(values), low, high))
        assert (row["n"], row["diverged"]) == (10, 0)
    assert list(table["rank"]) == [1, 2]
    assert list(table["mean_rank"]) == pytest.approx([1.1, 1.9])


def test_places_are_shared_as_in_sport_and_broken_runs_stand_behind() -> None:
    values = {"late": [3.0, 3.0], "half": [DIVERGED, 0.1], "x": [1.0, 2.0], "y": [2.0, 1.0], "never": [DIVERGED] * 2}
    table = ranking(runs_of(values), "min").set_index("loss")
    assert dict(table["rank"]) == {"late": 3, "half": 4, "x": 1, "y": 1, "never": 5}
    assert table.loc["half", "mean"] == 0.1
    assert np.isnan(table.loc["half", "low"]), "one value has no interval"
    assert np.isnan(table.loc["never", "mean"])
    assert dict(table["mean_rank"]) == {"late": 3.5, "half": 2.75, "x": 2.0, "y": 2.0, "never": 4.75}
    assert list(table["diverged"]) == [0, 1, 0, 0, 2]


def test_a_value_from_before_it_diverged_counts_for_nothing() -> None:
    runs = runs_of({"a": A, "b": B})
    runs.loc[runs["loss"] == "a", ["status", "value"]] = ["diverged", 0.0]
    assert np.isnan(of(ranking(runs, "min"), loss="a")["mean"])
    assert of(comparisons(runs, "b", "min"), loss="a")["verdict"] == "worse"
    for value in (np.nan, np.inf, -np.inf):
        runs.loc[runs["loss"] == "a", ["status", "value"]] = ["done", value]
        for better in ("min", "max"):
            row = of(comparisons(runs, "b", better), loss="a")
            assert (row["diverged"], row["verdict"]) == (10, "worse"), "what ended with no finite metric is broken too"
    runs.loc[runs["loss"] == "a", ["status", "value"]] = ["missing", 0.0]
    assert of(ranking(runs, "min"), loss="a")["n"] == 0


def test_a_missing_run_is_no_evidence() -> None:
    runs = runs_of({"a": [0.0, MISSING, 2.0, MISSING], "b": [1.0, 1.0, 1.0, DIVERGED], "c": [MISSING] * 4})
    table = ranking(runs, "min").set_index("loss")
    assert list(table["n"]) == [2, 3, 0]
    assert list(table["diverged"]) == [0, 1, 0]
    assert list(table["rank"]) == [1, 2, 3]
    rows = comparisons(runs, "b", "min").set_index("loss")
    assert (rows.loc["a", "n"], rows.loc["a", "diverged"], rows.loc["a", "wins"]) == (2, 0, 0.5)
    assert (rows.loc["c", "n"], rows.loc["c", "verdict"]) == (0, "cannot say")
    assert comparison(rows.loc["c"], "c", "b", 0.95) == "No seed has a run of both `c` and `b`."
    assert list(overall(runs, "min")["loss"]) == ["a", "b"]


def test_a_paired_difference_is_that_of_scipy() -> None:
    row = of(comparisons(runs_of({"a": A, "b": B}), "b", "min"), loss="a")
    test = stats.ttest_rel(A, B)
    low, high = test.confidence_interval(0.95)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((np.mean(A) - np.mean(B), low, high))
    assert row["p"] == row["p_holm"] == pytest.approx(test.pvalue)
    assert row["p"] < stats.ttest_ind(A, B).pvalue / 2, "pairing is worth something here"
    assert row["wins"] == 0.9
    factor = TTestPower().solve_power(nobs=10, alpha=0.05, power=0.8)
    assert factor == pytest.approx(0.996, abs=1e-3)
    assert row["detectable"] == pytest.approx(factor * np.std(np.subtract(A, B), ddof=1))
    assert row["verdict"] == "better"
    assert comparison(row, "a", "b", 0.95) == (
        "`a` is better than `b` by 0.26 (95 % interval 0.10 to 0.42); Holm-corrected p = 0.0043; better on 9 of 10 seeds."
    )


def test_holm_as_worked_by_hand_and_by_statsmodels() -> None:
    # in order 0.005, 0.01, 0.03, 0.04, times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04; none below the one before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    generator = np.random.default_rng(0)
    for count in (1, 7, 28):
        p = generator.uniform(size=count) ** 3
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
        assert holm([*p, np.nan])[:-1] == pytest.approx(holm(p)), "what has no p does not count"
    assert len(holm([])) == 0


def test_holm_is_over_the_losses_of_a_setting_and_the_pairs_of_a_matrix() -> None:
    runs = drawn(settings=3, conditions=("tuned", "shared"))
    for _, rows in comparisons(runs, "l0", "min").groupby(["condition", "setting"]):
        assert len(rows) == 3
        assert list(rows["p_holm"]) == pytest.approx(holm(rows["p"]))
    rows = matrix(runs, "shared", "fraction=0.1", "min")
    once = rows[rows["loss"] < rows["other"]]
    assert len(rows) == 2 * len(once) == 12
    assert list(once["p_holm"]) == pytest.approx(holm(once["p"]))


def test_with_diverged_runs_the_sign_test_decides() -> None:
    values = {"ref": B, "a": [0.5] * 9 + [DIVERGED], "often": [DIVERGED] * 9 + [0.1], "b": [DIVERGED, *B[1:]]}
    rows = comparisons(runs_of(values), "ref", "min").set_index("loss")
    assert rows.loc["a", "p"] == pytest.approx(2 * (1 + 10) / 2**10), "9 of 10, or better, either way"
    assert (rows.loc["a", "n"], rows.loc["a", "diverged"], rows.loc["a", "wins"]) == (9, 1, 0.9)
    assert np.isnan(rows.loc["a", "detectable"])
    assert "no mean difference is given" in comparison(rows.loc["a"], "a", "ref", 0.95)
    assert rows.loc["often", "verdict"] == "not told apart"
    assert np.isnan(rows.loc["often", "low"])
    assert rows.loc["often", "difference"] == pytest.approx(0.1 - 1.2)
    assert (rows.loc["b", "p"], rows.loc["b", "wins"]) == (1.0, 0.45), (
        "ties say nothing in the test and count half in wins"
    )


def test_what_diverged_more_often_is_never_called_better() -> None:
    low = [value - 5 for value in B]
    for broken in range(1, 11):
        values = {"ref": B, "a": [DIVERGED] * broken + low[broken:]}
        rows = matrix(runs_of(values), "tuned", "one", "min").set_index("loss")
        verdict = rows.loc["a", "verdict"]
        assert verdict == ("worse" if broken >= 9 else "not told apart")
        assert (rows.loc["ref", "verdict"] == "better") == (verdict == "worse")
    both = {"ref": [DIVERGED, *B[1:]], "a": [*low[:9], DIVERGED]}
    assert of(comparisons(runs_of(both), "ref", "min"), loss="a")["verdict"] == "better", "that diverged as often"


def test_identical_losses_are_said_to_be_identical() -> None:
    row = of(comparisons(runs_of({"huber": A, "smoothl1": A, "b": B}), "huber", "min"), loss="smoothl1")
    assert (row["verdict"], row["p"], row["p_holm"], row["wins"], row["detectable"]) == ("not told apart", 1, 1, 0.5, 0)
    assert comparison(row, "smoothl1", "huber", 0.95) == "`smoothl1` and `huber` are identical on all 10 seeds."
    row = of(comparisons(runs_of({"a": [DIVERGED] * 6, "b": [DIVERGED] * 6}), "b", "min"), loss="a")
    assert (row["verdict"], row["p"], row["wins"]) == ("not told apart", 1, 0.5)
    assert comparison(row, "a", "b", 0.95) == "`a` and `b` diverged on all 6 seeds."
    row = of(comparisons(runs_of({"huber": A[:3], "smoothl1": A[:3]}), "huber", "min"), loss="smoothl1")
    assert row["verdict"] == "not told apart", "that takes no statistics"


def test_a_difference_without_spread_has_the_p_of_signs() -> None:
    row = of(comparisons(runs_of({"a": A, "b": [value + 0.5 for value in A]}), "a", "min"), loss="b")
    assert row["p"] == pytest.approx(2.0**-9)
    assert row["verdict"] == "worse"
    assert (row["low"], row["high"]) == pytest.approx((0.5, 0.5))


def test_too_few_seeds_are_refused_in_words() -> None:
    row = of(comparisons(runs_of({"a": [0.0, 0.1, 0.2], "b": [9.0, 9.2, 9.1]}), "b", "min"), loss="a")
    assert row["p_holm"] < 0.001
    assert row["verdict"] == "cannot say"
    assert comparison(row, "a", "b", 0.95) == (
        "3 seeds cannot support a claim: even if all agreed, the smallest p of a test without assumptions on the distribution "
        "is 0.25. At least 6 seeds are needed."
    )
    values = {f"l{n}": list(np.arange(8) % 3 + 10.0 * n + np.arange(8) * 0.01 * n) for n in range(8)}
    rows = comparisons(runs_of(values), "l0", "min")
    assert set(rows["verdict"]) == {"cannot say"}
    said = comparison(rows.iloc[0], "l1", "l0", 0.95)
    assert "0.0078, and 0.055 after Holm's correction for 7 comparisons. At least 9 seeds are needed." in said
    rows = comparisons(runs_of({loss: [*found, 1.5 + found[0]] for loss, found in values.items()}), "l0", "min")
    assert set(rows["verdict"]) == {"worse"}
    rows = matrix(runs_of({loss: [*found, 1.5 + found[0]] for loss, found in values.items()}), "tuned", "one", "min")
    assert "cannot say" not in set(rows["verdict"]), "a matrix refuses what comparisons refuse, though it has 28 pairs"


def test_the_seeds_that_a_claim_needs() -> None:
    # 2^(1-n) m <= 0.05: n = 6 for 1 comparison, 7 for 2 and 3, 9 for 7
    assert [seeds_needed(m, 0.95) for m in (1, 2, 3, 7)] == [6, 7, 7, 9]
    assert refused(4, 1, 0.5), "fewer than 5 never do"
    assert not refused(5, 1, 0.9)


def test_friedman_over_seeds_is_that_of_scipy() -> None:
    runs = drawn(seeds=9, losses=5, settings=3)
    row = friedman(runs, "min").iloc[0]
    wide = runs.pivot(index=["setting", "seed"], columns="loss", values="value").rank(axis=1)
    means = wide.groupby("seed").mean()
    expected = stats.friedmanchisquare(*means.to_numpy().T)
    assert (row["statistic"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert (row["blocks"], row["losses"]) == (9, 5)
    assert "The ranks of 5 losses on 9 seeds" in wording.friedman(row, 0.95)
    assert friedman(runs, "min", over="setting").iloc[0]["blocks"] == 3


def test_friedman_refuses_and_bears_ties() -> None:
    two = friedman(runs_of({"a": A, "b": B}), "min").iloc[0]
    assert np.isnan(two["p"])
    assert (
        wording.friedman(two, 0.95) == "Friedman's test needs 3 losses and 5 seeds, and there are 2 losses on 10 seeds."
    )
    assert np.isnan(friedman(runs_of({"a": A[:4], "b": B[:4], "c": A[:4]}), "min").iloc[0]["p"])
    tied = friedman(runs_of({"a": A, "b": A, "c": A}), "min").iloc[0]
    assert (tied["statistic"], tied["p"]) == (0, 1)
    worst = friedman(runs_of({"a": A, "b": B, "c": [DIVERGED] * 10}), "min").iloc[0]
    assert worst["p"] == pytest.approx(stats.friedmanchisquare(A, B, [9.0] * 10).pvalue)


def test_overall_takes_intervals_over_seeds_and_counts_firsts() -> None:
    easy = {"a": [1.0, 1.0, 2.0], "b": [2.0, 2.0, 1.0], "c": [3.0, 3.0, 3.0]}
    hard = {"a": [3.0, 1.0, DIVERGED], "b": [2.0, 2.0, 2.0], "c": [1.0, 3.0, 3.0]}
    table = overall(pd.concat([runs_of(easy), runs_of(hard, setting="two")]), "min").set_index("loss")
    by_seed = {"a": [2.0, 1.0, 2.5], "b": [2.0, 2.0, 1.0], "c": [2.0, 3.0, 2.5]}
    for loss, ranks in by_seed.items():
        low, high = stats.t.interval(0.95, 2, np.mean(ranks), stats.sem(ranks))
        found = table.loc[loss]
        assert (found["mean_rank"], found["low"], found["high"]) == pytest.approx((np.mean(ranks), low, high))
    assert dict(table["first_in"]) == {"a": 1, "b": 1, "c": 0}
    assert set(table["settings"]) == {2}
    every = pd.concat([runs_of(easy), runs_of({loss: [DIVERGED] * 3 for loss in easy}, setting="two")])
    assert list(overall(every, "min")["first_in"]) == [1, 0, 0], "nobody is first where all diverged"
    partly = pd.concat([runs_of(easy), runs_of({**hard, "a": [3.0, MISSING, MISSING]}, setting="two")])
    found = overall(partly, "min").set_index("loss")["mean_rank"]
    assert list(found) == pytest.approx([(2 + 1 + 2) / 3, (2 + 2 + 1) / 3, (2 + 3 + 3) / 3]), (
        "only what all losses have"
    )
    row = of(rank_matrix(pd.concat([runs_of(easy), runs_of(hard, setting="two")]), "tuned", "min"), loss="a", other="c")
    assert row["p"] == pytest.approx(stats.ttest_rel(by_seed["a"], by_seed["c"]).pvalue)


def test_flips_are_the_pairs_that_are_reversed() -> None:
    noise = [0.01 * sign for sign in SIGNS]
    shared = {"a": [1 + x for x in noise], "b": [2.0] * 10, "c": [3.0] * 10, "d": [2.5] * 9 + [DIVERGED]}
    tuned = {"a": [2 - x for x in noise], "b": [1.0] * 10, "c": [3.0] * 10, "d": [0.5] * 10}
    table = flips(pd.concat([runs_of(shared, "shared"), runs_of(tuned, "tuned")]), "min")
    assert set(zip(table["loss"], table["other"], strict=True)) == {("a", "b"), ("a", "d"), ("b", "d"), ("c", "d")}
    row = of(table, loss="a", other="b")
    assert (row["shared"], row["tuned"]) == pytest.approx((-1 + np.mean(noise), 1 - np.mean(noise)))
    assert row["sure"]
    assert row["shared_low"] < row["shared"] < row["shared_high"] < 0 < row["tuned_low"]
    diverged = of(table, loss="c", other="d")
    assert np.isnan(diverged["shared"])
    assert not diverged["sure"], "d was the better on 9 of 10 seeds at shared"
    few = [
        runs_of({k: v[:4] for k, v in part.items()}, condition)
        for part, condition in ((shared, "shared"), (tuned, "tuned"))
    ]
    assert not flips(pd.concat(few), "min")["sure"].any()


def test_without_both_conditions_nothing_flips() -> None:
    columns = list(flips(drawn(conditions=("tuned", "shared")), "min").columns)
    for conditions in (("tuned",), ("shared",), ("asked",)):
        table = flips(drawn(conditions=conditions), "min")
        assert table.empty
        assert list(table.columns) == columns


def test_no_runs_give_empty_tables() -> None:
    none = drawn().iloc[:0]
    for table in (
        ranking(none, "min"),
        comparisons(none, "l0", "min"),
        overall(none, "min"),
        friedman(none, "min"),
        flips(none, "min"),
    ):
        assert table.empty
        assert len(table.columns)


def test_bad_requests_are_refused_in_a_sentence() -> None:
    runs = drawn()
    with pytest.raises(BadRequest, match="is better 'min' or 'max', and 'lower' is neither"):
        ranking(runs, "lower")
    with pytest.raises(BadRequest, match="No run has the reference loss 'mse'; losses that were run: l0, l1, l2, l3"):
        comparisons(runs, "mse", "min")
    with pytest.raises(BadRequest, match="2 runs stand twice"):
        ranking(pd.concat([runs, runs.iloc[:2]]), "min")
    with pytest.raises(BadRequest, match="between 0 and 1"):
        overall(runs, "min", level=95)
    with pytest.raises(BadRequest, match="no run of condition 'tuned' in setting 'else'"):
        matrix(runs, "tuned", "else", "min")
    with pytest.raises(BadRequest, match="no run of condition 'shared'"):
        rank_matrix(runs, "shared", "min")


def test_a_study_of_960_runs_takes_under_a_second() -> None:
    runs = drawn(losses=8, settings=6, conditions=("tuned", "shared"))

    def everything() -> None:
        ranking(runs, "min")
        comparisons(runs, "l0", "min")
        overall(runs, "min")
        friedman(runs, "min")
        flips(runs, "min")

    everything()  # what is kept from a first call on
    assert calls(everything) < 1_000_000, "half a million took 0.2 seconds of one core in 2026"
