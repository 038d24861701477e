"""The form of a data set, and how the seed splits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from losslab import config, pairing, shipped, sources
from losslab.registry import Registry
from losslab.values import BadRequest

Split = dict[str, Tensor]  # "train", "val", "test" -> row numbers, int64


@dataclass(frozen=True)
class Data:
    """A whole data set, as tensors.

    inputs: [n, features], or pictures [n, 1, height, width] in [0, 1]; float32.
    targets: class indices [n], int64; labels [n] in {0, 1}, numbers [n, D] or boxes [n, 4], float32. Clean.
    target_names: names of the classes, or of the D numbers with their unit.
    fingerprint: hash of the rows as they were read, before any split.
    """

    inputs: Tensor
    targets: Tensor
    target_names: tuple[str, ...]
    fingerprint: str = ""


SOURCES: Registry[Callable[..., Data]] = Registry()
register = SOURCES.register


def load(data: Mapping[str, Any], seed: int) -> tuple[Data, Split]:
    """The data set of a config, and its split by the seed; tables are standardised by their training rows.

    The rows are the same for every seed: the seed draws only the split. Data that are not a sample, such as simulations, are not
    split: all their rows are train, val and test at once.
    """
    settings = {key: value for key, value in data.items() if key not in config.NOT_OF_ROWS}
    about = config.card("data", data["name"]).about
    files = shipped.files_of_user(settings, about).values()
    source = _rows(data["name"], tuple(map(sources.of_file, files)), **settings)
    sizes = config.split_sizes(data)
    if about.get("one_split"):
        return source, {part: torch.arange(size) for part, size in sizes.items()}
    parts = split(sizes, seed)
    if about["kind"] == "table":
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
    """`files`: hashes of the files that hold the rows, so that changed content is read anew."""
    made = SOURCES[name](**settings)
    file = f", files below {settings['root']}" if "root" in settings else ""
    check_finite(f"data={name}{file}", inputs=made.inputs, targets=made.targets)
    return replace(made, fingerprint=pairing.fingerprint([made.inputs, made.targets]))


def split(sizes: Mapping[str, int], seed: int) -> Split:
    """Row numbers of each part, without overlap, drawn from the seed's random stream `split`."""
    order = torch.randperm(sum(sizes.values()), generator=pairing.generator(seed, "split"))
    train, val, test = order.split([sizes["train"], sizes["val"], sizes["test"]])
    return {"train": train, "val": val, "test": test}
