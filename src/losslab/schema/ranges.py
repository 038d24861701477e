"""One value of a request, held to its type and its stated range."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from typing import Any

from losslab.errors import BadRequest, nearest

_MOST = 2.0**128  # of 32 bits

_SMALL, _LARGE = 1e-18, 1e19  # what losses compute with


def same_keys(prefix: str, given: Mapping[str, Any], known: list[str]) -> None:
    """Raises BadRequest for a key that is not known, and for a known one that is not given."""
    for key in given:
        if key not in known:
            shown = ", ".join(prefix + k for k in known)
            raise BadRequest(f"There is no key '{prefix}{key}'{nearest(str(key), known)}. Valid: {shown}.")
    for key in known:
        if key not in given:
            raise BadRequest(f"The key '{prefix}{key}' is missing; it must not be deleted.")


def typed(key: str, value: Any, default: Any, ranges: Mapping[str, str]) -> Any:
    """A value in the type of its default, inside its range, if one is stated."""
    if isinstance(default, dict):
        if not isinstance(value, Mapping):
            raise BadRequest(f"{key} holds several values ({', '.join(default)}), and {value!r} is none of them.")
        same_keys(f"{key}.", value, list(default))
        return {inner: typed(f"{key}.{inner}", value[inner], default[inner], ranges) for inner in default}
    if isinstance(default, list):
        if not isinstance(value, list):
            example = str(default) if default else f"[{value}]"
            raise BadRequest(f"{key} must be a list such as {example}, and {value!r} is not.")
        count, _, of_each = ranges.get(key, "").rpartition(" of ")
        if count == "any" and not value:
            raise BadRequest(f"{key} must hold at least one value, and {value} holds none.")
        if count not in ("", "any") and len(value) != int(count):
            raise BadRequest(f"{key} must hold {count} values, and {value} holds {len(value)}.")
        each = default[0] if default else ""  # an empty list holds words
        return [typed(key, item, each, {key: of_each} if of_each else {}) for item in value]
    words = ranges.get(key, "").split(" | ")
    if type(default) is str and type(value) is int and any(word.isdigit() for word in words):
        value = str(value)  # a number among words, as in auto | 1 | 3
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    fits = isinstance(value, (int, float) if type(default) is float else type(default))
    if not fits or (isinstance(value, bool) and not isinstance(default, bool)):
        raise BadRequest(f"{key} must be {kinds[type(default)]}, and {value!r} is not{_as_range(key, value)}.")
    if isinstance(value, int) and abs(value) > (sys.float_info.max if type(default) is float else 2**63 - 1):
        raise BadRequest(f"{key} must be a number that fits into 64 bits, and {value} does not.")
    value = float(value) + 0.0 if type(default) is float else type(default)(value)  # -0.0 and 0.0 are one setting
    if key in ranges and not inside(value, ranges[key]):
        raise BadRequest(f"{key} must {_worded(ranges[key], value)}, and {value!r} is not.")
    if isinstance(value, float) and not abs(value) < _MOST:
        raise BadRequest(f"{key} must be a number that fits into 32 bits, and {value!r} does not.")
    return value


def _as_range(key: str, value: Any) -> str:
    """What to write where a word such as '1-5' stands for whole numbers from one to another."""
    found = re.fullmatch(r"(\d+)(?:-|\.\.|:|to)(\d+)", str(value).replace(" ", ""))
    return f"; -m {key}=range({found[1]},{int(found[2]) + 1}) takes each from {found[1]} to {found[2]}" if found else ""


def computable(key: str, value: Any) -> None:
    """Raises BadRequest for a float, not 0, whose square or the inverse of it does not fit into the 32 bits that losses compute in."""
    if isinstance(value, float) and value and not _SMALL <= abs(value) <= _LARGE:
        raise BadRequest(
            f"{key} must be of a size from {_SMALL:g} to {_LARGE:g}, as losses compute in 32 bits, and {value!r} is not."
        )


def inside(value: Any, text: str) -> bool:
    """Whether a value lies in a range: '(0, inf)', '[0, 1]' and so on, or words as in 'one | other'."""
    if text[0] not in "[(":
        return value in text.split(" | ")
    low, high = ends(text)
    above = value >= low if text[0] == "[" else value > low
    below = value <= high if text[-1] == "]" else value < high
    return bool(above and below and math.isfinite(value))


def ends(text: str) -> tuple[float, float]:
    """The two numbers of a range of numbers."""
    low, high = (float(part) for part in text[1:-1].split(","))
    return low, high


def _worded(text: str, value: Any) -> str:
    """A range in words, for a value that lies outside."""
    if text[0] not in "[(":
        return f"be one of: {text.replace(' | ', ', ')}"
    low, high = (part.strip() for part in text[1:-1].split(","))
    lower = f"at least {low}" if text[0] == "[" else f"above {low}"
    upper = f"at most {high}" if text[-1] == "]" else f"below {high}"
    bounds = " and ".join(bound for bound, end in ((lower, low), (upper, high)) if not math.isinf(float(end)))
    return "be " + " ".join(filter(None, ("" if bounds and math.isfinite(value) else "a finite number", bounds)))
