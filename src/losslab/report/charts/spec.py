"""What a figure of a report is, as plain data that plotly and matplotlib draw alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

_MANY = 10.0  # how many times the smallest value the largest must be for a logarithmic axis


@dataclass(frozen=True)
class Series:
    """One thing that is drawn.

    Attributes:
        name: as plain text.
        look: index of the loss in the study, which decides how it looks; -1: not a loss.
        form: dots (whiskers along x), hollow (the same, not filled), line (with a band, if any), points (a thin line through them),
            rings (around points), crosses, dashed (a line without points).
        x, y: the points.
        low, high: ends of their whiskers or band; empty: none.
        hover: what is said of each point.
    """

    name: str
    look: int
    form: str
    x: list[float]
    y: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    hover: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Chart:
    """One pair of axes.

    Attributes:
        key: a name that no other chart of the report has, of letters, digits and hyphens.
        title: as plain text; "" where nothing stands beside it.
        x_label, y_label: of the axes.
        series: in the order of the losses.
        log_x, log_y: logarithmic axes.
        x_ticks, y_ticks: names of points on an axis; empty: numbers.
        y_range: lowest and highest; None: what the series need.
        remarks: text at a height.
        aside: where along x they stand, 0 (left end) or 1 (right end).
        rows: rows of text that the height must hold; 0: a usual height.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    series: list[Series]
    log_x: bool = False
    log_y: bool = False
    x_ticks: dict[float, str] = field(default_factory=dict)
    y_ticks: dict[float, str] = field(default_factory=dict)
    y_range: tuple[float, float] | None = None
    remarks: dict[float, str] = field(default_factory=dict)
    aside: int = 1
    rows: int = 0


@dataclass(frozen=True)
class Heat:
    """A square of differences, row minus column.

    Attributes:
        key, title: as of a chart.
        names: of rows and columns.
        values: NaN: none.
        texts: what stands in the cells.
        hover: what is said of each cell.
        limit: the difference that has the full colour, above 0.
        sign: 1 where a positive difference is the worse one, else -1.
    """

    key: str
    title: str
    names: list[str]
    values: list[list[float]]
    texts: list[list[str]]
    hover: list[list[str]]
    limit: float
    sign: int


def short(text: str, most: int = 32) -> str:
    """Text for a label: of a long one the beginning and the end, because names of losses differ at either."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most // 2].rstrip()} … {line[-(most // 2 - 3) :].lstrip()}"


def alike(charts: Sequence[Chart], heights: Iterable[float]) -> list[Chart]:
    """The charts with one and the same height axis, wide enough for these heights."""
    known = np.asarray(list(heights), dtype=float)
    known = known[np.isfinite(known)]
    log = wide(known)
    low, high = edge(known, log, "max"), edge(known, log, "min")
    return [replace(chart, log_y=log, y_range=(low, high)) for chart in charts]


def edge(values: Iterable[float], log: bool, better: str) -> float:
    """A height a fifteenth of the range beyond the worst of the finite values."""
    known = np.asarray(list(values), dtype=float)
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    if log:
        share = (high / low) ** (1 / 15)
        return float(high * share if better == "min" else low / share)
    share = ((high - low) or abs(high) or 1.0) / 15
    return high + share if better == "min" else low - share


def wide(values: Iterable[float]) -> bool:
    """Whether a logarithmic axis fits: all finite values are positive, and spread over more than an order of magnitude."""
    known = np.asarray(list(values), dtype=float)
    known = known[np.isfinite(known)]
    return bool(len(known) and known.min() > 0 and known.max() > _MANY * known.min())
