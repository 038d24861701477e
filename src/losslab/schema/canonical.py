"""A request in its canonical form: plain values, every key known, every value of its type and in its range."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from losslab import errors
from losslab.errors import BadRequest as BadRequest
from losslab.errors import first_line
from losslab.errors import nearest as nearest
from losslab.schema import loss_terms, metric_references, references
from losslab.schema.cards import GROUPS, Card, card, names, options
from losslab.schema.ranges import computable, same_keys, typed
from losslab.schema.suggestions import where_listed, word

WHERE_AND_HOW = ("logger", "fused", "store", "overwrite")  # keys of a request that do not decide its result

RUNS = "runs"  # where runs go unless a folder is named, as conf/config.yaml says


def canonical(config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """A request as plain values, every key known and every value of its type and in its range; facts left out."""
    request = config if isinstance(config, DictConfig) else dict(config)
    if isinstance(request, DictConfig):
        request = resolved(request)
    if "study" in request:
        raise BadRequest("A study is many runs, and this is to be one; leave study= away.")
    if isinstance(request.get("experiment"), Mapping):
        raise BadRequest(
            "A recipe under conf/experiment/ must begin with the line '# @package _global_'; without it, it sets nothing."
        )
    request = {
        str(key): value for key, value in request.items() if key not in ("about", "hydra", "experiment", "executor")
    }
    root = card("", "config")
    if isinstance(request.get("fused"), Mapping):  # earlier versions had fewer settings
        later = {key: root.values["fused"][key] for key in ("engine", "processes")}
        request["fused"] = later | dict(request["fused"])
    request = {"store": root.values["store"]} | request
    same_keys("", request, list(root.values) + list(GROUPS))
    out = {key: typed(key, request[key], default, root.about["ranges"]) for key, default in root.values.items()}
    for group in GROUPS:
        out[group] = _group(group, request[group])
    return out


def resolved(whole: DictConfig) -> dict[str, Any]:
    """A composed config as plain values, without Hydra's own part. Raises BadRequest for a reference that leads nowhere."""
    try:
        kept = OmegaConf.masked_copy(whole, [str(key) for key in whole if key not in ("about", "hydra")])
        plain = OmegaConf.to_container(kept, resolve=True)
    except (OmegaConfBaseException, ValueError, RecursionError) as error:
        raise BadRequest(f"The config cannot be resolved: {first_line(error)}.") from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def run_id(config: Mapping[str, Any] | DictConfig) -> str:
    """A folder name for a request: readable words, then a hash of all that decides its result.

    Where the run logs to, what it is stacked with and whether it overwrites do not decide its result and are left out.
    """
    return id_of(canonical(config))


def id_of(request: Mapping[str, Any]) -> str:
    """The same for a request that is in canonical form."""
    asked = json.dumps({key: value for key, value in request.items() if key not in WHERE_AND_HOW}, sort_keys=True)
    words = [request["task"]["name"], request["data"]["name"]]
    for group in ("loss", "corruption"):
        name = request[group]["name"]
        defaults = options(group) | card(group, name).values
        changed = [
            f"{key}{value}"
            for key, value in request[group].items()
            if value != defaults[key] and not isinstance(value, list)
        ]
        words.append("_".join([references.short(name) if group == "loss" else name, *changed]))
    words += [references.short(request["model"]["name"]), request["optimizer"]["name"], f"s{request['seed']}"]
    readable = re.sub(r"[^\w.+-]+", "_", "-".join(words).replace(" ", ""))[:150]
    return f"{readable}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"


def run_id_as_read(config: Mapping[str, Any]) -> str:
    """The run id of a request that was read from a record: no code of the user's is imported for it.

    Where a part of the request is not there any more, it is made of the words in the record alone.
    """
    try:
        with references.without_imports():
            return run_id(config)
    except BadRequest:
        asked = {key: value for key, value in config.items() if key not in WHERE_AND_HOW}
        named = [part.get("name") for part in asked.values() if isinstance(part, Mapping)]
        words = "-".join(references.short(name) for name in named if isinstance(name, str))
        readable = re.sub(r"[^\w.+-]+", "_", words)[:150]
        return f"{readable}-{hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:8]}"


