"""Charts as SVG inside a page: no scripts, text that a screen reader reads, the same on paper. Squares of pairs are tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from losslab.report.charts.spec import Chart, Heat, Series, apart, short, ticks
from losslab.report.charts.style import BETTER, CONSTANT, GREY, INK, LINE, NEITHER, REST, WORSE, look
from losslab.report.formatting import MINUS

_WIDTH, _HEIGHT = 440, 290  # of which a phone shows all, in letters of nearly full size
_LETTER, _ROW = 7.0, 17  # px: width of a letter in a wide font, height of a row of text
_LONGEST = 24  # letters of a name at the end of a line
_ABOVE = 22  # letters of a name beside its row; longer ones stand above it


def picture(chart: Chart, label: str) -> str:
    """An <svg> that fills its place; `label`: what a screen reader says of it."""
    plane = _Slope(chart) if chart.x_ticks else _Plane(chart)
    parts = [*plane.frame(), *(mark for one in _behind_first(chart.series) for mark in plane.draw(one)), *plane.names()]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {plane.height:g}" role="img" aria-label="{escape(" ".join(label.split()))}">'
        f"{''.join(parts)}</svg>"
    )


def square(heat: Heat) -> str:
    """A <table> of differences, row minus column; columns are numbered as the rows are, so that many fit."""
    names = [escape(" ".join(name.split())) for name in heat.names]
    title = f"<caption>{escape(heat.title)}</caption>" if heat.title else ""
    head = "".join(
        f'<th scope="col" title="{name}" aria-label="minus {name}">{number}</th>'
        for number, name in enumerate(names, 1)
    )
    body = "".join(
        f'<tr><th scope="row">{number}&nbsp;{escape(short(heat.names[number - 1]))}</th>{"".join(_cells(heat, number - 1))}</tr>'
        for number in range(1, len(names) + 1)
    )
    return f'<table class="square">{title}<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cells(heat: Heat, row: int) -> list[str]:
    cells = []
    for value, text, said in zip(heat.values[row], heat.texts[row], heat.hover[row], strict=True):
        share = heat.sign * value / heat.limit if math.isfinite(value) else 0.0
        # never so deep that dark text on it is hard to read
        colour = _between("#ffffff", WORSE if share > 0 else BETTER, 0.15 + 0.45 * abs(share)) if share else NEITHER
        style = f"background:{colour if text else '#fff'}"
        cells.append(f'<td style="{style}"' + (f' title="{escape(said)}"' if said else "") + f">{escape(text)}</td>")
    return cells


def _between(start: str, end: str, share: float) -> str:
    mixed = (
        round(int(start[at : at + 2], 16) + share * (int(end[at : at + 2], 16) - int(start[at : at + 2], 16)))
        for at in (1, 3, 5)
    )
    return "#" + "".join(f"{part:02x}" for part in mixed)


class _Plane:
    """A pair of axes: where points lie, and what is drawn around them."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.names_above = any(len(short(name)) > _ABOVE for name in chart.y_ticks.values())
        rows = len(chart.y_ticks) * (2 if self.names_above else 1)
        self.height: float = (
            max(110, 62 + (_ROW + 5) * max(rows, chart.rows * 0.62)) if chart.y_ticks else float(_HEIGHT)
        )
        widest = max((min(len(short(name)), _ABOVE) for name in chart.y_ticks.values()), default=0)
        self.left = 8.0 if self.names_above else 14 + _LETTER * widest if chart.y_ticks else 46
        ends = [min(len(one.name), _LONGEST) for one in chart.labelled]
        self.right = _WIDTH - max(14, 12 + _LETTER * max(ends, default=0), 110 if chart.remarks and chart.aside else 0)
        self.top, self.bottom = (
            (26.0 if chart.title or (chart.remarks and not chart.aside) else 10.0),
            self.height - (40 if chart.x_label else 24),
        )
        xs = [v for one in chart.series for v in [*one.x, *(v for v in one.low + one.high if chart.y_ticks)]]
        self.x_ends = _ends([*xs, 0.0] if chart.zero else xs, chart.log_x)
        ys = [v for one in chart.series for v in [*one.y, *(one.low + one.high if not chart.y_ticks else [])]]
        self.y_ends = chart.y_range or _ends(ys, chart.log_y)
        if chart.y_ticks:
            self.y_ends = (-0.6, max(chart.y_ticks) + 0.6)

    def x(self, value: float) -> float:
        """From the left."""
        return self.left + (self.right - self.left) * _share(value, self.x_ends, self.chart.log_x)

    def y(self, value: float) -> float:
        """From above; what lies beyond the ends is kept at a fixed distance from them, and cut off."""
        share = _share(value, self.y_ends, self.chart.log_y)
        return self.bottom - (self.bottom - self.top) * min(max(share, -1.0), 2.0)

    def frame(self) -> list[str]:
        """Title, rules, numbers and names of the axes, remarks."""
        chart = self.chart
        cut = f"c-{chart.key}"
        made = [
            f'<clipPath id="{cut}"><rect x="0" y="{self.top - 6:g}" width="{_WIDTH}" height="{self.bottom - self.top + 8:g}"/></clipPath>'
        ]
        if chart.title:
            made.append(_text(0, 13, chart.title, "start", INK, 13))
        for value in ticks(*self.x_ends, chart.log_x):
            at = self.x(value)
            made.append(_rule(at, self.top, at, self.bottom))
            made.append(_text(at, self.bottom + 15, _tick(value), "middle", GREY))
        if chart.y_ticks:
            for height, name in chart.y_ticks.items():
                if self.names_above:
                    made.append(_text(self.left, self.y(height + 0.32), short(name, 60), "start", INK))
                else:
                    made.append(_text(self.left - 10, self.y(height) + 4, short(name), "end", INK))
        else:
            for value in ticks(*self.y_ends, chart.log_y):
                made.append(_rule(self.left, self.y(value), self.right, self.y(value)))
                made.append(_text(self.left - 6, self.y(value) + 4, _tick(value), "end", GREY))
        if chart.zero:
            made.append(_rule(self.x(0), self.top, self.x(0), self.bottom, GREY))
        made.append(_rule(self.left, self.bottom, self.right, self.bottom, GREY))
        middle = (self.left + self.right) / 2
        if chart.x_label:
            wide = len(chart.x_label) * _LETTER > self.right - self.left
            made.append(_text(_WIDTH / 2 if wide else middle, self.height - 6, chart.x_label, "middle", INK))
        if chart.y_label:
            centre = (self.top + self.bottom) / 2
            made.append(_text(0, 0, chart.y_label, "middle", INK, turn=f"translate(11 {centre:g}) rotate(-90)"))
        for height, text in chart.remarks.items():
            x, down = (self.right + 4, 4) if chart.aside else (self.left, -8)  # beside a mark, or above crosses
            made.append(_text(x, self.y(height) + down, text, "start", GREY))
        return made

    def draw(self, one: Series) -> list[str]:
        """One series: its lines, its marks with what is said of each, its band or whiskers."""
        seen = look(one.look)
        places = [(self.x(x), self.y(y)) for x, y in zip(one.x, one.y, strict=True)]
        made: list[str] = []
        width = 1.2 if seen.faint else 2.0
        if one.form in ("dots", "hollow"):
            for (x, y), low, high in zip(places, one.low or one.x, one.high or one.x, strict=True):
                if math.isfinite(low) and math.isfinite(high):
                    made.append(
                        f'<path d="M{self.x(low):.1f} {y:.1f}H{self.x(high):.1f}" stroke="{seen.colour}" stroke-width="2"/>'
                    )
                made += _marks([(x, y)], seen.marker[2], seen.colour, hollow=one.form == "hollow")
        elif one.form == "rings":
            made += _marks(places, "M-8 0a8 8 0 1 0 16 0a8 8 0 1 0 -16 0z", seen.colour, hollow=True, bare=True)
        elif one.form == "crosses":
            made += [
                _stroke("M-4 -4L4 4M-4 4L4 -4", seen.colour, 2, at=f"translate({x:.1f} {y:.1f})") for x, y in places
            ]
        else:
            if not seen.faint and one.form == "line":
                made += self._band(one, seen.colour)
            dash = "4 4" if one.form == "dashed" else "" if seen.faint else seen.dash[2]
            line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            made.append(_stroke(line, seen.colour, width if one.form != "points" else 1.4, dash))
            if len(places) <= 16 and not seen.faint and one.look != CONSTANT:
                made += _marks(places, seen.marker[2], seen.colour)
        made += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="transparent"><title>{_plain(said)}</title></circle>'
            for (x, y), said in zip(places, one.hover, strict=False)
        ]
        return [
            f'<g data-loss="{_plain(one.name)}" clip-path="url(#c-{self.chart.key})" fill="none">{"".join(made)}</g>'
        ]

    def _band(self, one: Series, colour: str) -> list[str]:
        ends = zip(one.x, one.low, one.high, strict=False)
        known = [
            (self.x(x), self.y(low), self.y(high))
            for x, low, high in ends
            if math.isfinite(low) and math.isfinite(high)
        ]
        if len(known) < 2:
            return []
        around = [f"{x:.1f} {y:.1f}" for x, _, y in known] + [f"{x:.1f} {y:.1f}" for x, y, _ in reversed(known)]
        return [f'<path d="M{"L".join(around)}z" fill="{colour}" fill-opacity=".14"/>']

    def names(self) -> list[str]:
        """The names of the lines, at their right ends."""
        lines = self.chart.labelled
        if not lines:
            return []
        last = [self.chart.label_point(one) for one in lines]
        heights = [min(max(self.y(y), self.top), self.bottom) for _, y in last]
        placed = apart(heights, 13.5, self.top + 2, self.bottom - 2)
        return [
            _text(self.right + 8, at + 4, short(one.name, _LONGEST), "start", look(one.look).colour)
            for one, at in zip(lines, placed, strict=True)
        ]


