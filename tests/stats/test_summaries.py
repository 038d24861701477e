"""The statistics of a study, held to scipy, statsmodels and numbers worked by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from losslab.errors import BadRequest
from losslab.report import wording
from losslab.report.wording import comparison
from losslab.stats import summaries
from losslab.stats.paired import compare
from losslab.stats.summaries import flips, friedman, matrix, overall, ranking
from support.counted import calls
from support.study_tables import DIVERGED, MISSING, compared, drawn, runs_of

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
    assert of(compared(runs, "b", "min"), loss="a")["verdict"] == "worse"
    for value in (np.nan, np.inf, -np.inf):
        runs.loc[runs["loss"] == "a", ["status", "value"]] = ["done", value]
        for better in ("min", "max"):
            row = of(compared(runs, "b", better), loss="a")
            assert (row["diverged"], row["verdict"]) == (10, "worse"), "what ended with no finite metric is broken too"
    runs.loc[runs["loss"] == "a", ["status", "value"]] = ["missing", 0.0]
    assert of(ranking(runs, "min"), loss="a")["n"] == 0


def test_a_missing_run_is_no_evidence() -> None:
    runs = runs_of({"a": [0.0, MISSING, 2.0, MISSING], "b": [1.0, 1.0, 1.0, DIVERGED], "c": [MISSING] * 4})
    table = ranking(runs, "min").set_index("loss")
    assert list(table["n"]) == [2, 3, 0]
    assert list(table["diverged"]) == [0, 1, 0]
    assert list(table["rank"]) == [1, 2, 3]
    rows = compared(runs, "b", "min").set_index("loss")
    assert (rows.loc["a", "n"], rows.loc["a", "diverged"], rows.loc["a", "wins"]) == (2, 0, 0.5)
    assert (rows.loc["c", "n"], rows.loc["c", "verdict"]) == (0, "cannot say")
    assert comparison(rows.loc["c"], "c", "b", 0.95) == "No seed has a run of both `c` and `b`."
    assert list(overall(runs, "min")["loss"]) == ["a", "b"]


def test_a_paired_difference_is_that_of_scipy() -> None:
    row = of(compared(runs_of({"a": A, "b": B}), "b", "min"), loss="a")
    test = stats.ttest_rel(A, B)
    low, high = test.confidence_interval(0.95)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((np.mean(A) - np.mean(B), low, high))
    assert row["p"] == row["p_corrected"] == pytest.approx(test.pvalue)
    assert row["p"] < stats.ttest_ind(A, B).pvalue / 2, "pairing is worth something here"
    assert row["wins"] == 0.9
    factor = TTestPower().solve_power(nobs=10, alpha=0.05, power=0.8)
    assert factor == pytest.approx(0.996, abs=1e-3)
    assert row["detectable"] == pytest.approx(factor * np.std(np.subtract(A, B), ddof=1))
    assert row["verdict"] == "better"
    assert comparison(row, "a", "b", 0.95) == (
        "`a` is better than `b` by 0.26 (95 % interval 0.10 to 0.42); corrected p = 0.0043; better on 9 of 10 seeds."
    )


def test_intervals_p_and_power_are_corrected_for_the_pairs_of_the_report() -> None:
    runs = drawn(settings=3, conditions=("tuned", "shared"))
    assert summaries.family(runs) == 2 * 3 * 6
    alone, of_many = (matrix(runs, "tuned", "fraction=0.1", "min", of=of) for of in (1, 36))
    assert list(of_many["p_corrected"]) == pytest.approx(np.minimum(36 * alone["p"], 1))
    values = runs[(runs["condition"] == "tuned") & (runs["setting"] == "fraction=0.1")]
    wide = values.pivot(index="seed", columns="loss", values="value")
    row = of(of_many, loss="l1", other="l0")
    low, high = stats.ttest_rel(wide["l1"], wide["l0"]).confidence_interval(1 - 0.05 / 36)
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    factor = TTestPower().solve_power(nobs=10, alpha=0.05 / 36, power=0.8)
    assert row["detectable"] == pytest.approx(factor * np.std(wide["l1"] - wide["l0"], ddof=1))
    by_default = matrix(runs, "tuned", "fraction=0.1", "min")
    assert list(by_default["p_corrected"]) == pytest.approx(np.minimum(6 * alone["p"], 1)), "the pairs of the matrix"
    for _, found in of_many.iterrows():
        apart = found["low"] * found["high"] > 0
        assert (found["verdict"] in ("better", "worse")) == apart, "a claim is an interval without 0"


@pytest.mark.parametrize("margin", [0.1, 0.3, 0.6])
def test_two_one_sided_tests_are_those_of_statsmodels(margin: float) -> None:
    first, second = np.array(A), np.array(A) + np.array(SIGNS) * 0.1
    pair = compare(first, second, 1, 0.95, margin=margin)
    assert pair.p_equivalent == pytest.approx(ttost_paired(first, second, -margin, margin)[0])
    assert compare(first, second, 1, 0.95, margin=margin, family=7).p_equivalent == pytest.approx(
        min(1, 7 * pair.p_equivalent)
    )
    assert (pair.verdict == "equivalent") == (pair.p_equivalent <= 0.05)


def test_a_difference_below_the_margin_is_equivalent_though_it_is_sure() -> None:
    runs = runs_of({"a": A, "b": [value + 0.02 + 0.001 * sign for value, sign in zip(A, SIGNS, strict=True)]})
    assert of(compared(runs, "a", "min"), loss="b")["verdict"] == "worse"
    row = of(compared(runs, "a", "min", margin=0.05), loss="b")
    assert (row["verdict"], row["p"] < 1e-6) == ("equivalent", True)
    assert comparison(row, "b", "a", 0.95).startswith("`b` and `a` are equally good: they differ by less than 0.0500")
    assert of(compared(runs, "a", "min", margin=0.01), loss="b")["verdict"] == "worse"


def test_rare_failures_leave_what_was_not_seen() -> None:
    row = ranking(runs_of({"a": A}), "min").iloc[0]
    assert row["unseen"] == pytest.approx(1 - 0.05**0.1), "0 of 10: up to 26 %"
    assert wording.unseen(row) == "0 of 10 diverged: up to 26 % may"
    assert row["worst"] == max(A)
    assert row["middle"] == pytest.approx(stats.trim_mean(A, 0.25))
    assert ranking(runs_of({"a": A}), "max").iloc[0]["worst"] == min(A)


def test_intervals_stay_within_the_bounds_of_a_metric() -> None:
    row = ranking(runs_of({"a": [0.99, 1.0, 0.9]}), "max", bounds=(0.0, 1.0)).iloc[0]
    assert row["high"] == 1.0
    assert row["low"] == pytest.approx(stats.t.interval(0.95, 2, 0.9633333, stats.sem([0.99, 1.0, 0.9]))[0])
    table = overall(runs_of({"a": A, "b": [*A[:9], 9.0]}), "min")
    assert table["low"].min() >= 1


def test_what_failed_by_an_error_is_missing() -> None:
    runs = runs_of({"a": A, "b": B})
    runs.loc[runs.index[:2], ["status", "value"]] = ["failed", np.nan]
    row = of(compared(runs, "b", "min"), loss="a")
    assert (row["n"], row["diverged"], row["seeds"]) == (8, 0, 8)


def test_with_diverged_runs_the_order_and_the_worst_value_decide() -> None:
    values = {"ref": B, "a": [0.5] * 9 + [DIVERGED], "often": [DIVERGED] * 9 + [0.1], "b": [DIVERGED, *B[1:]]}
    rows = compared(runs_of(values), "ref", "min").set_index("loss")
    by_order = 2 * (1 + 10) / 2**10  # 9 of 10, or better, either way
    by_worst = stats.ttest_rel([0.5] * 9 + [max(B)], B).pvalue
    assert rows.loc["a", "p"] == pytest.approx(2 * min(by_order, by_worst))
    assert (rows.loc["a", "n"], rows.loc["a", "diverged"], rows.loc["a", "wins"]) == (9, 1, 0.9)
    assert np.isnan(rows.loc["a", "detectable"])
    assert comparison(rows.loc["a"], "a", "ref", 0.95) == (
        "`a` is better on 9 of 10 seeds than `ref`, but `a` diverged on 1 and `ref` on 0: which to prefer is not decided (sign "
        "test and t test with the worst value, corrected p = 0.0034)."
    )
    assert rows.loc["often", "verdict"] == "worse"
    assert np.isnan(rows.loc["often", "low"])
    assert rows.loc["often", "difference"] == pytest.approx(0.1 - 1.2)
    assert rows.loc["often", "p"] == pytest.approx(2 * by_order)
    assert rows.loc["b", "wins"] == 0.45, "ties count half"
    assert rows.loc["b", "p"] == pytest.approx(2 * stats.ttest_rel([max(B), *B[1:]], B).pvalue)


def test_what_diverged_more_often_is_never_called_better() -> None:
    low = [value - 5 for value in B]
    for broken in range(1, 11):
        values = {"ref": B, "a": [DIVERGED] * broken + low[broken:]}
        rows = matrix(runs_of(values), "tuned", "one", "min").set_index("loss")
        verdict = rows.loc["a", "verdict"]
        assert verdict == ("worse" if broken >= 9 else "undecided")
        assert (rows.loc["ref", "verdict"] == "better") == (verdict == "worse")
    both = {"ref": [DIVERGED, *B[1:]], "a": [*low[:9], DIVERGED]}
    assert of(compared(runs_of(both), "ref", "min"), loss="a")["verdict"] == "better", "that diverged as often"


def test_identical_losses_are_said_to_be_identical() -> None:
    row = of(compared(runs_of({"huber": A, "smoothl1": A, "b": B}), "huber", "min"), loss="smoothl1")
    assert (row["verdict"], row["p"], row["p_corrected"], row["wins"], row["detectable"]) == (
        "equivalent",
        1,
        1,
        0.5,
        0,
    )
    assert comparison(row, "smoothl1", "huber", 0.95) == "`smoothl1` and `huber` are identical on all 10 seeds."
    row = of(compared(runs_of({"a": [DIVERGED] * 6, "b": [DIVERGED] * 6}), "b", "min"), loss="a")
    assert (row["verdict"], row["p"], row["wins"]) == ("undecided", 1, 0.5)
    assert comparison(row, "a", "b", 0.95) == "`a` and `b` diverged on all 6 seeds."
    row = of(compared(runs_of({"huber": A[:3], "smoothl1": A[:3]}), "huber", "min"), loss="smoothl1")
    assert row["verdict"] == "equivalent", "that takes no statistics"


def test_a_difference_without_spread_has_the_p_of_signs() -> None:
    row = of(compared(runs_of({"a": A, "b": [value + 0.5 for value in A]}), "a", "min"), loss="b")
    assert row["p"] == pytest.approx(2.0**-9)
    assert row["verdict"] == "worse"
    assert (row["low"], row["high"]) == pytest.approx((0.5, 0.5))


def test_too_few_seeds_are_refused_in_words() -> None:
    row = of(compared(runs_of({"a": [0.0, 0.1, 0.2, 0.1], "b": [9.0, 9.2, 9.1, 9.1]}), "b", "min"), loss="a")
    assert row["p_corrected"] < 0.001
    assert row["verdict"] == "cannot say"
    assert comparison(row, "a", "b", 0.95) == "4 seeds cannot support a claim; it takes at least 5."
    row = of(compared(runs_of({"a": [0.0, 0.1, 0.2, 0.1, 0.1], "b": [9.0, 9.2, 9.1, 9.1, 9.3]}), "b", "min"), loss="a")
    assert row["verdict"] == "better"


def test_friedman_over_seeds_is_that_of_scipy() -> None:
    runs = drawn(seeds=9, losses=5, settings=3)
    row = friedman(runs, "min").iloc[0]
    wide = runs.pivot(index=["setting", "seed"], columns="loss", values="value").rank(axis=1)
    means = wide.groupby("seed").mean()
    expected = stats.friedmanchisquare(*means.to_numpy().T)
    assert (row["statistic"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert (row["blocks"], row["losses"]) == (9, 5)
    assert "The ranks of 5 losses on 9 seeds" in wording.friedman({**row, "p_corrected": row["p"]}, 0.95)
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
        expected = (np.mean(ranks), max(low, 1.0), min(high, 3.0))
        assert (found["mean_rank"], found["low"], found["high"]) == pytest.approx(expected)
    assert dict(table["first_in"]) == {"a": 1, "b": 1, "c": 0}
    assert set(table["settings"]) == {2}
    every = pd.concat([runs_of(easy), runs_of({loss: [DIVERGED] * 3 for loss in easy}, setting="two")])
    assert list(overall(every, "min")["first_in"]) == [1, 0, 0], "nobody is first where all diverged"
    partly = pd.concat([runs_of(easy), runs_of({**hard, "a": [3.0, MISSING, MISSING]}, setting="two")])
    found = overall(partly, "min").set_index("loss")["mean_rank"]
    assert list(found) == pytest.approx([(2 + 1 + 2) / 3, (2 + 2 + 1) / 3, (2 + 3 + 3) / 3]), (
        "only what all losses have"
    )


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
        compared(none, "l0", "min"),
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
    with pytest.raises(BadRequest, match="2 runs stand twice"):
        ranking(pd.concat([runs, runs.iloc[:2]]), "min")
    with pytest.raises(BadRequest, match="between 0 and 1"):
        overall(runs, "min", level=95)
    with pytest.raises(BadRequest, match="no run of condition 'tuned' in setting 'else'"):
        matrix(runs, "tuned", "else", "min")


@pytest.mark.slow
def test_a_study_of_960_runs_takes_under_a_second() -> None:
    runs = drawn(losses=8, settings=6, conditions=("tuned", "shared"))

    def everything() -> None:
        ranking(runs, "min")
        compared(runs, "l0", "min")
        overall(runs, "min")
        friedman(runs, "min")
        flips(runs, "min")

    everything()  # what is kept from a first call on
    assert calls(everything) < 1_000_000, "half a million took 0.2 seconds of one core in 2026"
