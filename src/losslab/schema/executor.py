"""Where the stacks of a sweep are trained: the settings of `executor=`. They belong to a command, not to a run, and are in no record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from losslab.errors import BadRequest
from losslab.schema.cards import card
from losslab.schema.ranges import typed

LOCAL: dict[str, Any] = {"name": "local", "dry_run": False}


def of(config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """The settings of the executor in a composed config, each of its type and in its range. Raises BadRequest for a wrong one."""
    given = dict(config["executor"])
    found = card("executor", str(given["name"]))
    given.pop("about", None)
    plain = {key: list(value) if isinstance(found.values.get(key), list) else value for key, value in given.items()}
    settings: dict[str, Any] = typed("executor", plain, found.values, found.about.get("ranges", {}))
    return settings


def refuse_for_one_run(settings: Mapping[str, Any]) -> None:
    """Raises BadRequest where one run, which is no stack that could be sent elsewhere, asks for an executor."""
    if settings["name"] != "local" or settings["dry_run"]:
        what = "executor.dry_run=true" if settings["dry_run"] else f"executor={settings['name']}"
        raise BadRequest(f"{what} is for a sweep or a study, and this is one run; add -m, or leave it away.")


def is_of(word: str) -> bool:
    """Whether a word of a command line says where stacks are trained, such as executor=slurm or executor.gpus=1."""
    return word.lstrip("+~").partition("=")[0].split(".")[0] == "executor"


def without(words: Sequence[str]) -> list[str]:
    """Words of a command line without those that say where stacks are trained."""
    return [word for word in words if not is_of(word)]
