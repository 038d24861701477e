"""The answer of a study in a sentence or two, with its uncertainty. Names stand in backticks."""

from __future__ import annotations

from typing import Any

import pandas as pd

from losslab.report import wording
from losslab.report.analysis import Findings
from losslab.report.formatting import (
    alike,
    counted,
    listed,
    name,
    number,
    ordinal,
    p_value,
    several,
    spread,
)
from losslab.report.results import Results
from losslab.stats.paired import BETTER, CANNOT_SAY, NOT_APART, refused

_NOTHING = "No run is done, so nothing can be said."


def answer(results: Results, found: Findings) -> str:
    """Which loss is best, by how much, and which do not differ significantly from it; of the first condition.

    With one setting by its mean, with several by its mean rank over them. With too few seeds: a refusal, and the numbers.
    """
    runs = results.runs[results.runs["condition"] == results.conditions[0]] if results.conditions else results.runs
    if not (runs["status"] == "done").any():
        return _NOTHING
    said = _by_mean if runs["setting"].nunique() == 1 else _by_rank
    return _joined(*said(results, found, runs), _broken(runs))


def flip_sentence(results: Results, found: Findings) -> str:
    """Whether the ranking depends on tuning: what the winner at the shared rate does at tuned rates, and what is reversed.

    "" where there are no two conditions.
    """
    if not {"shared", "tuned"} <= set(results.conditions):
        return ""
    table = found.ranking
    winners = (
        table[(table["rank"] == 1) & (table["n"] > 0)].groupby(["setting", "condition"])["loss"].agg(set).unstack()
    )
    if lost := {"shared", "tuned"} - set(winners):
        where = "At the shared rate" if "shared" in lost else "At tuned rates"
        unknown = f"{where} no run is done, so whether the ranking depends on tuning is not known."
        return _NOTHING if len(lost) > 1 else unknown
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
    few = "So few seeds support no claim about this." if _too_few(results.runs, results.level) else ""
    return _joined(_moved(results, found), won, f"{pairs}; {sure}.", few)


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


def _by_mean(results: Results, found: Findings, runs: pd.DataFrame) -> list[str]:
    """Sentences for the one setting of `runs`."""
    condition, setting, reference = str(runs["condition"].iloc[0]), str(runs["setting"].iloc[0]), results.reference
    level, table = results.level, found.ranking
    table = table[(table["condition"] == condition) & (table["setting"] == setting) & (table["n"] > 0)]
    table = table.sort_values("rank", kind="stable").set_index("loss")
    best, firsts = _leaders(table["rank"], reference)
    row: Any = table.loc[best]
    metric, most = f"test {results.measure}", "lowest" if results.better == "min" else "highest"
    who = f"{_called(best, reference)} has" if len(firsts) == 1 else f"{several(firsts)} share"
    value = spread(row["mean"], row["low"], row["high"], level)
    head = f"{who} the {most} {metric}: {value}"
    if row["diverged"]:
        on = f"{row['diverged']} of {counted(row['n'] + row['diverged'], 'seed')}"
        head = f"every loss diverged or failed on some seed, {name(best)} on the fewest, {on}; its {metric} on the others: {value}"
    if no := _too_few(runs, level):
        then = [f"{name(str(loss))} {number(mean)}" for loss, mean in table["mean"].items() if loss not in firsts]
        return [no, f"The means alone: {head}{'; then ' + ', '.join(then[:3]) if then else ''}."]
    others = found.matrices[condition, setting].query("loss == @best")
    if reference in firsts or reference not in set(runs["loss"]):
        return [f"{_capital(head)}.", _apart(others, best, firsts, level)]
    against: Any = found.comparisons.query("condition == @condition and setting == @setting and loss == @best").iloc[0]
    apart = _apart(others, best, [*firsts, reference], level)
    if against["verdict"] == BETTER and not against["diverged"]:
        return [f"{_capital(head)}, {_ahead(against, reference, results.better)}.", apart]
    return [f"{_capital(head)}.", wording.comparison(against, best, reference, level), apart]