class _Slope(_Plane):
    """Ranks at two rates: a line a loss, with its name at both ends."""

    def __init__(self, chart: Chart) -> None:
        super().__init__(chart)
        self.height = 44.0 + 24 * chart.rows
        self.top, self.bottom = 36.0, self.height - 12
        widest = _LETTER * (4 + max(min(len(one.name), _ABOVE) for one in chart.series))
        self.left, self.right = widest, _WIDTH - widest
        self.x_ends = (0.0, 1.0)
        self.y_ends = (min(chart.y_ticks), max(chart.y_ticks) or 1.0) if len(chart.y_ticks) > 1 else (-2.0, 0.0)

    def frame(self) -> list[str]:
        ends = zip(self.chart.x_ticks.items(), ("end", "start"), strict=True)
        return [
            f'<clipPath id="c-{self.chart.key}"><rect width="{_WIDTH}" height="{self.height:g}"/></clipPath>',
            *(_text(self.x(at), 14, text, anchor, GREY) for (at, text), anchor in ends),
        ]

    def names(self) -> list[str]:
        made = []
        for one in self.chart.series:
            colour = GREY if one.look == REST else look(one.look).colour
            left, right = (str(round(-rank)) for rank in one.y)
            called = short(one.name, _ABOVE)
            made.append(_text(self.left - 9, self.y(one.y[0]) + 4, f"{called}  {left}", "end", colour))
            made.append(_text(self.right + 9, self.y(one.y[1]) + 4, f"{right}  {called}", "start", colour))
        return made


