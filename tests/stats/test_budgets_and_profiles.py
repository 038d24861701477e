"""What a budget of trials buys, and how often runs come near to the best."""

import numpy as np
import pandas as pd
import pytest

from losslab.stats.budgets import best_so_far, still_gaining
from losslab.stats.profiles import profiles
from support.study_tables import runs_of


def trials(values: dict[str, list[float]], loss: str = "l1") -> pd.DataFrame:
    """One run a trial; NaN: it diverged. By the label of the tuning."""
    rows = [
        (loss, at, trial, 0.01, "", 7, "done" if np.isfinite(value) else "diverged", value)
        for at, of_tuning in values.items()
        for trial, value in enumerate(of_tuning)
    ]
    return pd.DataFrame(rows, columns=["loss", "at", "trial", "lr", "params", "seed", "status", "value"])


def test_the_best_so_far_is_that_of_each_repeat_on_average() -> None:
    found = best_so_far(trials({"x=1, repeat 1": [3.0, 1.0, 2.0], "x=1, repeat 2": [5.0, 4.0, 2.0]}), "min")
    assert list(found["at"].unique()) == ["x=1"]
    assert list(found["tried"]) == [1, 2, 3]
    assert list(found["value"]) == [4.0, 2.5, 1.5]
    upwards = best_so_far(trials({"repeat 1": [3.0, 1.0, 2.0], "repeat 2": [5.0, 6.0, 2.0]}), "max")
    assert list(upwards["value"]) == [4.0, 4.5, 4.5]
    assert list(upwards["at"].unique()) == [""]


def test_a_trial_that_diverged_buys_nothing() -> None:
    found = best_so_far(trials({"repeat 1": [np.nan, 1.0, np.nan], "repeat 2": [2.0, 2.0, 1.0]}), "min")
    assert np.isnan(found["value"].iloc[0])
    assert list(found["value"].iloc[1:]) == [1.5, 1.0]


def test_repeats_are_cut_to_the_length_that_all_have() -> None:
    found = best_so_far(trials({"repeat 1": [3.0, 2.0, 1.0, 0.5], "repeat 2": [3.0, 2.0]}), "min")
    assert list(found["value"]) == [3.0, 2.0]


def test_who_still_gains_at_the_end_is_named() -> None:
    paths = pd.concat(
        [
            best_so_far(trials({"": [4.0, 3.0, 3.0, 1.0]}, "late"), "min"),
            best_so_far(trials({"": [4.0, 1.0, 1.0, 0.95]}, "early"), "min"),
        ]
    )
    found = still_gaining(paths, "min", margin=0.1)
    assert list(found["loss"]) == ["late"]
    assert found["gain"].iloc[0] == pytest.approx(2.0)
    assert still_gaining(paths, "min", margin=0.0).empty


def test_a_profile_is_the_share_of_runs_so_near_to_the_best_of_their_seed() -> None:
    runs = runs_of({"a": [1.0, 2.0, 3.0, 9.0], "b": [1.5, 1.0, 3.0, 8.0]})
    found = profiles(runs, "min").set_index("loss")
    a = found.loc["a"].set_index("behind")["share"]
    assert a.to_dict() == {0.0: 0.5, 1.0: 1.0}
    b = found.loc["b"].set_index("behind")["share"]
    assert b.to_dict() == {0.0: 0.75, 0.5: 1.0}
    mirrored = profiles(runs.assign(value=-runs["value"]), "max").set_index("loss")
    assert mirrored.loc["a"].set_index("behind")["share"].to_dict() == a.to_dict()


def test_a_run_that_diverged_never_comes_near() -> None:
    runs = runs_of({"a": [1.0, 2.0], "b": [1.0, 2.0]})
    runs.loc[0, ["status", "value"]] = ["diverged", np.nan]
    found = profiles(runs, "min").set_index("loss")
    assert found.loc["a"]["share"].max() == 0.5
    assert found.loc["b"]["share"].max() == 1.0
    runs.loc[0, "status"] = "failed"  # missing, and no evidence against the loss
    assert profiles(runs, "min").set_index("loss").loc["a"]["runs"].max() == 1
