"""Which losses stand out in the figures of a report: all of a few; of many the reference and some from the best to the worst."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from losslab.report.analysis import Findings
from losslab.report.charts.style import COLOURS, REST
from losslab.report.results import Results

MOST = len(COLOURS)


def places(results: Results, found: Findings) -> dict[str, int]:
    """The place of each loss for `style.look`, the same in all figures."""
    return placed(results.losses, _best_first(results, found), results.reference)


def placed(losses: Sequence[str], best_first: Sequence[str], reference: str = "") -> dict[str, int]:
    """The same for losses in a given order of merit.

    Of many, the best, the worst and the reference stand out, and of each part of the order between them the one that comes
    first in the study.
    """
    if len(losses) <= MOST:
        return {loss: place for place, loss in enumerate(losses)}
    fixed = {best_first[0], best_first[-1], *({reference} & set(losses))}
    between = [loss for loss in best_first if loss not in fixed]
    parts = np.array_split(np.arange(len(between)), MOST - len(fixed))
    chosen = fixed | {min((between[at] for at in part), key=losses.index) for part in parts}
    order = [loss for loss in best_first if loss in chosen]
    return {loss: order.index(loss) if loss in chosen else REST for loss in losses}


def rest(results: Results, found: Findings) -> list[str]:
    """The losses that do not stand out."""
    return [loss for loss, place in places(results, found).items() if place == REST]


def _best_first(results: Results, found: Findings) -> list[str]:
    """The losses from the best to the worst, in the condition that leads; by their mean ranks where there are several settings."""
    table, by = (found.overall, "mean_rank") if len(results.settings) > 1 else (found.ranking, "rank")
    if table.empty:
        return list(results.losses)
    table = table[table["condition"] == results.conditions[0]].sort_values(by, kind="stable")
    known = [str(loss) for loss in table["loss"]]
    return known + [loss for loss in results.losses if loss not in known]
