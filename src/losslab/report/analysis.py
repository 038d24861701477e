"""All numbers that a report shows, computed once from its runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from losslab.report.results import Results
from losslab.stats import summaries
from losslab.stats.budgets import best_so_far
from losslab.stats.profiles import profiles
from losslab.stats.robustness import axis_levels, numeric_axis, panels, robustness

CONDITIONS = {"tuned": "own tuned rate", "shared": "one shared rate", "asked": "as asked"}


@dataclass(frozen=True)
class Findings:
    """What `find` found.

    Attributes:
        ranking, comparisons, overall, friedman, flips: the tables of `losslab.stats.summaries`.
        matrices: from (condition, setting) to its table of all pairs of losses.
        family: of how many pairs, and tests of ranks, the report speaks; all claims are corrected for it.
        epochs: of a plain sweep, the ranking at the best and at the last epoch; empty for a study.
        curves: the means of the curves.
        axis: key of the numeric axis, "" where there is none.
        levels: the number of each setting on that axis; empty without one.
        panels: what else each setting has; empty without an axis.
        robustness: the table of `losslab.stats.robustness`, empty without an axis.
        profiles: the table of `losslab.stats.profiles`.
        budgets: the table of `losslab.stats.budgets`; empty where nothing was tuned.
    """

    ranking: pd.DataFrame
    comparisons: pd.DataFrame
    overall: pd.DataFrame
    friedman: pd.DataFrame
    flips: pd.DataFrame
    matrices: dict[tuple[str, str], pd.DataFrame]
    family: int
    axis: str
    levels: pd.Series[float]
    panels: pd.Series[str]
    robustness: pd.DataFrame
    profiles: pd.DataFrame
    budgets: pd.DataFrame
    epochs: dict[str, pd.DataFrame] = field(default_factory=dict)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)


def find(results: Results) -> Findings:
    """Computes them all."""
    runs, better, reference, level = results.runs, results.better, results.reference, results.level
    distinct = results.distinct  # for what counts settings
    overlap = results.overlap
    settings, axis = results.settings, numeric_axis(results.settings)
    levels = axis_levels(settings, axis) if axis else pd.Series(dtype=float)
    other = panels(settings, axis) if axis else pd.Series(dtype=object)
    overs = ("seed", "setting") if "data" in settings else ("seed",)  # several data sets may speak of others
    plain = results.conditions == ["asked"]
    ranks = pd.concat([summaries.friedman(distinct, better, over) for over in overs], ignore_index=True)
    family = summaries.family(distinct) + int(ranks["p"].notna().sum())
    ranking = summaries.ranking(runs, better, level, overlap, results.bounds)
    best = (
        ranking[ranking["n"] > 0].sort_values("rank", kind="stable").groupby(["condition", "setting"])["mean"].first()
    )
    matrices = {
        place: summaries.matrix(
            runs, *place, better, level, overlap, family, results.margin.of(float(best.get(place, float("nan"))))
        )
        for place in summaries.places(runs)
    }
    return Findings(
        ranking=ranking,
        comparisons=summaries.comparisons(matrices, reference),
        overall=summaries.overall(distinct, better, level, overlap),
        friedman=ranks.replace({"over": {"seed": results.unit}}).assign(
            p_corrected=(ranks["p"] * family).clip(upper=1.0)
        ),
        flips=summaries.flips(distinct, better, level, overlap, family),
        matrices=matrices,
        family=family,
        profiles=profiles(distinct, better),
        budgets=pd.DataFrame() if results.trials.empty else best_so_far(results.trials, better),
        epochs={
            which: summaries.ranking(runs.assign(value=runs[which]), better, level, overlap)
            for which in ("best", "last")
            if plain and which in runs
        },
        curves=pd.DataFrame() if results.curves.empty else summaries.curve_means(results.curves, runs, level),
        axis=axis or "",
        levels=levels,
        panels=other,
        robustness=robustness(runs, levels, better, reference, level, other, overlap, family, results.bounds)
        if axis
        else pd.DataFrame(),
    )
