"""Measures what one run costs and prints two tables of README.md: `make bench`, which goes on with sweeps.py.

Arms take turns in one process, on the same data, weights and batches; each cell is the median of the repeats, with the
smallest and the largest. A ratio is the median of the ratios of neighbouring turns, so a machine that drifts does little harm.
"""

from __future__ import annotations

import itertools
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from losslab import compose, corruption, data, losses, models, tasks
from losslab.schema import check
from losslab.training import optimizers, trainer
from losslab.training.batches import Batches
from losslab.training.run import run

REPEATS = 3
ROOT = Path(__file__).resolve().parents[2]
CASES = {
    "MLP, friedman": ("task=regression", "loss=smoothl1", "trainer.max_epochs=30"),
    "MLP, digits": ("task=multiclass", "trainer.max_epochs=30"),
    "CNN, digits": ("task=multiclass", "model=cnn", "trainer.max_epochs=30"),
    "CNN, scenes": ("task=bbox", "trainer.max_epochs=4"),
}


class Parts:
    """What a run is made of, made anew for each turn."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.source, self.split = data.load(request["data"], request["seed"])
        self.rows = corruption.corrupt(request["corruption"], self.source, self.split, request["seed"])
        self.task = tasks.build(request["task"], self.source)
        self.task.calibrate(self.rows.targets[self.split["train"]])
        self.model = models.build(request["model"], self.rows.inputs.shape[1:], self.task.outputs, request["seed"])
        self.loss = losses.for_task(request["task"]["name"], request["loss"])
        self.batches = Batches(self.split["train"], request["data"]["batch_size"], request["seed"])
        self.epochs = request["trainer"]["max_epochs"]
        self.optimizer, _ = optimizers.build(
            request["optimizer"], self.model.parameters(), self.epochs * self.batches.steps
        )
        self.space = self.loss.spaces[0]
        self.targets = self.task.target(self.space, self.rows.targets)


def bare(request: dict[str, Any]) -> float:
    """A loop in plain PyTorch: the same steps, and the same metrics on the validation split after each epoch."""
    parts = Parts(request)
    val = parts.split["val"]
    started = time.perf_counter()
    for epoch in range(parts.epochs):
        parts.batches.set_epoch(epoch)
        for rows in itertools.chain.from_iterable(parts.batches):
            parts.optimizer.zero_grad()
            pred = parts.task.prediction(parts.space, parts.model(parts.rows.inputs[rows]))
            parts.loss.per_sample(pred, parts.targets[rows]).mean().backward()
            parts.optimizer.step()
        with torch.no_grad():
            raw = parts.model(parts.rows.inputs[val])
            parts.loss.per_sample(parts.task.prediction(parts.space, raw), parts.targets[val]).mean()
            parts.task.evaluate(raw, parts.rows.targets[val])
    return time.perf_counter() - started


def ours(request: dict[str, Any]) -> float:
    """The training loop of a run as a user gets it: Lightning, checkpoints, curves for TensorBoard."""
    with tempfile.TemporaryDirectory() as folder:
        return run(request, folder).seconds["fit"]


class Template(pl.LightningModule):
    """The module that tutorials write: batches of pairs, `self.log` in each step."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts, self.model = parts, parts.model

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """One step."""
        pred = self.parts.task.prediction(self.parts.space, self.model(batch[0]))
        loss = self.parts.loss.per_sample(pred, batch[1]).mean()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        """One batch of validation."""
        raw = self.model(batch[0])
        self.log(
            "val/loss",
            self.parts.loss.per_sample(self.parts.task.prediction(self.parts.space, raw), batch[1]).mean(),
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As in the other arms."""
        return self.parts.optimizer


def template(request: dict[str, Any]) -> float:
    """Lightning as tutorials use it: DataLoader over a TensorDataset, its default logger and checkpoint; but no progress bar."""
    parts = Parts(request)
    loaders = [
        DataLoader(
            TensorDataset(parts.rows.inputs[rows], parts.targets[rows]),
            request["data"]["batch_size"],
            shuffle=train,
            drop_last=train,
        )
        for rows, train in ((parts.split["train"], True), (parts.split["val"], False))
    ]
    with tempfile.TemporaryDirectory() as folder, trainer.quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer batches than it logs after
        fitter = pl.Trainer(
            max_epochs=parts.epochs,
            accelerator="cpu",
            default_root_dir=folder,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        started = time.perf_counter()
        fitter.fit(Template(parts), *loaders)
        return time.perf_counter() - started


def loops(console: Console) -> None:
    """Prints the cost of the training loop, arm by arm."""
    table = Table(title="training loop of one run: times the bare PyTorch loop", title_justify="left")
    for column in ("case", "bare loop, ms a step", "losslab", "Lightning as in tutorials"):
        table.add_column(column, justify="left" if column == "case" else "right")
    for case, overrides in CASES.items():
        request = compose(*overrides, "trainer=cpu")
        arms: dict[str, Callable[[dict[str, Any]], float]] = {"bare": bare, "losslab": ours, "template": template}
        times: dict[str, list[float]] = {name: [] for name in arms}
        for turn in range(REPEATS + 1):
            for name, arm in arms.items():
                seconds = arm(request)
                if turn:  # the first is a warm-up
                    times[name].append(seconds)
        steps = request["trainer"]["max_epochs"] * (
            check.split_sizes(request["data"])["train"] // request["data"]["batch_size"]
        )
        cells = [_cell([1000 * t / steps for t in times["bare"]])]
        for name in ("losslab", "template"):
            cells.append(_cell([arm / base for arm, base in zip(times[name], times["bare"], strict=True)]))
        table.add_row(case, *cells)
    console.print(table)


def processes(console: Console) -> None:
    """Prints what a command costs from start to end."""
    python, script = sys.executable, str(ROOT / "train.py")
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "import torch, pytorch_lightning": [python, "-c", "import torch, pytorch_lightning"],
            "train.py trainer.max_epochs=1": [
                python,
                script,
                "trainer.max_epochs=1",
                f"hydra.run.dir={folder}/run",
                "overwrite=true",
            ],
            "train.py -m, 300 runs": [
                *[
                    python,
                    script,
                    "-m",
                    "loss=mse,l1,smoothl1,huber,cauchy,tukey",
                    "corruption.fraction=0,0.1,0.2,0.3,0.4",
                ],
                *["seed=range(0,10)", f"hydra.sweep.dir={folder}/sweep", "overwrite=true"],
            ],
            "train.py --help": [python, script, "--help"],
            "train.py loss=huber loss.delta=-1": [python, script, "loss=huber", "loss.delta=-1"],
            "train.py los=mse": [python, script, "los=mse"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(REPEATS + 1):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, capture_output=True, cwd=folder)
                if turn:
                    times[name].append(time.perf_counter() - started)
    table = Table(title="whole processes, seconds", title_justify="left")
    table.add_column("command")
    table.add_column("median (smallest to largest)", justify="right")
    for name, seconds in times.items():
        table.add_row(name, _cell(seconds))
    whole, imports = times["train.py trainer.max_epochs=1"], times["import torch, pytorch_lightning"]
    table.add_row("a run of one epoch beyond its imports", _cell([a - b for a, b in zip(whole, imports, strict=True)]))
    console.print(table)


def _cell(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    out = Console(width=120)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, pytorch-lightning {pl.__version__}"
    out.print(f"{platform.machine()}, {torch.get_num_threads()} threads; {versions}; {REPEATS} turns\n")
    loops(out)
    processes(out)
