"""Numbers as they stand in the cells of a table: fixed decimals, so that they can be compared down a column."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

NONE, MINUS = "\u2013", "\u2212"  # a dash for what is not known, a true minus
Row = Mapping[Hashable, Any]


def fixed(value: float, decimals: int) -> str:
    """With so many decimals, a dash where it is not finite, in powers of ten where that is shorter."""
    if not math.isfinite(value):
        return NONE
    text = f"{value:.3g}" if abs(value) >= 1e6 or decimals > 6 else f"{value:.{decimals}f}"
    return text.replace("-", MINUS)


def between(row: Row, value: str, low: str, high: str, decimals: int) -> str:
    """A value with its interval, where there is one."""
    text = fixed(row[value], decimals)
    if not math.isfinite(row[value]) or not math.isfinite(row[low]):
        return text
    return f"{text} [{fixed(row[low], decimals)}, {fixed(row[high], decimals)}]"


def decimals(widths: pd.Series[float]) -> int:
    """That show two digits of the usual half width of an interval; 3 where no interval is known."""
    known = widths[np.isfinite(widths) & (widths > 0)]
    return 3 if known.empty else max(0, 1 - math.floor(math.log10(known.median() / 2)))


def chance(p: float) -> str:
    """A p value."""
    return NONE if not math.isfinite(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def span(counts: Iterable[int]) -> str:
    """'10', or '8 to 10' where they differ."""
    distinct = sorted({int(count) for count in counts})
    return str(distinct[0]) if len(distinct) == 1 else f"{distinct[0]} to {distinct[-1]}"
