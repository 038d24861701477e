"""Lightning callbacks: checkpoints that are written whole, and a TensorBoard logger."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins import TorchCheckpointIO

from losslab import hardware

_SECONDS_BETWEEN_CHECKPOINTS = 2.0


class BestCheckpoint(ModelCheckpoint):
    """Lightning's, which forgets its best score when the folder of a stopped run was moved; this one takes it along."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the state as if it had been saved in this folder."""
        assert self.dirpath is not None

        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = {key: here(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state_dict | paths | {"dirpath": str(self.dirpath), "best_k_models": best})


class LastCheckpoint(Checkpoint):
    """Keeps the state after the last epoch, to resume from: not more than once in two seconds, and `at_end`.

    Lightning runs checkpoint callbacks after all others in their order, so the state holds what ModelCheckpoint has just decided.
    """

    def __init__(self, path: Path, at_end: bool = True) -> None:
        self.path, self.at_end, self.saved = path, at_end, time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves where it is time."""
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if (last and self.at_end) or time.monotonic() - self.saved > _SECONDS_BETWEEN_CHECKPOINTS:
            if isinstance(trainer.logger, TensorBoardLogger):
                trainer.logger.experiment.flush()  # what a run that goes on from here will not log again
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()


class WholeFiles(TorchCheckpointIO):
    """Puts a checkpoint in its place only once it is complete.

    Lightning writes it to the system's temporary folder first: what is moved from there to another disk may be cut in half, and
    what is stopped before stays there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a draft beside the file and renames it. What lies on a GPU is written from the CPU, so it opens anywhere."""
        draft = Path(path).with_suffix(".draft")
        draft.parent.mkdir(parents=True, exist_ok=True)
        torch.save(hardware.to_cpu(checkpoint), draft)
        draft.replace(path)


class Events(TensorBoardLogger):
    """Lightning's logger, without the hparams.yaml it would lay beside the run's config.yaml."""

    def save(self) -> None:
        """Events are flushed when the logger is finalized."""
