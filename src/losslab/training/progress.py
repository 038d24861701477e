"""One line in the terminal that tells how far a run is. Silent where stderr is no terminal."""

from __future__ import annotations

import sys
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from losslab.training.module import RunModule


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
