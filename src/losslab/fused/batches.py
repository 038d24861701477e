"""The batches of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from losslab.training.batches import STEPS, Batches
from losslab.training.prepare import Prepared


class StackedBatches:
    """The batches of all runs, epoch by epoch, in chunks of a few: row numbers [steps, R, B], each run in its own order."""

    def __init__(self, runs: Sequence[Prepared]) -> None:
        self.each = [run.batches for run in runs]
        self.device = torch.device("cpu")
        self.sampler = self  # where Lightning looks for `set_epoch`
        self.epoch = 0
        self._distinct: list[Batches] = []

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.each[0])

    def __iter__(self) -> Any:
        first = self.each[0]
        batches = self._orders().split(first.batch_size, 1)[: first.steps]
        for start in range(0, first.steps, STEPS):
            yield torch.stack(batches[start : start + STEPS])

    def _orders(self) -> Tensor:
        """The rows of all runs in the order of this epoch, [R, n]; it is drawn once for those that share seed and rows."""
        if not self._distinct:
            keys = [(batches.seed, batches.rows.numpy().tobytes()) for batches in self.each]
            own = dict(zip(keys, self.each, strict=True))
            numbers = {key: number for number, key in enumerate(own)}
            self._distinct = list(own.values())
            self._which = torch.tensor([numbers[key] for key in keys], device=self.device)
        drawn = torch.stack([batches.order(self.epoch) for batches in self._distinct]).to(self.device)
        return drawn.index_select(0, self._which)
