"""Draws the task's figures for TensorBoard, a few times in a run."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger

from losslab.tasks import Snapshot, Task


class Figures(Callback):
    """Calls `task.draw` `times` times, spread evenly over the run: at the ends of epochs, and when training is over."""

    def __init__(self, task: Task, seen: Snapshot, times: int) -> None:
        self.task, self.seen, self.times = task, seen, times

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws where this epoch is one of the chosen; the last drawing is left to `finish`."""
        assert trainer.max_epochs
        epoch = trainer.current_epoch + 1
        done, before = ((number * self.times) // trainer.max_epochs for number in (epoch, epoch - 1))
        if done > before and epoch < trainer.max_epochs:
            self.finish(trainer)

    def finish(self, trainer: pl.Trainer) -> None:
        """Draws the model as it is now."""
        assert isinstance(trainer.logger, TensorBoardLogger)
        self.task.draw(trainer.logger.experiment, trainer.global_step, self.seen)