def component(group: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A component with its settings, as a request holds it: defaults filled in, types and ranges checked. Raises BadRequest."""
    return _group(group, card(group, name).values | {"name": name} | dict(settings))


def check_hyperparameters(loss: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a loss, defaults filled in, in their types and ranges. Raises BadRequest."""
    return {key: value for key, value in component("loss", loss, params).items() if key != "name"}


def _group(group: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise BadRequest(f"{group} must be the name of a {word(group)}. {where_listed(group, names(group))}.")
    own = card(group, given["name"])
    if "terms" in own.values or "metrics" in given:  # which name other cards
        return _of_card(group, own, given)
    made = _kept(group, own, _Written(given))
    return {key: copy.copy(value) for key, value in made.items()}


class _Written:
    """Settings that are equal where they are written alike: 1, 1.0 and True are not."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given, self.text = given, repr(given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Written) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@lru_cache(maxsize=4096)
def _kept(group: str, own: Card, given: _Written) -> dict[str, Any]:
    """The runs of a sweep or a study share most of their parts, and a report reads thousands of runs."""
    return _of_card(group, own, given.given)


def _of_card(group: str, own: Card, given: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        **given,
        "name": own.values.get("name", given["name"]),
    }  # a reference in the one way in which it is written
    also = {key: value for key, value in options(group).items() if key in given and key not in own.values}
    given = {key: value for key, value in given.items() if key != "about"}
    for key in given:
        if key not in own.values and key not in also:
            raise BadRequest(no_such_key(group, given["name"], str(key)))
    given = own.about.get("before", {}) | given
    same_keys(f"{group}.", given, [*own.values, *also])
    shared = card("", "config").about["ranges"]
    ranges = shared | {f"{group}.{key}": text for key, text in own.about.get("ranges", {}).items()}
    given = {
        key: _preset(f"{group}.{key}", value, own.about.get("presets", {}).get(key)) for key, value in given.items()
    }
    made = {key: typed(f"{group}.{key}", given[key], default, ranges) for key, default in own.values.items()}
    for (
        key,
        nothing,
    ) in also.items():  # one that does nothing is left out, so that the request is the same as without it
        value = typed(f"{group}.{key}", given[key], nothing, ranges)
        made |= {key: value} if value != nothing else {}
    if group == "loss":
        for key, value in made.items():
            computable(f"loss.{key}", value)
    if group == "task" and "metrics" in made:
        made["metrics"] = metric_references.canonical(made["metrics"])
    if "terms" in made:
        made["terms"] = _canonical_sum(made["terms"])
    return made


def no_such_key(group: str, name: str, key: str) -> str:
    """A sentence for a key that the chosen card of a group does not have, with those that do have it."""
    own = [known for known in {**card(group, name).values, **options(group)} if known != "name"]
    others = [other for other in names(group) if key in card(group, other).values and other != name]
    what = {"trainer": "trainer choice"}.get(group, word(group))
    if why := card(group, name).about.get("instead", {}).get(key):
        return f"There is no key '{group}.{key}': {why}."
    hint = nearest(key, own, f"{group}.")
    if others and not hint:
        mine = f" It has {', '.join(known for known in own if known not in options(group))}." if group == "loss" else ""
        return f"The {what} '{name}' has no key '{group}.{key}'; these have: {', '.join(others)}.{mine.replace(' It has .', '')}"
    valid = f"Valid: {', '.join(f'{group}.{known}' for known in own)}." if own else "It has none to set."
    return f"The {what} '{name}' has no key '{group}.{key}'{hint}. {valid}"


def _preset(key: str, value: Any, presets: Mapping[str, Any] | None) -> Any:
    """The number that a word stands for, where the card has words for numbers."""
    if presets is None or not isinstance(value, str):
        return value
    if value not in presets:
        raise BadRequest(f"{key} must be a number or one of: {', '.join(presets)}; {value!r} is neither.")
    return presets[value]


def _canonical_sum(text: str) -> str:
    """A sum in its one notation, hyperparameters that equal their defaults left out."""
    each = []
    for weight, name, params in loss_terms.parse(text):
        computable(f"The weight of '{name}' in the sum '{text}'", weight)
        checked = check_hyperparameters(name, params)
        if "terms" in checked:
            raise BadRequest(f"The terms of a sum are plain losses, and '{name}' is a sum; write its terms out.")
        defaults = card("loss", name).values
        each.append(
            (
                weight,
                card("loss", name).values["name"],
                {key: value for key, value in checked.items() if value != defaults[key]},
            )
        )
    return loss_terms.written(each)


def set_value(plain: dict[str, Any], key: str, value: Any) -> None:
    """Sets a dotted key in nested values. Raises BadRequest where it leads into a value that holds no others."""
    *path, last = key.split(".")
    for depth, part in enumerate(path, 1):
        plain = plain.setdefault(part, {})
        if not isinstance(plain, dict):
            raise errors.BadRequest(f"There is no key '{key}': '{'.'.join(path[:depth])}' is a single value.")
    plain[last] = value