def _behind_first(series: Sequence[Series]) -> list[Series]:
    return sorted(series, key=lambda one: 0 if one.look == REST else 1)


def _ends(values: Sequence[float], log: bool) -> tuple[float, float]:
    """The ends of an axis, a little beyond the values."""
    known = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
    low, high = min(known), max(known)
    if log:
        share = (high / low) ** 0.04 if high > low else 1.5
        return low / share, high * share
    room = 0.04 * (high - low) or 0.5 * abs(high) or 1.0
    return low - room, high + room


def _share(value: float, ends: tuple[float, float], log: bool) -> float:
    low, high = ends
    if log:
        value, low, high = (math.log(max(end, 1e-300)) for end in (value, low, high))
    return (value - low) / (high - low) if math.isfinite(value) and high > low else 0.0


def _tick(value: float) -> str:
    return f"{value:g}".replace("-", MINUS)


def _text(x: float, y: float, text: str, anchor: str, colour: str, size: int = 12, turn: str = "") -> str:
    where = f'transform="{turn}"' if turn else f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text {where} text-anchor="{anchor}" fill="{colour}" font-size="{size}">{_plain(text)}</text>'


def _rule(x: float, y: float, to_x: float, to_y: float, colour: str = LINE) -> str:
    return _stroke(f"M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}", colour, 1)


def _stroke(path: str, colour: str, width: float, dash: str = "", at: str = "") -> str:
    more = (f' stroke-dasharray="{dash}"' if dash else "") + (f' transform="{at}"' if at else "")
    return f'<path d="{path}" stroke="{colour}" stroke-width="{width:g}" fill="none"{more}/>'


def _marks(
    places: Sequence[tuple[float, float]], path: str, colour: str, hollow: bool = False, bare: bool = False
) -> list[str]:
    fill = f'fill="{"none" if bare else "#fff"}" stroke="{colour}" stroke-width="1.8"' if hollow else f'fill="{colour}"'
    return [f'<path d="{path}" transform="translate({x:.1f} {y:.1f})" {fill}/>' for x, y in places]


def _plain(text: str) -> str:
    return escape(" ".join(text.split()))
