"""Charts as figures of plotly, for notebooks: plain dictionaries, with every text escaped for plotly's own small HTML."""

from __future__ import annotations

import html
import math
from typing import Any

from losslab.report.charts.spec import Chart, Heat, Series, short
from losslab.report.charts.style import BETTER, GREY, INK, LINE, NEITHER, WORSE, look

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def figure(chart: Chart | Heat) -> dict[str, Any]:
    """`data` and `layout` for Plotly.newPlot."""
    return _heat(chart) if isinstance(chart, Heat) else _axes(chart)


def plain(text: str) -> str:
    """Text as plotly shows it, letter by letter: plotly reads tags and entities in names, labels and hover texts."""
    return html.escape(" ".join(text.split()), quote=False)


def _axes(chart: Chart) -> dict[str, Any]:
    layout = _layout(chart.title, 80 + 14 * chart.rows if chart.rows else 380)
    layout["xaxis"] = _axis(chart.x_label, chart.log_x, chart.x_ticks)
    layout["yaxis"] = _axis(chart.y_label, chart.log_y, chart.y_ticks)
    for axis, log, end in (("xaxis", chart.log_x, "x"), ("yaxis", chart.log_y, "y")):
        if log:
            places = [place for series in chart.series for place in getattr(series, end) if place > 0]
            layout[axis] |= _decades(min(places), max(places))
    if chart.y_range:
        layout["yaxis"]["range"] = [math.log10(end) if chart.log_y else end for end in chart.y_range]
    if chart.y_ticks and not chart.x_ticks:
        layout["yaxis"] |= {"range": [-0.6, max(chart.y_ticks) + 0.6], "showgrid": False}
    layout["annotations"] = [
        {
            "x": chart.aside,
            "xref": "paper",
            "xanchor": "left",
            "y": math.log10(height) if chart.log_y else height,
            "showarrow": False,
        }
        | {"text": plain(text), "font": {"size": 11, "color": GREY}}
        for height, text in chart.remarks.items()
    ]
    if chart.remarks and chart.aside:  # beside the axes, over no mark
        layout["margin"]["r"] = 110
    if chart.x_ticks:  # a slope graph: the names stand at the ends of the lines
        layout["xaxis"] |= {"range": [-0.75, 1.75], "showgrid": False, "side": "top", "showline": False}
        layout["yaxis"] |= {"visible": False}
        layout |= {"height": 50 + 24 * chart.rows, "margin": {"l": 0, "r": 0, "t": 12, "b": 8}}
        layout["annotations"] += [_end(series, side) for series in chart.series for side in (0, 1)]
    return {"data": [trace for series in chart.series for trace in _traces(series)], "layout": layout}


def _end(series: Series, side: int) -> dict[str, Any]:
    rank = str(round(-series.y[side]))
    text = f"{rank}  {plain(short(series.name))}" if side else f"{plain(short(series.name))}  {rank}"
    return {"x": series.x[side], "y": series.y[side], "text": text, "showarrow": False, "font": {"size": 12}} | {
        "xanchor": "left" if side else "right",
        "xshift": 10 if side else -10,
    }


def _traces(series: Series) -> list[dict[str, Any]]:
    seen = look(series.look)
    colour, symbol = seen.colour, seen.marker[0]
    trace: dict[str, Any] = {
        "type": "scatter",
        "name": plain(series.name),
        "x": series.x,
        "y": series.y,
    }
    trace |= {"hoverinfo": "text", "hovertext": [plain(text) for text in series.hover]}
    marker = {"color": colour, "symbol": symbol, "size": 7}
    if series.form in ("dots", "hollow"):
        marker |= {"size": 9, "line": {"color": colour, "width": 1.5}}
        marker |= {"color": "#fff"} if series.form == "hollow" else {}
        above = [_gap(high, x) for x, high in zip(series.x, series.high or series.x, strict=True)]
        below = [_gap(x, low) for x, low in zip(series.x, series.low or series.x, strict=True)]
        whisker = {
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "thickness": 1.5,
            "width": 0,
        }
        return [trace | {"mode": "markers", "marker": marker, "error_x": whisker | {"color": colour}}]
    if series.form == "line":
        many = len(series.x) > 12
        line = {"color": colour, "width": 2, "dash": seen.dash[0]}
        drawn = trace | {"mode": "lines" if many else "lines+markers", "line": line, "marker": marker}
        return [*_band(series, colour), drawn]
    if series.form == "points":
        return [
            trace
            | {"mode": "lines+markers", "line": {"color": colour, "width": 1.5, "dash": seen.dash[0]}, "marker": marker}
        ]
    if series.form == "rings":
        ring = {"color": colour, "symbol": "circle-open", "size": 16, "line": {"width": 2, "color": colour}}
        return [trace | {"mode": "markers", "marker": ring}]
    if series.form == "crosses":
        cross = {"color": colour, "symbol": "x-thin", "size": 9, "line": {"width": 2, "color": colour}}
        return [trace | {"mode": "markers", "marker": cross}]
    return [trace | {"mode": "lines", "line": {"color": colour, "width": 2, "dash": "4px,4px"}}]


