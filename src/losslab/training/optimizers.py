"""Optimizers, schedules and weight penalties."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from losslab.registry import Registry

# fused: one kernel for all tensors, on the CPU as well; a fifth faster for a small model
OPTIMIZERS: Registry[Callable[..., torch.optim.Optimizer]] = Registry(
    "optimizer", {"lr": 0.001, "weight_decay": 0.0, "schedule": "constant"}
)
OPTIMIZERS |= {
    "sgd": partial(torch.optim.SGD, fused=True),
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
}
register = OPTIMIZERS.register


def build(
    optimizer: Mapping[str, Any],
    parameters: Iterable[nn.Parameter],
    steps: int,
    of_loss: Iterable[nn.Parameter] = (),
) -> tuple[torch.optim.Optimizer, LambdaLR | None]:
    """torch's own optimizer for a config, and its schedule over `steps` steps, None where the rate is constant.

    Weight decay acts on all parameters of the model, as in torch, and on none that the loss learns (`of_loss`).
    """
    settings = {key: value for key, value in optimizer.items() if key not in ("name", "schedule")}
    groups: list[dict[str, Any]] = [{"params": list(parameters)}]
    if learned := list(of_loss):
        groups.append({"params": learned, "weight_decay": 0.0})
    built = OPTIMIZERS.of(optimizer["name"])(groups, **settings)
    if optimizer["schedule"] == "constant":
        return built, None
    return built, LambdaLR(built, lambda step: rate_factor(optimizer["schedule"], step, steps))


def rate_factor(schedule: str, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at `step` of `steps`.

    constant: 1. cosine: from 1 to 0 along half a cosine (Loshchilov and Hutter, 2017). one_cycle: from 1/25 up to 1 over
    the first 30 % of the steps, then down to 1/250,000, both along half a cosine (Smith and Topin, 2018; torch's defaults,
    momentum left alone). steps: 1, from 80 % of the steps 1/10, and from 90 % 1/100 (as Zheng et al., 2020).
    """
    done = min(step / max(steps - 1, 1), 1.0)
    if schedule == "constant":
        return 1.0
    if schedule == "steps":
        return 1.0 if done < 0.8 else 0.1 if done < 0.9 else 0.01
    if schedule == "cosine":
        return _half_cosine(1.0, 0.0, done)
    return _half_cosine(0.04, 1.0, done / 0.3) if done < 0.3 else _half_cosine(1.0, 4e-6, (done - 0.3) / 0.7)


def weight_penalty(model: nn.Module, l1: float, l2: float) -> Tensor | None:
    """l1 * sum |w| + l2 * sum w^2 over the weights that are trained, biases left out; None where both are 0, so that it costs nothing."""
    if l1 == 0 and l2 == 0:
        return None
    weights = [p for p in model.parameters() if p.ndim > 1 and p.requires_grad]
    if not weights:
        return next(model.parameters()).new_zeros(())
    return torch.stack([l1 * w.abs().sum() + l2 * w.square().sum() for w in weights]).sum()


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
