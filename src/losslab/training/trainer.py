"""The Lightning Trainer of a run: its callbacks, its logger, and which warnings it silences."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.exceptions import SIGTERMException

from losslab import hardware
from losslab.records.record import Record, hyperparameters
from losslab.tasks import Snapshot, Task
from losslab.training import loggers
from losslab.training.callbacks import BestCheckpoint, Events, LastCheckpoint, WholeFiles
from losslab.training.figures import Figures
from losslab.training.progress import EpochBar
from losslab.training.tensorboard import write_results

# Lightning sets this for programs that fork; it makes each step of torch's optimizers ask the driver for GPUs anew.
os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


def build(
    request: Mapping[str, Any],
    task: Task,
    seen: Snapshot,
    folder: Path,
    bar: bool = True,
) -> pl.Trainer:
    """A Trainer that writes checkpoints and events into `folder` and prints nothing but its progress bar."""
    monitor = task.selector
    callbacks: list[Callback] = [
        EpochBar(f"val/{monitor}", shown=bar),
        BestCheckpoint(
            dirpath=folder / "checkpoints",
            filename="best",
            monitor=f"val/{monitor}",
            mode=task.metrics[monitor],
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        LastCheckpoint(folder / "checkpoints" / "last.ckpt"),
    ]
    with quiet():
        logger = loggers.build(request["logger"], folder)
        if logger:
            callbacks.append(loggers.Replay())
        elif request["logger"]["name"] == "tensorboard":
            logger = Events(folder, name=None, version="", default_hp_metric=False)
            if request["logger"]["figures"]:
                callbacks.append(Figures(task, seen, times=request["logger"]["figures"]))
        return _trainer(request, logger, callbacks, folder)


def build_follower(request: Mapping[str, Any]) -> pl.Trainer:
    """A Trainer that leaves nothing, for a process that trains a run together with the one that writes."""
    with quiet():
        return _trainer(request, None, [], None)


def _trainer(
    request: Mapping[str, Any], logger: Logger | None, callbacks: list[Callback], folder: Path | None
) -> pl.Trainer:
    where = hardware.of_run(request)
    return pl.Trainer(
        accelerator=where.type,
        strategy=SingleDeviceStrategy(where),
        max_epochs=request["trainer"]["max_epochs"],
        deterministic=request["trainer"]["deterministic"],
        benchmark=False,
        # elsewhere RunModule holds model and data in their precision itself, so that the task's scales keep theirs
        precision="bf16-mixed" if request["trainer"]["precision"] == "bf16-mixed" else "32-true",
        logger=logger or False,
        callbacks=callbacks,
        default_root_dir=folder,
        enable_progress_bar=folder is not None,
        enable_checkpointing=bool(callbacks),
        log_every_n_steps=0,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        use_distributed_sampler=False,
        plugins=[WholeFiles()],
        enable_autolog_hparams=False,
    )


def build_for_stack(request: Mapping[str, Any], checkpoint: Path, callbacks: list[Callback]) -> pl.Trainer:
    """A Trainer for a stack of runs, which keeps their curves and best weights itself; it leaves `checkpoint` to resume from."""
    with quiet():
        return _trainer(request, None, [*callbacks, LastCheckpoint(checkpoint, at_end=False)], None)


def precision(request: Mapping[str, Any]) -> torch.dtype:
    """The dtype of weights, inputs and targets of a run."""
    kept = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64-true": torch.float64}
    return kept.get(request["trainer"]["precision"], torch.float32)


def fit(fitter: pl.Trainer, module: pl.LightningModule, batches: Any, resumed: Path | None) -> None:
    """Trains to the end, from the checkpoint `resumed` where there is one. Raises KeyboardInterrupt after Ctrl-C and SIGTERM."""
    batches.device = fitter.strategy.root_device
    ctrl_c = signal.getsignal(signal.SIGINT)
    with quiet():
        try:
            fitter.fit(module, batches, ckpt_path=resumed, weights_only=True)
        except SystemExit as stop:
            if isinstance(
                stop.__context__, KeyboardInterrupt
            ):  # Lightning ends the process, and has made it deaf to Ctrl-C
                signal.signal(signal.SIGINT, ctrl_c)
            elif not isinstance(stop, SIGTERMException):
                raise RuntimeError("the loss or the model asked Python to exit") from stop
            raise KeyboardInterrupt from None
    module.to(batches.device)  # Lightning takes it off the GPU


def draw_figures(fitter: pl.Trainer, step: int) -> None:
    """Draws the task's figures for the model as it was after a step, if figures were asked for, and not drawn then."""
    for callback in fitter.callbacks:  # type: ignore[attr-defined]  # Lightning sets it
        if isinstance(callback, Figures):
            callback.draw(fitter, step)


def log_results(fitter: pl.Trainer, record: Record, folder: Path) -> None:
    """Writes hyperparameters and final metrics, as for TensorBoard's HParams tab, and closes the log."""
    if isinstance(fitter.logger, TensorBoardLogger):
        fitter.logger.finalize("success")
        write_results(folder, *hyperparameters(record), fitter.global_step)
    elif fitter.logger:
        with quiet():
            loggers.write_results(fitter.logger, *hyperparameters(record), fitter.global_step)


@contextmanager
def quiet() -> Iterator[None]:
    """No tips, no advertisements, no advice about workers that data held in memory does not need."""
    spoken = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in spoken]
    try:
        for logger in spoken:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated.*")  # Lightning's own use of torch
            warnings.filterwarnings("ignore", message="GPU available but not used")  # trainer=cpu asked for that
            warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
            warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
            warnings.filterwarnings("ignore", message=".*`srun` command is available")  # no run here needs it
            yield
    finally:
        for logger, level in zip(spoken, levels, strict=True):
            logger.setLevel(level)
