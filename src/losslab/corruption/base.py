"""The form of a corruption, and how the one of a config is applied to the splits that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from losslab import seeding
from losslab.data import Data, Split, check_finite, standardised
from losslab.registry import Registry


class Changed(NamedTuple):
    """Rows after a corruption: inputs, targets, and which rows it changed [n], bool."""

    inputs: Tensor
    targets: Tensor
    rows: Tensor


# changed inputs, as long as some run holds them: runs with the same changes, such as those of other losses, share one tensor
_CHANGED: WeakValueDictionary[str, Tensor] = WeakValueDictionary()

CORRUPTIONS: Registry[Callable[..., Changed]] = Registry("corruption", {"splits": ["train"]})
register = CORRUPTIONS.register


@dataclass(frozen=True)
class Corrupted:
    """All rows of a data set, some of them corrupted, and which [n], bool. Rows of the test split are never changed."""

    inputs: Tensor
    targets: Tensor
    corrupted: Tensor
    moved: bool = False  # whether inputs were changed, too

    def corrupted_inputs(self) -> list[Tensor]:
        """The inputs of the rows that were corrupted, where the corruption changes inputs."""
        return [self.inputs[self.corrupted]] if self.moved else []


def corrupt(corruption: Mapping[str, Any], data: Data, split: Split, seed: int, standardise: bool = False) -> Corrupted:
    """Applies the corruption of a config to each split it names, with separate random draws for each.

    standardise: whether changed inputs are standardised anew, by the corrupted training rows. In practice nobody has the clean
    rows to do it with. Corruptions of inputs move them in spreads of each input, so it does not matter that they were
    standardised before.

    Raises BadRequest if the result is not finite.

    A corruption of labels that takes `classes` gets the number of classes of the data set.
    """
    inputs, targets = data.inputs, data.targets.clone()
    corrupted, moved = torch.zeros(len(targets), dtype=torch.bool), False
    function = CORRUPTIONS.of(corruption["name"])
    settings = {key: value for key, value in corruption.items() if key not in ("name", "splits")}
    if "classes" in signature(function).parameters:
        settings["classes"] = len(data.target_names)
    for step, part in enumerate(("train", "val")):
        if part in corruption.get("splits", []):
            rows = split[part]
            generator = seeding.generator(seed, "corruption", step)
            given = inputs[rows]
            found = function(given, targets[rows], generator, **settings)
            targets[rows], corrupted[rows] = found.targets, found.rows
            if found.inputs is not given:  # most corruptions leave the inputs, which runs can then share
                inputs, moved = (inputs if moved else inputs.clone()), True
                inputs[rows] = found.inputs
    check_finite(
        f"corruption={corruption['name']} goes too far", targets=targets, **({"inputs": inputs} if moved else {})
    )
    if moved:
        inputs = standardised(inputs, split["train"]) if standardise else inputs
        inputs = _CHANGED.setdefault(seeding.fingerprint([inputs]), inputs)
    return Corrupted(inputs, targets, corrupted, moved)


def choose_rows(count: int, fraction: float, generator: torch.Generator) -> Tensor:
    """Exactly round(fraction * count) rows, as a mask. With equal draws a larger fraction holds a smaller one's rows."""
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[torch.randperm(count, generator=generator)[: round(fraction * count)]] = True
    return chosen


def new_targets(inputs: Tensor, before: Tensor, after: Tensor) -> Changed:
    """What a corruption of targets alone gives: corrupted is every row whose target is no longer what it was."""
    return Changed(inputs, after, (after != before).reshape(len(after), -1).any(1))


@register
def none(inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Changed:
    """Leaves everything as it was measured."""
    return Changed(inputs, targets, torch.zeros(len(targets), dtype=torch.bool))
