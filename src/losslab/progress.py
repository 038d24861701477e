"""One line in the terminal that tells how far a run or a sweep is. Silent where stderr is no terminal."""

from __future__ import annotations

import sys
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from losslab.module import RunModule


class EpochBar(ProgressBar):
    """Epochs done, the latest training loss and neutral metric, and the time left."""

    def __init__(self, metric: str, shown: bool = True) -> None:
        super().__init__()
        self.metric, self.shown = metric, shown
        self._bar: Progress | None = None

    def disable(self) -> None:
        """Lightning asks for this where nothing should be shown."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the bar."""
        if not (self.shown and sys.stderr.isatty()):
            return
        columns = (
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._bar.add_task("", total=trainer.max_epochs, completed=trainer.current_epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows what the epoch before gave: at the end of an epoch callbacks are called before the module has judged it."""
        shown = (cast(RunModule, pl_module).curves or [{}])[-1]
        if self._bar:
            text = "  ".join(f"{name} {shown[name]:.4g}" for name in ("train/loss", self.metric) if name in shown)
            self._bar.update(self._bar.task_ids[0], completed=trainer.current_epoch, description=text)

    def teardown(self, *_: Any, **__: Any) -> None:
        """Takes the bar away."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def on_exception(self, *_: Any, **__: Any) -> None:
        """Takes the bar away after an error or Ctrl-C, too."""
        self.teardown()


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
        """A run is over."""
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
