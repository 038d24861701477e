"""The schema: the files under conf/ state every key, its default and its range; this file holds a request to them.

Nothing here imports torch, so that a wrong request is answered at once.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from losslab import device

_HERE = Path(__file__).resolve().parent
# Inside the package where it was installed as a wheel, at the top of the repository where it is being worked on.
CONF = next((p for p in (_HERE / "conf", _HERE.parents[1] / "conf") if p.is_dir()), _HERE / "conf")
WHERE_AND_HOW = ("logger", "fused", "overwrite")  # keys of a request that do not decide its result
GROUPS = ("task", "data", "corruption", "loss", "model", "optimizer", "trainer", "logger")


class BadRequest(ValueError):
    """A request that cannot be met; its text is one sentence saying what was wrong and what would be right."""


class Incompatible(BadRequest):
    """A request whose parts are each valid, but do not fit one another."""


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


def space(task: str, loss: str) -> str | None:
    """The space in which a loss serves a task: the first that it reads and the task offers; None where there is none."""
    offered = card("task", task).about["spaces"]
    return next((space for space in card("loss", loss).about["reads"] if space in offered), None)


def fitting(group: str, task: str) -> list[str]:
    """The losses, data sets or corruptions that a task can take, sorted."""
    if group == "loss":
        return [name for name in names("loss") if space(task, name)]
    return [name for name in names(group) if task in card(group, name).about["tasks"]]


def check(config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """The whole check of a composed config: plain values in their canonical types, ready for `losslab.run`.

    Raises BadRequest for a key, a type or a value that is wrong, and Incompatible for parts that do not fit.
    """
    request = canonical(config)
    check_fit(request)
    check_sizes(request)
    if request["trainer"]["name"] == "gpu" and not device.has_gpu():
        raise BadRequest("trainer=gpu was asked for, and this machine shows no GPU; use trainer=auto or trainer=cpu.")
    return request


def canonical(config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """A request as plain values, every key known and every value of its type and in its range; facts left out."""
    request = config if isinstance(config, DictConfig) else dict(config)
    if isinstance(request, DictConfig):
        request = resolved(request)
    if isinstance(request.get("experiment"), Mapping):
        raise BadRequest(
            "A recipe under conf/experiment/ must begin with the line '# @package _global_'; without it, it sets nothing."
        )
    request = {str(key): value for key, value in request.items() if key not in ("about", "hydra", "experiment")}
    root = card("", "config")
    _same_keys("", request, list(root.values) + list(GROUPS))
    out = {key: _typed(key, request[key], default, root.about["ranges"]) for key, default in root.values.items()}
    for group in GROUPS:
        out[group] = _group(group, request[group], root.about["ranges"])
    return out


def resolved(whole: DictConfig) -> dict[str, Any]:
    """A composed config as plain values, without Hydra's own part. Raises BadRequest for a reference that leads nowhere."""
    try:
        kept = OmegaConf.masked_copy(whole, [str(key) for key in whole if key not in ("about", "hydra")])
        plain = OmegaConf.to_container(kept, resolve=True)
    except OmegaConfBaseException as error:
        raise BadRequest(f"The config cannot be resolved: {str(error).splitlines()[0]}.") from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def check_fit(request: Mapping[str, Any]) -> None:
    """Raises Incompatible where data, corruption, loss or model do not fit the task or the data."""
    task, data, model = (request[group]["name"] for group in ("task", "data", "model"))
    for group, word in (("data", "data set"), ("corruption", "corruption"), ("loss", "loss")):
        name, fit = request[group]["name"], fitting(group, task)
        if name not in fit:
            raise Incompatible(f"The {word} '{name}' does not fit task '{task}', which takes: {', '.join(fit)}.")
    kind, kinds = card("data", data).about["kind"], card("model", model).about["kinds"]
    if kind not in kinds:
        fit = [name for name in names("model") if kind in card("model", name).about["kinds"]]
        raise Incompatible(
            f"The model '{model}' reads {' or '.join(kinds)} data and '{data}' is a {kind}; models that fit: {', '.join(fit)}."
        )


def check_sizes(request: Mapping[str, Any]) -> None:
    """Raises BadRequest where a split would be empty or a batch larger than the training split."""
    data = request["data"]
    if data["val_fraction"] + data["test_fraction"] >= 1:
        raise BadRequest("data.val_fraction and data.test_fraction must leave rows to train on: together below 1.")
    sizes = split_sizes(data)
    if min(sizes.values()) < 2:
        raise BadRequest(
            f"Each split needs two rows or more, and '{data['name']}' would be split into {sizes}; ask for more rows or other fractions."
        )
    if data["batch_size"] > sizes["train"]:
        raise BadRequest(
            f"data.batch_size={data['batch_size']} is larger than the training split, which has {sizes['train']} rows."
        )


def split_sizes(data: Mapping[str, Any]) -> dict[str, int]:
    """Rows in train, val and test for a data config; what rounding leaves over goes to train."""
    rows = data.get("rows", card("data", data["name"]).about.get("rows"))
    val, test = (int(rows * data[f"{part}_fraction"]) for part in ("val", "test"))
    return {"train": rows - val - test, "val": val, "test": test}


