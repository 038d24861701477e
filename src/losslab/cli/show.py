"""`losslab show`: the card of a loss or of a corruption in the terminal, and its figure. torch is imported for the figure alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from losslab import errors
from losslab.catalogue import listing
from losslab.schema import canonical, references
from losslab.schema import cards as schema_cards

_OF_A_REQUEST = ("task", "data", "seed")


def show(what: str, settings: Sequence[str], into: Path | None) -> None:
    """Prints the card of a loss, or of `corruption=NAME`, and draws it. A name that no loss has may be that of a corruption.

    Args:
        what: NAME or GROUP=NAME, as it is typed.
        settings: KEY=VALUE for what the figure is to show; for a corruption its own keys, and task, data, seed or `data.rows`.
        into: the figure, .png or .svg; NAME.png unless given.

    Raises:
        BadRequest: for what is not there, or a value that is out of range.
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
    into = into or Path(f"{references.short(name)}.png")
    if into.suffix not in (".png", ".svg"):
        raise errors.BadRequest(f"The figure is a .png or an .svg file, and {into} is neither.")
    (_corruption if group == "corruption" else _loss)(name, settings, into)


def _loss(name: str, settings: Sequence[str], into: Path) -> None:
    entry = listing.entry(name)
    params = canonical.check_hyperparameters(name, listing.assigned(settings))
    listing.print_card(entry, Console())
    from losslab.catalogue.loss_curves import portrait
    from losslab.catalogue.plot import draw

    try:
        draw(portrait(name, **params), into, form=into.suffix[1:])
    except (NotImplementedError, errors.BadRequest) as error:
        print(f"\nNo figure: {error}")
    else:
        print(f"\nFigure: {into}")


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
