"""The answer of a study in a sentence or two, with its uncertainty. Names stand in backticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
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
    percent,
    several,
)
from losslab.report.results import Results
from losslab.report.verdicts import MOST_GROUPS, Verdict, together, verdicts
from losslab.stats.paired import FEWEST

_NOTHING = "No run is done, so nothing can be said."
_NAMED = 4  # settings that a sentence names
_REST = 2  # losses that are named after all others


def answer(results: Results, found: Findings) -> str:
    """The parts of an answer as one text."""
    return _joined(*parts(results, found))


def parts(results: Results, found: Findings) -> list[str]:
    """Which loss to use in which setting, how much better it is, and what is not decided; of the first condition. A part a setting.

    Every claim is one of the tables of pairs. With too few seeds: a refusal, and the means.
    """
    runs = results.runs[results.runs["condition"] == results.conditions[0]] if results.conditions else results.runs
    if not (runs["status"] == "done").any():
        return [_NOTHING]
    said = _refusal(results, found, runs) or _sentences(
        results, verdicts(results, found, str(runs["condition"].iloc[0]))
    )
    return [part for part in (*said, _broken(runs)) if part]


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
    few = "So few seeds support no claim about this." if results.runs[results.unit].nunique() < FEWEST else ""
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


def _sentences(results: Results, of_settings: Sequence[Verdict]) -> list[str]:
    """What to use, what not, and what is not decided; settings with the same answer are taken together."""
    groups = together(of_settings)
    several_settings = len(of_settings) > 1
    said = [
        _of_group(results, group, _places(results, group, len(of_settings)) if several_settings else "")
        for group in groups[:MOST_GROUPS]
    ]
    if len(groups) > MOST_GROUPS:
        rest = sum(len(group) for group in groups[MOST_GROUPS:])
        said.append(f"The tables have the other {counted(rest, 'setting')}.")
    return [_never_worse(of_settings) if several_settings else "", *said]


def _places(results: Results, group: Sequence[Verdict], of: int) -> str:
    """In which settings, as the beginning of a sentence."""
    if len(group) == of:
        return f"In all {of} settings, "
    named = [results.words(one.setting) for one in group]
    if len(named) <= _NAMED:
        return f"With {' or with '.join(named)}, "
    return f"In {len(named)} of {of} settings (with {', '.join(named[:_NAMED])} and {len(named) - _NAMED} others), "


def _of_group(results: Results, group: Sequence[Verdict], where: str) -> str:
    """The sentences of settings that have the same answer."""
    first = group[0]
    metric = f"test {results.measure}"
    means = _range([end for one in group for end in one.ends])
    all_ = "both losses" if len(first.use) == 2 else f"all {len(first.use)} losses"
    parts = []
    if first.diverged:  # it ranks first, so no loss diverged on fewer
        on = f"{first.diverged} of {counted(first.runs, results.unit)}"
        parts.append(
            f"every loss diverged on some {results.unit}, {name(first.best)} on the fewest, {on}; of those that are left:"
        )
    if first.worse:
        parts.append(f"use {_either(first.use)}: {metric} {means}, {_gap(results, group)}.")
        rest = [loss for loss in first.worse if loss != first.other]
        parts.append(f"{several(rest, 4)} {_are(rest)} worse, too." if rest else "")
    elif not first.undecided:
        parts.append(f"{all_} do equally well: {metric} {means}, apart by less than {_margin(group)}.")
    elif len(first.use) > 1:
        parts.append(
            f"no loss is shown to be worse; {listed([name(loss) for loss in first.use])} do equally well: {metric} {means}."
        )
    else:
        parts.append(
            f"no loss is shown to be better than another; {name(first.best)} has the best mean, {metric} {means}."
        )
    learnt = [one.constant for one in group if np.isfinite(one.constant)]
    if learnt:
        where_not = "" if len(learnt) == len(group) else f" in {counted(len(learnt), 'setting')}"
        parts.append(
            f"But {name(first.best)} is{where_not} not shown to be better than the best constant prediction ({_range(learnt)}), so it may "
            "have learnt nothing."
        )
    if first.undecided and (first.worse or len(first.use) > 1):
        others = first.undecided
        whether = several(others) if len(others) <= _REST else f"the other {len(others)} losses"
        parts.append(f"Not decided: whether {whether} {_are(others)} as good.")
    return _capital(where + " ".join(filter(None, parts)))


def _gap(results: Results, group: Sequence[Verdict]) -> str:
    """How far the best is from the loss that is shown worse."""
    one = group[0]
    less = "below" if results.better == "min" else "above"
    if len(group) == 1:
        size, low, high = alike(one.size, one.low, one.high)
        if not np.isfinite(one.size):
            return f"better than {name(one.other)}, which diverged"
        share = f", {100 * one.share:.0f} %" if results.better == "min" and np.isfinite(one.share) else ""
        return f"{size} {less} {name(one.other)} ({percent(results.level)} interval {low} to {high}{share})"
    if results.better == "min" and all(np.isfinite(one.share) for one in group):
        shares = sorted(100 * one.share for one in group)
        low, high = (f"{share:.0f}" for share in (shares[0], shares[-1]))
        return f"{low if low == high else f'{low} to {high}'} % {less} {name(one.other)}"
    return f"better than {name(one.other)}"


def _never_worse(of_settings: Sequence[Verdict]) -> str:
    """Which losses that are best somewhere, or near it, are shown worse nowhere, where settings give different answers.

    Others are not named: their runs may scatter so much that nothing is shown of them.
    """
    if len({one.groups for one in of_settings}) == 1:
        return ""
    good = dict.fromkeys(
        [*(one.best for one in of_settings), *(loss for one in of_settings for loss in (*one.use, *one.near))]
    )
    worse = {loss for one in of_settings for loss in one.worse}
    safe = [loss for loss in good if loss not in worse]
    if not worse:
        return ""
    if not safe:
        return "Which loss to use depends on the setting."
    return f"{several(safe, 4)} {_are(safe)} in no setting shown to be worse than the best."


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return number(low) if number(low) == number(high) else f"{number(low)} to {number(high)}"


def _margin(group: Sequence[Verdict]) -> str:
    return number(max(one.margin for one in group), 2)


def _are(losses: Sequence[str]) -> str:
    return "are" if len(losses) > 1 else "is"


def _either(losses: Sequence[str]) -> str:
    """'`a`', '`a` or `b`', '`a`, `b` or `c`'."""
    named = [name(loss) for loss in losses]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


def _refusal(results: Results, found: Findings, runs: pd.DataFrame) -> list[str]:
    """That there are too few seeds, and the means alone; nothing where there are enough."""
    ended = runs[runs["status"].isin(("done", "diverged"))]
    if (count := ended[results.unit].nunique()) >= FEWEST:
        return []
    condition = str(runs["condition"].iloc[0])
    said = [wording.too_few(count, results.unit)]
    for one in verdicts(results, found, condition)[:MOST_GROUPS]:
        table = found.ranking.query("condition == @condition and setting == @one.setting and n > 0")
        means = table.sort_values("rank", kind="stable")
        shown = [f"{name(str(row['loss']))} {number(row['mean'])}" for row in means.to_dict("records")]
        where = f" with {results.words(one.setting)}" if runs["setting"].nunique() > 1 else ""
        said.append(f"Test {results.measure}{where}, the means alone: {', '.join(shown[:4])}.")
    return said


def _broken(runs: pd.DataFrame) -> str:
    """How many runs diverged, which rank last, and how many failed by an error, which count as missing."""
    said = []
    for status, one, more in (
        ("diverged", "diverged and ranks last", "diverged and rank last"),
        ("failed", "failed with an error and counts as missing", "failed with an error and count as missing"),
    ):
        counts = runs.loc[runs["status"] == status, "loss"].value_counts()
        if len(counts):
            whose = listed([f"{count} of {name(str(loss))}" for loss, count in counts.items()])
            said.append(f"{counted(int(counts.sum()), 'run')} {one if counts.sum() == 1 else more}: {whose}.")
    return " ".join(said)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
