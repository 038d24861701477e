"""The answer of a study in words."""

import re

import numpy as np
import pandas as pd
import pytest

from losslab.report.analysis import find
from losslab.report.answer import answer
from losslab.report.by_setting import table
from losslab.report.flipped import flip_sentence
from losslab.report.formatting import NONE, alike, number, ordinal, p_value, several, spread
from losslab.report.results import Results
from losslab.schema.metric_facts import metric_name
from losslab.stats.margins import Margin
from support.study_tables import DIVERGED, MISSING, runs_of

NOISE = np.random.default_rng(0).normal(size=(6, 10)) * 0.05
SHARED = np.random.default_rng(1).normal(size=10) * 0.1


def near(mean: float, row: int) -> list[float]:
    """Ten values about a mean, with the part that all losses of a seed share."""
    return [float(value) for value in mean + SHARED + NOISE[row]]


def results(
    *runs: pd.DataFrame, better: str = "min", metric: str = "mae", reference: str = "mse", margin: str = "0"
) -> Results:
    table = pd.concat(runs, ignore_index=True)
    conditions = list(dict.fromkeys(table["condition"]))
    losses = list(dict.fromkeys(table["loss"]))
    settings = pd.DataFrame(index=list(dict.fromkeys(table["setting"])))
    said = ("s", "?", "regression", metric, better, "best", reference, losses, conditions, settings, table)
    return Results(*said, margin=Margin.read(margin))


def answered(made: Results) -> str:
    return answer(made, find(made))


def flipped(made: Results) -> str:
    return flip_sentence(made, find(made))


ONE = {"mse": near(2.0, 0), "l1": near(1.3, 1), "huber": near(1.31, 2)}


def test_one_setting_is_answered_by_what_to_use_and_by_how_much() -> None:
    said = answered(results(runs_of(ONE)))
    assert said == (
        "Use `l1`: test MAE 1.30, 0.73 (36 %) below `mse` (95 % interval 0.65 to 0.80). No difference shown: `huber` 1.33."
    )
    said = answered(results(runs_of({**ONE, "worst": near(3.0, 3)})))
    assert "below `mse`" in said, "the reference is what a reader knows"
    assert "Worse, too: `worst` 3.03." in said
    assert said.endswith("No difference shown: `huber` 1.33.")
    higher = {loss: [-value for value in values] for loss, values in ONE.items()}
    said = answered(results(runs_of(higher), better="max", metric="mean_iou"))
    assert said.startswith("Use `l1`: test mean IoU -1.30, 0.73 above `mse` (95 % interval 0.65 to 0.80)")


def test_the_first_condition_leads() -> None:
    other = {"mse": near(1.0, 0), "l1": near(2.0, 1), "huber": near(3.0, 2)}
    alone, with_shared = results(runs_of(ONE)), results(runs_of(ONE), runs_of(other, "shared"))
    said = answered(with_shared)
    assert said.split(" (")[0] == answered(alone).split(" (")[0]
    assert said != answered(alone), "twice as many pairs are spoken of, so intervals are wider"
    said = answered(results(runs_of(other, "shared"), runs_of(ONE)))
    assert said.startswith("Use `mse`: test MAE 1.0")
    assert "below `l1`" in said
    assert "the best of those that are worse. Worse, too: `huber`" in said, "the reference is the best"


def test_only_what_was_shown_is_called_equally_good() -> None:
    close = {"mse": near(1.31, 2), "l1": near(1.3, 1)}
    said = answered(results(runs_of(close)))
    assert said == (
        "No loss is shown to be better than another; `l1` has the best mean, test MAE 1.30. The others: `mse` 1.33."
    ), "no margin was given, so nothing is equivalent"
    said = answered(results(runs_of(close), margin="0.3"))
    assert said == "Both losses do equally well: test MAE 1.30 to 1.33, apart by less than 0.30."
    both = {**close, "huber": near(2, 3)}
    said = answered(results(runs_of(both), margin="0.3"))
    assert said.startswith("Use `l1` or `mse`: test MAE 1.30 to 1.33")
    wide = {**close, "noisy": [1.0, 1.9] * 5}
    said = answered(results(runs_of(wide), margin="0.3"))
    assert said == (
        "No loss is shown to be worse; `l1` and `mse` do equally well: test MAE 1.30 to 1.33. "
        "No difference shown: `noisy` 1.45."
    )


