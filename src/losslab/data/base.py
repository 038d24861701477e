"""The form of a data set, and how the seed splits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from losslab import seeding
from losslab.errors import BadRequest
from losslab.registry import Registry
from losslab.schema import cards, check, requirements, source_hashes

Split = dict[str, Tensor]  # "train", "val", "test" -> row numbers, int64


@dataclass(frozen=True)
class Data:
    """A whole data set, as tensors.

    inputs: [n, features], or pictures [n, 1, height, width] in [0, 1]; float32.
    targets: class indices [n], int64; labels [n] in {0, 1}, numbers [n, D] or boxes [n, 4], float32. Clean.
    target_names: names of the classes, or of the D numbers with their unit.
    kind: what models read: "table" [n, features], "picture" [n, channels, height, width], or "simulation"; by the shape of the
        inputs unless given.
    fingerprint: hash of the rows as they came, before any split.
    """

    inputs: Tensor
    targets: Tensor
    target_names: tuple[str, ...]
    kind: str = ""
    fingerprint: str = ""


SOURCES: Registry[Callable[..., Any]] = Registry("data", {"batch_size": 64, "val_fraction": 0.2, "test_fraction": 0.2})
register = SOURCES.register


def load(data: Mapping[str, Any], seed: int) -> tuple[Data, Split]:
    """The data set of a config, and its split by the seed; tables are standardised by their training rows.

    The rows are the same for every seed: the seed draws only the split. Data that are no sample of anything have none: all
    their rows are train, val and test at once. How many rows there are, and of which kind, is what was loaded.

    Raises BadRequest where a card says otherwise, and for a split or a batch that so many rows do not give.
    """
    settings = {key: value for key, value in data.items() if key not in check.NOT_OF_ROWS}
    about = cards.card("data", data["name"]).about
    files = requirements.files_of_user(settings, about).values()
    code = check.source_of(cards.card("data", data["name"])) or ""
    source = _rows(data["name"], (code, *map(source_hashes.of_file, files)), **settings)
    rows = len(source.inputs)
    for what, said, found in (("rows", about.get("rows"), rows), ("kind", about.get("kind"), source.kind)):
        if said is not None and said != found:
            raise BadRequest(
                f"The card of data={data['name']} says {what}: {said}, and what was loaded has {what}: {found}; correct the card."
            )
    if about.get("one_split"):
        return source, {part: torch.arange(rows) for part in ("train", "val", "test")}
    check.check_split(data, rows)
    parts = split(check.split_sizes(data, rows), seed)
    if source.kind == "table":
        source = replace(source, inputs=standardised(source.inputs, parts["train"]))
        check_finite(f"data={data['name']}, standardised", inputs=source.inputs)
    return source, parts


def standardised(inputs: Tensor, train: Tensor) -> Tensor:
    """Inputs [n, features] minus the mean of the training rows, divided by their standard deviation."""
    rows = inputs[train]
    return (inputs - rows.mean(0)) / rows.std(0).clamp(min=1e-12)


def check_finite(what: str, **parts: Tensor) -> None:
    """Raises BadRequest for the first number in `inputs` or `targets` [n, ...] that is not finite; rows and columns count from 0."""
    for part, values in parts.items():
        if values.is_floating_point() and not torch.isfinite(values).all():
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
    return replace(made, kind=kind, fingerprint=seeding.fingerprint([made.inputs, made.targets]))


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
    if "multiclass" in tasks:
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


def split(sizes: Mapping[str, int], seed: int) -> Split:
    """Row numbers of each part, without overlap, drawn from the seed's stream `split`."""
    order = torch.randperm(sum(sizes.values()), generator=seeding.generator(seed, "split"))
    train, val, test = order.split([sizes["train"], sizes["val"], sizes["test"]])
    return {"train": train, "val": val, "test": test}
