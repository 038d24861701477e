"""Writes docs/conformance.md: `make conformance`."""

from __future__ import annotations

import platform
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from conformance.inputs import ROWS as RANDOM
from conformance.inputs import given
from conformance.row import Formula
from conformance.table import ROWS, Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
HEAD = """# Conformance

Every loss of losslab is compared with an implementation that is not losslab's. This page is written by

```bash
make conformance
```

which installs the packages of the extra `conformance`, runs the comparison as tests, and writes the table. It was made with
Python {python}, torch {torch} and losslab {losslab}, on a CPU, in float64.

**What is compared.** The loss of each sample and its gradient by the prediction, for {random} random samples (seeded) and for
extreme ones: logits of ±50 and ±700, errors from 1e-12 to 1e12, scales from exp(-20) to exp(20), boxes that are far apart,
nested, beside one another or nearly the same. Points at which a loss has no derivative are left out. Where "random only" is
written, the reference itself has no finite value or loses its digits at the extreme ones.

**How to read it.** A difference is divided by the reference where that is above 1, and is as it is below. The unit roundoff of
float64 is 1.1e-16. Where no maintained package has a loss, the reference is the formula of its paper, written out by hand
without any code of losslab, in {digits} digits; its gradient is taken by central differences. "By convention" says what the
reference does otherwise, which is accounted for before the two are compared. Losses that read several spaces are listed
with those in which a reference reads them too; `mse`, `l1`, `smoothl1` and `huber` are the same function in all of theirs.

| loss | space | settings | reference | difference of the loss | of the gradient | by convention |
|---|---|---|---|---|---|---|
"""


def lines() -> list[str]:
    """The rows of the table, those of one loss with one reference taken together."""
    ordered = sorted(ROWS, key=lambda row: (row.loss, row.space, str(row.reference), row.note, row.far))
    return [
        line(list(rows))
        for _, rows in groupby(ordered, key=lambda row: (row.loss, row.space, str(row.reference), row.note, row.far))
    ]


def line(rows: list[Row]) -> str:
    """One row: the largest differences over the settings."""
    found = [row.differences(*given(row.space, row.unit, row.far)) for row in rows]
    value, slope = (max(each) for each in zip(*found, strict=True))
    first = rows[0]
    notes = "; ".join(filter(None, [first.note, "" if first.far else "random only"]))
    cells = [
        f"`{first.loss}`",
        first.space,
        settings(rows),
        str(first.reference),
        f"{value:.0e}",
        f"{slope:.0e}",
        notes,
    ]
    return f"| {' | '.join(cells)} |"


def settings(rows: list[Row]) -> str:
    """What was set, one after the other; long lists are named and not shown."""
    each = (
        " ".join(
            f"{key}=..." if isinstance(value, list) and len(value) > 1 else f"{key}={value}"
            for key, value in row.params.items()
        )
        for row in rows
    )
    return "; ".join(filter(None, each)) or "none"


def main() -> None:
    """Writes the page."""
    head = HEAD.format(
        python=platform.python_version(),
        torch=version("torch"),
        losslab=version("losslab"),
        random=RANDOM,
        digits=60,
    )
    of_papers = len({row.loss for row in ROWS} - {row.loss for row in ROWS if not isinstance(row.reference, Formula)})
    losses = len({row.loss for row in ROWS})
    tail = f"\n{losses} losses: {losses - of_papers} beside a package, {of_papers} beside the formula of their paper alone.\n"
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(head + "\n".join(lines()) + "\n" + tail)


if __name__ == "__main__":
    main()
