"""Many runs as one LightningModule: each moves as if it were alone, and all of them move in one step.

R runs in the stack, r of them under one loss, B rows of a batch, n rows of the data.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from losslab.losses import LOSSES, Loss
from losslab.module import STEPS
from losslab.run import Prepared
from losslab.stacked import StackedOptimizer, flatten_parameters, forward_for, is_weight
from losslab.tasks import Task

_EVALUATION_VALUES = 2**24  # numbers that a forward without gradient takes in at once


def loss_key(run: Prepared) -> str:
    """What runs must share to be served by one call of a loss: names, spaces, all that is not a plain number, lengths of lists."""

    def fixed(value: Any) -> Any:
        return "number" if isinstance(value, float) else len(value) if isinstance(value, list) else value

    terms = [(t.name, t.space, {key: fixed(value) for key, value in t.params.items()}) for t in run.loss.each()]
    return json.dumps(terms)


class StackedBatches:
    """The batches of all runs, epoch by epoch, in chunks of a few: row numbers [R, B], each run in its own order."""

    def __init__(self, runs: Sequence[Prepared]) -> None:
        self.each = [run.batches for run in runs]
        self.device = torch.device("cpu")
        self.sampler = self  # where Lightning looks for `set_epoch`
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.each[0])

    def __iter__(self) -> Any:
        first = self.each[0]
        orders = torch.stack([batches.order(self.epoch) for batches in self.each]).to(self.device)
        batches = orders.split(first.batch_size, 1)[: first.steps]
        for start in range(0, first.steps, STEPS):
            yield batches[start : start + STEPS]


class Group(nn.Module):
    """The r runs of a stack, from `start` on, that are served by one loss, or by one sum of losses."""

    weights: Tensor

    def __init__(self, start: int, runs: Sequence[Prepared]) -> None:
        super().__init__()
        self.here = slice(start, start + len(runs))
        self.task = stack_tasks([run.task for run in runs])
        self.spaces = runs[0].loss.spaces
        for space in self.spaces:
            targets = [run.task.target(space, run.rows.targets) for run in runs]
            self.register_buffer(f"targets_as_{space}", torch.stack(targets))
        self.terms = nn.ModuleList(
            StackedTerm([run.loss.each()[n] for run in runs]) for n in range(len(runs[0].loss.terms))
        )
        self.weighted = len(self.terms) > 1 or any(run.loss.weights != [1.0] for run in runs)
        # [terms, r]
        self.register_buffer(
            "weights", torch.tensor([run.loss.weights for run in runs], dtype=runs[0].rows.inputs.dtype).T
        )

    def losses(self, raw: Tensor, rows: Tensor) -> Tensor:
        """Mean loss of each run: raw outputs and row numbers of the whole stack, [R, B, ...] and [R, B] -> [r]."""
        raw, rows = raw[self.here], rows[self.here]
        run = torch.arange(len(rows), device=rows.device)[:, None]
        pairs = {
            space: (self.task.prediction(space, raw), self.get_buffer(f"targets_as_{space}")[run, rows])
            for space in self.spaces
        }
        terms = cast(list[StackedTerm], list(self.terms))
        each = torch.stack([term(*pairs[term.space]) for term in terms])
        return (self.weights * each).sum(0) if self.weighted else each[0]


class StackedTerm(nn.Module):
    """One loss for r runs, with hyperparameters of its own for each; those that are no numbers are the same for all."""

    def __init__(self, each: Sequence[Loss]) -> None:
        super().__init__()
        self.function = LOSSES[each[0].name]
        self.space = each[0].space
        self.shared = {key: value for key, value in each[0].params.items() if not isinstance(value, float | list)}
        self.mapped = [key for key in each[0].params if key not in self.shared]
        for key in self.mapped:
            values = torch.tensor([loss.params[key] for loss in each], dtype=torch.float64)
            self.register_buffer(f"param_{key}", values)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Mean loss of each run: [r, B, ...] twice -> [r]."""
        params = {key: self.get_buffer(f"param_{key}").to(pred) for key in self.mapped}

        def one(pred: Tensor, target: Tensor, params: dict[str, Tensor]) -> Tensor:  # vmap does not map keywords
            return self.function(pred, target, **params, **self.shared)

        return torch.vmap(one)(pred, target, params).mean(-1)


