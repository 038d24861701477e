"""`losslab show`: the card of a loss or of a corruption, or a table of several losses, and a figure. torch is imported for it alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from losslab import errors
from losslab.catalogue import listing
from losslab.schema import canonical, references
from losslab.schema import cards as schema_cards

_OF_A_REQUEST = ("task", "data", "seed")


def show(what: str, words: Sequence[str], into: Path | None) -> None:
    """Prints the card of a loss, or of `corruption=NAME`, and draws it; of several losses, a table and one figure.

    A name that no loss has may be that of a corruption.

    Args:
        what: NAME or GROUP=NAME, as it is typed.
        words: KEY=VALUE for the loss before it, and names of further losses; for a corruption KEY=VALUE of its own keys, and
            task, data, seed or `data.rows`.
        into: the figure, .png or .svg; NAME.png unless given, with all names where there are several.

    Raises:
        BadRequest: for what is not there, a value that is out of range, or losses that read different spaces.
    """
    group, _, name = what.rpartition("=")
    if group not in ("", "loss", "corruption"):
        raise errors.BadRequest(f"'{what}' cannot be shown; write the name of a loss, or corruption=NAME.")
    if (
        not group
        and not schema_cards.is_reference("loss", name)
        and name not in schema_cards.names("loss")
        and name in schema_cards.names("corruption")
    ):
        group = "corruption"
    chosen = [(name, list(words))] if group == "corruption" else _each(name, words)
    into = into or Path(f"{'_'.join(dict.fromkeys(references.short(one) for one, _ in chosen))}.png")
    if into.suffix not in (".png", ".svg"):
        raise errors.BadRequest(f"The figure is a .png or an .svg file, and {into} is neither.")
    if group == "corruption":
        _corruption(name, words, into)
    elif len(chosen) == 1:
        _loss(name, words, into)
    else:
        _losses(chosen, into)


def _each(name: str, words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The losses that are named, each with the settings that follow its name."""
    chosen: list[tuple[str, list[str]]] = [(name, [])]
    for word in words:
        group, mark, value = word.partition("=")
        if word.startswith("corruption="):
            raise errors.BadRequest(f"A corruption is shown alone, and '{word}' stands beside a loss.")
        if mark and group != "loss":
            chosen[-1][1].append(word)
        elif not mark and word in schema_cards.card("loss", chosen[-1][0]).values:  # a setting without its value
            listing.assigned([word])
        else:
            chosen.append((value if mark else word, []))
    return chosen


def _loss(name: str, settings: Sequence[str], into: Path) -> None:
    entry = listing.entry(name)
    params = canonical.check_hyperparameters(name, listing.assigned(settings))
    listing.print_card(entry.under(params), Console())
    from losslab.catalogue.loss_curves import portrait
    from losslab.catalogue.plot import draw

    try:
        draw(portrait(name, **params), into, form=into.suffix[1:])
    except (NotImplementedError, errors.BadRequest) as error:
        print(f"\nNo figure: {error}")
    else:
        print(f"\nFigure: {into}")


def _losses(chosen: Sequence[tuple[str, Sequence[str]]], into: Path) -> None:
    """Draws several losses and prints a row for each. Nothing is printed where they cannot be drawn together."""
    checked = [(name, canonical.check_hyperparameters(name, listing.assigned(words))) for name, words in chosen]
    from losslab.catalogue.loss_curves import together
    from losslab.catalogue.plot import draw

    draw(together(checked), into, form=into.suffix[1:])
    table = Table("loss", "what it is", "facts", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, params in checked:
        loss = listing.entry(name).under(params)
        used = Text.assemble(
            (loss.name, "bold"), f"\n{loss.assignments.replace(', ', chr(10))}" if loss.settings else ""
        )
        table.add_row(used, Text(loss.gist), Text("\n".join(loss.notable_facts)))
    Console().print(table)
    print(f"Figure: {into}")


def _corruption(name: str, settings: Sequence[str], into: Path) -> None:
    from losslab.request.compose import compose

    request = compose(*_overrides(name, settings))
    from losslab.catalogue.corruption_preview import draw, see

    seen = see(request)
    draw(seen, into, form=into.suffix[1:])
    listing.print_corruption(name, Console())
    print()
    for part in seen.parts:
        print(f"Corrupted rows: {seen.counted(part)}.")
    print(f"Figure: {into}")


def _overrides(name: str, settings: Sequence[str]) -> list[str]:
    """The request that a preview stands for: the first task of the card that takes the data, and its own data, unless told."""
    given = dict(text.partition("=")[::2] for text in settings)
    if wrong := [text for text in settings if not all(text.partition("="))]:
        raise errors.BadRequest(f"'{wrong[0]}' cannot be read; write a setting as KEY=VALUE.")
    tasks = schema_cards.card("corruption", name).about["tasks"]
    if "data" in given:
        tasks = [task for task in tasks if task in schema_cards.card("data", given["data"]).about["tasks"]] or tasks
    own = [
        text if key in _OF_A_REQUEST or "." in key else f"corruption.{text}"
        for text, key in zip(settings, given, strict=True)
    ]
    return [*([] if "task" in given else [f"task={tasks[0]}"]), f"corruption={name}", *own]
