"""All numbers that a report shows, computed once from its runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from losslab.report.results import Results
from losslab.stats import summaries
from losslab.stats.robustness import axis_levels, numeric_axis, panels, robustness

CONDITIONS = {"tuned": "own tuned rate", "shared": "one shared rate", "asked": "as asked"}


@dataclass(frozen=True)
class Findings:
    """What `find` found.

    Attributes:
        ranking, comparisons, overall, friedman, flips: the tables of `losslab.stats.summaries`.
        matrices: from (condition, setting) to its table of all pairs of losses.
        rank_matrices: from an condition to the table of all pairs of losses by their ranks over the settings.
        epochs: of a plain sweep, the ranking at the best and at the last epoch; empty for a study.
        curves: the means of the curves.
        axis: key of the numeric axis, "" where there is none.
        levels: the number of each setting on that axis; empty without one.
        panels: what else each setting has; empty without an axis.
        robustness: the table of `losslab.stats.robustness`, empty without an axis.
    """

    ranking: pd.DataFrame
    comparisons: pd.DataFrame
    overall: pd.DataFrame
    friedman: pd.DataFrame
    flips: pd.DataFrame
    matrices: dict[tuple[str, str], pd.DataFrame]
    rank_matrices: dict[str, pd.DataFrame]
    axis: str
    levels: pd.Series[float]
    panels: pd.Series[str]
    robustness: pd.DataFrame
    epochs: dict[str, pd.DataFrame] = field(default_factory=dict)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)


def find(results: Results) -> Findings:
    """Computes them all."""
    runs, better, reference, level = results.runs, results.better, results.reference, results.level
    overlap = results.overlap
    settings, axis = results.settings, numeric_axis(results.settings)
    levels = axis_levels(settings, axis) if axis else pd.Series(dtype=float)
    other = panels(settings, axis) if axis else pd.Series(dtype=object)
    overs = ("seed", "setting") if "data" in settings else ("seed",)  # several data sets may speak of others
    plain = results.conditions == ["asked"]
    return Findings(
        ranking=summaries.ranking(runs, better, level, overlap),
        comparisons=summaries.comparisons(runs, reference, better, level, overlap),
        overall=summaries.overall(runs, better, level, overlap),
        friedman=pd.concat([summaries.friedman(runs, better, over) for over in overs], ignore_index=True),
        flips=summaries.flips(runs, better, level, overlap),
        matrices={
            (condition, setting): summaries.matrix(runs, condition, setting, better, level, overlap)
            for condition, setting in runs[["condition", "setting"]].drop_duplicates().itertuples(index=False)
        },
        rank_matrices={
            str(condition): summaries.rank_matrix(runs, str(condition), better, level, overlap)
            for condition in pd.unique(runs["condition"])
        },
        epochs={
            which: summaries.ranking(runs.assign(value=runs[which]), better, level, overlap)
            for which in ("best", "last")
            if plain and which in runs
        },
        curves=pd.DataFrame() if results.curves.empty else summaries.curve_means(results.curves, runs, level),
        axis=axis or "",
        levels=levels,
        panels=other,
        robustness=robustness(runs, levels, better, reference, level, other, overlap) if axis else pd.DataFrame(),
    )
