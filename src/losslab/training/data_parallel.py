"""Data-parallel training: several processes take one step together, each with a part of the batch.

Each process has the whole model and all rows, and draws the same batches. It computes the outputs of its part. The outputs of
all parts are then gathered, so that every process computes the loss of the whole batch: what one process would compute, for
every loss, whether it is a mean over samples or not. Gradients are averaged over the processes (torch's DistributedDataParallel
averages too; Li et al. 2020, "PyTorch Distributed: Experiences on Accelerating Data Parallel Training").
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from losslab.errors import BadRequest
from losslab.seeding import globals_restored, seed_globals

_TRIED = 8  # rows on which a model is tried
_ANSWER = "made by the first"


@dataclass(frozen=True)
class Group:
    """The processes that train a run together; by default there is one.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
        store: where they leave words for one another; None where there is one process.
    """

    rank: int = 0
    size: int = 1
    store: Any = None

    @property
    def leads(self) -> bool:
        """Whether this process writes what the run leaves."""
        return self.rank == 0

    def part(self, rows: Tensor) -> Tensor:
        """The rows, of some [n, ...], of which this process computes the outputs: consecutive ones, nearly the same number for each."""
        return rows if self.size == 1 else rows.tensor_split(self.size)[self.rank]

    def whole(self, part: Tensor, count: int) -> Tensor:
        """The outputs of all processes, [count, ...], in the order of the rows. Gradients reach only the part of this process.

        They are multiplied by the number of processes, as `average` divides by it.
        """
        if self.size == 1:
            return part
        lengths = [len(one) for one in torch.empty(count).tensor_split(self.size)]
        sent = part.new_zeros(lengths[0], *part.shape[1:])  # what is gathered has one shape
        sent[: len(part)] = part.detach()
        parts = [torch.empty_like(sent) for _ in lengths]
        dist.all_gather(parts, sent)
        if part.requires_grad:
            part.register_hook(lambda gradient: gradient * self.size)
        parts = [one[:length] for one, length in zip(parts, lengths, strict=True)]
        parts[self.rank] = part
        return torch.cat(parts)

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces the gradient of each parameter by its mean over the processes, in one message for each dtype."""
        if self.size == 1:
            return
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for parameter in parameters:
            if parameter.grad is not None:
                kinds.setdefault(parameter.grad.dtype, []).append(parameter.grad)
        for gradients in kinds.values():
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            dist.all_reduce(flat)
            flat /= self.size
            for gradient, mean in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
                gradient.copy_(mean.view_as(gradient))

    def align(self, model: nn.Module) -> None:
        """Gives every process the weights of the first."""
        if self.size > 1:
            for kept in model.state_dict().values():
                dist.broadcast(kept, 0)

    def of_first(self, make: Callable[[], Path | None]) -> Path | None:
        """The path, or none, that the first process makes; the others wait for it."""
        if self.size == 1:
            return make()
        if self.leads:
            self.store.set(_ANSWER, str(make() or ""))
        said = self.store.get(_ANSWER).decode()
        return Path(said) if said else None

    def check(self, model: nn.Module, inputs: Tensor) -> None:
        """Raises BadRequest for a model whose output for a row depends on the other rows of its batch; tried on inputs [n, ...]."""
        if self.size > 1 and (why := _why_not(model, inputs[:_TRIED])):
            raise BadRequest(
                f"trainer.devices={self.size} gives each process a part of every batch, and {why}; use trainer.devices=1, or "
                "normalise each row by itself (torch.nn.GroupNorm, torch.nn.LayerNorm)."
            )


ALONE = Group()


@globals_restored()
@torch.no_grad()
def _why_not(model: nn.Module, inputs: Tensor) -> str | None:
    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
    for name, layer in model.named_modules():
        if isinstance(layer, kinds) and (layer.track_running_stats or isinstance(layer, kinds[0])):
            return f"the layer '{name}' of the model ({type(layer).__name__}) keeps statistics of whole batches"
    tried = _Trial(model, inputs)
    if tried.changes:
        return f"a training step changes '{tried.changes[0]}' of the model from the rows of its batch"
    draws = not torch.equal(tried.outputs, _Trial(model, inputs, seed=1).outputs)
    if draws:  # parts draw otherwise than the whole, so that nothing can be compared
        return None
    parts = torch.cat([_Trial(model, half).outputs for half in inputs.tensor_split(2)])
    same = torch.allclose(tried.outputs.double(), parts.double(), rtol=1e-3, atol=1e-4, equal_nan=True)
    return None if same else "the model's output for a row depends on the other rows of its batch"


class _Trial:
    """A copy of a model after one forward of a training step."""

    def __init__(self, model: nn.Module, inputs: Tensor, seed: int = 0) -> None:
        self.model, self.tried = model, copy.deepcopy(model).train()
        seed_globals(seed, "dropout")
        self.outputs = self.tried(inputs)

    @cached_property
    def changes(self) -> list[str]:
        """The buffers that are not what they were."""
        after = dict(self.tried.named_buffers())
        return [name for name, kept in self.model.named_buffers() if not torch.equal(kept, after[name])]
