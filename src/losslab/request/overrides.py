"""The overrides of a command line: parsed, expanded into single values, and refused if they are wrong in themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException

from losslab.errors import BadRequest, nearest
from losslab.request import data_cards
from losslab.schema import cards
from losslab.schema.suggestions import unknown
from losslab.sweep import value_ranges

MOST_RUNS = value_ranges.MOST  # of one sweep
HYDRA_KEYS = ("run.dir", "sweep.dir", "sweep.subdir", "mode", "launcher", "sweeper")


def with_own_data(overrides: Sequence[str]) -> list[str]:
    """The overrides with a data card read in, and corruption=none where the data are the user's and no corruption is asked for.

    A task brings a corruption for the data that losslab ships, such as outliers for regression.
    """
    overrides = data_cards.expanded(overrides)
    chosen = {text.partition("=")[0]: text.partition("=")[2] for text in overrides}
    name = chosen.get("data", "")
    own = name in cards.names("data") and cards.card("data", name).about.get("path")
    plain = not any(key.lstrip("+").split(".")[0] in ("corruption", "experiment") for key in chosen)
    return [*overrides, "corruption=none"] if own and plain else [*overrides]


@cache
def read(text: str) -> Override:
    """One override of a command line, parsed. Raises BadRequest if it cannot be read."""
    try:
        found = value_ranges.parser(GlobalHydra.instance().config_loader()).parse_overrides([text])
    except (OverrideParseException, HydraException, ValueError, RecursionError) as error:
        raise value_ranges.refusal(error) or _unreadable(text) from error
    if len(found) != 1:
        raise _unreadable(text)
    return found[0]


def axes(overrides: Sequence[str]) -> dict[str, list[str]]:
    """Each key with all that it is to be, as overrides of one value each. A key given twice keeps the last.

    Raises BadRequest for a word that is wrong in itself, and for more runs than a sweep takes.
    """
    found = {}
    for text in overrides:
        choices = _choices(text)
        for choice in choices:
            _check_choice(choice)
        key = read(text).get_key_element()
        if len(choices) > 1 and key.startswith(("hydra", "executor")):
            raise BadRequest(f"'{key}' holds for all runs of a sweep; give it one value.")
        found[key] = choices
    if (runs := math.prod(map(len, found.values()))) > MOST_RUNS:
        raise BadRequest(f"That would be {runs:,} runs; a sweep takes at most {MOST_RUNS:,}.")
    return found


def single(axes: Mapping[str, list[str]]) -> list[str]:
    """The overrides of one run. Raises BadRequest where a key was given several values."""
    for key, choices in axes.items():
        if len(choices) > 1:
            raise BadRequest(
                f"'{key}' was given several values; add -m to run each of them, or write {key}=[...] if a list was meant."
            )
    return [choices[0] for choices in axes.values()]


def is_group(key: str) -> bool:
    """Whether a key chooses a file."""
    return key in cards.CHOICES or "/" in key


def _choices(text: str) -> list[str]:
    parsed = read(text)
    if not parsed.is_sweep_override():
        return [text]
    if not parsed.is_discrete_sweep():
        raise BadRequest(
            f"'{text}' names a range without steps, which needs a sweeper that draws from it; list the values instead."
        )
    try:
        found = value_ranges.choices(parsed)
    except (HydraException, ValueError, TypeError) as error:
        raise _unreadable(text) from error
    if not found:
        raise BadRequest(f"'{text}' stands for no value at all, so there is nothing to run.")
    if parsed.key_or_group.startswith("study.axes."):
        return [f"{parsed.get_key_element()}=[{','.join(choice.partition('=')[2] for choice in found)}]"]
    return found


def _check_choice(text: str) -> None:
    """Raises BadRequest for a key that cannot be set, and for a name that is not in its group."""
    parsed = read(text)
    key, value = parsed.key_or_group, parsed.value()
    top, _, rest = key.replace("/", ".", 1).partition(".")
    if "about" in key.split("."):
        raise BadRequest(f"'{key}' is a fact, not a setting, and cannot be changed.")
    if top == "hydra" and not any(rest == known or rest.startswith(f"{known}.") for known in HYDRA_KEYS):
        known = ", ".join(f"hydra.{known}" for known in HYDRA_KEYS)
        raise BadRequest(f"'{key}' cannot be set here; of Hydra's own keys these can: {known}.")
    if top == "hydra" and (parsed.is_delete() or (parsed.is_add() and not rest.startswith("sweeper.params."))):
        raise BadRequest(f"'{key}' can be set, but neither added nor deleted; write {key}=VALUE.")
    if key in ("hydra.run.dir", "hydra.sweep.dir") and not value:
        raise BadRequest(f"{key} must name a folder.")
    if key.endswith(".name") and key.removesuffix(".name") in (*cards.GROUPS, "executor"):
        raise BadRequest(f"'{key}' cannot be set by itself: write {key.removesuffix('.name')}=NAME.")
    chooses = key in cards.CHOICES and not parsed.is_delete()
    if chooses and not cards.has(key, str(value)):
        raise BadRequest(unknown(key, "null" if value is None else str(value), cards.names(key)))


def _unreadable(text: str) -> BadRequest:
    key = text.partition("=")[0].lstrip("+~")
    known = _known_keys()
    hint = "" if key in known else nearest(key, known, cutoff=0.7)
    return BadRequest(
        f"'{text}' cannot be read{hint}; write KEY=VALUE, and put quotes around a value with spaces, commas or brackets."
    )


@cache
def _known_keys() -> list[str]:
    """All groups, and the dotted names of the settings of all their files."""
    found = [*cards.CHOICES, *cards.card("", "config").about["options"]]
    for key, value in cards.card("", "config").values.items():
        found += [key, *(f"{key}.{inner}" for inner in value)] if isinstance(value, dict) else [key]
    for group in (*cards.GROUPS, "study", "executor"):
        for name in cards.names(group):
            found += [f"{group}.{key}" for key in cards.card(group, name).values]
    return list(dict.fromkeys(found))
