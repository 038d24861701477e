"""Single cells of a table, for messages."""

from __future__ import annotations

from typing import Any


def first_row(wrong: Any) -> int:
    """The number of the first row that is marked in a column of true and false; rows count from 1, names left out."""
    return int(wrong.index[wrong.to_numpy().argmax()]) + 1


def short(value: Any) -> str:
    """A cell on one line, of 30 characters at most."""
    text = " ".join((f"{value:g}" if isinstance(value, float) else str(value)).split())
    return text if len(text) <= 30 else f"{text[:27]}..."
