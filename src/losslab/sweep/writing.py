"""What a stack leaves: a folder for each run, as if it had been trained alone, or a few files for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from losslab.errors import BadRequest
from losslab.fused.functional import Carried, fill
from losslab.fused.module import FusedModule
from losslab.hardware import to_cpu
from losslab.records import files, stacks
from losslab.records.files import write_whole
from losslab.records.record import Record, hyperparameters
from losslab.records.store import checkpoints
from losslab.training import loggers
from losslab.training.module import outputs_in_use
from losslab.training.prepare import Prepared
from losslab.training.run import open_folder
from losslab.training.tensorboard import Curve, Drawn, write_events
from losslab.training.trainer import quiet

WHICH = ("best", "last")


@dataclass(frozen=True)
class Trained:
    """What came of R runs, or of one of them, on the CPU.

    weights: by "best" and "last", [R, P], or [P] of one run.
    carried: what the models carry beside trained parameters, by the same and by name, [R, ...].
    curves: of each run.
    """

    weights: Mapping[str, Tensor]
    carried: Mapping[str, Carried]
    curves: list[Curve]

    @classmethod
    def of(cls, module: FusedModule) -> Trained:
        """What a trained module holds."""
        weights = {"best": to_cpu(module.best), "last": to_cpu(module.flat.detach())}
        carried = {which: {name: to_cpu(kept) for name, kept in module.carried(which).items()} for which in WHICH}
        return cls(weights, carried, [*module.curves])

    def run(self, number: int) -> Trained:
        """That of one run."""
        return Trained(
            {which: rows[number] for which, rows in self.weights.items()},
            {which: {name: rows[number] for name, rows in kept.items()} for which, kept in self.carried.items()},
            [self.curves[number]],
        )

    def plain(self, numbers: list[int]) -> dict[str, Any]:
        """Some of the runs, as a file keeps them."""
        return {
            "weights": {which: rows[numbers] for which, rows in self.weights.items()},
            "carried": {
                which: {name: rows[numbers] for name, rows in kept.items()} for which, kept in self.carried.items()
            },
            "curves": [self.curves[number] for number in numbers],
        }


def write_folder(folder: Path, parts: Prepared, model: nn.Module, trained: Trained, record: Record) -> None:
    """Leaves what a lone run would have left: config, checkpoints, events, and the record last.

    model: one like that of the run, which gets its weights.
    """
    open_folder(folder, parts.request | {"overwrite": True}, {})
    steps = parts.batches.steps
    epochs = {"best": record.best_epoch or record.epochs, "last": record.epochs}
    drawn, draws = Drawn(), bool(parts.request["logger"]["figures"])
    for path, which in zip(checkpoints(folder), WHICH, strict=True):
        epoch = epochs[which]
        fill(model, trained.weights[which], trained.carried[which])
        state = {f"task.{key}": value for key, value in parts.task.state_dict().items()}
        state |= {f"model.{key}": value for key, value in model.state_dict().items()}
        path.parent.mkdir(exist_ok=True)
        content = {"epoch": epoch - 1, "global_step": epoch * steps, "state_dict": state}
        write_whole(path, _saved(content), lasting=False)
        if draws and (which == "last" or epoch < record.epochs):
            raw = partial(outputs_in_use, model, parts.rows.inputs, seed=record.seed)
            parts.task.draw(drawn, epoch * steps, parts.snapshot(raw))
    if parts.request["logger"]["name"] == "tensorboard":
        write_events(folder, trained.curves[0], drawn, *hyperparameters(record))
    elif loggers.logs_each_run(parts.request["logger"]) and (logger := loggers.build(parts.request["logger"], folder)):
        with quiet():
            loggers.write_curve(logger, trained.curves[0])
    record.write(folder)


def write_together(key: str, runs: Mapping[Path, tuple[Record, int]], trained: Trained) -> None:
    """Leaves a few files for some runs of a stack: by the folder that each would have, its record and its number in the stack."""
    parents: dict[Path, dict[str, tuple[Record, int]]] = defaultdict(dict)
    for folder, run in runs.items():
        parents[folder.parent][folder.name] = run
    for parent, named in parents.items():
        content = {"runs": list(named)} | trained.plain([number for _, number in named.values()])
        stacks.write(parent, key, {name: record for name, (record, _) in named.items()}, _saved(content))


def read_together(path: Path) -> dict[str, Trained]:
    """What came of each run of a stack, by the name of the folder that it would have. Raises BadRequest where that is not there."""
    kept = files.checkpoint(path, ("runs", "weights", "carried", "curves"), "its runs have records alone")
    if kept is None:
        raise BadRequest(f"{path} is not there, and without it there are no weights and curves to make folders of.")
    whole = Trained(kept["weights"], kept["carried"], kept["curves"])
    return {name: whole.run(number) for number, name in enumerate(kept["runs"])}


def _saved(content: Any) -> bytes:
    saved = BytesIO()  # to a path torch writes itself, and does not say what went wrong
    torch.save(content, saved)
    return saved.getvalue()
