"""Numbers and names as a reader wants to see them in a sentence. Names stand in backticks, as in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits: 1.3 is '1.30', 12345.6 is '12,346', NaN is 'unknown'."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else str(value)
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}"
    return _fixed(value, digits - 1 - _exponent(value))


def spread(value: float, low: float, high: float, level: float) -> str:
    """A value with its interval, both to the second digit of the interval's width: '1.30 (95 % interval 1.24 to 1.36)'.

    Without an interval (NaN) or with one of no width: the value with three digits.
    """
    width = high - low
    if not math.isfinite(width):
        return number(value)
    size = 3 - _exponent(value) - 1 if width == 0 else 1 - _exponent(width)
    if size > 6:
        return f"{number(value, 4)} ({percent(level)} interval {number(low, 4)} to {number(high, 4)})"
    return f"{_fixed(value, size)} ({percent(level)} interval {_fixed(low, size)} to {_fixed(high, size)})"


def p_value(p: float) -> str:
    """'p = 0.034', 'p < 0.0001'."""
    return "p < 0.0001" if p < 1e-4 else f"p = {number(p, 2)}" if p < 0.995 else "p = 1"


def percent(level: float) -> str:
    """'95 %' of 0.95."""
    return f"{100 * level:.4g} %"


def name(label: str) -> str:
    """A loss or a setting in backticks."""
    return f"`{label}`"


def listed(items: Sequence[str], last: str = "and") -> str:
    """'a', 'a and b', 'a, b and c'."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def counted(count: float, one: str) -> str:
    """'1 seed', '3 seeds', '9.5 seeds'."""
    return f"{count:g} {one}{'' if count == 1 else 's'}"


def ordinal(place: int) -> str:
    """'1st', '2nd', '3rd', '4th', '11th'."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _fixed(value: float, decimals: int) -> str:
    """So many decimals, at least none, and no minus before a zero."""
    text = f"{value:,.{max(decimals, 0)}f}"
    return text.lstrip("-") if not any(digit in text for digit in "123456789") else text
