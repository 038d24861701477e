"""The folder of a sweep that names none: readable words, then a hash of all runs that were asked for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from losslab.request.overrides import is_group, read
from losslab.schema import references
from losslab.schema.canonical import WHERE_AND_HOW

_LISTED = 3  # values of an axis that the name holds; of more it holds their number
_LONGEST = 43  # letters before the hash, so that `losslab report runs/NAME` fits a line


def sweep_name(requests: Sequence[Mapping[str, Any]], given: Mapping[str, Sequence[str]]) -> str:
    """The same for the same runs, in whatever order and notation they were typed.

    Args:
        requests: a request in canonical form for each combination of groups.
        given: each key that was typed, with all that it is to be, as overrides of one value.
    """
    swept = {key: [read(text).value() for text in texts] for key, texts in given.items() if len(set(texts)) > 1}
    values = {key: swept[key] for key in swept if not is_group(key) and key.split(".")[0] not in WHERE_AND_HOW}
    asked = sorted(json.dumps(_fixed(request, values), sort_keys=True) for request in requests)
    asked.append(json.dumps({key: sorted(set(map(_text, found))) for key, found in values.items()}, sort_keys=True))
    if "experiment" in given and "experiment" not in swept:
        words = ["sweep", str(read(given["experiment"][0]).value())]
    else:
        words = ["sweep", *(str(requests[0][group]["name"]) for group in ("task", "data") if group not in swept)]
    axes = sorted(swept, key=lambda key: (not is_group(key), key))
    words += [_word(key, swept[key]) for key in axes if key.split(".")[0] not in WHERE_AND_HOW]
    while len("-".join(words)) > _LONGEST and len(words) > 1:
        words.pop()
    readable = re.sub(r"[^\w.+-]+", "_", "-".join(words))[:_LONGEST]
    return f"{readable}-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:8]}"


def _fixed(request: Mapping[str, Any], values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """What of a request the values of the sweep leave as it is, and what decides its result."""
    kept = {key: value for key, value in request.items() if f"{prefix}{key}" not in values}
    if not prefix:
        kept = {key: value for key, value in kept.items() if key not in WHERE_AND_HOW}
    return {
        key: _fixed(value, values, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in kept.items()
    }


def _word(key: str, values: Sequence[Any]) -> str:
    name = key.rpartition(".")[2]
    if len(values) > _LISTED:
        return f"{len(values)}_{name}"
    listed = "_".join(references.short(str(value)) for value in sorted(values, key=_text))
    return listed if is_group(key) else f"{name}{listed}"


def _text(value: Any) -> str:
    """A value as text; 1 and 1.0 are one."""
    return json.dumps(float(value) if type(value) is int else value, sort_keys=True, default=str)
