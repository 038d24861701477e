"""What a run is made of: data, split, corruption, task, model, loss and batches, before the first step."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
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
_DECIDING = (
    "seed",
    "task",
    "data",
    "corruption",
    "model",
    "trainer",
)  # parts of a request that decide all but the loss
_MEETING = ("task", "data", "model", "loss")  # those that decide whether the loss can take what task and model give


@dataclass
class WithoutLoss:
    """What runs share that differ only in loss, optimizer and penalty. Each random part comes from its own stream of the seed."""

    source: data.Data
    split: data.Split
    rows: corruption.Corrupted
    task: tasks.Task
    model: nn.Module
    init: str  # hash of the initial weights, as all losses share them
    batches: Batches
    weights: torch.Tensor | None  # of all rows, where they do not count the same
    facts: dict[str, Any]  # what records say of all this, once one of the runs has computed it


@dataclass
class Prepared(WithoutLoss):
    """All parts of a run before its first step."""

    request: dict[str, Any]
    loss: losses.Sum
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
        facts = copy.deepcopy(self._once("record", self._facts))
        metrics = facts.pop("metrics") | outcome.pop("metrics")
        return Record.of(self.request, metrics=metrics, **facts, **outcome)

    def _facts(self) -> dict[str, Any]:
        """What the record says of data, corruption, model and selection, and the metrics of a constant."""
        split, corrupted = self.split, self.rows.corrupted
        return {
            "metrics": self._constant(),
            "selection": {
                "metric": self.task.selector,
                "better": self.task.metrics[self.task.selector],
                "validation": "corrupted" if corrupted[split["val"]].any() else "clean",
            },
            "data": {"rows_in": {part: len(numbers) for part, numbers in split.items()}},
            "corruption": {"rows_hit": {part: int(corrupted[numbers].sum()) for part, numbers in split.items()}},
            "model": {"parameters": sum(p.numel() for p in self.model.parameters())},
        }

    def _constant(self) -> dict[str, float]:
        """The test metrics of the best constant prediction for the training targets, as a baseline."""
        targets, test = self.rows.targets, self.split["test"]
        raw = self.task.constant(targets[self.split["train"]]).to(self.rows.inputs.dtype)
        found = self.task.evaluate(raw.expand(len(test), -1), targets[test])
        return {f"constant/test/{name}": value for name, value in found.items()}

    def pairing(self) -> dict[str, str]:
        """The hashes by which runs prove that they saw the same. To be taken before the first step."""
        return self.of_user | self._once("pairing", self._hashes)

    def _hashes(self) -> dict[str, str]:
        weights = {} if self.weights is None else {"weights": fingerprint([self.weights])}
        return weights | {
            "data": self.source.fingerprint,
            "split": fingerprint(self.split.values()),
            "test_rows": fingerprint([self.split["test"]]),
            "corruption": fingerprint([self.rows.corrupted, self.rows.targets, *self.rows.corrupted_inputs()]),
            "init": self.init,
            "order": fingerprint(self.batches.order(epoch) for epoch in range(self._hashed_epochs())),
        }

    def _once(self, what: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What is the same for all runs that share their parts, from the first that asks for it."""
        if what not in self.facts:
            self.facts[what] = make()
        found: dict[str, Any] = self.facts[what]
        return found

    def _hashed_epochs(self) -> int:
        """All, or so many that their hash takes a second: the order of an epoch follows from the seed and the epoch alone."""
        return min(self.epochs, max(1, _HASHED // len(self.batches.rows)))


def prepare(request: dict[str, Any]) -> Prepared:
    """Data, corruption, task, model and loss of a checked request, in the order in which data flow."""
    return prepare_all([request])[0]


@globals_restored()
def prepare_all(requests: Sequence[dict[str, Any]]) -> list[Prepared]:
    """The same of several requests. What is the same for some of them is made once, and shared: nothing may write into it."""
    made: dict[str, WithoutLoss] = {}
    initial: dict[str, tuple[nn.Module, str]] = {}
    tried: set[str] = set()
    runs = []
    for request in requests:
        check()
        heads = compatibility.heads(request["task"]["name"], request["loss"])
        key = f"{heads} {shared(request)}"
        if key not in made:
            made[key] = _without_loss(request, heads, initial)
        runs.append(_with_loss(made[key], request))
        kind = json.dumps([request[part] for part in _MEETING], sort_keys=True)
        if kind not in tried:
            _try(runs[-1])
            tried.add(kind)
    return runs


def shared(request: dict[str, Any]) -> str:
    """All of a request that decides what is made without the loss, as text."""
    return json.dumps([request[part] for part in _DECIDING], sort_keys=True)


def _without_loss(request: dict[str, Any], heads: int, initial: dict[str, tuple[nn.Module, str]]) -> WithoutLoss:
    """initial: the models that were made before, and the hashes of their weights, by what decides them."""
    seed = request["seed"]
    seed_globals(seed, "loss")  # for code of the user's that draws; what is losslab's has generators of its own
    source, split = data.load(request["data"], seed, request["task"]["name"])
    compatibility.check_kind(request["data"]["name"], source.kind, request["model"]["name"])
    scaled = source.kind == "table" and source.encode is None
    rows = corruption.corrupt(request["corruption"], source, split, seed, standardise=scaled)
    task = tasks.build(request["task"], source)
    task.check_targets(rows.targets)
    task.calibrate(rows.targets[split["train"]])
    shape = (rows.inputs.shape[1:], task.outputs, seed, len(rows.inputs))
    if (key := json.dumps([request["model"], shape, heads], sort_keys=True)) not in initial:
        model = models.build(request["model"], *shape)
        init = fingerprint(model.state_dict().values())
        initial[key] = models.with_heads(model, heads), init
    model, init = initial[key]
    batches = Batches(split["train"], request["data"]["batch_size"], seed)
    labels, weight = task.label_shares(rows.targets), request["data"].get("weight", "none")
    weights = data.row_weights(weight, labels, split["train"], len(rows.targets), source.weights)
    return WithoutLoss(source, split, rows, task, model, init, batches, weights, {})


def _with_loss(parts: WithoutLoss, request: dict[str, Any]) -> Prepared:
    check()
    seed_globals(request["seed"], "loss")
    task, rows = parts.task, parts.rows
    loss = losses.for_task(request["task"]["name"], request["loss"], request["task"])
    for term in loss.each():
        targets = task.target(term.space, rows.targets)
        term.calibrate(targets[parts.split["train"]], task.classes)
        term.check_target(targets, task.classes)
        term.checks_values = False  # all are right
    check()
    return Prepared(**vars(parts), request=request, loss=loss, of_user=schema_check.of_user(request))


@torch.no_grad()
def _try(run: Prepared) -> None:
    """Raises BadRequest where the loss cannot take what task and model give, as with a wrong number of class weights."""
    task, loss, rows = run.task, run.loss, run.rows
    raw = run.model.eval()(rows.inputs[:2])
    run.model.train()
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
