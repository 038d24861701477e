"""One line in the terminal that tells how far a sweep is. Silent where stderr is no terminal."""

from __future__ import annotations

import sys

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class SweepBar:
    """Runs done, the epoch of those that train, and the time left; counts epochs of single runs."""

    def __init__(self, runs: int, run_epochs: int) -> None:
        self.runs, self.done, self.before = runs, 0, 0
        columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        console = Console(stderr=True)
        self._bar = Progress(
            *columns,
            console=console,
            transient=True,
            disable=not sys.stderr.isatty(),
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._bar.add_task(f"0 of {runs} runs", total=run_epochs)

    def __enter__(self) -> SweepBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def epoch(self, together: int, epoch: int, epochs: int) -> None:
        """`together` runs have ended `epoch` of their `epochs` epochs."""
        text = f"{self.done} of {self.runs} runs, {together} at epoch {epoch} of {epochs}"
        self._bar.update(self._task, completed=self.before + together * epoch, description=text)

    def finish(self, epochs: int) -> None:
        """A run has finished."""
        self.done += 1
        self.before += epochs
        self._bar.update(self._task, completed=self.before, description=f"{self.done} of {self.runs} runs")


class StackEpochs(Callback):
    """Tells the bar of a sweep how far a stack is."""

    def __init__(self, bar: SweepBar, together: int) -> None:
        self.bar, self.together = bar, together

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Moves the bar."""
        self.bar.epoch(self.together, trainer.current_epoch, trainer.max_epochs or 0)
