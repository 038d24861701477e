"""`losslab check`: what is right and wrong with a loss, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from losslab.catalogue import listing

_COLOURS = {"ok": "green", "wrong": "bold red", "note": "yellow"}


def check(name: str, task: str | None, settings: Sequence[str], half: bool, console: Console) -> int:
    """Prints the findings on a loss. Returns the exit status: 0 where nothing is wrong, else 1. Raises BadRequest."""
    params = listing.assigned(settings)
    from losslab.catalogue import contract

    report = contract.check(name, task, half, **params)
    console.print(Text(f"{report.name}, checked on {', '.join(report.spaces)}", style="bold"), soft_wrap=True)
    for finding in report.findings:
        mark = f"[{finding.kind}]".ljust(8)
        text = listing.wrapped(finding.line.removeprefix(f"[{finding.kind}] "), console.width, len(mark), first=mark)
        console.print(Text.assemble((text[: len(mark)], _COLOURS[finding.kind]), text[len(mark) :]), soft_wrap=True)
    wrong, notes = report.count("wrong"), report.count("note")
    noted = f"; {notes} note{'s' * (notes > 1)}" if notes else ""
    console.print(Text(f"{wrong or 'Nothing'} wrong{noted}.", style="bold"))
    return 0 if report.right else 1
