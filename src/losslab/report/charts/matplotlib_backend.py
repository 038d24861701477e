"""Charts as PNG files, drawn by matplotlib, for pages that show no scripts."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from losslab.report.charts.spec import Chart, Series, short
from losslab.report.charts.style import GREY, INK, LINE, look

_COLUMNS = 3
_STYLE: dict[str, Any] = {"color": INK, "fontsize": 9}


def draw(tabs: Mapping[str, Sequence[Chart]], path: Path, most: int = 6) -> Path:
    """Draws the charts of the first tabs, at most so many charts, as panels of one picture with one legend; returns its path."""
    titled = [(_title(tab, chart, len(tabs)), chart) for tab, charts in tabs.items() for chart in charts][:most]
    slope = bool(titled[0][1].x_ticks)
    named = any(chart.y_ticks for _, chart in titled)
    columns = min(_COLUMNS if not named or slope else 2, len(titled))
    rows = math.ceil(len(titled) / columns)
    height = max(0.8 + 0.1 * chart.rows if chart.rows else 2.6 for _, chart in titled)
    width = 9.0 if columns > 1 else 6.0
    handles = _handles([chart for _, chart in titled])
    longest = 0.5 + 0.065 * max(len(_plain(short(name))) for name in handles)  # inches
    beside = max(1, min(5, len(handles), int(width / longest)))
    legend = 0.0 if named else 0.2 * math.ceil(len(handles) / beside)
    figure = Figure(figsize=(width, height * rows + legend + 0.2), dpi=110, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=not named and not titled[0][1].y_ticks).ravel()
    for axes in panels[len(titled) :]:
        axes.set_axis_off()
    for axes, (title, chart) in zip(panels, titled, strict=False):
        _panel(axes, chart, title)
    ranges = [chart.y_range for _, chart in titled if chart.y_range]
    if ranges:  # the panels share their height
        panels[0].set_ylim(min(low for low, _ in ranges), max(high for _, high in ranges))
    if not named:
        figure.legend(
            list(handles.values()),
            [_plain(short(name)) for name in handles],
            loc="outside lower center",
            ncols=beside,
            frameon=False,
            fontsize=8,
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that the font lacks is drawn as a box
        figure.savefig(path)
    return path


def _panel(axes: Axes, chart: Chart, title: str) -> None:
    axes.set_title(_plain(title), loc="left", **_STYLE)
    axes.set_xlabel(_plain(chart.x_label), **_STYLE)
    axes.set_ylabel(_plain(chart.y_label), **_STYLE)
    axes.tick_params(labelsize=8, colors=INK, length=0)
    axes.grid(color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.set_xscale("log" if chart.log_x else "linear")
    axes.set_yscale("log" if chart.log_y else "linear")
    if chart.log_y:
        _round_ticks(axes)
    for series in chart.series:
        _series(axes, series)
    if chart.x_ticks:
        _slope(axes, chart)
    elif chart.y_ticks:
        axes.set_yticks(list(chart.y_ticks), [_plain(short(name)) for name in chart.y_ticks.values()])
        axes.grid(visible=False, axis="y")
        axes.set_ylim(-0.6, max(chart.y_ticks) + 0.6)
    for height, text in chart.remarks.items():
        where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "left", "va": "center"}
        axes.annotate(_plain(text), (1.01 * chart.aside, height), fontsize=7, color=GREY, **where)


def _round_ticks(axes: Axes) -> None:
    """1, 2, 5, 10 along a logarithmic height, written out, and no marks between them."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _series(axes: Axes, series: Series) -> None:
    seen = look(series.look)
    of_line: dict[str, Any] = {"color": seen.colour, "linewidth": 1.4, "linestyle": seen.dash[1]}
    if series.form in ("dots", "hollow"):
        known = [
            end if math.isfinite(end) else x for x, end in zip(series.x * 2, series.low + series.high, strict=True)
        ]
        low, high = known[: len(series.x)], known[len(series.x) :]
        axes.hlines(series.y, low, high, color=seen.colour, linewidth=1.4)
        face = "white" if series.form == "hollow" else seen.colour
        axes.plot(
            series.x, series.y, seen.marker[1], color=seen.colour, markerfacecolor=face, markersize=6, markeredgewidth=1
        )
    elif series.form == "rings":
        axes.plot(series.x, series.y, "o", color=seen.colour, markerfacecolor="none", markersize=10)
    elif series.form == "crosses":
        axes.plot(series.x, series.y, "x", color=seen.colour, markersize=5)
    elif series.form == "dashed":
        axes.plot(series.x, series.y, color=seen.colour, linewidth=1.4, linestyle=(0, (3, 3)))
    else:
        marker = seen.marker[1] if len(series.x) <= 16 else ""
        axes.plot(series.x, series.y, marker=marker, markersize=4, **of_line)
        if series.low:
            axes.fill_between(series.x, series.low, series.high, color=seen.colour, alpha=0.15, linewidth=0)


def _slope(axes: Axes, chart: Chart) -> None:
    """Names at both ends of the lines instead of a scale."""
    axes.set_xticks(list(chart.x_ticks), [_plain(text) for text in chart.x_ticks.values()])
    axes.set_xlim(-1.25, 2.25)
    axes.set_yticks([])
    axes.set_ylabel("")
    axes.grid(visible=False)
    axes.xaxis.tick_top()
    axes.spines["bottom"].set_visible(False)
    for series in chart.series:
        for side, (offset, where) in enumerate(((-0.08, "right"), (0.08, "left"))):
            rank = str(round(-series.y[side]))
            text = f"{rank}  {_plain(short(series.name))}" if side else f"{_plain(short(series.name))}  {rank}"
            axes.text(series.x[side] + offset, series.y[side], text, ha=where, va="center", fontsize=7.5, color=INK)


def _handles(charts: Sequence[Chart]) -> dict[str, Line2D]:
    """A line for the legend for every name, in the order of the losses."""
    named = {series.name: series.look for chart in charts for series in chart.series}
    handles = {}
    for name, index in sorted(named.items(), key=lambda item: math.inf if item[1] < 0 else item[1]):
        seen = look(index)
        marker = seen.marker[1] if index >= 0 else ""
        style: Any = seen.dash[1] if index >= 0 else (0, (3, 3))
        handles[name] = Line2D([], [], color=seen.colour, marker=marker, markersize=4, linewidth=1.4, linestyle=style)
    return handles


def _title(tab: str, chart: Chart, tabs: int) -> str:
    return ", ".join(filter(None, [tab if tabs > 1 else "", chart.title]))


def _plain(text: str) -> str:
    """Text as matplotlib shows it letter by letter: no formulas between dollar signs."""
    return " ".join(text.split()).replace("$", "\\$")
