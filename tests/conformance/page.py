"""Writes docs/conformance.md: every comparison in one table. `python -m conformance.page` measures all of them."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from conformance.inputs import RANDOM, SEED
from conformance.references import DIGITS, Formula
from conformance.row import Apart, Row
from conformance.table import ROWS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
COMMAND = "make conformance"


class Comparison(NamedTuple):
    """What the page says of a loss and one reference, beside the numbers."""

    loss: str
    inputs: str
    reference: str
    note: str


def comparisons(rows: Iterable[Row]) -> dict[Comparison, list[Row]]:
    """The rows of one loss, one reference and one note together, in the order of the losses."""
    ordered = sorted(
        rows, key=lambda row: (row.loss, isinstance(row.reference, Formula), row.reference.name(), row.note)
    )
    found: dict[Comparison, list[Row]] = {}
    for _, group in groupby(ordered, key=lambda row: (row.loss, row.reference.name(), row.note)):
        each = list(group)
        found[Comparison(each[0].loss, _inputs(each), each[0].reference.name(), each[0].note)] = each
    return found


def _inputs(rows: list[Row]) -> str:
    """Spaces and settings, each once."""
    spaces = list(dict.fromkeys(f"`{row.space}`" for row in rows))
    soft = {row.soft for row in rows}
    kinds = "" if soft == {False} else " (soft targets)" if soft == {True} else " (labels and soft targets)"
    settings = [f"`{text}`" for text in dict.fromkeys(row.settings() for row in rows) if text]
    return f"{', '.join(spaces)}{kinds}" + (f": {'; '.join(settings)}" if settings else "")


def _number(number: float) -> str:
    return "none" if number != number else f"{number:.0e}" if number else "0"


def table(measured: dict[Row, Apart]) -> str:
    """The table, in Markdown."""
    lines = [
        "| loss | inputs and settings | reference | value | gradient | what differs by convention |",
        "|---|---|---|---|---|---|",
    ]
    for said, rows in comparisons(measured).items():
        value = max(measured[row].value for row in rows)
        gradient = max(measured[row].gradient for row in rows)
        cells = [f"`{said.loss}`", said.inputs, str(rows[0].reference), _number(value), _number(gradient), said.note]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(measured: dict[Row, Apart]) -> str:
    """The whole page."""
    losses = {row.loss for row in measured}
    by_hand = losses - {row.loss for row in measured if not isinstance(row.reference, Formula)}
    return f"""# Conformance

This page compares each loss with a reference that losslab has no part in.
It holds {len(measured)} comparisons of {len(losses)} losses, of values and of gradients.

`{COMMAND}` makes it. It installs the extra `conformance`, compares every loss with its references, and writes this page.
These numbers are from torch {version("torch")} and numpy {version("numpy")}, in float64 on a CPU, under Python {platform.python_version()}.
`make test` does not need the extra. It does hold that this page has every comparison that the tests make.

## How to read it

- **Inputs** name the space that the loss reads, and the hyperparameters, one setting after another.
  A loss without hyperparameters has none.
- **Reference** is a library with its version, or a formula.
  {len(losses) - len(by_hand)} losses have a library.
  For the other {len(by_hand)} no maintained library was found that has the loss.
  A formula is worked out by hand from the paper that is named, in {DIGITS} digits.
  Its gradient is taken by central differences in as many digits.
- **Value** and **gradient** are the largest differences over all inputs and all settings of the row.
  They are relative to the reference. Where the reference is below 1, they are absolute, unless the tests ask for more.
  The parts of a gradient are relative to the largest part of that sample.
  The word "none" says that the reference gives no gradient; another row of that loss does.
- **What differs by convention** says what the reference was given or multiplied by, and where it is not compared.
  An empty field says that nothing differs.

Each comparison takes {RANDOM} random samples (seed {SEED}), and extreme ones:
logits of 50 and 700 in size, errors of 0 and from 1e-12 to 1e12, scales from exp(-20) to exp(20), counts to a million,
and boxes that are equal, nested, apart, touching, tiny and huge.
Gradients are left out only where a derivative does not exist, and the row says so.
Boxes with swapped corners, half precision and reductions are not compared here; other tests hold them.

## Comparisons

{table(measured)}
"""


def main() -> None:
    """Measures, and writes the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page({row: row.apart() for row in ROWS}))
    print(f"{PAGE.relative_to(PAGE.parents[1])}: {len(ROWS)} comparisons")


if __name__ == "__main__":
    main()
