"""All that the statistics say of a study, computed once for its tables and figures."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from losslab.report import answer as report_answer
from losslab.report.results import Results
from losslab.stats import summaries
from losslab.stats.robustness import axis_levels, numeric_axis, panels, robustness

ARMS = {"tuned": "own tuned rate", "shared": "one shared rate", "asked": "as asked"}


@dataclass(frozen=True)
class Findings:
    """What `find` found.

    Attributes:
        answer: to the question, sentences with losses in backticks.
        flipped: the sentence on what flips between the arms; "" with one arm.
        ranking, comparisons, overall, friedman, flips: the tables of `losslab.stats.summaries`.
        matrices: from (arm, setting) to its table of all pairs of losses.
        axis: key of the numeric axis, "" where there is none.
        levels: the place of each setting on that axis; empty without one.
        panels: what else each setting has; empty without an axis.
        robustness: the table of `losslab.stats.robustness`, empty without an axis.
    """

    answer: str
    flipped: str
    ranking: pd.DataFrame
    comparisons: pd.DataFrame
    overall: pd.DataFrame
    friedman: pd.DataFrame
    flips: pd.DataFrame
    matrices: dict[tuple[str, str], pd.DataFrame]
    axis: str
    levels: pd.Series[float]
    panels: pd.Series[str]
    robustness: pd.DataFrame


def find(results: Results) -> Findings:
    """Computes them all."""
    runs, better, reference = results.runs, results.better, results.reference
    settings, axis = results.settings, numeric_axis(results.settings)
    levels = axis_levels(settings, axis) if axis else pd.Series(dtype=float)
    other = panels(settings, axis) if axis else pd.Series(dtype=object)
    overs = ("seed", "setting") if "data" in settings else ("seed",)  # several data sets may speak of others
    return Findings(
        answer=report_answer.answer(results),
        flipped=report_answer.flip_sentence(results) if {"tuned", "shared"} <= set(results.arms) else "",
        ranking=summaries.ranking(runs, better),
        comparisons=summaries.comparisons(runs, reference, better),
        overall=summaries.overall(runs, better),
        friedman=pd.concat([summaries.friedman(runs, better, over) for over in overs], ignore_index=True),
        flips=summaries.flips(runs, better),
        matrices={
            (arm, setting): summaries.matrix(runs, arm, setting, better)
            for arm, setting in runs[["arm", "setting"]].drop_duplicates().itertuples(index=False)
        },
        axis=axis or "",
        levels=levels,
        panels=other,
        robustness=robustness(runs, levels, better, reference, panel=other) if axis else pd.DataFrame(),
    )
