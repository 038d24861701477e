"""Draws the task's figures for TensorBoard, a few times in a run."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger

from losslab.tasks import Snapshot, Task


class Figures(Callback):
    """Calls `task.draw` `times` times, spread evenly over the run at the ends of epochs; the last one is left to who trains.

    After training `draw` is called for the best epoch and for the last one.
    """

    def __init__(self, task: Task, seen: Snapshot, times: int) -> None:
        self.task, self.seen, self.times = task, seen, times
        self.drawn: set[int] = set()  # steps

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws where this epoch is one of the chosen; the last drawing is left to who trains."""
        assert trainer.max_epochs
        epoch = trainer.current_epoch + 1
        done, before = ((number * self.times) // trainer.max_epochs for number in (epoch, epoch - 1))
        if done > before and epoch < trainer.max_epochs:
            self.draw(trainer, trainer.global_step)

    def draw(self, trainer: pl.Trainer, step: int) -> None:
        """Draws the model as it is now, as that of a step; once for each step."""
        assert isinstance(trainer.logger, TensorBoardLogger)
        if step not in self.drawn:
            self.drawn.add(step)
            self.task.draw(trainer.logger.experiment, step, self.seen)
