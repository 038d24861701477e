"""Docstrings as reStructuredText: in losslab they are plain text with names in single backticks."""

from __future__ import annotations

import re
from typing import Any


def escape(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Escapes, outside names in backticks and examples, the signs that reStructuredText would take for its own."""
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else _line(line) for line in lines]


def _line(line: str) -> str:
    parts = re.split(r"(`[^`]+`|^\s*:.*?:|^\.\. .*)", line)
    return "".join(
        part if place % 2 else re.sub(r"([*|]|(?<=\w)_(?=\W|$))", r"\\\1", part) for place, part in enumerate(parts)
    )
