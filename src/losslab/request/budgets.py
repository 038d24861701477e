"""A study cut to a time: fewer trials, then fewer seeds, but never fewer than can support a claim."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from losslab.errors import BadRequest

if TYPE_CHECKING:
    from losslab.request.questions import Question
    from losslab.study.recipe import Study

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}
_FEWEST_TRIALS = 3
_AROUND = 12.0  # seconds of a comparison beside its runs: imports, reading, the report
_WIDENED = 1.25  # trials of a study in all, for one that is asked for: a range may be widened where its edge was best


def seconds(text: str | float) -> float:
    """Seconds of '90', '90s', '10m' or '2h'. Raises BadRequest for what is no time."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", str(text))
    if not found or not float(found[1]):
        raise BadRequest(f"A budget is a time such as 90s, 10m or 2h, and '{text}' is none.")
    return float(found[1]) * _UNITS[found[2] or "s"]


def runs(study: Study) -> tuple[int, int]:
    """How many runs tune, about, and how many are compared."""
    tuned = "tuned" in study.rates
    tuning = study.tuning
    each = _WIDENED * tuning["trials"] + tuning["refine"] + (tuning["finalists"] if tuning["finalists"] > 1 else 0)
    trials = each * tuning["seeds"] * len(study.losses) * len(study.tunings())
    compared = len(study.losses) * len(study.settings()) * study.seeds * len(study.rates)
    return round(trials) if tuned else 0, compared


def cost(study: Study) -> float:
    """Seconds that a study takes, about, by a few measured steps of one of its runs."""
    from losslab.sweep.cost import seconds_a_run

    request = study.request(study.losses[0], study.settings()[0], study.base["seed"])
    return _AROUND + seconds_a_run(request, sum(runs(study))) * sum(runs(study))


def within(study: Study, budget: float) -> tuple[Study, str]:
    """The study cut to so many seconds, and a sentence that says what was cut."""
    from losslab.stats.paired import FEWEST

    one = (cost(study) - _AROUND) / sum(runs(study))
    fewest = max(study.repeats, min(study.seeds, FEWEST))

    def too_long(cut: Study) -> bool:
        return _AROUND + sum(runs(cut)) * one > budget

    cut = study
    while too_long(cut) and cut.tuning["refine"]:
        cut = replace(cut, tuning=cut.tuning | {"refine": cut.tuning["refine"] - 1})
    while too_long(cut) and cut.tuning["trials"] > _FEWEST_TRIALS:
        cut = replace(cut, tuning=cut.tuning | {"trials": cut.tuning["trials"] - 1})
    while too_long(cut) and cut.seeds > fewest:
        cut = replace(cut, seeds=cut.seeds - 1)
    takes = _AROUND + sum(runs(cut)) * one
    about = f"{shown(takes)} on this machine"
    if cut == study:
        return cut, f"The budget of {shown(budget)} suffices: it takes about {about}."
    trials, before = (each.tuning["trials"] + each.tuning["refine"] for each in (cut, study))
    what = f"cut to {trials} trials and {cut.seeds} seeds ({before} and {study.seeds} were asked for)"
    if takes > budget:
        return (
            cut,
            f"The budget of {shown(budget)} is too small for a claim; {what}, which is the least, it takes about {about}.",
        )
    return cut, f"For the budget of {shown(budget)} the study is {what}: about {about}."


def asked(question: Question, study: Study) -> Question:
    """A question whose words ask for a study that was cut."""
    cut = {"study.seeds": study.seeds} | {f"study.tuning.{key}": study.tuning[key] for key in ("trials", "refine")}
    words = [f"{key}={cut.get(key, value)}" for key, _, value in (word.partition("=") for word in question.study)]
    return replace(question, study=tuple(words))


def shown(time: float) -> str:
    """A time in words: 40 s, 3 min, 2.5 h."""
    if time < 120:
        return f"{max(time, 1):.0f} s"
    return f"{time / 60:.0f} min" if time < 5400 else f"{time / 3600:.1f} h"
