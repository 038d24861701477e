"""The schema: the files under conf/ state every key, its default and its range; this file holds a request to them.

Nothing here imports torch, so that a wrong request is answered at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from losslab import device, own, shipped, sizes, sources, sums
from losslab.values import BadRequest as BadRequest
from losslab.values import computable, first_line, same_keys, typed
from losslab.values import nearest as nearest

_HERE = Path(__file__).resolve().parent
# Inside the package where it was installed as a wheel, at the top of the repository where it is being worked on.
CONF = next((p for p in (_HERE / "conf", _HERE.parents[1] / "conf") if p.is_dir()), _HERE / "conf")
WHERE_AND_HOW = ("logger", "fused", "overwrite")  # keys of a request that do not decide its result
NOT_OF_ROWS = ("name", "batch_size", "val_fraction", "test_fraction", "weight")  # settings of data that change no row
RUNS = "runs"  # where runs go unless a folder is named, as conf/config.yaml says
_LEAST_EPS_OF_HALF = 1e-4  # a gradient whose square is 0 in float16 is below 2.4e-4
GROUPS = ("task", "data", "corruption", "loss", "model", "optimizer", "trainer", "logger")
BY_CLASS, YES_OR_NO = (
    ("class_logits", "class_probs"),
    ("binary_logit", "binary_prob"),
)  # spaces whose targets are classes


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


def terms(loss: Mapping[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    """The plain losses that a loss setting stands for, hyperparameters filled in, each with its weight: itself, or those of a sum."""
    if "terms" not in loss:
        return [(1.0, dict(loss))]
    return [
        (weight, {"name": name} | check_hyperparameters(name, params))
        for weight, name, params in sums.parse(loss["terms"])
    ]


def reads(loss: Mapping[str, Any]) -> list[str]:
    """The spaces that a loss reads; of a sum, those that all its terms read."""
    each = [card("loss", term["name"]).about["reads"] for _, term in terms(loss)]
    return [space for space in each[0] if all(space in others for others in each)]


def misfits(task: str, loss: Mapping[str, Any]) -> list[str]:
    """The names among a loss and its terms that have no space in common with a task."""
    return [term["name"] for _, term in terms(loss) if space(task, term["name"]) is None]


def heads(task: str, loss: Mapping[str, Any]) -> int:
    """How many numbers a model gives for each output of a task under a loss: two where it reads a scale beside the value."""
    offered = card("task", task).about["spaces"]
    return max(int(offered[space(task, term["name"])]) for _, term in terms(loss))


def facts(loss: Mapping[str, Any]) -> set[str]:
    """What holds of a loss, or of a term of a sum."""
    return {fact for _, term in terms(loss) for fact in card("loss", term["name"]).about["facts"]}


def metrics(task: str) -> dict[str, str]:
    """The metrics of a task, each with its better direction, "min" or "max"; the first selects the best epoch."""
    return dict(card("task", task).about["metrics"])


def fitting(group: str, task: str) -> list[str]:
    """The losses, data sets or corruptions that a task can take, sorted."""
    if group == "loss":
        return [name for name in names("loss") if not misfits(task, card("loss", name).values)]
    return [name for name in names(group) if task in card(group, name).about["tasks"]]


def check(config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """The whole check of a composed config: plain values in their canonical types, ready for `losslab.run`.

    Raises BadRequest for a key, a type or a value that is wrong, and Incompatible for parts that do not fit.
    """
    request = canonical(config)
    check_fit(request)
    check_sizes(request)
    shipped.check_weight(request["data"].get("weight", "none"))
    shipped.check(request["data"], card("data", request["data"]["name"]).about)
    if request["model"]["name"] == "own":
        own.check("model.target", request["model"]["target"])
    if request["trainer"]["name"] == "gpu" and not device.has_gpu():
        raise BadRequest("trainer=gpu was asked for, and this machine shows no GPU; use trainer=auto or trainer=cpu.")
    if request["trainer"]["precision"] == "tf32" and (request["trainer"]["name"] == "cpu" or not device.has_gpu()):
        raise BadRequest(device.NO_TF32)
    return request


def of_user(request: Mapping[str, Any]) -> dict[str, str]:
    """What a checked request is made from beside losslab: a hash for the user's model, data files and row weights.

    A run is finished only for the files from which it was trained; records hold the hashes among those of their pairing.
    """
    files = shipped.files_of_user(request["data"], card("data", request["data"]["name"]).about)
    found = {f"source/{what}": sources.of_file(path) for what, path in files.items()}
    if request["model"]["name"] == "own":
        found["source/model"] = own.source(request["model"]["target"])
    return found


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
    request = {str(key): value for key, value in request.items() if key not in ("about", "hydra", "experiment")}
    root = card("", "config")
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


def check_fit(request: Mapping[str, Any]) -> None:
    """Raises Incompatible where data, corruption, loss or model do not fit the task or the data."""
    task, data, model = (request[group]["name"] for group in ("task", "data", "model"))
    for group, word in (("data", "data set"), ("corruption", "corruption")):
        name, fit = request[group]["name"], fitting(group, task)
        if name not in fit:
            raise Incompatible(f"The {word} '{name}' does not fit task '{task}', which takes: {', '.join(fit)}.")
    if card("data", data).about.get("one_split") and request["corruption"]["name"] != "none":
        raise Incompatible(f"The rows of '{data}' are also its test rows, which stay clean; use corruption=none.")
    if wrong := misfits(task, request["loss"]):
        fit = fitting("loss", task)
        raise Incompatible(f"The loss '{wrong[0]}' does not fit task '{task}', which takes: {', '.join(fit)}.")
    _check_class_options(task, request)
    _check_precision(request)
    kind, kinds = card("data", data).about["kind"], card("model", model).about["kinds"]
    if kind not in kinds:
        fit = [name for name in names("model") if kind in card("model", name).about["kinds"]]
        raise Incompatible(
            f"The model '{model}' reads {' or '.join(kinds)} data and '{data}' is a {kind}; models that fit: {', '.join(fit)}."
        )


def _check_precision(request: Mapping[str, Any]) -> None:
    """Raises Incompatible for an optimizer that cannot divide by its squared gradients in float16."""
    eps = request["optimizer"].get("eps")
    if request["trainer"]["precision"] == "16-true" and eps is not None and eps < _LEAST_EPS_OF_HALF:
        name = request["optimizer"]["name"]
        raise Incompatible(
            f"In float16 the squares of small gradients are 0 and an eps of {eps:g} is too small to divide by, so that "
            f"optimizer={name} would diverge under most losses: set optimizer.eps={_LEAST_EPS_OF_HALF:g} or more, or take "
            "trainer.precision=bf16-true, 32-true, or optimizer=sgd."
        )


def _check_class_options(task: str, request: Mapping[str, Any]) -> None:
    """Raises Incompatible for weights and smoothing of classes where there are none, and BadRequest for those of a whole sum."""
    for _, term in terms(request["loss"]):
        for key in options("loss"):
            if (
                key in term
                and space(task, term["name"]) not in (*BY_CLASS, *YES_OR_NO)
                and term[key] != options("loss")[key]
            ):
                raise Incompatible(f"loss.{key} is for targets that are classes, and task '{task}' has none.")
            if "terms" in request["loss"] and key in request["loss"]:
                raise BadRequest(
                    f"A sum has no loss.{key} of its own; write it into its terms, as in 'cross_entropy({key}=...)'."
                )
    offered = card("task", task).about["spaces"]
    if request["data"].get("weight") == "balanced" and not set(offered) & {*BY_CLASS, *YES_OR_NO}:
        raise Incompatible(f"data.weight=balanced makes classes count the same, and task '{task}' has none.")


def check_sizes(request: Mapping[str, Any]) -> None:
    """Raises BadRequest where a split would be empty or a batch larger than the training split."""
    data = request["data"]
    sizes.check_data(data, card("data", data["name"]).about)
    if sum(data.get(f"{part}_fraction", 0) for part in ("val", "test")) >= 1:
        raise BadRequest("data.val_fraction and data.test_fraction must leave rows to train on: together below 1.")
    rows = split_sizes(data)
    if min(rows.values()) < 2:
        raise BadRequest(
            f"Each split needs two rows or more, and '{data['name']}' would be split into {rows}; ask for more rows or other fractions."
        )
    if data["batch_size"] > rows["train"]:
        raise BadRequest(
            f"data.batch_size={data['batch_size']} is larger than the training split, which has {rows['train']} rows."
        )


def split_sizes(data: Mapping[str, Any]) -> dict[str, int]:
    """Rows in train, val and test for a data config: parts of all, the rest in train, or all in each where there is one split."""
    if (about := card("data", data["name"]).about).get("one_split"):
        return dict.fromkeys(("train", "val", "test"), data["points"] * about["rows_per_point"])
    rows = data.get("rows", about.get("rows"))
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
        name = request[group]["name"]
        defaults = options(group) | card(group, name).values
        changed = [
            f"{key}{value}"
            for key, value in request[group].items()
            if value != defaults[key] and not isinstance(value, list)
        ]
        words.append("_".join([name, *changed]))
    words += [request["model"]["name"], request["optimizer"]["name"], f"s{request['seed']}"]
    readable = re.sub(r"[^\w.+-]+", "_", "-".join(words).replace(" ", ""))[:150]
    return f"{readable}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"


def unknown(group: str, name: str, known: Iterable[str]) -> str:
    """A sentence for a name that is not in a group, with the nearest and all valid ones."""
    word = {"data": "data set"}.get(group, group)
    return f"There is no {word} '{name}'{nearest(name, known)}. Valid: {', '.join(known) or 'none yet'}."


def check_hyperparameters(loss: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a loss, defaults filled in, in their types and ranges. Raises BadRequest."""
    made = _group("loss", card("loss", loss).values | {"name": loss} | dict(params))
    return {key: value for key, value in made.items() if key != "name"}


def options(group: str) -> dict[str, Any]:
    """The settings that any file of a group takes beside its own, with the values under which they do nothing."""
    every = card("", "config").about["options"]
    return {key.removeprefix(f"{group}."): value for key, value in every.items() if key.startswith(f"{group}.")}


def _group(group: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise BadRequest(f"{group} must be one of: {', '.join(names(group))}.")
    own = card(group, given["name"])
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
    if "terms" in made:
        made["terms"] = _canonical_sum(made["terms"])
    return made


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
    for weight, name, params in sums.parse(text):
        computable(f"The weight of '{name}' in the sum '{text}'", weight)
        checked = check_hyperparameters(name, params)
        if "terms" in checked:
            raise BadRequest(f"The terms of a sum are plain losses, and '{name}' is a sum; write its terms out.")
        defaults = card("loss", name).values
        each.append((weight, name, {key: value for key, value in checked.items() if value != defaults[key]}))
    return sums.written(each)


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