@pytest.mark.slow
def test_settings_with_one_answer_are_taken_together() -> None:
    blocks = [runs_of(ONE, setting=setting) for setting in ("noise=0.1", "noise=0.2", "noise=0.4")]
    assert answered(results(*blocks)) == (
        "In all 3 settings, use `l1`: test MAE 1.30, 36 % below `mse`. No difference shown: `huber` 1.33."
    )
    clean = {"mse": near(0.4, 0), "l1": near(0.6, 1), "huber": near(0.7, 2)}
    said = answered(results(runs_of(clean, setting="noise=0"), *blocks))
    assert "With noise=0, use `mse`: test MAE 0.4" in said
    assert "With noise=0.1 or with noise=0.2 or with noise=0.4, use `l1`" in said
    many = [runs_of({**ONE, f"x{n}": near(9, n)}, setting=f"s{n}") for n in range(6)]
    assert answered(results(*many)).endswith("The tables have the other 2 settings.")


@pytest.mark.slow
def test_one_loss_for_all_settings_is_the_one_that_is_never_far_from_the_best() -> None:
    others = [runs_of(ONE, setting=setting) for setting in ("noise=0.1", "noise=0.2")]
    clean = {"mse": near(0.4, 0), "l1": near(0.6, 1), "huber": near(0.45, 2)}
    said = answered(results(runs_of(clean, setting="noise=0"), *others))
    assert said.startswith("One loss for 3 settings: `huber`. Its mean test MAE is nowhere more than 1.")
    assert " times the best one (`mse`: 1.5" in said
    scattered = {**clean, "huber": [0.3, 1.9] * 5}
    said = answered(results(runs_of(scattered, setting="noise=0"), *others))
    assert said.startswith("One loss for 3 settings: `l1`. "), "huber is not shown to be worse, as its runs scatter"
    assert "but it is shown to be worse with noise=0." in said
    higher = {loss: [1 - value / 10 for value in values] for loss, values in clean.items()}
    lower = {loss: [1 - value / 10 for value in values] for loss, values in ONE.items()}
    both = [runs_of(higher, setting="a"), runs_of(lower, setting="b")]
    said = answered(results(*both, better="max", metric="accuracy"))
    assert re.match(
        r"One loss for 2 settings: `huber`\. Its mean test accuracy is nowhere more than 0\.0\d+ below the best",
        said,
    )
    near_all = {loss: near(1.3, row) for row, loss in enumerate(ONE)}
    said = answered(
        results(*[runs_of(near_all, setting=s) for s in "ab"], runs_of({**near_all, "x": near(1.3, 4)}, setting="c"))
    )
    assert said.startswith(
        "One loss for 3 settings: `l1`. It has the best mean in each of them. No loss is shown to be better than"
    )


def test_a_loss_with_useless_runs_is_no_loss_for_all_settings() -> None:
    """One run in ten is far worse than a constant: nothing is shown of such a loss, and it is no advice."""
    wild = {**ONE, "huber": [*near(0.9, 2)[:9], 400.0]}
    blocks = [
        runs_of(wild, setting="a", constant=5.0),
        runs_of({**ONE, "mse": near(1.2, 0)}, setting="b", constant=5.0),
    ]
    said = answered(results(*blocks))
    assert said.startswith("One loss for 2 settings: `l1`.")
    assert "`huber` 40.8 (1 of 10 useless)" in said
    assert "A run is useless where it diverged or does no better than the best constant prediction." in said


def test_the_reference_is_compared_where_nothing_is_shown_of_it_too() -> None:
    values = {"mse": [1.2, 1.9] * 5, "l1": near(1.3, 1), "huber": near(2.3, 2)}
    said = answered(results(runs_of(values)))
    assert said.startswith(
        "Use `l1`: test MAE 1.30, not shown to be better than `mse` (1.55; difference 0.25, 95 % interval -0.11 to 0.61)"
    )


