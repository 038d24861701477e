"""One training step of a stack as work on tensors that stay where they are, so that a CUDA graph can replay it.

R runs in the stack, B rows of a batch, S steps of a chunk.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from losslab.fused.functional import Gradient, gradient_of
from losslab.fused.optimizer import StackedOptimizer

if TYPE_CHECKING:
    from losslab.fused.module import FusedModule


class Step:
    """Batch, loss, gradient and optimizer of all runs. Which step it is, a call reads from the device, and counts there.

    losses, penalties: those of the steps of this chunk, [S, R].
    """

    def __init__(self, module: FusedModule, optimizer: StackedOptimizer, chunk: Tensor) -> None:
        self.module, self.optimizer = module, optimizer
        self.rows = torch.zeros_like(chunk)  # of the longest chunk
        self.number = chunk.new_zeros(1)
        self.losses = module.flat.new_zeros(len(chunk), chunk.shape[1])
        self.penalties = torch.zeros_like(self.losses)
        self.gradient: Gradient | None = None

    def trace(self) -> None:
        """Traces the gradient, however few steps there are: for a compiler, to which vmap is a detour. Takes no step."""
        self.gradient = gradient_of(self.module.total, self._given(), math.inf)

    def _given(self) -> tuple[Any, ...]:
        """What the gradient of the next step takes."""
        return self.module.given(self.rows.index_select(0, self.number)[0], self.optimizer.alive)

    def begin(self, chunk: Tensor) -> None:
        """Takes the row numbers of the next steps, [S, R, B]."""
        self.rows[: len(chunk)].copy_(chunk)
        self.number.zero_()

    def __call__(self) -> None:
        """The next step of the chunk. Needs nothing of the CPU but what `StackedOptimizer.begin_step` does before."""
        alive, given = self.optimizer.alive, self._given()
        if self.gradient is None:
            self.gradient = gradient_of(self.module.total, given, self.optimizer.steps)
        gradient, (losses, penalties, carried) = self.gradient(*given)
        self.losses.index_copy_(0, self.number, losses[None])
        self.penalties.index_copy_(0, self.number, penalties[None])
        self.number.add_(1)
        self.optimizer.move(gradient)
        self.module.carry(carried, alive if self.optimizer.guards else None)

    def changed(self) -> list[Tensor]:
        """All tensors that a call changes."""
        optimizer = self.optimizer
        own = [self.number, self.losses, self.penalties, optimizer.now, optimizer.first, optimizer.second]
        return [*own, self.module.flat.detach(), *(self.module.carried()[name] for name in self.module.changing)]
