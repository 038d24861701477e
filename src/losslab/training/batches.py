"""The batches of a run, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from losslab import seeding
from losslab.safe_points import check

STEPS = 32  # that Lightning sees as one batch: its own work is done once for all of them


class Batches:
    """The row numbers of each training batch, epoch by epoch, from the seed's stream `order`; what is left over is dropped.

    Lightning gets them in chunks of a few batches, since for a small model its own work a batch costs as much as a step.
    Which rows make a batch depends on (seed, epoch) alone, so a run that is resumed sees the batches it would have seen.
    """

    def __init__(self, rows: Tensor, batch_size: int, seed: int) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.device = torch.device("cpu")
        self.epoch = 0
        self.sampler = self  # where Lightning looks for `set_epoch`

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self.rows) // self.batch_size

    def __len__(self) -> int:
        return -(-self.steps // STEPS)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        # A generator, as Lightning calls iter() before it says from which epoch it resumes: the order is drawn at the first next().
        batches = self.order(self.epoch).to(self.device).split(self.batch_size)[: self.steps]
        for start in range(0, self.steps, STEPS):
            yield batches[start : start + STEPS]

    def order(self, epoch: int) -> Tensor:
        """The training rows in the order of one epoch."""
        check()
        return self.rows[torch.randperm(len(self.rows), generator=seeding.generator(self.seed, "order", epoch))]
