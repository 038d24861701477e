"""The cards that decorators have made of functions, found by the function; and whether decorators enter names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from losslab.schema.cards import Card

_MADE: dict[int, tuple[Any, str, Card]] = {}  # by the id of the function, which is kept so that no other gets it
_entering: ContextVar[bool] = ContextVar("entering", default=True)


def note(function: Any, group: str, card: Card) -> None:
    """Keeps the group and the card that a decorator has made of a function."""
    _MADE[id(function)] = (function, group, card)


def of(function: Any) -> tuple[str, Card] | None:
    """The group and the card of a function; None for one without a decorator."""
    _, group, card = _MADE.get(id(function), (None, "", None))
    return (group, card) if card else None


def enters_names() -> bool:
    """Whether a decorator enters its function under its name."""
    return _entering.get()


@contextmanager
def only_noted() -> Iterator[None]:
    """Within it, decorators make cards without entering them, so that an imported file changes no name but the one asked for."""
    token = _entering.set(False)
    try:
        yield
    finally:
        _entering.reset(token)