def test_losses_are_named_without_hyperparameters_where_that_is_clear() -> None:
    values = {
        "mse": near(2.0, 0),
        "huber(delta=1.0)": near(1.3, 1),
        "cauchy(c=1.0)": near(2.1, 2),
        "huber(delta=9.0)": near(2.2, 3),
    }
    said = answered(results(runs_of(values)))
    assert said.startswith("Use `huber(delta=1.0)`: ")
    assert re.search(r"Worse, too: `cauchy` 2\.\d+, `huber\(delta=9\.0\)` 2\.\d+\.", said)


def test_the_table_has_a_row_for_each_setting() -> None:
    clean = {"mse": near(0.4, 0), "l1": near(0.6, 1), "huber": near(0.45, 2)}
    made = results(runs_of(clean, setting="noise=0"), runs_of({**ONE, "huber": [DIVERGED] * 10}, setting="noise=1"))
    found = table(made, find(made))
    assert found
    assert found.head == ["with", "use", "test MAE", "mse", "no difference shown", "worse"]
    first, second = found.rows
    assert first[:2] + first[3:4] == ["noise=0", "`mse`", "best mean"]
    assert re.fullmatch(r"`huber` 0\.4\d+", first[4])
    assert re.fullmatch(r"`l1` 0\.6\d+", first[5])
    assert second[:3] == ["noise=1", "`l1`", "1.30"]
    assert re.fullmatch(r"2\.0\d, worse by 0\.7\d \[0\.\d+, 0\.\d+\]", second[3])
    assert second[4:] == [NONE, "`huber` diverged (10 of 10 useless)"]
    assert f"corrected for all {find(made).family} tests" in found.caption
    assert table(results(runs_of(ONE)), find(results(runs_of(ONE)))) is None, "one setting is a sentence"
    few = {loss: values[:3] for loss, values in ONE.items()}
    made = results(runs_of(few), runs_of(few, setting="two"))
    assert table(made, find(made)) is None


def test_too_few_seeds_give_a_refusal_and_the_numbers() -> None:
    few = {loss: values[:3] for loss, values in ONE.items()}
    said = answered(results(runs_of(few)))
    assert said == (
        "3 seeds cannot support a claim; it takes at least 5. Test MAE, the means alone: `l1` 1.30, `huber` 1.37, `mse` 2.06."
    )
    unfinished = {loss: [*values, *[MISSING] * 7] for loss, values in few.items()}
    assert answered(results(runs_of(unfinished))) == said, "seeds that did not run yet support nothing"
    said = answered(results(runs_of(few), runs_of(few, setting="two")))
    assert "Test MAE with two, the means alone: `l1` 1.30" in said


@pytest.mark.slow
def test_what_learnt_nothing_is_said() -> None:
    """The best loss of claims that are mostly 0 predicts 0, as the best constant does."""
    said = answered(results(runs_of(ONE, constant=1.3)))
    assert (
        "But `l1` is not shown to be better than the best constant prediction (1.30), so it may have learnt nothing."
        in said
    )
    assert "learnt nothing" not in answered(results(runs_of(ONE, constant=2.0)))
    assert "constant" not in answered(results(runs_of(ONE))), "it is not known"
    higher = {loss: [-value for value in values] for loss, values in ONE.items()}
    assert "learnt nothing" in answered(results(runs_of(higher, constant=-1.2), better="max", metric="r2"))
    assert "learnt nothing" not in answered(results(runs_of(higher, constant=-2.0), better="max", metric="r2"))


def test_diverged_runs_are_told() -> None:
    values = {**ONE, "huber": [*near(0.5, 2)[:9], DIVERGED]}
    said = answered(results(runs_of(values)))
    assert said.startswith("Use `l1`"), "a loss that diverged leads nobody"
    assert "No difference shown: `huber` 0.521 (1 of 10 useless)." in said, (
        "it is lower on nine seeds, and diverged on one"
    )
    assert said.endswith("1 run diverged and ranks last: 1 of `huber`.")
    every = {loss: [DIVERGED, *found[1:]] for loss, found in ONE.items()}
    said = answered(results(runs_of(every)))
    assert said.startswith(
        "Every loss diverged on some seed, `l1` on the fewest, 1 of 10 seeds; of those that are left: "
    )
    assert "3 runs diverged and rank last: 1 of `mse`, 1 of `l1` and 1 of `huber`." in said
    lost = runs_of(ONE)
    lost.loc[lost.index[:2], ["status", "value"]] = ["failed", np.nan]
    assert answered(results(lost)).endswith("2 runs failed with an error and count as missing: 2 of `mse`.")