def _by_rank(results: Results, found: Findings, runs: pd.DataFrame) -> list[str]:
    """Sentences for several settings."""
    condition, reference, level = str(runs["condition"].iloc[0]), results.reference, results.level
    table = found.overall[found.overall["condition"] == condition].dropna(subset="mean_rank").set_index("loss")
    if table.empty:
        return ["No seed has a run of every loss in any setting, so their ranks cannot be compared."]
    best, firsts = _leaders(table["mean_rank"], reference)
    row: Any = table.loc[best]
    who = f"{_called(best, reference)} ranks" if len(firsts) == 1 else f"{several(firsts)} rank"
    rank = spread(row["mean_rank"], row["low"], row["high"], level)
    total = counted(int(row["settings"]), "setting")
    head = (
        f"{who} best of {counted(len(table), 'loss')}: mean rank {rank}, best mean in {int(row['first_in'])} of {total}"
    )
    if reference in table.index and reference not in firsts:
        head += f"; the reference {name(reference)} has {number(table['mean_rank'].to_dict()[reference])}"
    elsewhere = _elsewhere(found.ranking[found.ranking["condition"] == condition], best)
    if no := _too_few(runs, level):
        return [no, f"The ranks alone: {head}.", elsewhere]
    others = found.rank_matrices[condition].query("loss == @best")
    return [f"{_capital(head)}.", elsewhere, _apart(others, best, firsts, level)]


def _leaders(order: pd.Series[Any], reference: str) -> tuple[str, list[str]]:
    """The loss to speak of (the reference, where it is among them), and all that share the lowest number."""
    firsts = [str(loss) for loss in order.index[order == order.min()]]
    return (reference if reference in firsts else firsts[0]), firsts


def _ahead(against: pd.Series[Any], reference: str, better: str) -> str:
    """'0.71 less than the reference `mse` (0.60 to 0.80; Holm-corrected p = 0.0001; better on 10 of 10 seeds)'."""
    low, high = sorted((abs(against["low"]), abs(against["high"])))
    size, *ends = alike(abs(against["difference"]), low, high)
    won = f"better on {against['wins'] * against['n']:g} of {counted(against['n'], 'seed')}"
    more = "less" if better == "min" else "more"
    return (
        f"{size} {more} than the reference {name(reference)} ({ends[0]} to {ends[1]}; "
        f"Holm-corrected {p_value(against['p_holm'])}; {won})"
    )


def _apart(others: pd.DataFrame, best: str, known: list[str], level: float) -> str:
    """Which losses do not differ significantly from the best, of those that were not named yet."""
    for row in others[others["verdict"] == CANNOT_SAY].to_dict("records"):
        return wording.comparison(row, best, str(row["other"]), level)
    if len(others) and (others["verdict"] == BETTER).all():
        return f"Every other loss is significantly worse (Holm-corrected p at most {1 - level:.2g})."
    alike_ = [str(loss) for loss in others.loc[others["verdict"] == NOT_APART, "other"] if loss not in known]
    if not alike_:
        return ""
    if len(others) > 1 and (others["verdict"] == NOT_APART).all():
        return "No other loss differs significantly from it."
    return f"No significant difference from {several(alike_, 5)}."


def _elsewhere(table: pd.DataFrame, best: str) -> str:
    """Which losses are first where the best is not, and where."""
    firsts = table[(table["rank"] == 1) & (table["n"] > 0)]
    held = set(firsts.loc[firsts["loss"] == best, "setting"])
    others = firsts[~firsts["setting"].isin(held)].groupby("loss", sort=False)["setting"]
    parts = [
        f"{name(str(loss))} in {several(list(where)) if len(where) <= 3 else counted(len(where), 'setting')}"
        for loss, where in others
    ]
    return f"Best mean elsewhere: {', '.join(parts)}." if parts else ""


def _too_few(runs: pd.DataFrame, level: float) -> str:
    """A refusal where there are too few seeds to say anything."""
    ended = runs[runs["status"].isin(("done", "diverged", "failed"))]
    seeds, among = ended["seed"].nunique(), ended["loss"].nunique() - 1
    return wording.too_few(seeds, among, level) if refused(seeds, among, level) else ""


def _broken(runs: pd.DataFrame) -> str:
    """How many runs diverged or failed, and whose they are."""
    counts = runs.loc[runs["status"].isin(("diverged", "failed")), "loss"].value_counts()
    if counts.empty:
        return ""
    whose = listed([f"{count} of {name(str(loss))}" for loss, count in counts.items()])
    verb = "run that diverged or failed ranks" if counts.sum() == 1 else "runs that diverged or failed rank"
    return f"{counts.sum()} {verb} last: {whose}."


def _called(loss: str, reference: str) -> str:
    return f"{name(loss)}, the reference," if loss == reference else name(loss)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
