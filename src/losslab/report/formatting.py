"""Numbers, names and counts as a report writes them, in sentences and in cells of tables."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


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
    """A value with its interval: '1.30 (95 % interval 1.24 to 1.36)'; the value alone where there is no interval (NaN)."""
    shown, *ends = alike(value, low, high)
    return f"{shown} ({percent(level)} interval {ends[0]} to {ends[1]})" if math.isfinite(high - low) else shown


def alike(value: float, low: float, high: float) -> tuple[str, str, str]:
    """A value and the ends of its interval, all to the second digit of the interval's width, or to their third without one."""
    width = high - low
    decimals = 1 - _exponent(width) if math.isfinite(width) and width > 0 else 2 - _exponent(value)
    if not math.isfinite(width) or decimals > 6:
        return number(value), number(low), number(high)
    return _fixed(value, decimals), _fixed(low, decimals), _fixed(high, decimals)


def p_value(p: float) -> str:
    """'p = 0.034', 'p < 0.0001'."""
    return "p < 0.0001" if p < 1e-4 else f"p = {number(p, 2)}" if p < 0.995 else "p = 1"


def percent(level: float) -> str:
    """'95 %' of 0.95."""
    return f"{100 * level:.4g} %"


def name(label: str) -> str:
    """A loss or a setting in backticks."""
    return f"`{label}`"


def listed(items: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def several(labels: Sequence[str], most: int = 3) -> str:
    """Names in backticks; of more than a few the first ones, and how many others there are."""
    if len(labels) <= most + 1:
        return listed([name(label) for label in labels])
    return f"{', '.join(name(label) for label in labels[:most])} and {len(labels) - most} others"


def counted(count: float, one: str) -> str:
    """'1 seed', '3 seeds', '8 losses'."""
    return f"{count:g} {one}{'' if count == 1 else 'es' if one.endswith('s') else 's'}"


def ordinal(rank: int) -> str:
    """'1st', '2nd', '3rd', '4th', '11th'."""
    ending = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{ending}"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _fixed(value: float, decimals: int) -> str:
    """So many decimals, at least none, and no minus before a zero."""
    text = f"{value:,.{max(decimals, 0)}f}"
    return text.lstrip("-") if not any(digit in text for digit in "123456789") else text


NONE, MINUS = "\u2013", "\u2212"  # a dash for what is not known, a true minus

Row = Mapping[Hashable, Any]


def fixed(value: float, decimals: int) -> str:
    """With so many decimals and marks between thousands, a dash where it is not finite, in powers of ten where that is shorter."""
    if not math.isfinite(value):
        return NONE
    text = f"{value:.3g}" if abs(value) >= 1e6 or decimals > 6 else _fixed(value, decimals)
    return text.replace("-", MINUS)


def between(row: Row, value: str, low: str, high: str, decimals: int) -> str:
    """A value with its interval, where there is one."""
    text = fixed(row[value], decimals)
    if not math.isfinite(row[value]) or not math.isfinite(row[low]):
        return text
    return f"{text} [{fixed(row[low], decimals)}, {fixed(row[high], decimals)}]"


def decimals(widths: pd.Series[float]) -> int:
    """That show two digits of the usual width of an interval, as `alike` does for one; 3 where no interval is known."""
    known = widths[np.isfinite(widths) & (widths > 0)]
    return 3 if known.empty else max(0, 1 - math.floor(math.log10(known.median())))


def chance(p: float) -> str:
    """A p value, as `p_value` writes it: '0.034', '< 0.0001'."""
    return p_value(p).removeprefix("p ").removeprefix("= ") if math.isfinite(p) else NONE


def span(counts: Iterable[int]) -> str:
    """'10', or '8 to 10' where they differ."""
    distinct = sorted({int(count) for count in counts})
    return str(distinct[0]) if len(distinct) == 1 else f"{distinct[0]} to {distinct[-1]}"
