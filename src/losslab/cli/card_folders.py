"""The flag --config-dir DIR of every command: a folder with cards and recipes of the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from losslab.schema import cards


@contextmanager
def used(arguments: Sequence[str]) -> Iterator[list[str]]:
    """Adds the folders that a command line names, for as long as the command lasts; gives the other words.

    Raises BadRequest for a folder that is not there.
    """
    before = os.environ.get(cards.FOLDERS)
    others = []
    words = iter(arguments)
    try:
        for text in words:
            key, mark, value = text.partition("=")
            if key in ("--config-dir", "-cd"):
                cards.use_folder(Path(value if mark else next(words, "")))
            else:
                others.append(text)
        yield others
    finally:
        if before is None:
            os.environ.pop(cards.FOLDERS, None)
        else:
            os.environ[cards.FOLDERS] = before
