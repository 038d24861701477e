"""Many runs as one LightningModule: each moves as if it were alone, and all of them move in one step.

R runs in the stack, r of them under one loss, B rows of a batch, n rows of the data, P parameters of one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from losslab.fused import dropout
from losslab.fused.engine import Engine
from losslab.fused.functional import (
    Carried,
    carried_by,
    flatten_parameters,
    forward_for,
    is_weight,
    training_forward_for,
)
from losslab.fused.losses import ROW_WEIGHTS, Group, loss_key, stack_tasks
from losslab.fused.optimizer import StackedOptimizer
from losslab.fused.step import Step
from losslab.training.prepare import Prepared
from losslab.training.resumable import Resumable

_EVALUATION_VALUES = 2**24  # numbers that a forward without gradient takes in at once


class FusedModule(Resumable):
    """Trains R runs that share model, data, batch size and epochs, sorted so that runs under one loss lie side by side.

    The sum of their losses is minimised: the gradient of a sum is, run by run, the gradient of that run. A run whose loss
    or prediction is not finite is frozen at the end of that epoch, as a lone run stops there.
    """

    kept = ("diverged_in", "best_epoch", "best_value", "curves", "executed")
    inputs: Tensor
    weights: Tensor
    offsets: Tensor
    pools: Tensor
    l1: Tensor
    l2: Tensor
    best: Tensor

    def __init__(self, runs: Sequence[Prepared], engine: str | None = None) -> None:
        """Args: the runs; how steps are executed, where that is not as the requests say."""
        super().__init__()
        self.automatic_optimization = False
        self.asked = engine or str(runs[0].request["fused"]["engine"])
        self.runs = list(runs)
        self.task = stack_tasks([run.task for run in runs])
        self.flat = nn.Parameter(flatten_parameters([run.model for run in runs]))
        self.forward_all = forward_for(runs[0].model)
        self.forward_in_training = training_forward_for(runs[0].model)
        self.masks = dropout.Masks([r.request["seed"] for r in runs]) if dropout.is_drawn(runs[0].model) else None
        blocks = groupby(range(len(runs)), key=lambda number: loss_key(runs[number]))
        numbers = [list(block) for _, block in blocks]
        self.groups = nn.ModuleList(Group(block[0], [runs[number] for number in block]) for block in numbers)
        self.penalised = any(run.request["penalty"]["l1"] or run.request["penalty"]["l2"] for run in runs)
        self.spaces = list(dict.fromkeys(space for run in runs for space in run.loss.spaces))
        self._keep_data()
        self.register_buffer("weights", is_weight(runs[0].model))
        for name in ("l1", "l2"):
            self.register_buffer(name, self.flat.new_tensor([run.request["penalty"][name] for run in runs]))
        self.register_buffer("best", self.flat.detach().clone())
        self._keep_carried()
        self.diverged_in: list[int | None] = [None] * len(runs)
        self.best_epoch = [1] * len(runs)
        self.best_value: list[float | None] = [None] * len(runs)
        self.curves: list[list[tuple[int, dict[str, float]]]] = [[] for _ in runs]
        self.engine: Engine | None = None
        self.executed = (
            ""  # how the steps were, for the records: a stack may be trained to its end by an earlier process
        )
        self._losses: list[Tensor] = []
        self._penalties: list[Tensor] = []

    def _keep_data(self) -> None:
        """Rows of all runs one after another, as one `index_select` is five times as fast as an index by run and row."""
        runs = self.runs
        inputs, pools = _distinct([run.rows.inputs for run in runs])
        distinct, offsets = _distinct([run.rows.targets for run in runs])
        of_each = [runs[number] for number in distinct]
        kept = {
            "inputs": _joined([runs[number].rows.inputs for number in inputs]),
            "pools": pools[:, None] * len(runs[0].rows.inputs),
            "offsets": offsets[:, None] * len(runs[0].rows.inputs),
        }
        for space in self.spaces:
            targets = [run.task.target_as(space, run.rows.targets, self.flat.dtype) for run in of_each]
            kept[f"targets_as_{space}"] = _joined(targets)
        for part in ("val", "test"):
            rows = [run.split[part] for run in runs]
            kept[f"rows_{part}"] = torch.stack(rows)
            kept[f"targets_{part}"] = torch.stack([r.rows.targets[n] for r, n in zip(runs, rows, strict=True)])
        weights = [run.weights for run in of_each if run.weights is not None]
        self.weighted = bool(weights)  # all or none, as the runs of a stack share the settings of their data
        if weights:
            kept["row_weights"] = _joined(weights)
        for name, tensor in kept.items():
            self.register_buffer(name, tensor, persistent=False)  # on the device, not in the checkpoint

    def _keep_carried(self) -> None:
        """What the models carry beside trained parameters. Only buffers change: they are in checkpoints, and kept of the best epoch."""
        carried = carried_by([run.model for run in self.runs])
        self.carried_names, self.changing = list(carried), [name for name, _ in self.runs[0].model.named_buffers()]
        for name, tensor in carried.items():
            self.register_buffer(_kept("carried", name), tensor, persistent=name in self.changing)
        for name in self.changing:
            self.register_buffer(_kept("best", name), carried[name].clone())

    def carried(self, which: str = "last") -> Carried:
        """What the models carry beside trained parameters, as it is ("last") or as it was after the best epochs ("best")."""
        now = {name: self.get_buffer(_kept("carried", name)) for name in self.carried_names}
        return now | ({name: self.get_buffer(_kept("best", name)) for name in self.changing} if which == "best" else {})

    def configure_optimizers(self) -> StackedOptimizer:
        """One optimizer with a rate for each run."""
        return StackedOptimizer(self.flat, [run.request["optimizer"] for run in self.runs], self.runs[0].steps)

    def training_step(self, chunk: Tensor, _: int) -> None:
        """A few steps, each on a batch of its own for every run: row numbers [steps, R, B]."""
        if self.engine is None:
            self.engine = Engine(Step(self, self.optimizer(), chunk), self.asked)
        if self.masks:
            self.masks.begin(self.optimizer().taken)
        with torch.no_grad():
            self.engine.run(chunk)
        self._losses.append(self.engine.step.losses[: len(chunk)].clone())
        self._penalties.append(self.engine.step.penalties[: len(chunk)].clone())

    def optimizer(self) -> StackedOptimizer:
        """The optimizer itself; Lightning's wrapper takes as long for a step as a small stack."""
        return cast(StackedOptimizer, cast(LightningOptimizer, self.optimizers()).optimizer)

    def carry(self, changed: Carried, alive: Tensor | None) -> None:
        """Takes over buffers after a step: those of all runs, or of those that are alive [R]."""
        for name, tensor in changed.items():
            old = self.get_buffer(_kept("carried", name))
            old.copy_(tensor if alive is None else _where(alive, tensor, old))

    def given(self, rows: Tensor, alive: Tensor) -> tuple[Any, ...]:
        """What `total` takes, for a batch of row numbers [R, B]."""
        given = (self.flat.detach(), self.inputs_of(rows), self.targets_of(rows), alive)
        if not self.carried_names and not self.masks:
            return given
        return *given, self.carried(), self.masks.draw(self.runs[0].model, given[1]) if self.masks else []

    def total(
        self,
        flat: Tensor,
        inputs: Tensor,
        targets: dict[str, Tensor],
        alive: Tensor,
        carried: Carried | None = None,
        masks: Sequence[Tensor] = (),
    ) -> tuple[Tensor, Any]:
        """What a step minimises, and its parts: mean loss and penalty of each run, [R] twice, and buffers after the step."""
        raw, changed = self.forward_in_training(flat, inputs, carried or {}, masks)
        losses = self.losses(raw, targets)
        penalties = self.penalties(flat) if self.penalised else torch.zeros_like(losses)
        return torch.where(alive, losses + penalties, 0.0).sum(), (losses, penalties, changed)

    def inputs_of(self, rows: Tensor) -> Tensor:
        """The inputs of row numbers [R, B], each in the data of its run: [R, B, ...]."""
        return _select(self.inputs, rows + self.pools)

    def targets_of(self, rows: Tensor) -> dict[str, Tensor]:
        """The targets of row numbers [R, B] in each space that a loss of the stack reads, and their weights: [R, B, ...]."""
        own = rows + self.offsets
        found = {space: _select(self.get_buffer(f"targets_as_{space}"), own) for space in self.spaces}
        return found | ({ROW_WEIGHTS: _select(self.get_buffer("row_weights"), own)} if self.weighted else {})

    def losses(self, raw: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Mean loss of each run, [R], for raw outputs and targets [R, B, ...]."""
        return torch.cat([cast(Group, group).losses(raw, targets) for group in self.groups])

    def penalties(self, flat: Tensor) -> Tensor:
        """The penalty on the weights of each run, [R]."""
        weights = flat * self.weights
        return self.l1 * weights.abs().sum(1) + self.l2 * weights.square().sum(1)

    def on_train_epoch_end(self) -> None:
        """Judges the epoch of each run that is alive: curves, best weights, divergence."""
        raw = self.outputs(self.flat.detach(), "val", self.carried())
        means = {
            "train/loss": torch.cat(self._losses).mean(0),
            "val/loss": self.losses(raw, self.targets_of(self.get_buffer("rows_val"))),
        }
        if self.penalised:
            means["train/penalty"] = torch.cat(self._penalties).mean(0)
        self._losses, self._penalties = [], []
        finite = torch.isfinite(raw).flatten(1).all(1) & torch.stack(list(means.values())).isfinite().all(0)
        columns = {name: values.tolist() for name, values in means.items()}
        measured = self.task.evaluate_all(raw, self.get_buffer("targets_val"))
        improved = torch.zeros(len(self.runs), dtype=torch.bool)
        for number, is_finite in enumerate(finite.tolist()):
            if self.diverged_in[number]:
                continue
            curve = {name: column[number] for name, column in columns.items() if self._has(number, name)}
            metrics = measured[number]
            self.curves[number].append((self.optimizer().taken, curve | {f"val/{k}": v for k, v in metrics.items()}))
            improved[number] = self._improves(number, metrics[self.task.selector])
            if not is_finite:
                self.diverged_in[number] = self.current_epoch + 1
        improved = improved.to(self.device)
        self.best.copy_(_where(improved, self.flat.detach(), self.best))
        for name in self.changing:
            best = self.get_buffer(_kept("best", name))
            best.copy_(_where(improved, self.get_buffer(_kept("carried", name)), best))
        alive = torch.tensor([epoch is None for epoch in self.diverged_in])
        engine = cast(Engine, self.engine)
        self.executed = engine.described()
        engine.freeze(alive)
        self.trainer.should_stop = not bool(alive.any())

    def on_fit_end(self) -> None:
        """Gives back what the engine holds on the device."""
        if self.engine:
            self.engine.close()

    def evaluate(self, flat: Tensor, which: str) -> list[dict[str, float]]:
        """The neutral metrics of each run for weights [R, P], as `<which>/val/<name>` and `<which>/test/<name>`.

        which: "last" or "best", which also says of which epoch the buffers are.
        """
        found: list[dict[str, float]] = [{} for _ in self.runs]
        for part in ("val", "test"):
            raw = self.outputs(flat, part, self.carried(which))
            measured = self.task.evaluate_all(raw, self.get_buffer(f"targets_{part}"))
            for own, metrics in zip(found, measured, strict=True):
                own |= {f"{which}/{part}/{name}": value for name, value in metrics.items()}
        return found

    @torch.no_grad()
    def outputs(self, flat: Tensor, part: str, carried: Carried) -> Tensor:
        """Raw outputs [R, n, outputs] of the models `flat` [R, P] for a split, in pieces that fit the memory."""
        rows = self.get_buffer(f"rows_{part}")
        # a CPU is fastest where the layers' outputs stay in its cache, as those of a batch do
        on_cpu = self.device.type == "cpu"
        most = _EVALUATION_VALUES // (len(flat) * self.inputs[0].numel())
        piece = max(1, min(most, self.runs[0].batches.batch_size) if on_cpu else most)
        return torch.cat([self.forward_all(flat, self.inputs_of(some), carried) for some in rows.split(piece, 1)], 1)

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


def _distinct(each: Sequence[Tensor]) -> tuple[list[int], Tensor]:
    """The numbers of tensors that are no other's, as runs may share them, and the place of each tensor among those [R]."""
    places: dict[int, int] = {}
    numbers: list[int] = []
    for number, tensor in enumerate(each):
        if id(tensor) not in places:
            places[id(tensor)] = len(numbers)
            numbers.append(number)
    return numbers, torch.tensor([places[id(tensor)] for tensor in each])


def _joined(each: Sequence[Tensor]) -> Tensor:
    return each[0] if len(each) == 1 else torch.cat(list(each))


def _select(pool: Tensor, rows: Tensor) -> Tensor:
    """Rows of a pool [N, ...] by their numbers [R, B]: [R, B, ...]."""
    return pool.index_select(0, rows.flatten()).reshape(*rows.shape, *pool.shape[1:])


def _where(chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """The rows [R, ...] of `new` where a run is chosen [R], else those of `old`."""
    return torch.where(chosen.view(-1, *[1] * (new.ndim - 1)), new, old)


def _kept(which: str, name: str) -> str:
    """The name of a buffer of the stack for one of the models; dots mean parts of parts there."""
    return f"{which} {name.replace('.', '/')}"
