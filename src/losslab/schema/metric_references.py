"""Further metrics of a request, by where they stand: task.metrics='torchmetrics:R2Score, my_metrics.py:p90(q=0.9, better=min)'.

    torchmetrics:F1Score           a metric of torchmetrics
    my_metrics.py:p90              a function of predictions and targets; also 'module:NAME'

In the records a metric has its last name, such as F1Score. Reports read the better direction from the request, where it is
written out, and import nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest, describe, nearest
from losslab.schema import cards, loss_terms, user_code

LIBRARY = "torchmetrics"
_KEY = "task.metrics"
_ONE = re.compile(r"\s*(?P<target>[^()]+?)\s*(?:\((?P<settings>[^()]*)\))?\s*")
# where torchmetrics keeps what its first page does not list
_PLACES = (LIBRARY, *(f"{LIBRARY}.{part}" for part in ("regression", "classification")))


@dataclass(frozen=True)
class Reference:
    """One of them: where it stands, its settings, and the better direction, "" where it is not written out."""

    target: str
    settings: dict[str, Any]
    better: str = ""

    @property
    def name(self) -> str:
        """What records and reports call it."""
        return self.target.rpartition(":")[2]

    @property
    def of_library(self) -> bool:
        """Whether it is one of torchmetrics."""
        return self.target.split(":")[0].split(".")[0] == LIBRARY

    def __str__(self) -> str:
        inner = [f"{key}={value}" for key, value in self.settings.items()]
        inner += [f"better={self.better}"] if self.better else []
        return f"{self.target}({', '.join(inner)})" if inner else self.target


def is_one(text: str) -> bool:
    """Whether a name of a metric says where it stands."""
    return ":" in text


def parse(text: str) -> list[Reference]:
    """Those of a text, as it is written. Raises BadRequest for what cannot be read."""
    return [_parsed(part) for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def canonical(text: str) -> str:
    """The same with every direction written out. Imports what is named, where its direction is not. Raises BadRequest."""
    return ", ".join(str(_directed(reference)) for reference in parse(text))


def of_task(task: Mapping[str, Any]) -> dict[str, str]:
    """All metrics of a task's config, each with its better direction, "min" or "max"; the first selects the best epoch.

    Raises BadRequest where two have one name.
    """
    found = cards.metrics(task["name"])
    for reference in parse(task.get("metrics", "")):
        if reference.name in found:
            raise BadRequest(f"{_KEY}: there is already a metric '{reference.name}'; define yours under another name.")
        found[reference.name] = reference.better
    if select := task.get("select"):
        if select not in found:
            raise BadRequest(
                f"There is no metric '{select}' of task '{task['name']}'{nearest(select, found)}. Valid: {', '.join(found)}."
            )
        found = {select: found[select]} | found
    return found


def load(reference: Reference) -> Any:
    """The class or function. Raises BadRequest where there is none."""
    place, _, name = reference.target.rpartition(":")
    if place != LIBRARY:
        user_code.check(_KEY, reference.target)
        try:
            return user_code.load(_KEY, reference.target)
        except BadRequest:
            raise
        except Exception as error:  # whatever a user's module raises
            raise BadRequest(f"{_KEY}: '{place}' cannot be imported: {describe(error).splitlines()[0]}") from error
    from importlib import import_module

    modules = [import_module(module) for module in _PLACES]
    for module in modules:
        if name in getattr(module, "__all__", ()):
            return getattr(module, name)
    known = sorted({name for module in modules for name in module.__all__ if name[0].isupper()})
    raise BadRequest(f"{_KEY}: torchmetrics has no metric '{name}'{nearest(name, known)}.")


def source(reference: Reference) -> str:
    """A hash of the code of a metric."""
    place, _, name = reference.target.rpartition(":")
    return user_code.source(f"{LIBRARY}:{name}" if place == LIBRARY else reference.target)


def _parsed(part: str) -> Reference:
    found = _ONE.fullmatch(part)
    target = found["target"] if found else ""
    place, mark, name = target.rpartition(":")
    if not found or not mark or not name.isidentifier():
        raise BadRequest(
            f"{_KEY} names metrics as 'torchmetrics:NAME' or 'FILE.py:NAME', with settings in brackets; '{part.strip()}' is none."
        )
    settings = {}
    for pair in filter(str.strip, (found["settings"] or "").split(",")):
        key, mark, value = pair.partition("=")
        if not mark or not key.strip().isidentifier():
            raise BadRequest(f"{_KEY}: in '{part.strip()}', '{pair.strip()}' is no setting; write key=value.")
        settings[key.strip()] = loss_terms.value(value.strip())
    better = str(settings.pop("better", ""))
    if better not in ("", "min", "max"):
        raise BadRequest(f"{_KEY}: in '{part.strip()}', better must be min or max.")
    if place.endswith(".py"):
        target = f"{os.path.normpath(Path(place).expanduser())}:{name}"
    return Reference(target, settings, better)


def _directed(reference: Reference) -> Reference:
    if reference.better:
        return reference
    found = load(reference)
    better = getattr(found, "better", "")
    if reference.of_library:
        higher = getattr(found, "higher_is_better", None)
        if higher is None and callable(found):  # of a class that makes another by its task, such as F1Score
            higher = _of_kind(reference)
        better = {True: "max", False: "min"}.get(higher, "") if isinstance(higher, bool) else ""
    if better not in ("min", "max"):
        raise BadRequest(
            f"{_KEY}: is a lower or a higher '{reference.name}' better? Write {reference.target}(better=min) or (better=max)."
        )
    return Reference(reference.target, reference.settings, better)


def _of_kind(reference: Reference) -> bool | None:
    """The direction that torchmetrics states for the binary kind of a metric."""
    from importlib import import_module

    kind = getattr(import_module(f"{LIBRARY}.classification"), f"Binary{reference.name}", None)
    return getattr(kind, "higher_is_better", None)
