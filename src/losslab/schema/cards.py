"""The cards: the files under conf/ state every key, its default, its range, and facts about them.

Nothing here imports torch, so that a wrong request is answered at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from losslab.errors import BadRequest as BadRequest
from losslab.errors import nearest as nearest

_HERE = Path(__file__).resolve().parents[1]  # the package

# Inside the package where it was installed as a wheel, at the top of the repository where it is being worked on.
CONF = next((p for p in (_HERE / "conf", _HERE.parents[1] / "conf") if p.is_dir()), _HERE / "conf")

GROUPS = ("task", "data", "corruption", "loss", "model", "optimizer", "trainer", "logger")


@dataclass(frozen=True)
class Card:
    """What one file under conf/ says: the settings with their defaults, and facts about them."""

    values: dict[str, Any]
    about: dict[str, Any]


@cache
def card(group: str, name: str) -> Card:
    """The card of conf/<group>/<name>.yaml; an empty group means conf/config.yaml. Raises BadRequest for a name that is not there."""
    if group and name not in names(group):
        raise BadRequest(unknown(group, name, names(group)))
    content = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))
    assert isinstance(content, dict)
    values: dict[str, Any] = {}
    about: dict[str, Any] = {}
    for parent in content.pop("defaults", []):
        if group and isinstance(parent, str) and parent != "_self_":
            inherited = card(group, parent)
            values |= inherited.values
            about |= inherited.about
    about |= content.pop("about", {})
    content.pop("hydra", None)
    return Card(values | {str(key): value for key, value in content.items()}, about)


@cache
def names(group: str) -> tuple[str, ...]:
    """The names that a group offers, sorted."""
    return tuple(sorted(path.stem for path in (CONF / group).glob("*.yaml")))


def metrics(task: str) -> dict[str, str]:
    """The metrics of a task, each with its better direction, "min" or "max"; the first selects the best epoch."""
    return dict(card("task", task).about["metrics"])


def unknown(group: str, name: str, known: Iterable[str]) -> str:
    """A sentence for a name that is not in a group, with the nearest and all valid ones."""
    word = {"data": "data set"}.get(group, group)
    return f"There is no {word} '{name}'{nearest(name, known)}. Valid: {', '.join(known) or 'none yet'}."


def options(group: str) -> dict[str, Any]:
    """The settings that any file of a group takes beside its own, with the values under which they do nothing."""
    every = card("", "config").about["options"]
    return {key.removeprefix(f"{group}."): value for key, value in every.items() if key.startswith(f"{group}.")}


def no_such_key(group: str, name: str, key: str) -> str:
    """A sentence for a key that the chosen file of a group does not have, with those that do have it."""
    own = [known for known in {**card(group, name).values, **options(group)} if known != "name"]
    others = [other for other in names(group) if key in card(group, other).values and other != name]
    word = {"data": "data set", "trainer": "trainer choice"}.get(group, group)
    if why := card(group, name).about.get("instead", {}).get(key):
        return f"There is no key '{group}.{key}': {why}."
    hint = nearest(key, own, f"{group}.")
    if others and not hint:
        return f"The {word} '{name}' has no key '{group}.{key}'; these have: {', '.join(others)}."
    valid = f"Valid: {', '.join(f'{group}.{known}' for known in own)}." if own else "It has none to set."
    return f"The {word} '{name}' has no key '{group}.{key}'{hint}. {valid}"
