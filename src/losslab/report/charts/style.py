"""How a loss looks in every figure of a report: a colour, a marker and a dash, by its index in the study."""

from __future__ import annotations

from dataclasses import dataclass

# Okabe and Ito (2008), told apart by colour-blind readers too; their yellow darkened, to be seen on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#B8A800", "#000000")
INK, GREY, LINE = "#1b1f24", "#6b7280", "#e5e7eb"  # text, what is beside it, rules
# name in plotly, in matplotlib, and as a path of SVG around (0, 0)
MARKERS = (
    ("circle", "o", "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"),
    ("square", "s", "M-3.5 -3.5h7v7h-7z"),
    ("diamond", "D", "M0 -5L5 0L0 5L-5 0z"),
    ("triangle-up", "^", "M0 -5L4.5 3.5H-4.5z"),
    ("triangle-down", "v", "M0 5L4.5 -3.5H-4.5z"),
    ("pentagon", "p", "M0 -4.6L4.4 -1.4L2.7 3.7H-2.7L-4.4 -1.4z"),
    ("star", "*", "M0 -5.5L1.4 -1.7L5.4 -1.7L2.2 .7L3.3 4.5L0 2.2L-3.3 4.5L-2.2 .7L-5.4 -1.7L-1.4 -1.7z"),
    ("hexagon", "h", "M0 -4.6L4 -2.3V2.3L0 4.6L-4 2.3V-2.3z"),
    ("cross", "P", "M-1.6 -4.6H1.6V-1.6H4.6V1.6H1.6V4.6H-1.6V1.6H-4.6V-1.6H-1.6z"),
)
DASHES = (
    ("solid", "-"),
    ("8px,3px", (0, (6, 2))),
    ("2px,2px", (0, (1.5, 1.5))),
    ("8px,3px,2px,3px", (0, (6, 2, 1.5, 2))),
)
BETTER, WORSE = (
    "#2166AC",
    "#B35806",
)  # ends of the map of differences, told apart by colour-blind readers (Brewer's RdBu, PuOr)


@dataclass(frozen=True)
class Look:
    """Colour as hex; marker as (plotly's name, matplotlib's name, SVG path); dash as (plotly's name, matplotlib's name)."""

    colour: str
    marker: tuple[str, str, str]
    dash: tuple[str, str | tuple[float, tuple[float, ...]]]


def look(index: int) -> Look:
    """The look of the loss of this index, from 0; -1: what is no loss, grey.

    No two of the first 72 look the same, and neighbours differ in all three.
    """
    if index < 0:
        return Look(GREY, MARKERS[0], DASHES[1])
    turn = index // len(COLOURS)
    return Look(COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)], DASHES[(index + turn) % len(DASHES)])
