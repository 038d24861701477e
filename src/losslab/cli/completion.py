"""What the tab key completes after `losslab`: commands, options, names of losses, and KEY=VALUE of a request. No torch here.

A shell learns it from `eval "$(register-python-argcomplete losslab)"`.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from losslab.schema import cards


def offer(parser: argparse.ArgumentParser) -> None:
    """Answers a shell that asks, and ends the process; does nothing otherwise."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def losses(prefix: str = "", **_: Any) -> list[str]:
    """Names of losses that begin with `prefix`."""
    return [name for name in cards.names("loss") if name.startswith(prefix)]


def what_is_drawn(prefix: str = "", **_: Any) -> list[str]:
    """Names of losses, and corruption=NAME."""
    names = [*cards.names("loss"), *(f"corruption={name}" for name in cards.names("corruption"))]
    return [name for name in names if name.startswith(prefix)]


def request_words(prefix: str = "", **_: Any) -> list[str]:
    """Words of a request: loss=NAME and the like, and the settings of each group, such as data.path=."""
    key, mark, value = prefix.partition("=")
    last = value.rpartition(",")[2]
    if mark:
        known = cards.names(key) if key in cards.CHOICES else ()
        return [f"{prefix.removesuffix(last)}{name}" for name in known if name.startswith(last)]
    keys = [f"{group}=" for group in cards.CHOICES]
    keys += [f"{name}=" for name in cards.card("", "config").values]
    group, dot, _rest = key.partition(".")
    if dot and group in (*cards.GROUPS, "executor"):
        settings = {setting for name in cards.names(group) for setting in cards.card(group, name).values}
        keys = [f"{group}.{setting}=" for setting in sorted({*settings, *cards.options(group)} - {"name"})]
    return [word for word in keys if word.startswith(prefix)]
