"""All that the statistics say of a study, computed once for its tables and figures."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from losslab.study import statistics, verdict
from losslab.study.results import Results
from losslab.study.robustness import numeric_axis, robustness

ARMS = {"tuned": "own tuned rate", "shared": "one shared rate", "asked": "as asked"}


@dataclass(frozen=True)
class Findings:
    """What `find` found.

    Attributes:
        answer: to the question, sentences with losses in backticks.
        flipped: the sentence on what flips between the arms; "" with one arm.
        ranking, comparisons, overall, friedman, flips: the tables of `losslab.study.statistics`.
        matrices: from (arm, setting) to its table of all pairs of losses.
        levels: by setting, its place on the numeric axis; None where there is no such axis.
        axis: name of that axis, "" without.
        robustness: the table of `losslab.study.robustness`, empty without an axis.
    """

    answer: str
    flipped: str
    ranking: pd.DataFrame
    comparisons: pd.DataFrame
    overall: pd.DataFrame
    friedman: pd.DataFrame
    flips: pd.DataFrame
    matrices: dict[tuple[str, str], pd.DataFrame]
    levels: pd.Series[float] | None
    axis: str
    robustness: pd.DataFrame

    def panels(self, results: Results) -> dict[str, list[str]]:
        """The settings that differ in nothing but the level, by what they share; "" where they share nothing."""
        others = results.settings.drop(columns=self.axis)
        groups: dict[str, list[str]] = {}
        for setting, row in zip(others.index, others.to_dict("records"), strict=True):
            label = ", ".join(f"{str(key).split('.')[-1]}={value}" for key, value in row.items())
            groups.setdefault(label, []).append(str(setting))
        return groups


def find(results: Results) -> Findings:
    """Computes them all."""
    runs, better, reference = results.runs, results.better, results.reference
    levels = numeric_axis(results.settings)
    return Findings(
        answer=verdict.answer(results),
        flipped=verdict.flip_sentence(results),
        ranking=statistics.ranking(runs, better),
        comparisons=statistics.comparisons(runs, reference, better),
        overall=statistics.overall(runs, better),
        friedman=statistics.friedman(runs, better),
        flips=statistics.flips(runs, better),
        matrices={
            (arm, setting): statistics.matrix(runs, arm, setting, better)
            for arm in results.arms
            for setting in results.settings.index
        },
        levels=levels,
        axis="" if levels is None else str(levels.name),
        robustness=pd.DataFrame() if levels is None else robustness(runs, levels, better, reference),
    )
