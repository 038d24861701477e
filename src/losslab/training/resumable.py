"""What a single run and a stack share: checkpoints that hold all that is needed to resume."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch


class Resumable(pl.LightningModule):
    """A module whose checkpoints carry, beside weights and optimizer, the attributes in `kept`, its origin and its clock."""

    kept: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.origin: dict[str, Any] = {}  # the code and the data that made it
        self._earlier_seconds, self._started = 0.0, 0.0

    def on_fit_start(self) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()

    @property
    def fit_seconds(self) -> float:
        """Seconds of training, those before an interruption counted in."""
        return self._earlier_seconds + time.perf_counter() - self._started

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Saves what weights and optimizer do not hold."""
        checkpoint |= {"fit_seconds": self.fit_seconds, "origin": self.origin}
        checkpoint |= {name: getattr(self, name) for name in self.kept}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on from there."""
        self._earlier_seconds = checkpoint["fit_seconds"]
        for name in self.kept:
            setattr(self, name, checkpoint[name])

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Batches are made on the device."""
        return batch
