"""Sentences for the numbers of a report. Names of losses stand in backticks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from losslab.report.formatting import counted, name, number, p_value, spread
from losslab.stats.paired import CANNOT_SAY, FEWEST, NOT_APART, seeds_needed, smallest_p

Row = Mapping[Any, Any]


def comparison(row: Row, first: str, second: str, level: float) -> str:
    """What a row of `summaries.comparisons` or of a matrix says of two losses."""
    one, other, seeds = name(first), name(second), int(row["seeds"])
    if seeds == 0:
        return f"No seed has a run of both {one} and {other}."
    if row["same"]:
        both = row["first_diverged"] and not row["n"]
        return f"{one} and {other} {'diverged' if both else 'are identical'} on all {counted(seeds, 'seed')}."
    if row["verdict"] == CANNOT_SAY:
        return too_few(seeds, int(row["among"]), level)
    won = f"better on {row['wins'] * seeds:g} of {counted(seeds, 'seed')}"
    if row["first_diverged"] or row["second_diverged"]:
        apart = "does not differ significantly from" if row["verdict"] == NOT_APART else f"is {row['verdict']} than"
        return (
            f"{one} {apart} {other} (sign test, Holm-corrected {p_value(row['p_holm'])}; {won}). {one} diverged on "
            f"{row['first_diverged']:g} and {other} on {row['second_diverged']:g}, so no mean difference is given."
        )
    if row["verdict"] == NOT_APART:
        return (
            f"{one} does not differ significantly from {other}: difference "
            f"{spread(row['difference'], row['low'], row['high'], level)}, Holm-corrected {p_value(row['p_holm'])}. "
            f"{counted(seeds, 'seed')} would show a true difference of {number(row['detectable'])} in 4 of 5 studies."
        )
    low, high = sorted((abs(row["low"]), abs(row["high"])))
    size = spread(abs(row["difference"]), low, high, level)
    return f"{one} is {row['verdict']} than {other} by {size}; Holm-corrected {p_value(row['p_holm'])}; {won}."


def too_few(seeds: int, comparisons: int, level: float) -> str:
    """Why so few seeds can support no claim among so many comparisons."""
    floor = smallest_p(seeds)
    after = f", and {min(1.0, floor * comparisons):.2g} after Holm's correction for {comparisons} comparisons"
    return (
        f"{counted(seeds, 'seed')} cannot support a claim: even if all agreed, the smallest p of a test without assumptions on the "
        f"distribution is {floor:.2g}{after if comparisons > 1 else ''}. At least {seeds_needed(comparisons, level)} seeds are needed."
    )


def friedman(row: Row, level: float) -> str:
    """What a row of `summaries.friedman` says: whether the ranks of the losses differ at all."""
    blocks, other = str(row["over"]), "setting" if row["over"] == "seed" else "seed"
    what = f"{counted(row['losses'], 'loss')} on {counted(row['blocks'], blocks)}"
    if row["p"] != row["p"]:
        return f"Friedman's test needs 3 losses and {FEWEST} {blocks}s, and there are {what}."
    said = "differ significantly" if row["p"] <= 1 - level else "do not differ significantly"
    return (
        f"The ranks of {what} {said} (Friedman's test on each {blocks}'s mean ranks over the {other}s, chi square "
        f"{number(row['statistic'])}, {p_value(row['p'])}). This holds for new {blocks}s, not for new {other}s."
    )


def breakdown(row: Row) -> str:
    """What a row of `robustness.robustness` says: from which level a loss is no better than the best constant prediction."""
    if row["breaks"] == "unknown":
        return "Not known: a mean, or the metric of the best constant prediction, is missing."
    if row["breaks"] == "never":
        return f"Better than a constant up to the highest level, {row['highest']:g}."
    why = {"diverged": ", where a run diverged or failed", "lowest": ", the lowest level", "": ""}[row["why"]]
    at = f"{row['breakdown']:g}" if row["why"] else number(row["breakdown"])
    if row["breaks"] == "stays":
        return f"No better than a constant from {at} on{why}."
    return f"No better than a constant at {at}{why}; better again at a higher level."
