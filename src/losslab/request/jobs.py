"""The jobs of a sweep as requests: composed once for each choice of groups, then only values are set. No torch here."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from losslab import errors
from losslab.errors import first_line
from losslab.safe_points import check
from losslab.schema import canonical, cards, references
from losslab.schema.canonical import set_value
from losslab.sweep.jobs import Job


def compose_jobs(loader: ConfigLoader, master: DictConfig, jobs: Sequence[Sequence[str]], first: int) -> list[Job]:
    """Each job's overrides as a request in canonical form. Raises BadRequest for one that is wrong in itself.

    A composition takes Hydra some fifty milliseconds, and the jobs of a sweep mostly differ in values. So a config is
    composed for each task and each choice that reaches beyond its group, and the rest is set in copies of it.
    """
    sweep = OmegaConf.to_container(master.hydra.sweep, resolve=False)
    assert isinstance(sweep, dict)
    plain_folders = sweep["subdir"] == "${run_id:}"
    composed: dict[tuple[str, ...], dict[str, Any]] = {}
    made = []
    for number, overrides in enumerate(jobs, first):
        check()
        chosen = files([parse(text) for text in overrides])
        fixed = tuple(text for text in overrides if not (is_plain_value(parse(text)) or parse(text) in chosen))
        if not plain_folders:
            fixed, chosen = tuple(overrides), []
        if fixed not in composed:
            composed[fixed] = _composed(loader, master, fixed, number, plain_folders)
        plain = copy.deepcopy(composed[fixed])
        subdir = plain.pop("subdir")
        for override in chosen:
            card = cards.card(override.key_or_group, str(override.value()))
            plain[override.key_or_group] = copy.deepcopy(card.values)
        for text in overrides:
            if text not in fixed and parse(text) not in chosen:
                set_value(plain, parse(text).key_or_group, parse(text).value())
        request = canonical.canonical(plain)
        made.append(Job(request, Path(str(master.hydra.sweep.dir)) / (subdir or canonical.id_of(request)), number))
    return made


def _composed(
    loader: ConfigLoader, master: DictConfig, fixed: Sequence[str], number: int, plain_folders: bool
) -> dict[str, Any]:
    """One job as Hydra composes it, and the name of its folder as `subdir`, None where its run id is that."""
    try:
        whole = loader.load_sweep_config(master, for_hydra(fixed))
        with open_dict(whole):
            whole.hydra.job.num = whole.hydra.job.id = number
        return canonical.resolved(whole) | {"subdir": None if plain_folders else str(whole.hydra.sweep.subdir)}
    except (HydraException, OmegaConfBaseException) as error:
        raise errors.BadRequest(f"Run {number} of the sweep cannot be composed: {first_line(error)}.") from error


@cache
def parse(text: str) -> Override:
    """One override; kept, as a sweep holds the same few again and again."""
    return OverridesParser.create().parse_override(text)


def is_plain_value(override: Override) -> bool:
    """Whether an override sets a value that is there, and refers to nothing else."""
    key = override.key_or_group
    group = key in cards.CHOICES or "/" in key or key.startswith("hydra.")
    return not (group or _reaches_further(override))


def files(overrides: Sequence[Override]) -> list[Override]:
    """The choices of files that can be put into a composed config; none beside a recipe, which may change any value after them."""
    recipe = any(override.key_or_group == "experiment" for override in overrides)
    return [] if recipe else [override for override in overrides if _names_a_file(override)]


def _names_a_file(override: Override) -> bool:
    """Whether an override chooses a file of a group that sets nothing beyond the group: any but a task."""
    key = override.key_or_group
    return (
        key in cards.GROUPS
        and key != "task"
        and cards.has(key, str(override.value()))
        and not _reaches_further(override)
    )


def _reaches_further(override: Override) -> bool:
    adds = override.is_force_add() and not is_option(override.key_or_group)
    changes = override.is_add() or adds or override.is_delete()
    return changes or bool(override.package) or "$" in str(override.input_line)


def is_option(key: str) -> bool:
    """Whether a dotted key is a setting that a config holds only where it is asked for."""
    return key in cards.card("", "config").about["options"]


def for_hydra(overrides: Sequence[str]) -> list[str]:
    """The same overrides for Hydra.

    It adds a key that is not there only where it is told to by plus signs. Names of files are all that it takes for a loss or a model, so
    that a reference to the user's code is given its alias.
    """
    return [_for_hydra(text) for text in overrides]


def _for_hydra(text: str) -> str:
    key, _, value = text.partition("=")
    if is_option(key):
        return f"++{text}"
    if references.is_of(key) and references.is_one(value):
        chosen = parse(text)
        if isinstance(chosen.value(), str) and cards.is_reference(key, str(chosen.value())):
            return f"{key}={references.alias(str(chosen.value()))}"
    return text