def test_nothing_done_is_said() -> None:
    said = "No run is done, so nothing can be said."
    assert answered(results(runs_of({"mse": [DIVERGED] * 9, "l1": [MISSING] * 9}))) == said


def test_a_ranking_that_flips_is_told() -> None:
    shared = {"mse": near(1.0, 0), "l1": near(2.0, 1), "huber": near(3.0, 2)}
    said = flipped(results(runs_of(ONE), runs_of(shared, "shared")))
    assert said == (
        "At the shared rate `mse` ranks 1st, at tuned rates 3rd. Another loss wins at tuned rates than at the shared rate. "
        "Tuning reverses the order of 2 pairs of losses; in all of them both intervals exclude zero."
    )
    parts = [
        runs_of(values, condition, setting)
        for setting in ("x", "y")
        for condition, values in (("tuned", ONE), ("shared", shared))
    ]
    assert "In 2 of 2 settings another loss wins" in flipped(results(*parts))
    few = [
        runs_of({loss: found[:4] for loss, found in part.items()}, condition)
        for part, condition in ((ONE, "tuned"), (shared, "shared"))
    ]
    said = flipped(results(*few))
    assert "in none of them do both intervals exclude zero. So few seeds support no claim about this." in said


def test_a_winner_that_stays_leaves_the_loss_that_moves_most() -> None:
    before = {"mse": near(1, 0), "a": near(2, 1), "b": near(3, 2), "c": near(4, 3)}
    after = {"mse": near(1, 0), "a": near(4, 1), "b": near(2, 2), "c": near(3, 3)}
    said = flipped(results(runs_of(after), runs_of(before, "shared")))
    assert said.startswith("At the shared rate `a` ranks 2nd, at tuned rates 4th. The same loss wins at both rates.")


def test_no_flip_is_admitted() -> None:
    worse = {loss: [value + 1 for value in values] for loss, values in ONE.items()}
    said = flipped(results(runs_of(ONE), runs_of(worse, "shared")))
    assert said == "In this setting, tuning reverses the order of no pair of losses."
    assert flipped(results(runs_of(ONE))) == ""
    none = runs_of({loss: [MISSING] * 3 for loss in ONE}, "shared")
    said = "{} no run is done, so whether the ranking depends on tuning is not known."
    assert flipped(results(runs_of(ONE), none)) == said.format("At the shared rate")
    lost = runs_of({loss: [DIVERGED] * 3 for loss in ONE})
    assert flipped(results(lost, runs_of(ONE, "shared"))) == said.format("At tuned rates")
    assert flipped(results(lost, none)) == "No run is done, so nothing can be said."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.3, "1.30"),
        (0.70849, "0.708"),
        (12345.6, "12,346"),
        (100.4, "100"),
        (0, "0"),
        (1.2e-5, "1.20e-05"),
        (np.nan, "unknown"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_intervals_decide_the_digits() -> None:
    assert spread(1.30312, 1.24189, 1.36435, 0.95) == "1.30 (95 % interval 1.24 to 1.36)"
    assert alike(0.97123, 0.97108, 0.97138) == ("0.97123", "0.97108", "0.97138")
    assert spread(12.3456, 2.0, 22.7, 0.9) == "12 (90 % interval 2 to 23)"
    assert spread(1.5, np.nan, np.nan, 0.95) == "1.50"
    assert alike(0.5, 0.5, 0.5) == ("0.500",) * 3
    assert alike(-0.001, -0.4, 0.4)[0] == "0.00"


def test_words() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "103rd", "111th"]
    )
    assert [metric_name(m) for m in ("mae", "mean_iou", "iou50", "median_ae", "r2", "accuracy", "auroc")] == (
        ["MAE", "mean IoU", "IoU50", "median AE", "R2", "accuracy", "AUROC"]
    )
    assert several(list("abcd")) == "`a`, `b`, `c` and `d`"
    assert several(list("abcde")) == "`a`, `b`, `c` and 2 others"
    assert [p_value(p) for p in (1e-9, 0.0001, 0.034, 1.0)] == ["p < 0.0001", "p = 0.00010", "p = 0.034", "p = 1"]