def _band(series: Series, colour: str) -> list[dict[str, Any]]:
    ends = zip(series.x, series.low, series.high, strict=True) if series.low else ()
    known = [(x, low, high) for x, low, high in ends if math.isfinite(low) and math.isfinite(high)]
    if len(known) < 2:
        return []
    x, low, high = (list(values) for values in zip(*known, strict=True))
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    band = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "fill": "toself"}
    around = {"x": x + x[::-1], "y": high + low[::-1], "hoverinfo": "skip"}
    return [band | around | {"fillcolor": f"rgba({red},{green},{blue},.15)"}]


def _heat(chart: Heat) -> dict[str, Any]:
    names = [plain(short(name)) for name in chart.names]
    places = list(range(len(names)))
    ends = (BETTER, WORSE) if chart.sign > 0 else (WORSE, BETTER)
    trace = {"type": "heatmap", "x": places, "y": places, "z": chart.values, "zmin": -chart.limit, "zmax": chart.limit}
    trace |= {
        "text": chart.texts,
        "texttemplate": "%{text}",
        "textfont": {"size": 11},
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }
    trace |= {"hoverinfo": "text", "hovertext": [[plain(text) for text in row] for row in chart.hover]}
    trace |= {"colorscale": [[0, ends[0]], [0.5, "#f7f7f7"], [1, ends[1]]]}
    layout = _layout(chart.title, 120 + 30 * len(names)) | {"plot_bgcolor": NEITHER}
    ticks = {
        "tickvals": places,
        "ticktext": names,
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
    }
    layout["xaxis"] = ticks | {"tickangle": -40}
    layout["yaxis"] = ticks | {"autorange": "reversed"}
    return {"data": [trace], "layout": layout}


def _axis(label: str, log: bool, ticks: dict[float, str]) -> dict[str, Any]:
    axis: dict[str, Any] = {"title": {"text": plain(label), "standoff": 8}, "gridcolor": LINE, "linecolor": GREY}
    axis |= {"zeroline": False, "automargin": True, "ticks": "", "type": "log" if log else "linear"}
    if ticks:
        axis |= {"tickvals": list(ticks), "ticktext": [plain(short(text)) for text in ticks.values()]}
    return axis


def _decades(low: float, high: float) -> dict[str, Any]:
    """Round numbers as ticks of a logarithmic axis, written out: all powers of ten, and where these are few 2 and 5 between them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if math.log10(high / low) > 2.5 else (1, 2, 5)
    known = [step * 10.0**power for power in powers for step in steps]
    return {"tickvals": known, "ticktext": [f"{value:g}" for value in known]}


def _layout(title: str, height: int) -> dict[str, Any]:
    heading = {
        "text": plain(title),
        "font": {"size": 14},
        "x": 0,
        "xref": "paper",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
    }
    return {
        "height": height,
        "autosize": True,
        "title": heading | {"pad": {"t": 6}},
        "font": {"family": FONT, "size": 12, "color": INK},
        "margin": {"l": 48, "r": 12, "t": 34 if title else 12, "b": 44},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "font": {"family": FONT}, "namelength": 0},
    }


def _gap(high: float, low: float) -> float:
    return high - low if math.isfinite(high) and math.isfinite(low) else 0.0
