"""How the losses that an answer recommends are made in the user's own code, as they were in the comparison."""

from __future__ import annotations

import ast
import re
from typing import Any

from losslab.report.analysis import Findings
from losslab.report.formatting import name, number
from losslab.report.results import Results
from losslab.report.verdicts import MOST_GROUPS, Verdict, together, verdicts
from losslab.schema import cards
from losslab.stats.paired import FEWEST

_LABEL = re.compile(r"(?P<name>\w+)(?:[( ](?P<rest>[^()]*)\)?)?")
_PAIR = re.compile(r"(\w+)=(\[[^\]]*\]|[^,]+)")


def usage(results: Results, found: Findings) -> list[str]:
    """A sentence for each loss to use and setting with an answer of its own: the code that makes the loss, and the learning rate.

    They are those of the run at the middle learning rate, where the repeats of a tuning chose several, with the range of the rates.
    Nothing where no loss is shown to be better than another, and nothing of a sum or a loss of the user's, whose label says what
    it is.
    """
    runs = results.runs[results.runs["condition"] == results.conditions[0]]
    ended = runs[runs["status"].isin(("done", "diverged"))]
    if ended[results.unit].nunique() < FEWEST:
        return []
    made: dict[str, list[tuple[str, str, str]]] = {}  # by the loss: the setting, the code and the rate
    for one in (group[0] for group in together(verdicts(results, found, results.conditions[0]))):
        if one.worse and (code := _code(results, one)):
            made.setdefault(one.use[0], []).append((results.words(one.setting), *code))
    several = len(results.settings) > 1
    said = []
    for loss, each in list(made.items())[:MOST_GROUPS]:
        shown = [
            f"{f' with {setting}' if several else ''}: {'the same' if place and code == each[place - 1][1] else code}, {rate}"
            for place, (setting, code, rate) in enumerate(each[:MOST_GROUPS])
        ]
        said.append(f"{name(loss)} as it was{';'.join(shown)}.")
    if any("=" in sentence for sentence in said) and results.task == "regression":
        said.append(
            "Hyperparameters that are distances are in spreads of the training targets (a robust standard deviation)."
        )
    return said


def _code(results: Results, one: Verdict) -> tuple[str, str] | None:
    """What makes the loss to use, and its learning rate in words."""
    runs, loss = results.runs, one.use[0]
    mine = (runs["condition"] == results.conditions[0]) & (runs["setting"] == one.setting) & (runs["loss"] == loss)
    done = runs[mine & (runs["status"] == "done")].sort_values("lr")
    label = _LABEL.fullmatch(loss)
    if done.empty or not label or not cards.has("loss", label["name"]):
        return None
    row = done.iloc[(len(done) - 1) // 2]
    usual = cards.card("loss", label["name"]).values | cards.options("loss")
    named = dict(_PAIR.findall(label["rest"] or ""))
    pairs = named | dict(_PAIR.findall(str(row["params"] or "")))
    keywords = "".join(
        f", {key}={value}" for key, value in pairs.items() if key in named or _value(value) != usual.get(key)
    )
    low, high = number(float(done["lr"].iloc[0])), number(float(done["lr"].iloc[-1]))
    rate = f"learning rate {number(float(row['lr']))}"
    tuned = (
        f" (the middle one of {done[results.unit].nunique()} {results.unit}s, {low} to {high})" if low != high else ""
    )
    return f'`losslab.losses.get("{label["name"]}"{keywords})`', rate + tuned


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
