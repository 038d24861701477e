"""Charts as PNG files, drawn by matplotlib, for pages that show no scripts."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from losslab.report.charts.spec import Chart, Series, apart, short
from losslab.report.charts.style import GREY, INK, LINE, REST, look

_STYLE: dict[str, Any] = {"color": INK, "fontsize": 9}


def draw(tabs: Mapping[str, Sequence[Chart]], path: Path, most: int = 6) -> Path:
    """Draws the charts of the first tabs, at most so many charts, as panels of one picture; returns its path.

    Lines bear their names at their right ends; those of the faint ones stand below the panels.
    """
    titled = [(_title(tab, chart, len(tabs)), chart) for tab, charts in tabs.items() for chart in charts][:most]
    slope, named = bool(titled[0][1].x_ticks), bool(titled[0][1].y_ticks)
    columns = min(3 if slope else 2, len(titled))
    rows = math.ceil(len(titled) / columns)
    height = max(0.9 + 0.11 * chart.rows if chart.rows else 3.4 for _, chart in titled)
    faint = dict.fromkeys(one.name for _, chart in titled for one in chart.series if one.look == REST)
    below = fill(f"Grey: {', '.join(map(_plain, faint))}", 120 if columns > 1 else 76) if faint and not named else ""
    figure = Figure(
        figsize=(9.6 if columns > 1 else 6.2, height * rows + 0.2 + 0.2 * len(below.splitlines())),
        dpi=130,
        layout="constrained",
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharey=not named).ravel()
    for axes in panels[len(titled) :]:
        axes.set_axis_off()
    for axes, (title, chart) in zip(panels, titled, strict=False):
        _panel(axes, chart, title)
    ranges = [chart.y_range for _, chart in titled if chart.y_range]
    if ranges:  # the panels share their height
        panels[0].set_ylim(min(low for low, _ in ranges), max(high for _, high in ranges))
    for axes, (_, chart) in zip(panels, titled, strict=False):
        _names(axes, chart)
    if below:
        figure.supxlabel(below, fontsize=8, color=GREY)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that the font lacks is drawn as a box
        figure.savefig(path)
    return path


def _names(axes: Axes, chart: Chart) -> None:
    """The names of the lines beside their right ends."""
    lines = chart.labelled
    if not lines:
        return
    last = [chart.label_point(one) for one in lines]
    to_share = (axes.transData + axes.transAxes.inverted()).transform
    heights = [min(max(float(to_share(point)[1]), 0.0), 1.0) for point in last]
    for one, at in zip(lines, apart(heights, 0.055, 0.01, 0.99), strict=True):
        axes.annotate(
            _plain(short(one.name)),
            (1.02, at),
            xycoords="axes fraction",
            va="center",
            fontsize=8.5,
            color=look(one.look).colour,
        )


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
    for axis, log, end in ((axes.xaxis, chart.log_x, "x"), (axes.yaxis, chart.log_y, "y")):
        _round_ticks(axis, log, [place for one in chart.series for place in getattr(one, end)])
    for series in sorted(chart.series, key=lambda one: one.look != REST):  # the faint ones behind the others
        _series(axes, series)
    if chart.zero:
        axes.axvline(0, color=GREY, linewidth=1)
    if chart.x_ticks:
        _slope(axes, chart)
    elif chart.y_ticks:
        axes.set_yticks(list(chart.y_ticks), [_plain(short(name)) for name in chart.y_ticks.values()])
        axes.grid(visible=False, axis="y")
        axes.set_ylim(-0.6, max(chart.y_ticks) + 0.6)
    for height, text in chart.remarks.items():
        where: dict[str, Any] = {
            "xycoords": ("axes fraction", "data"),
            "ha": "left",
            "va": "center" if chart.aside else "bottom",
        }
        if not chart.aside:  # above the crosses
            where |= {"xytext": (0, 5), "textcoords": "offset points"}
        axes.annotate(_plain(text), (1.01 * chart.aside, height), fontsize=8, color=GREY, **where)


def _round_ticks(axis: Axis, log: bool, places: Sequence[float]) -> None:
    """Numbers written out; along a logarithmic axis 1, 2, 5, 10, or the powers of ten where they are many."""
    if log:
        known = [place for place in places if place > 0]
        few = max(known) < 300 * min(known)
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _series(axes: Axes, series: Series) -> None:
    seen = look(series.look)
    of_line: dict[str, Any] = {"color": seen.colour, "linewidth": 1.2 if seen.faint else 1.8, "linestyle": seen.dash[1]}
    if series.form in ("dots", "hollow"):
        ends = (series.low or series.x) + (series.high or series.x)
        known = [end if math.isfinite(end) else x for x, end in zip(series.x * 2, ends, strict=True)]
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
        marker = seen.marker[1] if len(series.x) <= 16 and not seen.faint else ""
        axes.plot(series.x, series.y, marker=marker, markersize=4, **of_line)
        if series.low and not seen.faint:
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
        seen = look(series.look)
        for side, (offset, where) in enumerate(((-0.08, "right"), (0.08, "left"))):
            rank = str(round(-series.y[side]))
            text = f"{rank}  {_plain(short(series.name))}" if side else f"{_plain(short(series.name))}  {rank}"
            axes.text(
                series.x[side] + offset,
                series.y[side],
                text,
                ha=where,
                va="center",
                fontsize=8,
                color=GREY if seen.faint else seen.colour,
            )


def _title(tab: str, chart: Chart, tabs: int) -> str:
    return ", ".join(filter(None, [tab if tabs > 1 else "", chart.title]))


def _plain(text: str) -> str:
    """Text as matplotlib shows it letter by letter: no formulas between dollar signs."""
    return " ".join(text.split()).replace("$", "\\$")
