"""What goes wrong with data: pure functions of (inputs, targets, generator), applied to the splits that the config names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from losslab import pairing
from losslab.data import Data, Split
from losslab.registry import Registry
from losslab.scale import robust_scale


class Hit(NamedTuple):
    """Rows after a corruption: inputs, targets, and which rows it changed [n], bool."""

    inputs: Tensor
    targets: Tensor
    rows: Tensor


CORRUPTIONS: Registry[Callable[..., Hit]] = Registry()
register = CORRUPTIONS.register


@dataclass(frozen=True)
class Corrupted:
    """All rows of a data set, some corrupted, and which [n], bool. Rows of the test split are never touched."""

    inputs: Tensor
    targets: Tensor
    hit: Tensor
    moved: bool = False  # whether inputs were changed, too

    def inputs_hit(self) -> list[Tensor]:
        """The inputs of the rows that were hit, where the corruption changes inputs."""
        return [self.inputs[self.hit]] if self.moved else []


def corrupt(corruption: Mapping[str, Any], data: Data, split: Split, seed: int) -> Corrupted:
    """Applies the corruption of a config to each split it names, with draws of its own for each."""
    inputs, targets = data.inputs, data.targets.clone()
    hit, moved = torch.zeros(len(targets), dtype=torch.bool), False
    settings = {key: value for key, value in corruption.items() if key not in ("name", "splits")}
    for step, part in enumerate(("train", "val")):
        if part in corruption.get("splits", []):
            rows = split[part]
            draw = pairing.generator(seed, "corruption", step)
            given = inputs[rows]
            found = CORRUPTIONS[corruption["name"]](given, targets[rows], draw, **settings)
            targets[rows], hit[rows] = found.targets, found.rows
            if found.inputs is not given:  # most corruptions leave the inputs, which runs can then share
                inputs, moved = inputs.clone(), True
                inputs[rows] = found.inputs
    return Corrupted(inputs, targets, hit, moved)


def choose_rows(count: int, fraction: float, draw: torch.Generator) -> Tensor:
    """Exactly round(fraction * count) rows, as a mask. With equal draws a larger fraction holds a smaller one's rows."""
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[torch.randperm(count, generator=draw)[: round(fraction * count)]] = True
    return chosen


@register
def none(inputs: Tensor, targets: Tensor, draw: torch.Generator) -> Hit:
    """Leaves everything as it was measured."""
    return Hit(inputs, targets, torch.zeros(len(targets), dtype=torch.bool))


@register
def outliers(
    inputs: Tensor, targets: Tensor, draw: torch.Generator, *, fraction: float, magnitude: float, side: str
) -> Hit:
    """Vertical outliers: a share of the targets [n, D] moves by `magnitude` spreads of the clean targets, the inputs stay.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        draw: where the rows and the signs come from.
        fraction: share of the rows that is hit, in [0, 1].
        magnitude: how far, in spreads (1.4826 MAD) of the clean targets.
        side: `symmetric` (up or down at even odds) or `one_sided` (up).
    """
    hit = choose_rows(len(targets), fraction, draw)
    up = torch.rand(len(targets), 1, generator=draw) < 0.5
    sign = 1.0 if side == "one_sided" else torch.where(up, 1.0, -1.0)
    _, spread = robust_scale(targets)
    return Hit(inputs, torch.where(hit[:, None], targets + sign * magnitude * spread, targets), hit)
