"""The command that gives the runs of a plain sweep, found from their records."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from typing import Any

from losslab.errors import BadRequest
from losslab.records.record import Record
from losslab.schema.cards import card

_GROUPS = ("task", "data", "corruption", "loss", "model", "optimizer", "trainer")
_USUAL = {"optimizer": "adam", "trainer": "auto"}  # where no other is named
_PLAIN = re.compile(r"[\w./+:@-]+")


def command_of(records: Sequence[Record]) -> str:
    """`python train.py -m ...` for exactly these runs; "" where no single command gives them, as they are not every combination."""
    try:
        words = _words(records)
    except (BadRequest, KeyError, TypeError):  # a component that is not there any more, or a config of another form
        return ""
    runs = math.prod(len(values) for values in words.values())
    if runs != len({str(record.config) for record in records}):
        return ""
    said = [f"{key}={','.join(map(_written, values))}" for key, values in words.items()]
    return shlex.join(["python", "train.py", *(["-m"] if runs > 1 else []), *said])


def _words(records: Sequence[Record]) -> dict[str, list[Any]]:
    """What is to be typed, from key to its values; what has its usual value everywhere is left out."""
    words: dict[str, list[Any]] = {}
    for group in _GROUPS:
        own = [record.config[group] for record in records]
        names = _distinct(asked["name"] for asked in own)
        if names != [_USUAL.get(group)]:
            words[group] = names
        keys = dict.fromkeys(key for asked in own for key in asked if key != "name")
        for key in keys:
            if any(key in asked and asked[key] != card(group, asked["name"]).values.get(key) for asked in own):
                words[f"{group}.{key}"] = _distinct(asked[key] for asked in own)  # raises for a key that not all have
    for key in ("penalty.l1", "penalty.l2"):
        values = _distinct(record.config["penalty"][key[-2:]] for record in records)
        if values != [0.0]:
            words[key] = values
    return words | {"seed": _distinct(record.seed for record in records)}


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return sorted(found) if all(isinstance(value, int | float) for value in found) else found


def _written(value: Any) -> str:
    """A value as Hydra reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)
