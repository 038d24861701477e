"""The answer of a study in words."""

import numpy as np
import pandas as pd
import pytest

from losslab.report.analysis import find
from losslab.report.answer import answer, flip_sentence
from losslab.report.formatting import alike, number, ordinal, p_value, several, spread
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
        "Use `l1`: test MAE 1.30, 0.73 below `mse` (95 % interval 0.65 to 0.80, 36 %). Not decided: whether `huber` is as good."
    )
    said = answered(results(runs_of({**ONE, "worst": near(3.0, 3)})))
    assert "below `mse`" in said, "the reference is what a reader knows"
    assert "`worst` is worse, too. Not decided: whether `huber` is as good." in said
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
    assert said.endswith("is worse, too.")


def test_only_what_was_shown_is_called_equally_good() -> None:
    close = {"mse": near(1.31, 2), "l1": near(1.3, 1)}
    said = answered(results(runs_of(close)))
    assert said == ("No loss is shown to be better than another; `l1` has the best mean, test MAE 1.30."), (
        "no margin was given, so nothing is equivalent"
    )
    said = answered(results(runs_of(close), margin="0.3"))
    assert said == "Both losses do equally well: test MAE 1.30 to 1.33, apart by less than 0.30."
    both = {**close, "huber": near(2, 3)}
    said = answered(results(runs_of(both), margin="0.3"))
    assert said.startswith("Use `l1` or `mse`: test MAE 1.30 to 1.33")
    wide = {**close, "noisy": [1.0, 1.9] * 5}
    said = answered(results(runs_of(wide), margin="0.3"))
    assert said == (
        "No loss is shown to be worse; `l1` and `mse` do equally well: test MAE 1.30 to 1.33. "
        "Not decided: whether `noisy` is as good."
    )


def test_settings_with_one_answer_are_taken_together() -> None:
    blocks = [runs_of(ONE, setting=setting) for setting in ("noise=0.1", "noise=0.2", "noise=0.4")]
    assert answered(results(*blocks)) == (
        "In all 3 settings, use `l1`: test MAE 1.30, 36 % below `mse`. Not decided: whether `huber` is as good."
    )
    clean = {"mse": near(0.4, 0), "l1": near(0.6, 1), "huber": near(0.7, 2)}
    said = answered(results(runs_of(clean, setting="noise=0"), *blocks))
    assert said.startswith("Which loss to use depends on the setting. With noise=0, use `mse`: test MAE 0.4")
    assert "With noise=0.1 or with noise=0.2 or with noise=0.4, use `l1`" in said
    middling = {"mse": near(0.4, 0), "l1": near(0.6, 1), "huber": near(0.4, 2)}
    said = answered(results(runs_of(middling, setting="noise=0"), *blocks))
    assert said.startswith("`huber` is in no setting shown to be worse than the best.")
    scattered = {"mse": near(0.4, 0), "l1": near(0.6, 1), "huber": [0.3, 1.9] * 5}
    said = answered(results(runs_of(scattered, setting="noise=0"), *blocks))
    assert said.startswith("Which loss to use depends on the setting. ")  # so far from the best, huber is no advice
    many = [runs_of({**ONE, f"x{n}": near(9, n)}, setting=f"s{n}") for n in range(6)]
    assert answered(results(*many)).endswith("The tables have the other 2 settings.")


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


def test_what_learnt_nothing_is_said() -> None:
    """The best loss of claims that are mostly 0 predicts 0, as the best constant does."""
    said = answered(results(runs_of(ONE, constant=1.3)))
    assert (
        "But `l1` is not shown to be better than the best constant prediction (1.30), so it may have learnt nothing."
        in said
    )
    assert "constant" not in answered(results(runs_of(ONE, constant=2.0)))
    assert "constant" not in answered(results(runs_of(ONE))), "it is not known"
    higher = {loss: [-value for value in values] for loss, values in ONE.items()}
    assert "constant" in answered(results(runs_of(higher, constant=-1.2), better="max", metric="r2"))
    assert "constant" not in answered(results(runs_of(higher, constant=-2.0), better="max", metric="r2"))


def test_diverged_runs_are_told() -> None:
    values = {**ONE, "huber": [*near(0.5, 2)[:9], DIVERGED]}
    said = answered(results(runs_of(values)))
    assert said.startswith("Use `l1`"), "a loss that diverged leads nobody"
    assert "Not decided: whether `huber` is as good." in said, "it is lower on nine seeds, and diverged on one"
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
