"""The answer of a study in sentences, with its uncertainty. Names stand in backticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from losslab.report import wording
from losslab.report.analysis import Findings
from losslab.report.flipped import NOTHING, joined
from losslab.report.formatting import alike, counted, listed, name, number, percent
from losslab.report.results import Results
from losslab.report.verdicts import MOST_GROUPS, Against, Verdict, furthest, is_steady, together, verdicts
from losslab.stats.paired import BETTER, FEWEST

_NAMED = 4  # settings that a sentence names
_MOST = 6  # losses that a sentence names with their means
USELESS = "A run is useless where it diverged or does no better than the best constant prediction."


def answer(results: Results, found: Findings) -> str:
    """The parts of an answer as one text."""
    return joined(*parts(results, found))


def parts(results: Results, found: Findings, by_setting: bool = True) -> list[str]:
    """Which loss to use in which setting, how much better it is, and what is not decided; of the first condition. A part a setting.

    Every claim is one of the tables of pairs. With too few seeds: a refusal, and the means.

    by_setting: False leaves to `by_setting.table` what the settings say where their answers differ.
    """
    runs = results.runs[results.runs["condition"] == results.conditions[0]] if results.conditions else results.runs
    if not (runs["status"] == "done").any():
        return [NOTHING]
    said = _refusal(results, found, runs)
    if not said:
        of_settings = verdicts(results, found, str(runs["condition"].iloc[0]))
        lead = _one_for_all(results, of_settings)
        said = [lead] if lead else []
        if by_setting or not lead:
            said += _sentences(results, of_settings)
    return [part for part in (*said, _broken(runs)) if part]


def _one_for_all(results: Results, of_settings: Sequence[Verdict]) -> str:
    """Which loss to use where one is to serve all settings: the one that is never far from the best mean; "" where they agree.

    Not one with a useless run in a setting where another loss has none. Settings in which nothing was learnt do not count.
    """
    if len({one.groups for one in of_settings}) == 1:
        return ""
    learnt = [one for one in of_settings if not np.isfinite(one.constant)]
    found, multiple = furthest(learnt, results.better) if learnt else ({}, False)
    steady = [loss for loss in found if is_steady(loss, learnt)]
    said = (
        []
        if len(learnt) == 1
        else [_of_one(results, learnt, steady[0], found, multiple)]
        if steady
        else ["Which loss to use depends on the setting."]
    )
    open_ = [one for one in learnt if not one.worse and one.undecided]
    if open_ and len(learnt) > 1:
        said.append(
            "No loss is shown to be better than another in any of them."
            if len(open_) == len(learnt)
            else f"In {len(open_)} of these {len(learnt)} settings no loss is shown to be better than another."
        )
    if nothing := [results.words(one.setting) for one in of_settings if np.isfinite(one.constant)]:
        where = f"With {' and with '.join(nothing)}" if len(nothing) < _NAMED else f"In {len(nothing)} settings"
        said.append(f"{where} not even the best loss is shown to be better than a constant prediction.")
    return joined(*said)


def _of_one(
    results: Results, of_settings: Sequence[Verdict], first: str, found: Mapping[str, float], multiple: bool
) -> str:
    """What is said of one loss over some settings."""
    said = f"One loss for {counted(len(of_settings), 'setting')}: {name(first)}. "
    if all(one.best == first for one in of_settings):
        return said + "It has the best mean in each of them."
    far = _times if multiple else _short
    less = "" if multiple else " below" if results.better == "max" else " above"
    other = found.get(results.reference, np.nan) if results.reference != first else np.nan
    beside = f" ({name(results.reference)}: {far(other)})" if np.isfinite(other) else ""
    shown = [results.words(one.setting) for one in of_settings if first in one.worse]
    where = f"with {' and with '.join(shown)}" if len(shown) < _NAMED else f"in {len(shown)} of them"
    but = f"but it is shown to be worse {where}" if shown else "and it is shown to be worse in none"
    return f"{said}Its mean test {results.measure} is nowhere more than {far(found[first])}{less} the best one{beside}, {but}."


def _sentences(results: Results, of_settings: Sequence[Verdict]) -> list[str]:
    """What to use, what not, and what is not decided; settings with the same answer are taken together."""
    groups = together(of_settings)
    shown = groups[:MOST_GROUPS]
    said = [
        _of_group(results, group, _places(results, group, len(of_settings)) if len(of_settings) > 1 else "")
        for group in shown
    ]
    if any(set(one.useless) - {one.best} for group in shown for one in group):
        said.append(USELESS)
    if len(groups) > MOST_GROUPS:
        rest = sum(len(group) for group in groups[MOST_GROUPS:])
        said.append(f"The tables have the other {counted(rest, 'setting')}.")
    return said


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
    means = span_of(group, first.use)
    said = []
    if first.diverged:  # it ranks first, so no loss diverged on fewer
        on = f"{first.diverged} of {counted(first.runs, results.unit)}"
        said.append(
            f"every loss diverged on some {results.unit}, {name(first.best)} on the fewest, {on}; of those that are left:"
        )
    named = {first.against.loss} if first.against and (first.worse or len(first.use) > 1) else set()
    if first.worse:
        said.append(f"use {_either(first.use)}: {metric} {means}, {_apart(results, group)}.")
    elif not first.undecided:
        all_ = "both losses" if len(first.use) == 2 else f"all {len(first.use)} losses"
        margin = number(max(one.margin for one in group), 2)
        said.append(f"{all_} do equally well: {metric} {means}, apart by less than {margin}.")
    elif len(first.use) > 1:
        equal = listed([name(loss) for loss in first.use])
        said.append(f"no loss is shown to be worse; {equal} do equally well: {metric} {means}.")
        named = set()
    else:
        said.append(
            f"no loss is shown to be better than another; {name(first.best)} has the best mean, {metric} {means}."
        )
    learnt = [one.constant for one in group if np.isfinite(one.constant)]
    if learnt:
        where_not = "" if len(learnt) == len(group) else f" in {counted(len(learnt), 'setting')}"
        said.append(
            f"But {name(first.best)} is{where_not} not shown to be better than the best constant prediction ({_range(learnt)}), so it may "
            "have learnt nothing."
        )
    worse, undecided = ([loss for loss in some if loss not in named] for some in (first.worse, first.undecided))
    said.append(f"Worse, too: {with_means(results, group, worse)}." if worse else "")
    others = "No difference shown" if first.worse or len(first.use) > 1 else "The others"
    said.append(f"{others}: {with_means(results, group, undecided)}." if undecided else "")
    return _capital(where + " ".join(filter(None, said)))


def with_means(results: Results, group: Sequence[Verdict], losses: Sequence[str], most: int = _MOST) -> str:
    """Losses with their means, and how many of their runs were useless; of many losses the first ones."""
    said = [f"{name(_called(results, loss))} {span_of(group, [loss])}{_useless(group, loss)}" for loss in losses]
    if len(losses) <= most + 1:
        return ", ".join(said)
    useless = [text for loss, text in zip(losses[most:], said[most:], strict=True) if _useless(group, loss)]
    rest = len(losses) - most - len(useless)
    others = f"{rest} others ({span_of(group, losses[most:])})" if rest else ""
    return listed([*filter(None, [", ".join([*said[:most], *useless]), others])])


def _called(results: Results, loss: str) -> str:
    """A loss without its hyperparameters, where no other has its name."""
    short = loss.partition("(")[0]
    return short if sum(other.partition("(")[0] == short for other in results.losses) == 1 else loss


def _useless(group: Sequence[Verdict], loss: str) -> str:
    """How many runs of a loss were useless, in brackets."""
    found = [one.useless[loss] for one in group if loss in one.useless]
    return f" ({sum(count for count, _ in found)} of {sum(of for _, of in found)} useless)" if found else ""


def span_of(group: Sequence[Verdict], losses: Sequence[str]) -> str:
    """The means of losses in some settings, from the smallest to the largest."""
    known = [one.means[loss] for one in group for loss in losses if loss in one.means]
    return _range(known) if known else "diverged"


def _apart(results: Results, group: Sequence[Verdict]) -> str:
    """How far the best is from the loss that it is compared with."""
    less = "below" if results.better == "min" else "above"
    each = [one.against for one in group if one.against]
    first = each[0]
    which = "" if first.loss == results.reference else ", the best of those that are worse"
    if any(one.verdict != BETTER for one in each):
        if len(each) > 1:
            return f"not everywhere shown to be better than {name(first.loss)} ({span_of(group, [first.loss])})"
        mean = span_of(group, [first.loss])
        apart = (
            f"difference {', '.join(_size(first, results.level))}" if np.isfinite(first.size) else "some runs diverged"
        )
        return f"not shown to be better than {name(first.loss)} ({mean}; {apart})"
    if not np.isfinite(first.size):
        return f"better than {name(first.loss)}, which diverged"
    if len(each) == 1:
        share = f" ({100 * first.share:.0f} %)" if results.better == "min" and np.isfinite(first.share) else ""
        size, ends = _size(first, results.level)
        return f"{size}{share} {less} {name(first.loss)} ({ends}){which}"
    if results.better == "min" and all(np.isfinite(one.share) for one in each):
        low, high = (f"{100 * share:.0f}" for share in (min(o.share for o in each), max(o.share for o in each)))
        return f"{low if low == high else f'{low} to {high}'} % {less} {name(first.loss)}{which}"
    return f"better than {name(first.loss)}{which}"


def _size(found: Against, level: float) -> tuple[str, str]:
    """A difference and its interval: '0.73' and '95 % interval 0.65 to 0.80'."""
    size, low, high = alike(found.size, found.low, found.high)
    return size, f"{percent(level)} interval {low} to {high}"


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return number(low) if number(low) == number(high) else f"{number(low)} to {number(high)}"


def _times(value: float) -> str:
    return f"{number(value)} times"


def _short(value: float) -> str:
    return number(value, 2)


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
