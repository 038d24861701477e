"""The facts on settings that a function of the user's states as attributes, such as `andrews.ranges = {"c": "(0, inf)"}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from losslab.errors import BadRequest, nearest
from losslab.schema import ranges


def check(about: Mapping[str, Any], settings: Mapping[str, Any], where: str) -> None:
    """Raises BadRequest for ranges and search ranges of what is no setting, and for ranges that cannot be read.

    where: what names the function, for messages.
    """
    for fact in ("ranges", "search", "presets"):
        for key in about.get(fact, {}):
            if key not in settings:
                raise BadRequest(
                    f"{where} states {fact} for '{key}', which is none of its settings{nearest(str(key), settings)}."
                )
    for key, text in about.get("ranges", {}).items():
        _check_range(key, text, settings[key], where)


def _check_range(key: str, text: Any, default: Any, where: str) -> None:
    number = isinstance(default, int | float) and not isinstance(default, bool)
    try:
        if number and text[0] not in "[(":
            raise ValueError
        ranges.typed(key, default, default, {key: text})
    except BadRequest:
        return  # said where the value is used
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise BadRequest(
            f"{where}: the range of '{key}', {text!r}, cannot be read; write it as '(0, inf)' or '[0, 1]'."
        ) from error