def run_id(config: Mapping[str, Any] | DictConfig) -> str:
    """A folder name for a request: readable words, then a hash of all that decides its result.

    Where the run logs to, what it is stacked with and whether it overwrites do not decide its result and are left out.
    """
    request = canonical(config)
    asked = json.dumps({key: value for key, value in request.items() if key not in WHERE_AND_HOW}, sort_keys=True)
    words = [request["task"]["name"], request["data"]["name"]]
    for group in ("loss", "corruption"):
        name, defaults = request[group]["name"], card(group, request[group]["name"]).values
        changed = [
            f"{key}{value}"
            for key, value in request[group].items()
            if value != defaults[key] and not isinstance(value, list)
        ]
        words.append("_".join([name, *changed]))
    words += [request["model"]["name"], request["optimizer"]["name"], f"s{request['seed']}"]
    readable = "-".join(words)[:150]
    return f"{readable}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"


def unknown(group: str, name: str, known: Iterable[str]) -> str:
    """A sentence for a name that is not in a group, with the nearest and all valid ones."""
    word = {"data": "data set"}.get(group, group)
    return f"There is no {word} '{name}'{nearest(name, known)}. Valid: {', '.join(known) or 'none yet'}."


def nearest(name: str, known: Iterable[str]) -> str:
    """' (did you mean 'X'?)', or nothing where no known name is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def check_hyperparameters(loss: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a loss, defaults filled in, in their types and ranges. Raises BadRequest."""
    defaults = card("loss", loss).values
    return {
        key: value
        for key, value in _group("loss", defaults | {"name": loss} | dict(params), {}).items()
        if key != "name"
    }


def _group(group: str, given: Any, shared_ranges: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise BadRequest(f"{group} must be one of: {', '.join(names(group))}.")
    own = card(group, given["name"])
    given = {key: value for key, value in given.items() if key != "about"}
    for key in given:
        if key not in own.values:
            raise BadRequest(no_such_key(group, given["name"], str(key)))
    _same_keys(f"{group}.", given, list(own.values))
    ranges = dict(shared_ranges) | {f"{group}.{key}": text for key, text in own.about.get("ranges", {}).items()}
    return {key: _typed(f"{group}.{key}", given[key], default, ranges) for key, default in own.values.items()}


def no_such_key(group: str, name: str, key: str) -> str:
    """A sentence for a key that the chosen file of a group does not have, with those that do have it."""
    own = [known for known in card(group, name).values if known != "name"]
    others = [other for other in names(group) if key in card(group, other).values and other != name]
    word = {"data": "data set", "trainer": "trainer choice"}.get(group, group)
    close = difflib.get_close_matches(key, own, n=1, cutoff=0.5)
    if others and not close:
        return f"The {word} '{name}' has no key '{group}.{key}'; these have: {', '.join(others)}."
    valid = f"Valid: {', '.join(f'{group}.{known}' for known in own)}." if own else "It has none to set."
    hint = f" (did you mean '{group}.{close[0]}'?)" if close else ""
    return f"The {word} '{name}' has no key '{group}.{key}'{hint}. {valid}"


def _same_keys(prefix: str, given: Mapping[str, Any], known: list[str]) -> None:
    for key in given:
        if key not in known:
            shown = ", ".join(prefix + k for k in known)
            raise BadRequest(f"There is no key '{prefix}{key}'{nearest(str(key), known)}. Valid: {shown}.")
    for key in known:
        if key not in given:
            raise BadRequest(f"The key '{prefix}{key}' is missing; it must not be deleted.")


def _typed(key: str, value: Any, default: Any, ranges: Mapping[str, str]) -> Any:
    """A value in the type of its default, inside its range, if one is stated."""
    if isinstance(default, dict):
        if not isinstance(value, Mapping):
            raise BadRequest(f"{key} holds several values ({', '.join(default)}), and {value!r} is none of them.")
        _same_keys(f"{key}.", value, list(default))
        return {inner: _typed(f"{key}.{inner}", value[inner], default[inner], ranges) for inner in default}
    if isinstance(default, list):
        if not isinstance(value, list):
            raise BadRequest(f"{key} must be a list such as {default}, and {value!r} is not.")
        count, _, inside = ranges.get(key, "").rpartition(" of ")
        if count and len(value) != int(count):
            raise BadRequest(f"{key} must hold {count} values, and {value} holds {len(value)}.")
        return [_typed(key, item, default[0], {key: inside} if inside else {}) for item in value]
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    fits = isinstance(value, (int, float) if type(default) is float else type(default))
    if not fits or (isinstance(value, bool) and not isinstance(default, bool)):
        raise BadRequest(f"{key} must be {kinds[type(default)]}, and {value!r} is not.")
    value = type(default)(value)
    if key in ranges and not _inside(value, ranges[key]):
        raise BadRequest(f"{key} must {_worded(ranges[key])}, and {value!r} is not.")
    return value


def _inside(value: Any, text: str) -> bool:
    """Whether a value lies in a range: '(0, inf)', '[0, 1]' and so on, or words as in 'one | other'."""
    if text[0] not in "[(":
        return value in text.split(" | ")
    low, high = (float(part) for part in text[1:-1].split(","))
    above = value >= low if text[0] == "[" else value > low
    below = value <= high if text[-1] == "]" else value < high
    return bool(above and below and math.isfinite(value))


def _worded(text: str) -> str:
    """A range in words."""
    if text[0] not in "[(":
        return f"be one of: {text.replace(' | ', ', ')}"
    low, high = (part.strip() for part in text[1:-1].split(","))
    lower = f"at least {low}" if text[0] == "[" else f"above {low}"
    upper = f"at most {high}" if text[-1] == "]" else f"below {high}"
    return f"be {lower}" if high == "inf" else f"be {lower} and {upper}"
