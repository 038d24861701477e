"""What a run is made of: data, split, corruption, task, model, loss and batches, before the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from losslab import corruption, data, errors, losses, models, tasks
from losslab.records.record import Record
from losslab.safe_points import check
from losslab.schema import cards, compatibility
from losslab.schema import check as schema_check
from losslab.seeding import fingerprint, globals_restored, seed_globals
from losslab.training import threads
from losslab.training.batches import Batches

_HASHED = 10**7  # row numbers


@dataclass
class Prepared:
    """All parts of a run before its first step. Each random part comes from its own stream of the seed."""

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
        """The number of CPU threads worth using for a step of this run, or of several like it."""
        return threads.worth(self.model, self.rows.inputs[: self.batches.batch_size], runs)

    def snapshot(self, raw: Callable[[torch.Tensor], torch.Tensor]) -> tasks.Snapshot:
        """What the figures of the task show, of a model that gives `raw` outputs for row numbers."""
        rows = self.rows
        return tasks.Snapshot(rows.inputs, self.source.targets, rows.targets, rows.corrupted, self.split, raw)

    def record(self, **outcome: Any) -> Record:
        """The record of this run, whatever trained it."""
        split, corrupted = self.split, self.rows.corrupted
        metrics = self._constant() | outcome.pop("metrics")
        return Record.of(
            self.request,
            metrics=metrics,
            selection={
                "metric": self.task.selector,
                "better": self.task.metrics[self.task.selector],
                "validation": "corrupted" if corrupted[split["val"]].any() else "clean",
            },
            data={"rows_in": {part: len(numbers) for part, numbers in split.items()}},
            corruption={"rows_hit": {part: int(corrupted[numbers].sum()) for part, numbers in split.items()}},
            model={"parameters": sum(p.numel() for p in self.model.parameters())},
            **outcome,
        )

    def _constant(self) -> dict[str, float]:
        """The test metrics of the best constant prediction for the training targets, as a baseline."""
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
            "test_rows": fingerprint([self.split["test"]]),
            "corruption": fingerprint([self.rows.corrupted, self.rows.targets, *self.rows.corrupted_inputs()]),
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
    source, split = data.load(request["data"], seed, request["task"]["name"])
    compatibility.check_kind(request["data"]["name"], source.kind, request["model"]["name"])
    scaled = source.kind == "table" and source.encode is None
    rows = corruption.corrupt(request["corruption"], source, split, seed, standardise=scaled)
    task = tasks.build(request["task"], source)
    task.check_targets(rows.targets)
    task.calibrate(rows.targets[split["train"]])
    model = models.build(request["model"], rows.inputs.shape[1:], task.outputs, seed, len(rows.inputs))
    init = fingerprint(model.state_dict().values())
    model = models.with_heads(model, compatibility.heads(request["task"]["name"], request["loss"]))
    loss = losses.for_task(request["task"]["name"], request["loss"], request["task"])
    for term in loss.each():
        targets = task.target(term.space, rows.targets)
        term.calibrate(targets[split["train"]], task.classes)
        term.check_target(targets, task.classes)
        term.checks_values = False  # all are right
    _try(task, model, loss, rows)
    check()
    batches = Batches(split["train"], request["data"]["batch_size"], seed)
    labels, weight = task.label_shares(rows.targets), request["data"].get("weight", "none")
    weights = data.row_weights(weight, labels, split["train"], len(rows.targets), source.weights)
    of_user = schema_check.of_user(request)
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
    except Exception as error:
        of_losslab = all(cards.card("loss", term.name).shipped for term in loss.each())
        if of_losslab and not isinstance(error, ValueError | OverflowError):
            raise
        errors.raise_if_ended(error)
        said = error if isinstance(error, ValueError | OverflowError) else errors.describe(error)
        raise errors.BadRequest(f"The loss cannot be used here: {said}") from error
