"""`losslab advise`: the symptoms, or what to try and why for one of them, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from losslab.catalogue import advice
from losslab.catalogue.listing import wrapped

_MARK = "  $ "


def advise(words: Sequence[str], console: Console) -> None:
    """Prints all symptoms where there are no words, else the advice on the symptom that the words describe.

    Where several symptoms fit the words equally well, these are listed. Raises BadRequest where none fits.
    """
    found = advice.find(words) if words else advice.symptoms()
    if len(found) == 1:
        _print_symptom(found[0], console)
        return
    head = f"{len(found)} symptoms fit '{' '.join(words)}'" if words else "What do you see?"
    console.print(Text(f"{head}\n", style="bold"), soft_wrap=True)
    for symptom in found:
        _print(f"{symptom.title} ({', '.join(symptom.words[:3])})", f"{symptom.number:>2}. ", console)
    console.print()
    _print("`losslab advise NUMBER`, or words such as `losslab advise nan`, says what to try and why.", "", console)


def _print_symptom(symptom: advice.Symptom, console: Console) -> None:
    console.print(Text(f"{symptom.number}. {symptom.title}", style="bold underline"), soft_wrap=True)
    for remedy in symptom.remedies:
        console.print(Text(f"\n{remedy.cause}", style="bold"), soft_wrap=True)
        _print(remedy.tell, "  Tell:     ", console)
        _print(remedy.action, "  Try:      ", console)
        if remedy.losses:
            _print(advice.loss_words(remedy.losses), "  Losses:   ", console)
        _print(remedy.why, "  Why:      ", console)
        for one in remedy.evidence:
            _print(one.says, "  Evidence: ", console)
            for where in advice.place(one):
                console.print(Text(_broken(where, console.width), style="dim"), soft_wrap=True)
        for command in remedy.commands:
            lines = wrapped(
                command, console.width - 2, 6, first=_MARK
            ).splitlines()  # 2: for the sign of a line that goes on
            console.print(Text(" \\\n".join(lines), style="cyan"), soft_wrap=True)


def _print(text: str, first: str, console: Console) -> None:
    """Prints a paragraph that begins with `first`; its further lines stand below its text."""
    console.print(Text(wrapped(text, console.width, len(first), first=first)), soft_wrap=True)


def _broken(where: str, width: int) -> str:
    """A place in the repository, on two lines where a test's file and its name do not fit on one."""
    indent = " " * 12
    return (
        f"{indent}{where}" if len(indent + where) <= width else f"{indent}{where.replace('::', f'::{chr(10)}{indent}')}"
    )
