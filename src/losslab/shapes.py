"""Whether what was read from a file has the shape that type hints state. Files may be torn, old, or written by others."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


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
