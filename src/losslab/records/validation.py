"""Whether the content of a file has the shape of what it is read as."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from losslab.records.record import HASHES, Record


def misshapen(values: Mapping[str, Any], kind: type) -> str:
    """The first of some values that is not of the type that a dataclass states for it; "" where all are."""
    hints = _hints(kind)
    return next((key for key, value in values.items() if not matches(value, hints.get(key, NoneType))), "")


_hints = cache(get_type_hints)  # thousands of records have one type


def matches(value: Any, hint: Any) -> bool:
    """Whether a plain value is of a type: of str, int (of 64 bits), float (finite), None, Any, dict, list, and unions of them."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is UnionType:
        return any(matches(value, one) for one in inner)
    if origin is dict:
        return isinstance(value, dict) and all(
            matches(key, inner[0]) and matches(held, inner[1]) for key, held in value.items()
        )
    if origin is list:
        return isinstance(value, list) and all(matches(held, inner[0]) for held in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


# what reports read inside the settings of a record: what is there wherever the setting is not empty, and what may be there
_INNER: dict[str, dict[str, Any]] = {
    "data": {"name": str},
    "model": {"name": str},
    "optimizer": {"name": str, "lr": float},
    "corruption": {"name": str},
    "selection": {"metric": str, "better": str, "validation": str},
    "pairing": dict.fromkeys(HASHES, str),
    "study": {"study": dict[str, Any], "phase": str, "loss": str},
    "config": {"data": dict[str, Any]},
}

_INNER_AT_TIMES: dict[str, dict[str, Any]] = {
    "data": {"rows_in": dict[str, int]},
    "model": {"parameters": int},
    "corruption": {"rows_hit": dict[str, int], "splits": list[str]},
}

_IN_PHASE: dict[str, dict[str, Any]] = {
    "tune": {"at": str, "trial": int},
    "confirm": {"setting": str, "arms": list[str]},
}

_MAY_BE_EMPTY = ("selection", "pairing", "study")  # nothing was trained; outside a study


def check_shape(content: Mapping[str, Any]) -> None:
    """Raises TypeError where a value is not of its type, and KeyError where it is not there."""
    if wrong := misshapen(content, Record):
        raise TypeError(f"{wrong} is not of its type")
    for group, inner in _INNER.items():
        if content.get(group) or group not in _MAY_BE_EMPTY:
            _check_inner(content[group], inner)
    for group, inner in _INNER_AT_TIMES.items():
        _check_inner(content[group], {key: hint for key, hint in inner.items() if key in content[group]})
    if part := content.get("study"):
        _check_inner(part, _IN_PHASE[part["phase"]])
        _check_inner(part["study"], {"name": str})


def _check_inner(values: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    for key, hint in hints.items():
        if not matches(values[key], hint):
            raise TypeError(f"{key} is not of its type")
