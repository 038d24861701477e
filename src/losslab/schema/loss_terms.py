"""The notation of a weighted sum of losses: '5*l1 + 2*giou', '0.5*huber(delta=0.3) + mse'."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from losslab.errors import BadRequest

Term = tuple[float, str, dict[str, Any]]  # weight, name of a loss, hyperparameters that are not to be its defaults
# a name, or where a loss of the user's stands: a path, which may hold spaces but none of the signs of a sum, or a module
_NAME = r"[^*()+,]+\.py:\w+|[\w.]+:\w+|[\w.]+"
_TERM = re.compile(rf"\s*(?:(?P<weight>[^*()\s]+)\s*\*\s*)?(?P<name>{_NAME})\s*(?:\((?P<params>[^()]*)\))?\s*")


def parse(text: str) -> list[Term]:
    """The terms of a sum as it is written. Raises BadRequest for what is no sum."""
    return [_term(part, text) for part in _split(r"\+", text)]


def written(terms: list[Term]) -> str:
    """The one way in which losslab writes a sum; `parse` reads it back."""
    return " + ".join(
        f"{weight:g}*{name}" + (f"({', '.join(f'{key}={value}' for key, value in params.items())})" if params else "")
        for weight, name, params in terms
    )


def _term(part: str, text: str) -> Term:
    found = _TERM.fullmatch(part)
    if not found:
        raise _refusal(part, text)
    try:
        weight = float(found["weight"] or 1)
        pairs = [pair.split("=") for pair in _split(",", found["params"] or "") if pair.strip()]
        params = {key.strip(): value(given) for key, given in pairs}
    except (ValueError, yaml.YAMLError) as error:
        raise _refusal(part, text) from error
    if not 0 < weight < float("inf"):
        number = "above 0" if math.isfinite(weight) else "a finite number above 0"
        raise BadRequest(f"In the sum '{text}', the weight {weight:g} must be {number}.")
    return weight, found["name"], params


def value(text: str) -> Any:
    """The value of a hyperparameter as it is typed."""
    try:
        return float(text) if re.search(r"[.e]", text) else yaml.safe_load(text)  # YAML takes 1e-3 for a word
    except ValueError:
        return yaml.safe_load(text)


def _split(mark: str, text: str) -> list[str]:
    """The parts between marks that stand outside brackets and are no sign of an exponent, as in 1e+3."""
    return re.split(mark + r"(?![^(]*\))(?![^\[]*\])(?<![\d.]e\+)", text)


def _refusal(part: str, text: str) -> BadRequest:
    if (opened := text.count("(")) != (closed := text.count(")")):
        return BadRequest(f"'{text}' has {opened} brackets that open and {closed} that close.")
    return BadRequest(
        f"In the sum '{text}', the term '{part.strip()}' is none; write it as '5*l1 + 2*smoothl1(beta=0.1)'."
    )
