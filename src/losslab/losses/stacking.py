"""Whether a loss from outside can be stacked: it is tried under torch.vmap, and must give what it gives for each run alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from losslab.losses.base import LOSSES, Loss, LossFunction
from losslab.schema import canonical, cards
from losslab.spaces import SPACES

_RUNS, _ROWS, _OUTPUTS = 3, 5, 4


class Stacking(NamedTuple):
    """How runs under a loss are stacked.

    numbers: whether a hyperparameter that is a number may differ from run to run within one call.
    why_alone: why the runs train one by one; None where they can be stacked.
    """

    numbers: bool = True
    why_alone: str | None = None


def of(name: str, space: str) -> Stacking:
    """How runs under a loss in a space are stacked. Losslab's own need no trial, as tests hold them to it."""
    if cards.card("loss", name).shipped:
        return Stacking()
    return _tried(name, space, LOSSES.of(name))


@cache
def _tried(name: str, space: str, function: LossFunction) -> Stacking:
    """The trial of a loss, once for each version of its function."""
    first = ""
    for numbers in (True, False):
        try:
            if _agrees(name, space, numbers):
                return Stacking(numbers)
            first = first or "it gives other values under torch.vmap"
        except Exception as error:  # a user's own code
            first = first or f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
    return Stacking(False, f"torch.vmap cannot trace the loss '{name}' ({first[:200]})")


def _agrees(name: str, space: str, numbers: bool) -> bool:
    """Whether losses and gradients of several runs at once are those of each alone."""
    loss = Loss(name, space, canonical.check_hyperparameters(name, {}), "none")
    function = loss._function
    generator = torch.Generator().manual_seed(0)
    pairs = [SPACES[space].example(_ROWS, _OUTPUTS, generator) for _ in range(_RUNS)]
    preds, targets = (torch.stack(part) for part in zip(*pairs, strict=True))
    keywords = loss.keywords(preds)
    factors = torch.tensor([0.9, 1.0, 1.1])
    mapped: dict[str, Tensor] = {}
    for key, value in keywords.items():
        if isinstance(value, Tensor):
            mapped[key] = value.expand(_RUNS, *value.shape)
        elif isinstance(value, float) and numbers:
            mapped[key] = value * factors
    shared = {key: value for key, value in keywords.items() if key not in mapped}

    def one(pred: Tensor, target: Tensor, mapped: Mapping[str, Any]) -> Tensor:
        return function(pred, target, **shared, **mapped).sum()

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # an operation without a rule for vmap is a slow loop
        gradients, values = torch.vmap(torch.func.grad_and_value(one))(preds, targets, mapped)
    for run in range(_RUNS):
        own = {
            key: value[run] if key in loss._lists else float(value[run]) for key, value in mapped.items()
        }  # as a lone run has them
        gradient, value = torch.func.grad_and_value(one)(preds[run], targets[run], own)
        for found, expected in ((gradients[run], gradient), (values[run], value)):
            if not torch.allclose(found, expected, rtol=1e-3, atol=1e-5, equal_nan=True):
                return False
    return True
