"""What a figure of a report is, as plain data that pages (SVG), notebooks (plotly) and Markdown (matplotlib) draw alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from losslab.report.charts.style import REST

_MANY = 10.0  # how many times the smallest value the largest must be for a logarithmic axis


@dataclass(frozen=True)
class Series:
    """One thing that is drawn.

    Attributes:
        name: as plain text.
        look: place of the loss for `style.look`, the same in all figures of a report.
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
        zero: whether a line marks 0 along x.
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
    zero: bool = False

    @property
    def labelled(self) -> list[Series]:
        """The lines that bear their names at their ends: all but the faint ones, and a constant beyond the figure's ends.

        None where the heights have names.
        """
        if self.y_ticks:
            return []
        first: dict[str, Series] = {}
        for series in self.series:
            if series.form == "dashed" and not self._shows(self.label_point(series)):
                continue
            if series.form in ("line", "points", "dashed") and series.look != REST:
                first.setdefault(series.name, series)
        return list(first.values())

    def label_point(self, series: Series) -> tuple[float, float]:
        """Where the name of a line belongs: its last point that the figure shows, else the last of all."""
        points = sorted(zip(series.x, series.y, strict=True))
        return next((point for point in reversed(points) if self._shows(point)), points[-1])

    def _shows(self, point: tuple[float, float]) -> bool:
        low, high = self.y_range or (-np.inf, np.inf)
        return low <= point[1] <= high


@dataclass(frozen=True)
class Heat:
    """A square of differences, row minus column.

    Attributes:
        key, title: as of a chart.
        names: of rows and columns.
        values: of what is told apart, which has a colour; NaN: none.
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
    return [
        replace(chart, log_y=log, y_range=(low, high), series=[_within(one, low, high) for one in chart.series])
        for chart in charts
    ]


def _within(series: Series, low: float, high: float) -> Series:
    """A series without the band around points that the figure does not show."""
    if series.form != "line" or not series.low:
        return series
    inside = [low <= value <= high for value in series.y]
    ends = [
        [end if shown else float("nan") for end, shown in zip(some, inside, strict=True)]
        for some in (series.low, series.high)
    ]
    return replace(series, low=ends[0], high=ends[1])


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


def apart(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights for labels: as near to those given as may be, a gap from one another, between two ends where they fit."""
    order = np.argsort(heights, kind="stable")
    placed = np.clip(np.asarray(heights, dtype=float)[order], low, high)
    groups: list[list[float]] = []  # sum and number of labels that stand block by block
    for height in placed:
        groups.append([height, 1])
        while len(groups) > 1 and _end(groups[-2], gap) > _start(groups[-1], gap) - gap:
            total, count = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + count]
    found: list[float] = []
    for group in groups:
        found += [_start(group, gap) + gap * number for number in range(int(group[1]))]
    shift = max(0.0, found[-1] - high) if found else 0.0
    for place in range(len(found) - 1, -1, -1):  # what the top pushes down
        top = high - gap * (len(found) - 1 - place)
        found[place] = min(found[place], top) if shift else found[place]
    for place in range(len(found)):
        found[place] = max(found[place], low + gap * place)
    back = np.empty(len(found))
    back[order] = found
    return [float(height) for height in back]


def _start(group: Sequence[float], gap: float) -> float:
    return group[0] / group[1] - gap * (group[1] - 1) / 2


def _end(group: Sequence[float], gap: float) -> float:
    return _start(group, gap) + gap * (group[1] - 1)


def ticks(low: float, high: float, log: bool, most: int = 6) -> list[float]:
    """Round numbers between two ends: 1, 2 and 5 times powers of ten; of a logarithmic axis of several decades the powers alone."""
    if log:
        powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        steps = (1, 2, 5) if np.log10(high / low) < 2.5 else (1,)
        known = [step * 10.0**power for power in powers for step in steps]
        return [value for value in known if low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9)]
    rough = (high - low) / most or 1.0
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))
    first = int(np.ceil(low / step - 1e-9))
    return [float(f"{number * step:.12g}") for number in range(first, int(np.floor(high / step + 1e-9)) + 1)]
