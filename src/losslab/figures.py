"""Draws the task's figures for TensorBoard, a few times in a run."""

from __future__ import annotations

from dataclasses import replace

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger

from losslab.module import RunModule
from losslab.tasks import Snapshot, Task


class Figures(Callback):
    """Calls `task.draw` at `times` epochs spread evenly over the run; the last is always one."""

    def __init__(self, task: Task, seen: Snapshot, times: int) -> None:
        self.task, self.seen, self.times = task, seen, times

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws where this epoch is one of the chosen."""
        assert isinstance(pl_module, RunModule)
        assert isinstance(trainer.logger, TensorBoardLogger)
        assert trainer.max_epochs
        done, before = (
            (epoch * self.times) // trainer.max_epochs for epoch in (trainer.current_epoch + 1, trainer.current_epoch)
        )
        if done > before or trainer.should_stop:
            pl_module.eval()
            self.task.draw(trainer.logger.experiment, trainer.global_step, replace(self.seen, raw=pl_module.raw))
            pl_module.train()
