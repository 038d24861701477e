"""Area, cost and breakdown over the levels of an axis, worked by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from losslab.errors import BadRequest
from losslab.report.wording import breakdown
from losslab.stats.robustness import axis_levels, numeric_axis, panels, robustness
from support.study_tables import DIVERGED, MISSING, runs_of

LEVELS = pd.Series({"high": 0.4, "none": 0.0, "low": 0.1})


def study(curves: dict[str, list[list[object]]], constant: float = 3.0) -> pd.DataFrame:
    """Of each loss three lists: the values of the seeds at none, low and high."""
    parts = [
        runs_of({loss: curve[place] for loss, curve in curves.items()}, setting=setting, constant=constant)
        for place, setting in enumerate(("none", "low", "high"))
    ]
    return pd.concat(parts[::-1], ignore_index=True)


CURVES = {"steep": [[0.5, 1.5], [2.0, 2.0], [3.0, 5.0]], "flat": [[1.5, 1.7], [1.6, 1.6], [1.6, 1.6]]}


def test_area_cost_and_breakdown_as_worked_by_hand() -> None:
    table = robustness(study(CURVES), LEVELS, "min", "steep").set_index("loss")
    # means 1, 2, 4: (0.1 * 1.5 + 0.3 * 3) / 0.4; of the seeds (0.1 * 1.25 + 0.3 * 2.5) / 0.4 and (0.1 * 1.75 + 0.3 * 3.5) / 0.4
    assert table.loc["steep", "area"] == pytest.approx(2.625)
    low, high = stats.t.interval(0.95, 1, 2.625, stats.sem([2.1875, 3.0625]))
    assert (table.loc["steep", "area_low"], table.loc["steep", "area_high"]) == pytest.approx((low, high))
    # the constant's 3 lies between 2 at 0.1 and 4 at 0.4
    assert tuple(table.loc["steep", ["held", "breakdown"]]) == (0.1, 0.4)
    assert tuple(table.loc["steep", ["breaks", "why"]]) == ("stays", "")
    assert breakdown(table.loc["steep"]) == "Better than a constant up to 0.1, no better from 0.4 on."
    assert np.isnan(table.loc["flat", "breakdown"])
    assert breakdown(table.loc["flat"]) == "Better than a constant up to the highest level, 0.4."
    low, high = stats.ttest_rel([1.5, 1.7], [0.5, 1.5]).confidence_interval()
    found = table.loc["flat", ["clean_cost", "cost_low", "cost_high"]].to_list()
    assert found == pytest.approx([0.6, low, high])
    assert table.loc["steep", ["clean_cost", "cost_low", "cost_high"]].to_list() == [0, 0, 0]


def test_more_is_better_mirrors_less_is_better() -> None:
    runs = study(CURVES)
    less = robustness(runs, LEVELS, "min", "steep")
    more = robustness(runs.assign(value=-runs["value"], constant=-runs["constant"]), LEVELS, "max", "steep")
    assert list(more["area"]) == pytest.approx(list(-less["area"]))
    assert list(more["area_low"]) == pytest.approx(list(-less["area_high"]))
    same = ["clean_cost", "cost_low", "cost_high", "breakdown", "breaks", "why", "highest"]
    pd.testing.assert_frame_equal(less[same], more[same])


def test_a_diverged_level_counts_as_broken() -> None:
    curves = {
        **CURVES,
        "flat": [[1.0, 1.0], [DIVERGED, 1.0], [1.0, 1.0]],
        "bad": [[DIVERGED, 2.0], [4.0, 4.0], [5.0, 5.0]],
    }
    table = robustness(study(curves), LEVELS, "min", "steep").set_index("loss")
    assert np.isnan(table.loc["flat", "area"])
    assert table.loc["flat", "breakdown"] == 0.1
    assert table.loc["flat", "clean_cost"] == 0
    assert tuple(table.loc["flat", ["breaks", "why"]]) == ("recovers", "diverged")
    assert breakdown(table.loc["flat"]) == (
        "Better than a constant up to 0, no better at 0.1, where a run diverged or failed; better again at a higher level."
    )
    assert table.loc["bad", "breakdown"] == 0
    assert np.isnan(table.loc["bad", "clean_cost"])
    assert "from 0 on, where a run diverged" in breakdown(table.loc["bad"])


def test_no_better_from_the_lowest_level_on() -> None:
    row = robustness(study(CURVES, constant=0.7), LEVELS, "min", "steep").set_index("loss").loc["flat"]
    assert (row["breakdown"], breakdown(row)) == (0, "No better than a constant from 0 on, the lowest level.")
    equal = robustness(study({"a": [[3.0], [3.0], [3.0]]}), LEVELS, "min", "a").iloc[0]
    assert equal["breakdown"] == 0, "equal to the constant is no better"


def test_an_unknown_constant_leaves_the_breakdown_unknown() -> None:
    row = robustness(study(CURVES, constant=np.nan), LEVELS, "min", "steep").iloc[0]
    assert np.isnan(row["breakdown"])
    assert row["breaks"] == "unknown"


def test_seeds_without_every_level_are_left_out_of_the_area() -> None:
    runs = study({"a": [[1.0, 2.0, 9.0], [1.0, 2.0, MISSING], [1.0, 2.0, 9.0]]})
    assert robustness(runs, LEVELS, "min", "a").iloc[0]["area"] == pytest.approx(1.5)


def test_other_axes_make_panels() -> None:
    settings = pd.DataFrame(
        {"data": ["x", "x", "y", "y"], "corruption.fraction": [0.0, 0.4, 0.0, 0.4]}, index=["a", "b", "c", "d"]
    )
    parts = [runs_of({"l": [float(place)] * 2}, setting=setting) for place, setting in enumerate("abcd")]
    runs, axis = pd.concat(parts), numeric_axis(settings)
    assert axis == "corruption.fraction"
    table = robustness(runs, axis_levels(settings, axis), "min", "l", panel=panels(settings, axis))
    assert list(zip(table["panel"], table["area"], strict=True)) == [("data=x", 0.5), ("data=y", 2.5)]
    assert set(panels(settings[["corruption.fraction"]], axis)) == {""}
    with pytest.raises(BadRequest, match=r"Two settings lie on level 0\.0; put other axes into panels\."):
        robustness(runs, axis_levels(settings, axis), "min", "l")


def test_the_axis_is_the_first_of_corruption_with_numbers() -> None:
    frame = pd.DataFrame(
        {
            "optimizer.lr": [0.1, 0.2],
            "corruption.side": ["left", "right"],
            "corruption.clip": [True, False],
            "corruption.scale": [3.0, 3.0],
            "corruption.fraction": [0, 0.4],
        }
    )
    assert numeric_axis(frame) == "corruption.fraction"
    assert numeric_axis(frame.drop(columns="corruption.fraction")) is None
    assert numeric_axis(pd.DataFrame(index=["one"])) is None


def test_settings_off_the_axis_and_no_runs_give_no_rows() -> None:
    row = robustness(study(CURVES), LEVELS[["none", "low"]], "min", "steep").iloc[0]
    assert (row["area"], row["highest"]) == (pytest.approx(1.5), 0.1)
    table = robustness(study(CURVES).iloc[:0], LEVELS, "min", "steep")
    assert table.empty
    assert "breakdown" in table
