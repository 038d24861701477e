"""Whether the ranking depends on tuning, in a sentence or two. Names stand in backticks."""

from __future__ import annotations

from typing import Any

from losslab.report.analysis import Findings
from losslab.report.formatting import counted, name, ordinal
from losslab.report.results import Results
from losslab.stats.paired import FEWEST

NOTHING = "No run is done, so nothing can be said."


def flip_sentence(results: Results, found: Findings) -> str:
    """Whether the ranking depends on tuning: what the winner at the shared rate does at tuned rates, and what is reversed.

    "" where there are no two conditions.
    """
    if not {"shared", "tuned"} <= set(results.conditions):
        return ""
    table = found.ranking[~found.ranking["setting"].isin(results.twins)]
    winners = (
        table[(table["rank"] == 1) & (table["n"] > 0)].groupby(["setting", "condition"])["loss"].agg(set).unstack()
    )
    if lost := {"shared", "tuned"} - set(winners):
        where = "At the shared rate" if "shared" in lost else "At tuned rates"
        unknown = f"{where} no run is done, so whether the ranking depends on tuning is not known."
        return NOTHING if len(lost) > 1 else unknown
    winners = winners.dropna()
    count = len(winners)
    if found.flips.empty:
        where = "this setting" if count == 1 else f"all {count} settings"
        return f"In {where}, tuning reverses the order of no pair of losses."
    other = sum(not shared & tuned for shared, tuned in zip(winners["shared"], winners["tuned"], strict=True))
    won = _winners_that_differ(other, count)
    clear = int(found.flips["sure"].sum())
    pairs = f"Tuning reverses the order of {counted(len(found.flips), 'pair')} of losses"
    which = "all" if clear == len(found.flips) else str(clear)
    sure = (
        f"in {which} of them both intervals exclude zero" if clear else "in none of them do both intervals exclude zero"
    )
    if len(found.flips) == 1:
        sure = "both intervals exclude zero" if clear else "the intervals do not both exclude zero"
    few = "So few seeds support no claim about this." if results.runs[results.unit].nunique() < FEWEST else ""
    return joined(_moved(results, found), won, f"{pairs}; {sure}.", few)


def _winners_that_differ(other: int, count: int) -> str:
    """In how many settings another loss wins at tuned rates than at the shared rate."""
    if count == 1:
        return (
            "Another loss wins at tuned rates than at the shared rate."
            if other
            else "The same loss wins at both rates."
        )
    return f"In {other or 'none'} of {count} settings another loss wins at tuned rates than at the shared rate."


def _moved(results: Results, found: Findings) -> str:
    """What tuning does to the rank of the loss that wins at the shared rate; where it wins again, of the one that moves most."""
    if found.ranking["setting"].nunique() == 1:
        by_rank = found.ranking.pivot(index="loss", columns="condition", values="rank").dropna()
    else:
        ranks = found.overall.pivot(index="loss", columns="condition", values="mean_rank")
        by_rank = ranks.dropna().rank(method="min")
    if by_rank.empty:
        return ""
    by_rank = by_rank.astype(int).sort_values("shared", kind="stable")
    steps = (by_rank["tuned"] - by_rank["shared"]).abs()
    if not steps.any():
        return "Every loss has the same rank at the shared rate as at tuned rates."
    loss = str(by_rank.index[0] if steps.iloc[0] else steps.idxmax())
    at: Any = by_rank.loc[loss]
    return f"At the shared rate {name(loss)} ranks {ordinal(at['shared'])}, at tuned rates {ordinal(at['tuned'])}."


def joined(*sentences: str) -> str:
    """Sentences that are not empty as one text."""
    return " ".join(filter(None, sentences))
