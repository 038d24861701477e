"""The loggers of Lightning's that `logger=` names beside TensorBoard: a CSV file, MLflow and Weights & Biases, none of them online."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger, Logger

from losslab.training.tensorboard import Band, Curve

_RUNS = "losslab"  # the experiment of MLflow, and the project of Weights & Biases, unless named


def build(settings: Mapping[str, Any], folder: Path) -> Logger | None:
    """The logger that the settings name; None for TensorBoard, which has its own ways, and for none.

    Args:
        settings: `logger` of a request.
        folder: of the run, whose name the run has there.
    """
    make = _MAKERS.get(settings["name"])
    return make(settings, folder) if make else None


def logs_each_run(settings: Mapping[str, Any]) -> bool:
    """Whether the runs of a stack are logged one by one, beside their folders; else their means are, once all are done."""
    return settings["name"] not in ("mlflow", "wandb")


def write_curve(logger: Logger, curve: Curve) -> None:
    """Logs the curve of a run that was trained in a stack."""
    for step, values in curve:
        logger.log_metrics(dict(values), step)
    _close(logger)


def write_bands(logger: Logger, bands: Mapping[str, Band]) -> None:
    """Logs mean curves under their own names, with their bands as `band/<name>/low` and `band/<name>/high`; a step is an epoch."""
    for epoch in range(max((len(band.mean) for band in bands.values()), default=0)):
        values = {name: band.mean[epoch] for name, band in bands.items() if epoch < len(band.mean)}
        low = {f"band/{name}/low": bands[name].low[epoch] for name in values}
        high = {f"band/{name}/high": bands[name].high[epoch] for name in values}
        logger.log_metrics({name: float(value) for name, value in (values | low | high).items()}, epoch + 1)
    _close(logger)


def write_results(logger: Logger, settings: Mapping[str, Any], metrics: Mapping[str, float], step: int) -> None:
    """Logs hyperparameters and final metrics of a run, and closes its log. A CSV file has curves alone."""
    if not isinstance(logger, CSVLogger):
        logger.log_hyperparams(dict(settings))
        logger.log_metrics(dict(metrics), step)
    _close(logger)


def _close(logger: Logger) -> None:
    logger.finalize("success")
    if finish := getattr(
        getattr(logger, "experiment", None), "finish", None
    ):  # else Weights & Biases would log the next run as this one
        finish()


class Replay(Callback):
    """Logs the epochs before the checkpoint from which a run goes on: what was logged before the stop is another log, or replaced."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning calls this once the checkpoint is loaded."""
        curves: Any = pl_module.curves
        for epoch, values in enumerate(curves, 1):
            trainer.logger.log_metrics(values, trainer.global_step // len(curves) * epoch)  # type: ignore


class _Table(CSVLogger):
    """Lightning's, without the hparams.yaml that it would lay beside the run's config.yaml."""

    def save(self) -> None:
        """Writes metrics.csv."""
        experiment: Any = self.experiment
        super(type(experiment), experiment).save()


def _csv(settings: Mapping[str, Any], folder: Path) -> Logger:
    return _Table(folder, name="", version="", flush_logs_every_n_steps=1)


def _mlflow(settings: Mapping[str, Any], folder: Path) -> Logger:
    # the later versions of MLflow ask for these: that its files are meant, and that nothing of their use is sent anywhere
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from pytorch_lightning.loggers import MLFlowLogger

    store = Path(settings["folder"]).absolute().as_uri()
    return MLFlowLogger(settings["experiment"] or _RUNS, run_name=folder.name, tracking_uri=settings["uri"] or store)


def _wandb(settings: Mapping[str, Any], folder: Path) -> Logger:
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb
    from pytorch_lightning.loggers import WandbLogger

    Path(settings["folder"]).mkdir(parents=True, exist_ok=True)
    return WandbLogger(
        folder.name,
        project=settings["project"] or _RUNS,
        save_dir=settings["folder"],
        offline=True,
        settings=wandb.Settings(silent=True, console="off"),
    )


_MAKERS: dict[str, Callable[[Mapping[str, Any], Path], Logger]] = {"csv": _csv, "mlflow": _mlflow, "wandb": _wandb}
