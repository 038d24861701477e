"""The form of a data set, and how it is loaded, split and prepared for a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import signature
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from losslab import seeding
from losslab.data.splits import Split as Split
from losslab.data.splits import split
from losslab.errors import BadRequest
from losslab.registry import Registry
from losslab.schema import cards, check, requirements, source_hashes


@dataclass(frozen=True)
class Data:
    """A whole data set, as tensors.

    inputs: [n, features], or pictures [n, channels, height, width] in [0, 1]; float32.
    targets: class indices [n], int64; labels [n] in {0, 1}, numbers [n, D] or boxes [n, 4], float32. Clean.
    target_names: names of the classes, or of the D numbers with their unit.
    kind: what models read: "table" [n, features], "picture" [n, channels, height, width], or "simulation"; by the shape of the
        inputs unless given.
    fingerprint: hash of the rows as they came, before any split; of inputs and targets unless given.
    groups: group of each row [n], int64: rows of one group are never in two parts.
    times: moment of each row [n], float64, in any unit: no training row is later than a test row.
    given: part of each row as the data themselves say it [n]: 0 train, 1 val, 2 test, -1 not said.
    weights: how much each row counts in the training and the validation loss [n], float32.
    encode: a function of the training rows that gives inputs [n, features]; nothing but those rows may be looked at. None:
        inputs are as they are, and those of a table are standardised by the training rows.
    """

    inputs: Tensor
    targets: Tensor
    target_names: tuple[str, ...]
    kind: str = ""
    fingerprint: str = ""
    groups: Tensor | None = None
    times: Tensor | None = None
    given: Tensor | None = None
    weights: Tensor | None = None
    encode: Callable[[Tensor], Tensor] | None = None


# data sets ready for a split, as long as some run holds them: runs that share rows and split, such as those of other losses, share
# one tensor
_READY: WeakValueDictionary[str, Data] = WeakValueDictionary()
SOURCES: Registry[Callable[..., Any]] = Registry("data", {"batch_size": 64, "val_fraction": 0.2, "test_fraction": 0.2})
register = SOURCES.register


def load(data: Mapping[str, Any], seed: int, task: str = "") -> tuple[Data, Split]:
    """The data set of a config, and its split by the seed; inputs of tables are scaled by their training rows.

    The rows are the same for every seed: the seed draws only the split. Data that are no sample of anything have none: all
    their rows are train, val and test at once. How many rows there are, and of which kind, is what was loaded.

    task: the name of the task, for data that read their targets by it.

    Raises BadRequest where a card says otherwise, and for a split or a batch that so many rows do not give.
    """
    source, parts, made_from = _divided(data, seed, task)
    if source.kind != "table" or cards.card("data", data["name"]).about.get("one_split"):
        return source, parts
    key = f"{source.fingerprint} {made_from} {seeding.fingerprint([parts['train']])}"
    if (ready := _READY.get(key)) is None:
        train = parts["train"]
        inputs = source.encode(train) if source.encode else standardised(source.inputs, train)
        check_finite(f"data={data['name']}, standardised", inputs=inputs)
        ready = _READY[key] = replace(source, inputs=inputs)
    return ready, parts


def sizes(data: Mapping[str, Any], seed: int, task: str = "") -> dict[str, int]:
    """How many rows each part of the split of a seed has; see `load`."""
    return {part: len(rows) for part, rows in _divided(data, seed, task)[1].items()}


def _divided(data: Mapping[str, Any], seed: int, task: str) -> tuple[Data, Split, str]:
    """The data as they came, the split, and what the rows were made from."""
    settings = {key: value for key, value in data.items() if key not in check.NOT_OF_ROWS}
    about = cards.card("data", data["name"]).about
    if "task" in signature(SOURCES.of(data["name"])).parameters:
        settings["task"] = task
    files = requirements.files_of_user(settings, about).values()
    code = check.source_of(cards.card("data", data["name"])) or ""
    made_from = (code, *map(source_hashes.of_path, files))
    source = _rows(data["name"], made_from, **{key: _hashable(value) for key, value in settings.items()})
    rows = len(source.targets)
    for what, said, found in (("rows", about.get("rows"), rows), ("kind", about.get("kind"), source.kind)):
        if said is not None and said != found:
            raise BadRequest(
                f"The card of data={data['name']} says {what}: {said}, and what was loaded has {what}: {found}; correct the card."
            )
    if check.one_split(data):
        return source, {part: torch.arange(rows) for part in ("train", "val", "test")}, f"{settings} {made_from}"
    labels = source.targets.long() if len(source.target_names) > 1 and source.targets.ndim == 1 else None
    parts = split(data, rows, seed, labels, source.groups, source.times, source.given, source.target_names)
    return source, parts, f"{settings} {made_from}"


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def standardised(inputs: Tensor, train: Tensor) -> Tensor:
    """Inputs [n, features] minus the mean of the training rows, divided by their standard deviation."""
    rows = inputs[train]
    return (inputs - rows.mean(0)) / rows.std(0).clamp(min=1e-12)


def check_finite(what: str, **parts: Tensor) -> None:
    """Raises BadRequest for the first number in `inputs` or `targets` [n, ...] that is not finite; rows and columns count from 0."""
    for part, values in parts.items():
        if not values.is_floating_point() or torch.isfinite(values.sum()):
            continue  # a sum is finite only where all its numbers are, and takes no copy
        if not torch.isfinite(values).all():
            row, *place = (~torch.isfinite(values)).nonzero()[0].tolist()
            column = "" if not place else f", column {place[0]}" if len(place) == 1 else f", at {place}"
            raise BadRequest(
                f"{what}: row {row}{column} of the {part} is {values[(row, *place)].item()}; nothing can be trained on it. "
                "Remove or replace such values first."
            )


@lru_cache(maxsize=2)  # a sweep reads the same rows many times; no code writes into them
def _rows(name: str, files: tuple[str, ...], **settings: Any) -> Data:
    """`files`: hashes of the code and the files that the rows come from, so that what has changed is read anew."""
    found = SOURCES.of(name)(**settings)
    made = found if isinstance(found, Data) else _from_pair(name, found)
    file = f", files below {settings['root']}" if "root" in settings else ""
    check_finite(f"data={name}{file}", inputs=made.inputs, targets=made.targets)
    kind = made.kind or ("table" if made.inputs.ndim == 2 else "picture")
    return replace(made, kind=kind, fingerprint=made.fingerprint or seeding.fingerprint([made.inputs, made.targets]))


def _from_pair(name: str, found: Any) -> Data:
    """Inputs and targets from outside, as arrays or tensors, in the form in which the tasks of their card take them.

    Raises BadRequest for what is no pair of arrays with one row each for every sample, or does not fit a task of the card.
    """
    if not isinstance(found, tuple) or len(found) != 2:
        raise BadRequest(
            f"data={name} must give a Data, or a pair (inputs, targets); it gave a {type(found).__name__}."
        )
    try:
        inputs, targets = torch.as_tensor(found[0], dtype=torch.float32), torch.as_tensor(found[1])
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadRequest(f"data={name}: what it gave are no arrays of numbers: {error}.") from error
    if inputs.ndim < 2 or targets.ndim < 1 or len(inputs) != len(targets):
        raise BadRequest(
            f"data={name} needs inputs [n, ...] and targets [n, ...] for the same n samples; it gave {list(inputs.shape)} and "
            f"{list(targets.shape)}."
        )
    tasks = cards.card("data", name).about["tasks"]
    if {"multiclass", "ordinal"} & set(tasks):
        whole = targets.long()
        if targets.ndim != 1 or not torch.equal(whole.to(targets), targets) or whole.min() < 0:
            raise BadRequest(
                f"data={name}: the targets of several classes are class indices [n], whole numbers from 0."
            )
        return Data(inputs, whole, tuple(map(str, range(int(whole.max()) + 1))))
    if "binary" in tasks:
        if targets.ndim != 1 or not ((targets == 0) | (targets == 1)).all():
            raise BadRequest(f"data={name}: the targets of two classes are [n], each 0 or 1.")
        return Data(inputs, targets.float(), ("0", "1"))
    targets = targets.float() if targets.ndim > 1 else targets.float()[:, None]
    if "bbox" in tasks and targets.shape[1:] != (4,):
        raise BadRequest(f"data={name}: the targets of boxes are [n, 4], corners x1 y1 x2 y2 in shares of the picture.")
    columns = range(targets.shape[1])
    return Data(
        inputs, targets, ("x1", "y1", "x2", "y2") if "bbox" in tasks else tuple(f"y{column}" for column in columns)
    )
