"""Sentences for the numbers of a report. Names of losses stand in backticks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from losslab.report.formatting import counted, name, number, p_value, spread
from losslab.stats.paired import CANNOT_SAY, EQUIVALENT, FEWEST, UNDECIDED

Row = Mapping[Any, Any]


def comparison(row: Row, first: str, second: str, level: float) -> str:
    """What a row of a matrix of `losslab.stats.summaries` says of two losses."""
    one, other, seeds, unit = name(first), name(second), int(row["seeds"]), str(row["unit"])
    if seeds == 0:
        return f"No {unit} has a run of both {one} and {other}."
    if row["same"]:
        both = row["first_diverged"] and not row["n"]
        return f"{one} and {other} {'diverged' if both else 'are identical'} on all {counted(seeds, unit)}."
    if row["verdict"] == CANNOT_SAY:
        return too_few(seeds, unit)
    wins = row["wins"] * seeds
    won = f"better on {wins:g} of {counted(seeds, unit)}"
    if row["first_diverged"] or row["second_diverged"]:
        broke = f"{one} diverged on {row['first_diverged']:g} and {other} on {row['second_diverged']:g}"
        test = f"sign test and t test with the worst value, corrected {p_value(row['p_corrected'])}"
        if row["verdict"] == UNDECIDED:
            return f"{one} is {won} than {other}, but {broke}: which to prefer is not decided ({test})."
        return f"{one} is {row['verdict']} than {other}: {won}; {broke} ({test})."
    size = spread(row["difference"], row["low"], row["high"], level)
    if row["verdict"] == EQUIVALENT:
        return f"{one} and {other} are equally good: they differ by less than {number(row['margin'])}, by {size}."
    if row["verdict"] == UNDECIDED:
        return (
            f"Whether {one} or {other} is better is not decided: difference {size}, corrected {p_value(row['p_corrected'])}. "
            f"{counted(seeds, unit)} would show a true difference of {number(row['detectable'])} in 4 of 5 studies."
        )
    low, high = sorted((abs(row["low"]), abs(row["high"])))
    size = spread(abs(row["difference"]), low, high, level)
    return f"{one} is {row['verdict']} than {other} by {size}; corrected {p_value(row['p_corrected'])}; {won}."


def too_few(seeds: int, unit: str) -> str:
    """That so few seeds, or repeats of the tuning, can support no claim."""
    return f"{counted(seeds, unit)} cannot support a claim; it takes at least {FEWEST}."


def unseen(row: Row) -> str:
    """What the runs of a loss say of failures that are rare: a row of `summaries.ranking`."""
    return f"{row['broken']:g} of {row['runs']:g} diverged: up to {100 * row['unseen']:.0f} % may"


def friedman(row: Row, level: float) -> str:
    """What a row of `summaries.friedman` says: whether the ranks of the losses differ at all."""
    blocks, other = str(row["over"]), "setting" if row["over"] != "setting" else "seed"
    what = f"{counted(row['losses'], 'loss')} on {counted(row['blocks'], blocks)}"
    if row["p"] != row["p"]:
        return f"Friedman's test needs 3 losses and {FEWEST} {blocks}s, and there are {what}."
    said = "differ" if row["p_corrected"] <= 1 - level else "are not shown to differ"
    return (
        f"The ranks of {what} {said} (Friedman's test on each {blocks}'s mean ranks over the {other}s, chi square "
        f"{number(row['statistic'])}, corrected {p_value(row['p_corrected'])}). This holds for new {blocks}s, not for new {other}s "
        "or other data."
    )


def breakdown(row: Row) -> str:
    """What a row of `robustness.robustness` says: from which level a loss is no better than the best constant prediction."""
    if row["breaks"] == "unknown":
        return "Not known: a mean, or the metric of the best constant prediction, is missing."
    if row["breaks"] == "never":
        return f"Better than a constant up to the highest level, {row['highest']:g}."
    why = {"diverged": ", where a run diverged or failed", "lowest": ", the lowest level", "": ""}[row["why"]]
    stays, held = row["breaks"] == "stays", row["held"]
    before = f"Better than a constant up to {held:g}, no better" if held == held else "No better than a constant"
    if stays:
        return f"{before} from {row['breakdown']:g} on{why}."
    return f"{before} at {row['breakdown']:g}{why}; better again at a higher level."
