"""How a loss looks in every figure of a report: a colour, a marker and a dash, by its place among those that stand out."""

from __future__ import annotations

from dataclasses import dataclass

# after Okabe and Ito (2008), told apart by colour-blind readers too; darkened until text in them is easy to read on white
COLOURS = ("#0068A6", "#BF4A00", "#007A58", "#B0457F", "#856800", "#1b1f24")
INK, GREY, LINE = "#1b1f24", "#5f6873", "#e5e7eb"  # text, what is beside it, rules
FAINT = "#b4bac2"  # the lines of losses that do not stand out
CONSTANT, REST = -1, -2  # places of what is no loss, and of the losses that do not stand out
# name in plotly, in matplotlib, and as a path of SVG around (0, 0)
MARKERS = (
    ("circle", "o", "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"),
    ("square", "s", "M-3.5 -3.5h7v7h-7z"),
    ("diamond", "D", "M0 -5L5 0L0 5L-5 0z"),
    ("triangle-up", "^", "M0 -5L4.5 3.5H-4.5z"),
    ("triangle-down", "v", "M0 5L4.5 -3.5H-4.5z"),
    ("cross", "P", "M-1.6 -4.6H1.6V-1.6H4.6V1.6H1.6V4.6H-1.6V1.6H-4.6V-1.6H-1.6z"),
    ("star", "*", "M0 -5.5L1.4 -1.7L5.4 -1.7L2.2 .7L3.3 4.5L0 2.2L-3.3 4.5L-2.2 .7L-5.4 -1.7L-1.4 -1.7z"),
)
# name in plotly, in matplotlib, in SVG
DASHES: tuple[tuple[str, str | tuple[float, tuple[float, ...]], str], ...] = (
    ("solid", "-", ""),
    ("8px,3px", (0, (6, 2)), "8 3"),
    ("2px,2px", (0, (1.5, 1.5)), "2 2"),
    ("8px,3px,2px,3px", (0, (6, 2, 1.5, 2)), "8 3 2 3"),
)
# ends of the map of differences, told apart by colour-blind readers (Brewer's RdBu, PuOr), and what is not told apart
BETTER, WORSE, NEITHER = "#2166AC", "#B35806", "#eceff1"


@dataclass(frozen=True)
class Look:
    """Colour as hex; marker and dash as plotly, matplotlib and SVG name them."""

    colour: str
    marker: tuple[str, str, str]
    dash: tuple[str, str | tuple[float, tuple[float, ...]], str]

    @property
    def faint(self) -> bool:
        """Whether it stands behind the others, thin and without marks."""
        return self.colour == FAINT


def look(place: int) -> Look:
    """The look at a place from 0; CONSTANT: dashed grey; REST: faint grey.

    No two of the first 42 look the same; the first have a colour each, and from then on dashes tell apart what shares one.
    """
    if place == REST:
        return Look(FAINT, MARKERS[0], DASHES[0])
    if place < 0:
        return Look(GREY, MARKERS[0], DASHES[1])
    turn = place // len(COLOURS)
    return Look(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], DASHES[turn % len(DASHES)])
