"""One run, from a checked request to its record: the file to read first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from losslab import config, corruption, data, device, losses, models, numerics, origin, tasks, threads, torn, trainer
from losslab.claim import claimed
from losslab.events import mend_events
from losslab.folder import check_folder, check_writable, clear_folder, write_config
from losslab.interrupts import check
from losslab.module import Batches, RunModule
from losslab.pairing import fingerprint, globals_restored, seed_globals
from losslab.record import Record, finished, outdated, set_cut_aside
from losslab.tasks import Snapshot

_HASHED = 10**7  # row numbers


@dataclass
class Prepared:
    """All that a run is made of before its first step, each part drawn from the seed's own stream."""

    request: dict[str, Any]
    source: data.Data
    split: data.Split
    rows: corruption.Corrupted
    task: tasks.Task
    model: nn.Module
    init: str  # hash of the initial weights, as all losses share them
    loss: losses.Sum
    batches: Batches
    weights: torch.Tensor | None  # of all rows, where they do not count the same
    of_user: dict[str, str]  # hashes of the user's own files that it is made from

    @property
    def epochs(self) -> int:
        """How many epochs were asked for."""
        return int(self.request["trainer"]["max_epochs"])

    @property
    def steps(self) -> int:
        """Optimizer steps in all epochs."""
        return self.epochs * self.batches.steps

    def threads(self, runs: int = 1) -> int:
        """How many CPU threads a step of this run, or of several like it, is worth."""
        return threads.worth(self.model, self.rows.inputs[: self.batches.batch_size], runs)

    def record(self, **outcome: Any) -> Record:
        """The record of this run, whatever trained it."""
        split, hit = self.split, self.rows.hit
        metrics = self._constant() | outcome.pop("metrics")
        return Record.of(
            self.request,
            metrics=metrics,
            selection={
                "metric": self.task.selector,
                "better": self.task.metrics[self.task.selector],
                "validation": "corrupted" if hit[split["val"]].any() else "clean",
            },
            data={"rows_in": {part: len(numbers) for part, numbers in split.items()}},
            corruption={"rows_hit": {part: int(hit[numbers].sum()) for part, numbers in split.items()}},
            model={"parameters": sum(p.numel() for p in self.model.parameters())},
            **outcome,
        )

    def _constant(self) -> dict[str, float]:
        """The test metrics of the best constant prediction, as the training targets have it: what a useful loss must beat."""
        targets, test = self.rows.targets, self.split["test"]
        raw = self.task.constant(targets[self.split["train"]]).to(self.rows.inputs.dtype)
        found = self.task.evaluate(raw.expand(len(test), -1), targets[test])
        return {f"constant/test/{name}": value for name, value in found.items()}

    def pairing(self) -> dict[str, str]:
        """The hashes by which runs prove that they saw the same. To be taken before the first step."""
        weights = {} if self.weights is None else {"weights": fingerprint([self.weights])}
        return weights | {
            **self.of_user,
            "data": self.source.fingerprint,
            "split": fingerprint(self.split.values()),
            "corruption": fingerprint([self.rows.hit, self.rows.targets, *self.rows.inputs_hit()]),
            "init": self.init,
            "order": fingerprint(self.batches.order(epoch) for epoch in range(self._hashed_epochs())),
        }

    def _hashed_epochs(self) -> int:
        """All, or so many that their hash takes a second: the order of an epoch follows from the seed and the epoch alone."""
        return min(self.epochs, max(1, _HASHED // len(self.batches.rows)))


@globals_restored()
def prepare(request: dict[str, Any]) -> Prepared:
    """Data, corruption, task, model and loss of a checked request, in the order in which data flow."""
    check()
    seed = request["seed"]
    seed_globals(seed, "loss")  # for code of the user's that draws; what is losslab's has generators of its own
    source, split = data.load(request["data"], seed)
    table = config.card("data", request["data"]["name"]).about["kind"] == "table"
    rows = corruption.corrupt(request["corruption"], source, split, seed, standardise=table)
    task = tasks.build(request["task"], source)
    task.check_targets(rows.targets)
    task.calibrate(rows.targets[split["train"]])
    model = models.build(request["model"], rows.inputs.shape[1:], task.outputs, seed, len(rows.inputs))
    init = fingerprint(model.state_dict().values())
    model = models.with_heads(model, config.heads(request["task"]["name"], request["loss"]))
    loss = losses.for_task(request["task"]["name"], request["loss"])
    for term in loss.each():
        targets = task.target(term.space, rows.targets)
        term.calibrate(targets[split["train"]], task.outputs)
        term.check_target(targets, task.outputs)
        term.checks_values = False  # all are right
    _try(task, model, loss, rows)
    check()
    batches = Batches(split["train"], request["data"]["batch_size"], seed)
    labels, weight = task.label_shares(rows.targets), request["data"].get("weight", "none")
    weights = data.row_weights(weight, labels, split["train"], len(rows.targets))
    of_user = config.of_user(request)
    return Prepared(request, source, split, rows, task, model, init, loss, batches, weights, of_user)


@torch.no_grad()
def _try(task: tasks.Task, model: nn.Module, loss: losses.Sum, rows: corruption.Corrupted) -> None:
    """Raises BadRequest where the loss cannot take what task and model give, as with a wrong number of class weights."""
    raw = model.eval()(rows.inputs[:2])
    model.train()
    dtype = rows.inputs.dtype
    try:
        loss.per_sample(
            {space: task.prediction(space, raw) for space in loss.spaces},
            {space: task.target_as(space, rows.targets[:2], dtype) for space in loss.spaces},
        )
    except (ValueError, OverflowError) as error:
        raise config.BadRequest(f"The loss cannot be used here: {error}") from error


def run(
    request: Mapping[str, Any], folder: Path | str, bar: bool = True, study: Mapping[str, Any] | None = None
) -> Record:
    """Trains what `request` asks for, in `folder`, and returns the record that it leaves there.

    A run that is over is not repeated: its record is returned. One that was stopped goes on from its last checkpoint, to
    the end it would have had.

    Args:
        request: a composed config, as `losslab.compose("loss=l1", "seed=3")` gives.
        folder: where config.yaml, record.json, events and checkpoints go; made where it is missing.
        bar: whether a terminal shows how far it is.
        study: which part of which study it is, for its record.

    Raises:
        losslab.BadRequest: before anything is written, for a request that cannot be met, as where another process is
            training this run.
        KeyboardInterrupt: after Ctrl-C; the same call goes on from the last finished epoch.
    """
    request, folder = config.check(request), Path(folder)
    check_writable(folder)
    check_folder(folder, request)
    with claimed([folder]):
        if record := finished(folder, request):
            return record
        if old := outdated(folder, request):
            origin.tell_outdated([old])
            clear_folder(folder)
        return train(request, folder, bar, study)


@globals_restored()
def train(request: dict[str, Any], folder: Path, bar: bool = False, study: Mapping[str, Any] | None = None) -> Record:
    """What `run` does for a checked request whose run is not over, and whose folder is in the hands of this process."""
    device.of_run(request)  # refused before anything is written
    with numerics.as_asked(request):
        return _train(request, folder, bar, study)


def _train(request: dict[str, Any], folder: Path, bar: bool, study: Mapping[str, Any] | None) -> Record:
    started = time.perf_counter()
    set_cut_aside(folder)
    parts = prepare(request)
    with threads.using(parts.threads()):
        return _fit(parts, folder, bar, study, started)


def _fit(parts: Prepared, folder: Path, bar: bool, study: Mapping[str, Any] | None, started: float) -> Record:
    request = parts.request
    pairing = parts.pairing()
    made_by = origin.stamp([pairing])

    resumed = open_folder(folder, request, made_by)
    module = RunModule(
        parts.task,
        parts.model,
        parts.loss,
        parts.rows,
        parts.split,
        request["optimizer"],
        request["penalty"],
        parts.steps,
        trainer.precision(request),
        request["seed"],
        parts.weights,
    )
    module.origin = made_by
    rows = parts.rows
    seen = Snapshot(
        rows.inputs,
        parts.source.targets,
        rows.targets,
        rows.hit,
        parts.split,
        lambda numbers: module.raw(numbers).cpu(),
    )
    fitter = trainer.build(request, parts.task, seen, folder, resumed, bar)
    ready = time.perf_counter()
    trainer.fit(fitter, module, parts.batches, resumed)
    trained = time.perf_counter()
    fit_seconds = module.fit_seconds

    check()
    trainer.draw_figures(fitter)
    metrics = module.evaluate("last")
    best = torch.load(folder / "checkpoints" / "best.ckpt", map_location=module.device, weights_only=True)
    module.load_state_dict(best["state_dict"])
    metrics |= module.evaluate("best")
    record = parts.record(
        **outcome(module.diverged_in, parts.epochs),
        best_epoch=best["epoch"] + 1,
        metrics=metrics,
        curves=module.curves,
        pairing=pairing,
        seconds={
            "setup": ready - started,
            "fit": fit_seconds,
            "total": ready - started + fit_seconds + time.perf_counter() - trained,
        },
        device=device.describe(module.device),
        study=study,
    )
    trainer.log_hyperparameters(fitter, record)
    record.write(folder)
    return record


def open_folder(folder: Path, request: Mapping[str, Any], made_by: Mapping[str, Any]) -> Path | None:
    """Makes the folder of a run, with its config; returns the checkpoint that it is to go on from, if it was stopped before."""
    last = folder / "checkpoints" / "last.ckpt"
    resumed = not request["overwrite"] and _can_go_on(folder, made_by)
    if not resumed:
        clear_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, request)
    return last if resumed else None


def outcome(diverged_in: int | None, epochs: int) -> dict[str, Any]:
    """Status, reason and epochs of a run that trained."""
    if diverged_in:
        reason = f"the loss or a prediction was not finite in epoch {diverged_in}"
        return {"status": "diverged", "reason": reason, "epochs": diverged_in}
    return {"status": "done", "reason": None, "epochs": epochs}


def _can_go_on(folder: Path, made_by: Mapping[str, Any]) -> bool:
    """Whether a folder holds the checkpoints of a lone run, `made_by` the same, that has not diverged. All others start anew."""
    checkpoints = folder / "checkpoints"
    last = torn.checkpoint(checkpoints / "last.ckpt")
    if last is None or not {"diverged_in", "curves"} <= last.keys() or last["diverged_in"] is not None:
        return False
    if torn.checkpoint(checkpoints / "best.ckpt", ("epoch", "state_dict")) is None:
        return False
    if not origin.is_of(last, made_by, folder):
        return False
    mend_events(folder, last)
    return True
