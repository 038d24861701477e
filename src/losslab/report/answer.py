"""The answer of a study in a sentence or two, with its uncertainty. Names stand in backticks."""

from __future__ import annotations

from typing import Any

import pandas as pd

from losslab.report.formatting import (
    alike,
    counted,
    listed,
    metric_name,
    name,
    number,
    ordinal,
    p_value,
    several,
    spread,
)
from losslab.report.results import Results
from losslab.stats.paired import BETTER, CANNOT_SAY, NOT_APART, refusal, refused
from losslab.stats.summaries import comparisons, flips, matrix, overall, rank_matrix, ranking

_NOTHING = "No run is done, so nothing can be said."


def answer(results: Results, level: float = 0.95) -> str:
    """Which loss is best, by how much, and which cannot be told apart from it; of the first arm.

    With one setting by its mean, with several by its mean rank over them. With too few seeds: a refusal, and the numbers.
    """
    runs = results.runs[results.runs["arm"] == results.arms[0]] if results.arms else results.runs
    if not (runs["status"] == "done").any():
        return _NOTHING
    said = _by_mean if runs["setting"].nunique() == 1 else _by_rank
    return _joined(*said(results, runs, level), _broken(runs))


def flip_sentence(results: Results, level: float = 0.95) -> str:
    """Whether the ranking depends on tuning: what the winner at the shared rate does at tuned rates, and what is reversed."""
    runs = results.runs
    if not {"shared", "tuned"} <= set(runs["arm"]):
        return "Only one arm was run, so whether the ranking depends on tuning is not known."
    table = ranking(runs, results.better, level)
    winners = table[(table["place"] == 1) & (table["n"] > 0)].groupby(["setting", "arm"])["loss"].agg(set).unstack()
    if lost := {"shared", "tuned"} - set(winners):
        where = "At the shared rate" if "shared" in lost else "At tuned rates"
        unknown = f"{where} no run is done, so whether the ranking depends on tuning is not known."
        return _NOTHING if len(lost) > 1 else unknown
    winners = winners.dropna()
    found = flips(runs, results.better, level)
    if found.empty:
        return f"No ranking flips: in {counted(len(winners), 'setting')} no pair of losses is reversed at tuned rates."
    other = sum(not shared & tuned for shared, tuned in zip(winners["shared"], winners["tuned"], strict=True))
    won = f"{other or 'None'} of {counted(len(winners), 'setting')} {'has' if other == 1 else 'have'} another winner"
    pairs = f"{counted(len(found), 'pair')} of losses {'is' if len(found) == 1 else 'are'} reversed"
    sure = f"{int(found['sure'].sum()) or 'none'} with both intervals clear of zero"
    return _joined(_moved(results, table, level), f"{won}; {pairs}, {sure}.", _too_few(runs, level))


def _moved(results: Results, table: pd.DataFrame, level: float) -> str:
    """What tuning does to the place of the loss that wins at the shared rate; where it wins again, of the one that moves most."""
    if table["setting"].nunique() == 1:
        places = table.pivot(index="loss", columns="arm", values="place").dropna()
    else:
        ranks = overall(results.runs, results.better, level).pivot(index="loss", columns="arm", values="mean_rank")
        places = ranks.dropna().rank(method="min")
    if places.empty:
        return ""
    places = places.astype(int).sort_values("shared", kind="stable")
    steps = (places["tuned"] - places["shared"]).abs()
    if not steps.any():
        return "Over all settings every loss has the same place at the shared rate as at tuned rates."
    loss = str(places.index[0] if steps.iloc[0] else steps.idxmax())
    at: Any = places.loc[loss]
    return f"At the shared rate {name(loss)} ranks {ordinal(at['shared'])}, at tuned rates {ordinal(at['tuned'])}."


def _by_mean(results: Results, runs: pd.DataFrame, level: float) -> list[str]:
    """Sentences for the one setting of `runs`."""
    arm, setting, reference = str(runs["arm"].iloc[0]), str(runs["setting"].iloc[0]), results.reference
    table = ranking(runs, results.better, level).query("n > 0").sort_values("place", kind="stable").set_index("loss")
    best, firsts = _leaders(table["place"], reference)
    row: Any = table.loc[best]
    metric, most = f"test {metric_name(results.metric)}", "lowest" if results.better == "min" else "highest"
    who = f"{_called(best, reference)} has" if len(firsts) == 1 else f"{several(firsts)} share"
    value = spread(row["mean"], row["low"], row["high"], level)
    head = f"{who} the {most} {metric}: {value}"
    if row["diverged"]:
        on = f"{row['diverged']} of {counted(row['n'] + row['diverged'], 'seed')}"
        head = f"every loss diverged or failed on some seed, {name(best)} on the fewest, {on}; its {metric} on the others: {value}"
    if no := _too_few(runs, level):
        then = [f"{name(str(loss))} {number(mean)}" for loss, mean in table["mean"].items() if loss not in firsts]
        return [no, f"By the numbers alone, {head}{'; then ' + ', '.join(then[:3]) if then else ''}."]
    others = matrix(runs, arm, setting, results.better, level).query("loss == @best")
    if reference in firsts or reference not in set(runs["loss"]):
        return [f"{_capital(head)}.", _apart(others, firsts)]
    against: Any = comparisons(runs, reference, results.better, level).set_index("loss").loc[best]
    apart = _apart(others, [*firsts, reference])
    if against["verdict"] == BETTER and not against["diverged"]:
        return [f"{_capital(head)}, {_ahead(against, reference, results.better)}.", apart]
    return [f"{_capital(head)}.", str(against["words"]), apart]


