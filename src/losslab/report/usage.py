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
    """A sentence for each group of settings with one answer: the first loss to use, with hyperparameters and learning rate.

    They are those of the run at the median learning rate, where the repeats of a tuning chose several. Nothing where no loss is
    shown to be better than another, and nothing of a sum or a loss of the user's, whose label says what it is.
    """
    runs = results.runs[results.runs["condition"] == results.conditions[0]]
    ended = runs[runs["status"].isin(("done", "diverged"))]
    if ended[results.unit].nunique() < FEWEST:
        return []
    said: dict[str, str] = {}
    for group in together(verdicts(results, found, results.conditions[0]))[:MOST_GROUPS]:
        for one in group:
            if one.worse and one.use[0] not in said and (code := _code(results, one)):
                said[one.use[0]] = code
                break
    return list(said.values())


def _code(results: Results, one: Verdict) -> str:
    runs, loss = results.runs, one.use[0]
    mine = (runs["condition"] == results.conditions[0]) & (runs["setting"] == one.setting) & (runs["loss"] == loss)
    done = runs[mine & (runs["status"] == "done")].sort_values("lr")
    label = _LABEL.fullmatch(loss)
    if done.empty or not label or not cards.has("loss", label["name"]):
        return ""
    row = done.iloc[(len(done) - 1) // 2]
    usual = cards.card("loss", label["name"]).values | cards.options("loss")
    pairs = _PAIR.findall(str(row["params"] or label["rest"] or ""))
    keywords = "".join(f", {key}={value}" for key, value in pairs if _value(value) != usual.get(key))
    where = f" with {results.words(one.setting)}" if len(results.settings) > 1 else ""
    median = "median " if done["lr"].nunique() > 1 else ""
    made = f'losslab.losses.get("{label["name"]}"{keywords})'
    return f"To use {name(loss)} as it was{where}: `{made}` at a {median}learning rate of {number(float(row['lr']))}."


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