def stack_tasks(each: Sequence[Task]) -> Task:
    """One task whose buffers [r, 1, ...] hold those of all, so that its predictions go run by run."""
    stacked = copy.deepcopy(each[0])
    for name, _ in each[0].named_buffers():
        setattr(stacked, name, torch.stack([getattr(task, name) for task in each]).unsqueeze(1))
    return stacked


class FusedModule(pl.LightningModule):
    """Trains R runs that share model, data, batch size and epochs, sorted so that runs under one loss lie side by side.

    The sum of their losses is minimised: the gradient of a sum is, run by run, the gradient of that run. A run whose loss
    or prediction is not finite is frozen at the end of that epoch, as a lone run stops there.
    """

    inputs: Tensor
    weights: Tensor
    l1: Tensor
    l2: Tensor
    best: Tensor

    def __init__(self, runs: Sequence[Prepared]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.runs = list(runs)
        self.flat = nn.Parameter(flatten_parameters([run.model for run in runs]))
        self.forward_all = forward_for(runs[0].model)
        self.shared = all(run.rows.inputs is runs[0].rows.inputs for run in runs)
        inputs = runs[0].rows.inputs if self.shared else torch.stack([run.rows.inputs for run in runs])
        self.register_buffer("inputs", inputs)
        self.register_buffer("weights", is_weight(runs[0].model))
        for name in ("l1", "l2"):
            self.register_buffer(name, self.flat.new_tensor([run.request["penalty"][name] for run in runs]))
        self.register_buffer("best", self.flat.detach().clone())
        blocks = groupby(range(len(runs)), key=lambda number: loss_key(runs[number]))
        numbers = [list(block) for _, block in blocks]
        self.groups = nn.ModuleList(Group(block[0], [runs[number] for number in block]) for block in numbers)
        self.penalised = bool(self.l1.any() or self.l2.any())
        self.diverged_in: list[int | None] = [None] * len(runs)
        self.best_epoch = [1] * len(runs)
        self.best_value: list[float | None] = [None] * len(runs)
        self.curves: list[list[tuple[int, dict[str, float]]]] = [[] for _ in runs]
        self._losses: list[Tensor] = []
        self._penalties: list[Tensor] = []

    def configure_optimizers(self) -> StackedOptimizer:
        """One optimizer with a rate for each run."""
        return StackedOptimizer(self.flat, [run.request["optimizer"] for run in self.runs], self.runs[0].steps)

    def training_step(self, chunk: tuple[Tensor, ...], _: int) -> None:
        """A few steps, each on a batch of its own for every run."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        alive = cast(StackedOptimizer, optimizer.optimizer).alive
        for rows in chunk:
            losses = self.losses(self.raw(self.flat, rows), rows)
            self._losses.append(losses.detach())
            if self.penalised:
                penalties = self.penalties()
                self._penalties.append(penalties.detach())
                losses = losses + penalties
            optimizer.zero_grad()
            torch.where(alive, losses, 0.0).sum().backward()
            optimizer.step()

    def raw(self, flat: Tensor, rows: Tensor) -> Tensor:
        """Raw outputs [R, B, outputs] of the models `flat` [R, P] for row numbers [R, B]."""
        if self.shared:
            return self.forward_all(flat, self.inputs[rows])
        return self.forward_all(flat, self.inputs[torch.arange(len(flat), device=rows.device)[:, None], rows])

    def losses(self, raw: Tensor, rows: Tensor) -> Tensor:
        """Mean loss of each run on its rows, [R]."""
        return torch.cat([cast(Group, group).losses(raw, rows) for group in self.groups])

    def penalties(self) -> Tensor:
        """The penalty on the weights of each run, [R]."""
        weights = self.flat * self.weights
        return self.l1 * weights.abs().sum(1) + self.l2 * weights.square().sum(1)

    def on_train_epoch_end(self) -> None:
        """Judges the epoch of each run that is alive: curves, best weights, divergence."""
        rows = torch.stack([run.split["val"] for run in self.runs]).to(self.device)
        raw = self.outputs(self.flat, rows)
        means = {"train/loss": torch.stack(self._losses).mean(0), "val/loss": self.losses(raw, rows)}
        if self._penalties:
            means["train/penalty"] = torch.stack(self._penalties).mean(0)
        self._losses, self._penalties = [], []
        finite = torch.isfinite(raw).flatten(1).all(1) & torch.stack(list(means.values())).isfinite().all(0)
        columns = {name: values.tolist() for name, values in means.items()}
        improved = torch.zeros(len(self.runs), dtype=torch.bool)
        for number, (run, is_finite) in enumerate(zip(self.runs, finite.tolist(), strict=True)):
            if self.diverged_in[number]:
                continue
            curve = {name: column[number] for name, column in columns.items() if self._has(number, name)}
            metrics = run.task.evaluate(raw[number], self.targets(number, "val"))
            self.curves[number].append((self.global_step, curve | {f"val/{k}": v for k, v in metrics.items()}))
            improved[number] = self._improves(number, metrics[run.task.selector])
            if not is_finite:
                self.diverged_in[number] = self.current_epoch + 1
        self.best = torch.where(improved.to(self.device)[:, None], self.flat.detach(), self.best)
        alive = torch.tensor([epoch is None for epoch in self.diverged_in], device=self.device)
        cast(StackedOptimizer, cast(LightningOptimizer, self.optimizers()).optimizer).freeze(alive)
        self.trainer.should_stop = not bool(alive.any())

    def evaluate(self, flat: Tensor, which: str) -> list[dict[str, float]]:
        """The neutral metrics of each run for weights [R, P], as `<which>/val/<name>` and `<which>/test/<name>`."""
        found: list[dict[str, float]] = [{} for _ in self.runs]
        for part in ("val", "test"):
            raw = self.outputs(flat, torch.stack([run.split[part] for run in self.runs]).to(self.device))
            for number, run in enumerate(self.runs):
                metrics = run.task.evaluate(raw[number], self.targets(number, part))
                found[number] |= {f"{which}/{part}/{name}": value for name, value in metrics.items()}
        return found

    @torch.no_grad()
    def outputs(self, flat: Tensor, rows: Tensor) -> Tensor:
        """As `raw`, without a gradient, in pieces that fit the memory."""
        size = self.inputs[0].numel() if self.shared else self.inputs[0, 0].numel()
        piece = max(1, _EVALUATION_VALUES // (len(flat) * size))
        return torch.cat([self.raw(flat, part) for part in rows.split(piece, 1)], 1)

    def targets(self, number: int, part: str) -> Tensor:
        """The targets of one run in a split, as its metrics read them."""
        run = self.runs[number]
        run.task.to(self.device)
        return run.rows.targets[run.split[part]].to(self.device)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Batches are made on the device."""
        return batch

    def _has(self, number: int, name: str) -> bool:
        penalty = self.runs[number].request["penalty"]
        return name != "train/penalty" or bool(penalty["l1"] or penalty["l2"])

    def _improves(self, number: int, value: float) -> bool:
        """Whether this epoch of a run is its best so far, as ModelCheckpoint would judge it; NaN is the worst."""
        task, before = self.runs[number].task, self.best_value[number]
        worst = float("inf") if task.metrics[task.selector] == "min" else -float("inf")
        value = worst if value != value else value
        better = before is None or (value < before if worst > 0 else value > before)
        if better:
            self.best_value[number], self.best_epoch[number] = value, self.current_epoch + 1
        return better
