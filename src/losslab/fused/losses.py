"""The losses of a stack: each distinct loss is applied once, to the slice of runs that lie under it.

R runs in the stack, r of them under one loss, B rows of a batch.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from losslab import spaces
from losslab.losses import LOSSES, Loss, stacking
from losslab.losses.weighting import OPTIONS, reduced, weighed
from losslab.tasks import Task
from losslab.training.prepare import Prepared

_WHOLE = 2**24  # whole numbers below it are exact in 32 bits
# other numbers between them, as far from whole ones, keep four digits of their squares' inverses
_LEAST, _MOST = 0.9e-3, 1e4
ROW_WEIGHTS = "row weights"  # beside the targets in each space


def loss_key(run: Prepared) -> str:
    """What runs must share to be served by one call of a loss: names, spaces, all that is not mapped, lengths of lists."""

    def fixed(loss: Loss, value: Any) -> Any:
        return value if not _differs(loss, value) else len(value) if isinstance(value, list) else "number"

    terms = [
        (t.name, t.space, {key: fixed(t, value) for key, value in t.params.items()}, t.options) for t in run.loss.each()
    ]
    return json.dumps(terms)


def is_mapped(value: Any) -> bool:
    """Whether a hyperparameter may differ from run to run: a list, or a number that rounding to 32 bits does not harm.

    A lone run computes with a hyperparameter in 64 bits. In 32 bits its square or its inverse may overflow, as of 1e-30, and
    what is left of it beside a whole number may vanish, as of 1 - 1e-9; runs with such a number share it, in 64 bits.
    """
    if not isinstance(value, float):
        return isinstance(value, list)  # whose numbers are of 32 bits in a lone run, too
    size = abs(value)
    if size % 1 == 0:
        return size < _WHOLE
    return size < _MOST and min(size, abs(size - round(size))) > _LEAST


def _differs(loss: Loss, value: Any) -> bool:
    """Whether a hyperparameter of a loss may differ from run to run; a loss from outside may take plain numbers only."""
    return is_mapped(value) and (isinstance(value, list) or stacking.of(loss.name, loss.space).numbers)


class Group(nn.Module):
    """The r runs of a stack, from `start` on, that are served by one loss, or by one sum of losses."""

    weights: Tensor

    def __init__(self, start: int, runs: Sequence[Prepared]) -> None:
        super().__init__()
        self.here = slice(start, start + len(runs))
        self.task = stack_tasks([run.task for run in runs])
        self.spaces = runs[0].loss.spaces
        self.terms = nn.ModuleList(
            StackedTerm([run.loss.each()[n] for run in runs]) for n in range(len(runs[0].loss.terms))
        )
        self.weighted = len(self.terms) > 1 or any(run.loss.weights != [1.0] for run in runs)
        # [terms, r]
        self.register_buffer(
            "weights", torch.tensor([run.loss.weights for run in runs], dtype=runs[0].rows.inputs.dtype).T
        )

    def losses(self, raw: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of each run: raw outputs of the whole stack and targets in each space, [R, B, ...] -> [r]."""
        raw = raw[self.here]
        pairs = {space: (self.task.prediction(space, raw), targets[space][self.here]) for space in self.spaces}
        terms = cast(list[StackedTerm], list(self.terms))
        weights = targets[ROW_WEIGHTS][self.here] if ROW_WEIGHTS in targets else None
        each = torch.stack([term(*pairs[term.space], weights) for term in terms])
        return (self.weights * each).sum(0) if self.weighted else each[0]


class StackedTerm(nn.Module):
    """One loss for r runs, with hyperparameters of its own for each; those that are no numbers are the same for all."""

    def __init__(self, each: Sequence[Loss]) -> None:
        super().__init__()
        first = each[0]
        self.function = LOSSES.of(first.name)
        self.space = first.space
        self.options = [key for key in OPTIONS if any(key in loss.options for loss in each)]
        used = {key: value for key, value in first.params.items() if key in first.plain or key in self.options}
        self.shared = {key: value for key, value in used.items() if not _differs(first, value)}
        self.mapped = [key for key in used if key not in self.shared]
        for key in self.mapped:
            values = torch.tensor([loss.params[key] for loss in each], dtype=torch.float64)
            self.register_buffer(f"param_{key}", values)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean loss of each run: [r, B, ...] twice, and weights of the rows [r, B] -> [r]."""
        params = {key: self.get_buffer(f"param_{key}").to(pred) for key in self.mapped}

        def one(pred: Tensor, target: Tensor, weight: Tensor | None, params: dict[str, Tensor]) -> Tensor:
            every = params | self.shared  # vmap does not map keywords
            options = {key: every.pop(key) for key in self.options}
            met = spaces.meet(self.space, pred, target)
            return reduced(
                "mean", weighed(self.function, self.space, met, every, options), met.shape, self.space, weight
            )

        return torch.vmap(one, in_dims=(0, 0, None if weight is None else 0, 0))(pred, target, weight, params)


def stack_tasks(each: Sequence[Task]) -> Task:
    """One task whose buffers [r, 1, ...] hold those of all, so that its predictions go run by run."""
    stacked = copy.deepcopy(each[0])
    for name, _ in each[0].named_buffers():
        setattr(stacked, name, torch.stack([getattr(task, name) for task in each]).unsqueeze(1))
    return stacked