def _by_rank(results: Results, runs: pd.DataFrame, level: float) -> list[str]:
    """Sentences for several settings."""
    arm, reference = str(runs["arm"].iloc[0]), results.reference
    table = overall(runs, results.better, level).dropna(subset="mean_rank").set_index("loss")
    if table.empty:
        return ["No seed has a run of every loss in any setting, so their ranks cannot be compared."]
    best, firsts = _leaders(table["mean_rank"], reference)
    row: Any = table.loc[best]
    who = f"{_called(best, reference)} ranks" if len(firsts) == 1 else f"{several(firsts)} rank"
    rank = spread(row["mean_rank"], row["low"], row["high"], level)
    total = counted(int(row["settings"]), "setting")
    head = f"{who} best of {counted(len(table), 'loss')}: mean rank {rank}, first in {int(row['first_in'])} of {total}"
    if reference in table.index and reference not in firsts:
        head += f"; the reference {name(reference)} has {number(table['mean_rank'].to_dict()[reference])}"
    elsewhere = _elsewhere(ranking(runs, results.better, level), best)
    if no := _too_few(runs, level):
        return [no, f"By the numbers alone, {head}.", elsewhere]
    others = rank_matrix(runs, arm, results.better, level).query("loss == @best")
    return [f"{_capital(head)}.", elsewhere, _apart(others, firsts)]


def _leaders(order: pd.Series[Any], reference: str) -> tuple[str, list[str]]:
    """The loss to speak of (the reference, where it is among them), and all that share the lowest number."""
    firsts = [str(loss) for loss in order.index[order == order.min()]]
    return (reference if reference in firsts else firsts[0]), firsts


def _ahead(against: pd.Series[Any], reference: str, better: str) -> str:
    """'0.71 less than the reference `mse` (0.60 to 0.80; p = 0.0001 after Holm; better on 10 of 10 seeds)'."""
    low, high = sorted((abs(against["low"]), abs(against["high"])))
    size, *ends = alike(abs(against["difference"]), low, high)
    won = f"better on {against['wins'] * against['n']:g} of {counted(against['n'], 'seed')}"
    more = "less" if better == "min" else "more"
    return f"{size} {more} than the reference {name(reference)} ({ends[0]} to {ends[1]}; {p_value(against['p_holm'])} after Holm; {won})"


def _apart(others: pd.DataFrame, known: list[str]) -> str:
    """Who cannot be told apart from the best, of those that were not spoken of yet."""
    if (unsaid := others.loc[others["verdict"] == CANNOT_SAY, "words"]).any():
        return str(unsaid.iloc[0])
    if len(others) and (others["verdict"] == BETTER).all():
        return "It is told apart from all others."
    alike_ = [str(loss) for loss in others.loc[others["verdict"] == NOT_APART, "other"] if loss not in known]
    if not alike_:
        return ""
    if len(others) > 1 and (others["verdict"] == NOT_APART).all():
        return "It cannot be told apart from any other loss."
    return f"It cannot be told apart from {several(alike_, 5)}."


def _elsewhere(table: pd.DataFrame, best: str) -> str:
    """Which losses are first where the best is not, and where."""
    firsts = table[(table["place"] == 1) & (table["n"] > 0)]
    held = set(firsts.loc[firsts["loss"] == best, "setting"])
    others = firsts[~firsts["setting"].isin(held)].groupby("loss", sort=False)["setting"]
    parts = [
        f"{name(str(loss))} in {several(list(where)) if len(where) <= 3 else counted(len(where), 'setting')}"
        for loss, where in others
    ]
    return f"First elsewhere: {', '.join(parts)}." if parts else ""


def _too_few(runs: pd.DataFrame, level: float) -> str:
    """A refusal where there are too few seeds to say anything."""
    ended = runs[runs["status"].isin(("done", "diverged", "failed"))]
    seeds, among = ended["seed"].nunique(), ended["loss"].nunique() - 1
    return refusal(seeds, among, level) if refused(seeds, among, level) else ""


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
