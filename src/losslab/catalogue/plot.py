"""The figure of a portrait, of one loss or of several."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import IO, Any

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from losslab.catalogue.loss_curves import Curve, Panel, Portrait

# Okabe and Ito (2008): told apart by colour-blind readers too; the strokes differ as well, for print without colours
STYLES: dict[str, list[dict[str, Any]]] = {
    "own": [{"color": "#0072B2", "linewidth": 2.4}],
    "path": [
        {"color": "#D55E00", "linewidth": 2.0, "linestyle": (0, (6, 2))},
        {"color": "#E69F00", "linewidth": 2.0, "linestyle": (0, (2, 1))},
    ],
    "setting": [
        {"color": "#0072B2", "linewidth": 1.2, "linestyle": (0, (1, 1.5))},
        {"color": "#0072B2", "linewidth": 1.2, "linestyle": (0, (5, 2, 1, 2))},
    ],
    "other": [
        {"color": "#000000", "linewidth": 0.9, "linestyle": (0, (4, 3))},
        {"color": "#CC79A7", "linewidth": 1.2, "linestyle": (0, (8, 2, 2, 2))},
        {"color": "#009E73", "linewidth": 1.2, "linestyle": (0, (6, 1.5, 1, 1.5, 1, 1.5))},
    ],
    "equal": [
        {"color": "#0072B2", "linewidth": 2.0},
        {"color": "#D55E00", "linewidth": 2.0, "linestyle": (0, (6, 2))},
        {"color": "#009E73", "linewidth": 2.0, "linestyle": (0, (6, 1.5, 1, 1.5))},
        {"color": "#CC79A7", "linewidth": 2.0, "linestyle": (0, (2, 1))},
        {"color": "#E69F00", "linewidth": 2.0, "linestyle": (0, (8, 2, 2, 2))},
        {"color": "#56B4E9", "linewidth": 2.0, "linestyle": (0, (1, 1))},
        {"color": "#000000", "linewidth": 1.4, "linestyle": (0, (4, 3))},
        {"color": "#999999", "linewidth": 1.4, "linestyle": (0, (6, 1.5, 1, 1.5, 1, 1.5))},
    ],
}


@rc_context({"svg.fonttype": "none", "svg.hashsalt": "losslab", "font.sans-serif": ["DejaVu Sans", "Verdana"]})
def draw(seen: Portrait, into: Path | IO[bytes], columns: int | None = None, form: str = "png") -> None:
    """Writes the figure of a portrait to a file, as png or svg, its panels in so many columns."""
    columns = columns or seen.columns
    rows = -(-len(seen.panels) // columns)
    figure = Figure(
        figsize=(3.6 * columns + 0.2, 2.75 * rows + 0.95),
        dpi=130,
        layout=ConstrainedLayoutEngine(h_pad=0.08, hspace=0.04),
    )
    styles: dict[tuple[str, str], dict[str, Any]] = {}
    handles: dict[str, Any] = {}
    for number, panel in enumerate(seen.panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        for curve in sorted(panel.curves, key=lambda curve: curve.role == "own"):  # its own line lies on top
            style = _style(curve, styles)
            (handles[curve.label],) = axes.plot(curve.x, curve.y, **style)
        axes.set_ylim(*_limits(panel))
        axes.set_xlim(float(panel.curves[0].x[0]), float(panel.curves[0].x[-1]))
        axes.axhline(0, color="#999999", linewidth=0.6, zorder=0)
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=8)
        axes.set_title(panel.title, fontsize=9)
        axes.set_xlabel(fill(panel.xlabel, 48), fontsize=8)
        axes.set_ylabel(fill(panel.ylabel, 24), fontsize=9)
    order = {role: place for place, role in enumerate(STYLES)}
    labels = sorted(handles, key=lambda label: order[next(role for role, text in styles if text == label)])
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=min(len(labels), int(50 * columns / (max(map(len, labels)) + 10)) or 1),
        frameon=False,
        fontsize=8,
        handlelength=3.5,
    )
    figure.suptitle(fill(f"{seen.title}, {seen.note}", 45 * columns), fontsize=9)
    figure.savefig(into, format=form, metadata={"Date": None} if form == "svg" else None)


def _style(curve: Curve, styles: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """The stroke of a curve, the same in all panels."""
    key = (curve.role, curve.label)
    if key not in styles:
        known = STYLES[curve.role]
        styles[key] = known[sum(role == curve.role for role, _ in styles) % len(known)]
    return styles[key]


def _limits(panel: Panel) -> tuple[float, float]:
    """The y axis suits the loss itself: a spike of a few points is cut, and so is what towers above all neighbours.

    Of several losses, it suits the middle one: what is over four times as high is cut.
    """
    equal = [curve.y for curve in panel.curves if curve.role == "equal"]
    own = [curve.y for curve in panel.curves if curve.role in ("own", "path")]
    others = [curve.y for curve in panel.curves if curve.role == "other"]
    if equal:
        low, high = -_middle_top([-y for y in equal]), _middle_top(equal)
    else:
        low, high = -_top([-y for y in own], [-y for y in others]), _top(own, others)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    room = 0.06 * (high - low)
    return low - room, high + room


def _top(own: list[Tensor], others: list[Tensor]) -> float:
    """The upper end of an axis that begins at 0 or below."""
    drawn = _finite(own)
    highest, usual, low = float(drawn.max()), float(drawn.quantile(0.96)), float(drawn.quantile(0.04))
    if highest > usual + 1.5 * (usual - low):
        highest = usual
    if others and (known := float(_finite(others).abs().max())) > 0:
        highest = min(highest, 6 * known)
    out_of_sight = [float(_finite([y]).min()) for y in others]  # unless the axis reaches it
    return max([0.0, highest, *(least for least in out_of_sight if highest < least < 3 * highest)])


def _middle_top(lines: list[Tensor]) -> float:
    """The upper end of an axis for several lines of equal rank."""
    tops = sorted(_top([line], []) for line in lines)
    middle = tops[(len(tops) - 1) // 2]
    return min(tops[-1], 4 * middle) if middle > 0 else tops[-1]


def _finite(lines: list[Tensor]) -> Tensor:
    joined = torch.cat(lines)
    return joined[joined.isfinite()] if joined.isfinite().any() else torch.zeros(1)
