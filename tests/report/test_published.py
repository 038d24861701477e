"""A published table beside ours: the unit, the verdicts, and runs that diverged."""

import math

import pandas as pd
import pytest

from losslab.report import published
from losslab.report.results import Results
from losslab.stats.margins import Margin
from losslab.stats.published import CANNOT_TELL, LEFT_OUT, NOT_REPRODUCED, REPRODUCED
from losslab.study.papers import Cell, Paper
from losslab.study.recipe import ONE_SETTING


def results(better: str = "max", **values: list[float]) -> Results:
    """Ten seeds of each loss; NaN: the run diverged."""
    rows = [
        {
            "condition": "shared",
            "loss": loss,
            "setting": ONE_SETTING,
            "seed": seed,
            "status": "diverged" if math.isnan(value) else "done",
            "value": value,
            "constant": 0.1,
            "lr": 0.1,
            "params": "",
            "run": f"{loss}{seed}",
        }
        for loss, of in values.items()
        for seed, value in enumerate(of)
    ]
    return Results(
        name="paper/made_up",
        question="",
        task="multiclass",
        metric="accuracy",
        better=better,
        epoch="last",
        reference="a",
        losses=list(values),
        conditions=["shared"],
        settings=pd.DataFrame(index=[ONE_SETTING]),
        runs=pd.DataFrame(rows),
        margin=Margin(0.01, relative=False),
    )


def rows(of: Results, *cells: tuple[str, float], **more: object) -> list[published.Row]:
    """The table of a paper with these numbers, in percent."""
    given = tuple(Cell(loss, ONE_SETTING, "accuracy", value) for loss, value in cells)
    paper = Paper("a table", "here", unit="%", scale=100, within=2, cells=given, metrics=("accuracy",), **more)  # type: ignore[arg-type]
    return published.rows(paper, lambda metric: of)


NEAR = [0.7 + 0.001 * seed for seed in range(10)]
FAR = [0.9 + 0.001 * seed for seed in range(10)]


def test_numbers_and_differences_are_in_the_unit_of_the_paper() -> None:
    first, second, between = rows(results(a=NEAR, b=FAR), ("a", 71.0), ("b", 80.0))
    assert first.ours["shared"].mean == pytest.approx(70.45)
    assert (first.ours["shared"].verdict, second.ours["shared"].verdict) == (REPRODUCED, NOT_REPRODUCED)
    assert (between.what, between.paper) == ("`b` \u2212 `a`", 9.0)
    assert between.ours["shared"].mean == pytest.approx(20)
    assert between.ours["shared"].verdict == REPRODUCED
    table = published.markdown([first, second, between]).splitlines()
    assert table[0] == "|  | paper | ours, as published | verdict |"
    assert table[4].startswith("| `b` \u2212 `a` | +9 | 20")


def test_what_a_paper_leaves_out_stands_in_the_place_of_not_reproduced() -> None:
    first, second, _ = rows(results(a=NEAR, b=FAR), ("a", 71.0), ("b", 80.0), left_out=("the start",))
    assert (first.ours["shared"].verdict, second.ours["shared"].verdict) == (REPRODUCED, LEFT_OUT)


@pytest.mark.parametrize("better", ["min", "max"])
@pytest.mark.parametrize("published_better", [True, False])
def test_a_loss_that_diverged_is_the_worse_one(better: str, published_better: bool) -> None:
    """b diverged on all seeds: a published table in which it is worse is reproduced, one in which it is better is not."""
    higher = published_better == (better == "max")
    number, *_, between = rows(results(better, a=NEAR, b=[math.nan] * 10), ("a", 50.0), ("b", 70.0 if higher else 30.0))
    assert between.ours["shared"].verdict == (NOT_REPRODUCED if published_better else REPRODUCED)
    assert number.ours["shared"].verdict == NOT_REPRODUCED


def test_of_a_loss_that_diverged_once_nothing_is_told() -> None:
    *_, between = rows(results(a=NEAR, b=[math.nan, *NEAR[1:]]), ("a", 50.0), ("b", 30.0))
    assert between.ours["shared"].verdict == CANNOT_TELL


def test_the_summary_counts_verdicts() -> None:
    said = published.summary(rows(results(a=NEAR, b=FAR), ("a", 71.0), ("b", 80.0)))
    assert (
        said
        == "As published, of 2 numbers: 1 reproduced and 1 not reproduced; as published, of 1 difference: 1 reproduced."
    )
