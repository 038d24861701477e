"""What a loss costs beside its counterpart in torch or torchvision: one forward and one backward pass, on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
import torchvision.ops as ops
from torch import Tensor

from losslab import config, losses
from losslab.losses import Loss

ROWS = 1024
OUTPUTS = 10  # classes, or numbers a sample


@dataclass(frozen=True)
class Counterpart:
    """A function elsewhere that does the same work, and which of our hyperparameters it takes under what name."""

    says: str
    function: Callable[..., Tensor]
    takes: dict[str, str]


def _torch(name: str, function: Callable[..., Tensor] | None = None, **takes: str) -> Counterpart:
    return Counterpart(f"F.{name}", function or getattr(F, name), takes)


def _ops(name: str, **takes: str) -> Counterpart:
    return Counterpart(f"ops.{name}", partial(getattr(ops, name), reduction="mean"), takes)


COUNTERPARTS: dict[str, Counterpart] = {
    "bce": _torch("binary_cross_entropy"),
    "bce_with_logits": _torch("binary_cross_entropy_with_logits"),
    "cross_entropy": _torch("cross_entropy"),
    "giou": _ops("generalized_box_iou_loss"),
    "huber": _torch("huber_loss", delta="delta"),
    "l1": _torch("l1_loss"),
    "mse": _torch("mse_loss"),
    "poisson_nll": _torch("poisson_nll_loss"),
    "smoothl1": _torch("smooth_l1_loss", beta="beta"),
}


@dataclass(frozen=True)
class Row:
    """Median microseconds of a forward and a backward pass, ours and theirs."""

    name: str
    theirs: str
    ours_us: float
    theirs_us: float

    @property
    def ratio(self) -> float:
        """Ours over theirs: below 1 is faster."""
        return self.ours_us / self.theirs_us


def table(names: Sequence[str], rounds: int = 30) -> list[Row]:
    """A row for each of the losses that has a counterpart. The two are timed in turns, so that a busy machine slows both."""
    return [_measure(name, COUNTERPARTS[name], rounds) for name in names if name in COUNTERPARTS]


def _measure(name: str, other: Counterpart, rounds: int) -> Row:
    loss = losses.get(name)
    assert isinstance(loss, Loss)
    pred, target = batch(loss.space)
    given = {theirs: config.card("loss", name).values[ours] for ours, theirs in other.takes.items()}
    loss(pred, target)  # checks the target, once
    both: list[Callable[[], Tensor]] = [lambda: loss(pred, target), lambda: other.function(pred, target, **given)]
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for one, found in zip(both, times, strict=True):
            started = time.perf_counter()
            for _ in range(10):
                one().backward()
            found.append((time.perf_counter() - started) / 10 * 1e6)
    return Row(name, other.says, median(times[0]), median(times[1]))


def batch(space: str) -> tuple[Any, Any]:
    """A prediction that asks for a gradient, and a target, at random."""
    draw = torch.Generator().manual_seed(0)
    one, many = torch.rand(2, ROWS, generator=draw), torch.rand(2, ROWS, OUTPUTS, generator=draw)
    corners = torch.rand(2, ROWS, 2, generator=draw)
    boxes = torch.cat([corners, corners + 0.1 + torch.rand(2, ROWS, 2, generator=draw)], -1)
    made = {
        "class_logits": (many[0], torch.randint(OUTPUTS, (ROWS,), generator=draw)),
        "class_probs": (many[0].softmax(-1), many[1].softmax(-1)),
        "binary_logit": (4 * one[0] - 2, one[1].round()),
        "binary_prob": (0.05 + 0.9 * one[0], one[1].round()),
        "values": (many[0], many[1]),
        "values_and_scale": (torch.stack([many[0], many[1]], -1), many[1]),
        "log_rate": (many[0], (6 * many[1]).floor()),
        "rate": (0.1 + many[0], (6 * many[1]).floor()),
        "boxes": (boxes[0], boxes[1]),
    }
    pred, target = made[space]
    return pred.requires_grad_(), target
