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

from losslab import losses
from losslab.losses import Loss
from losslab.schema import cards
from losslab.spaces import SPACES

ROWS = 1024
OUTPUTS = 10  # classes, or numbers a sample


@dataclass(frozen=True)
class Counterpart:
    """A function elsewhere that does the same work; `takes` are those of our hyperparameters that it takes by the same name."""

    says: str
    function: Callable[..., Tensor]
    takes: tuple[str, ...] = ()
    space: str | None = None  # where it is not the first that ours reads


def _torch(name: str, *takes: str) -> Counterpart:
    return Counterpart(f"F.{name}", getattr(F, name), takes)


def _ops(name: str, *takes: str, space: str | None = None, **fixed: Any) -> Counterpart:
    return Counterpart(f"ops.{name}", partial(getattr(ops, name), reduction="mean", **fixed), takes, space)


def _gaussian(pred: Tensor, target: Tensor) -> Tensor:
    return F.gaussian_nll_loss(pred[..., 0], target, (2 * pred[..., 1]).exp())


def _soft_margin(pred: Tensor, target: Tensor) -> Tensor:
    return F.soft_margin_loss(pred, 2 * target - 1)


COUNTERPARTS: dict[str, Counterpart] = {  # a name that is not in the registry is passed over
    "bce": _torch("binary_cross_entropy"),
    "bce_with_logits": _torch("binary_cross_entropy_with_logits"),
    "ciou": _ops("complete_box_iou_loss"),
    "cross_entropy": _torch("cross_entropy"),
    "diou": _ops("distance_box_iou_loss"),
    "focal": _ops("sigmoid_focal_loss", "gamma", space="binary_logit", alpha=-1),
    "gaussian_nll": Counterpart("F.gaussian_nll_loss", _gaussian),
    "giou": _ops("generalized_box_iou_loss"),
    "huber": _torch("huber_loss", "delta"),
    "l1": _torch("l1_loss"),
    "mse": _torch("mse_loss"),
    "multi_margin": _torch("multi_margin_loss", "margin"),
    "poisson_nll": _torch("poisson_nll_loss"),
    "smoothl1": _torch("smooth_l1_loss", "beta"),
    "soft_margin": Counterpart("F.soft_margin_loss", _soft_margin),
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
    """A row for each of the losses that has a counterpart, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_measure(name, rounds) for name in names if name in COUNTERPARTS]
    finally:
        torch.set_num_threads(threads)


def both_ways(name: str) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """Ours and theirs on one batch, each as a function without arguments that gives the mean loss."""
    other = COUNTERPARTS[name]
    loss = losses.get(name, space=other.space)
    assert isinstance(loss, Loss)
    pred, target = SPACES[loss.space].example(ROWS, OUTPUTS, torch.Generator().manual_seed(0))
    pred.requires_grad_()
    given = {key: cards.card("loss", name).values[key] for key in other.takes}
    return lambda: loss(pred, target), lambda: other.function(pred, target, **given)


def _measure(name: str, rounds: int) -> Row:
    """The two are timed in turns, so that a busy machine slows both."""
    both = both_ways(name)
    both[0]()  # checks the target, once
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for one, found in zip(both, times, strict=True):
            started = time.perf_counter()
            for _ in range(10):
                one().backward()
            found.append((time.perf_counter() - started) / 10 * 1e6)
    return Row(name, COUNTERPARTS[name].says, median(times[0]), median(times[1]))
