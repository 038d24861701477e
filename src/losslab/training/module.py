"""One run as a LightningModule: a model under a loss. It asks neither which task nor which loss it is."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from losslab import seeding
from losslab.corruption import Corrupted
from losslab.data import Split
from losslab.losses import Sum
from losslab.safe_points import check
from losslab.tasks import Task
from losslab.training import optimizers
from losslab.training.data_parallel import ALONE, Group
from losslab.training.resumable import Resumable

_EVALUATION = -1  # the step of the stream `dropout` for every evaluation

_EVALUATION_ROWS = 4096  # at once, where no gradient is kept


class RunModule(Resumable):
    """Trains `model` under `loss` on rows that lie on the device whole; batches are row numbers.

    Losses are kept as tensors and read once an epoch, since each reading waits for the device. A loss or a prediction that
    is not finite ends the training: `diverged_in` then names the epoch, from 1. `curves` holds what each epoch gave.
    """

    kept = ("diverged_in", "curves")
    inputs: Tensor
    targets: Tensor
    row_weights: Tensor | None

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        loss: Sum,
        data: Corrupted,
        split: Split,
        optimizer: Mapping[str, Any],
        penalty: Mapping[str, float],
        steps: int,
        precision: torch.dtype | None = None,
        seed: int = 0,
        weights: Tensor | None = None,
        group: Group = ALONE,
    ) -> None:
        super().__init__()
        self.seed, self.group = seed, group
        precision = precision or data.inputs.dtype
        self.automatic_optimization = False  # a chunk holds several steps
        self.task = copy.deepcopy(task)  # moves with the module; the caller's stays, for what is compared and drawn
        self.model, self.loss = model.to(precision), loss
        self.optimizer_config, self.penalty_config, self.steps = optimizer, penalty, steps
        self.split = split
        in_spaces = {f"targets_as_{space}": task.target_as(space, data.targets, precision) for space in loss.spaces}
        for name, tensor in ({"inputs": data.inputs.to(precision), "targets": data.targets} | in_spaces).items():
            self.register_buffer(name, tensor, persistent=False)  # on the device, not in the checkpoint
        self.register_buffer("row_weights", weights, persistent=False)
        self.diverged_in: int | None = None
        self.curves: list[dict[str, float]] = []
        self._losses: list[Tensor] = []
        self._penalties: list[Tensor] = []

    def configure_optimizers(self) -> Any:
        """torch's optimizer and, where there is one, its schedule."""
        optimizer, schedule = optimizers.build(
            self.optimizer_config, self.model.parameters(), self.steps, self.loss.parameters()
        )
        return optimizer if schedule is None else ([optimizer], [schedule])

    def on_fit_start(self) -> None:
        """Processes that train together begin with the same weights."""
        super().on_fit_start()
        self.group.align(self.model)

    def training_step(self, chunk: tuple[Tensor, ...], _: int) -> None:
        """A few steps, each on one batch of rows: loss, penalty where there is one, backward, optimizer, schedule."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        schedule = cast(LRScheduler | None, self.lr_schedulers())
        seeding.seed_globals(self.seed, "dropout", self.global_step, self.group.rank)  # ten microseconds, once a chunk
        for rows in chunk:
            check()
            raw = self.group.whole(self.model(self.inputs[self.group.part(rows)]), len(rows))
            loss = self.loss(*self.in_spaces(raw, rows), self._weights(rows))
            self._losses.append(loss.detach())
            penalty = optimizers.weight_penalty(self.model, **self.penalty_config)
            if penalty is not None:
                self._penalties.append(penalty.detach())
                loss = loss + penalty
            optimizer.zero_grad()
            loss.backward()
            self.group.average(self.parameters())
            optimizer.step()
            if schedule:
                schedule.step()

    def on_train_epoch_end(self) -> None:
        """Judges the epoch: mean loss and penalty apart, validation loss, neutral metrics. Stops a run that has diverged."""
        val = self.split["val"]
        raw = self.group.whole(self.raw(self.group.part(val)), len(val))
        with torch.no_grad():  # a loss may have learned parts
            val_loss = self.loss.mean_loss(*self.in_spaces(raw, val), self._weights(val))
        means = {"train/loss": torch.stack(self._losses).mean(), "val/loss": val_loss}
        if self._penalties:
            means["train/penalty"] = torch.stack(self._penalties).mean()
        self._losses, self._penalties = [], []
        metrics = {f"val/{name}": value for name, value in self.task.evaluate(raw, self.targets[val]).items()}
        self.curves.append({name: float(value) for name, value in means.items()} | metrics)
        if self.logger:
            self.logger.log_metrics(self.curves[-1], self.global_step)
        monitor = f"val/{self.task.selector}"
        # what ModelCheckpoint reads; self.log would take a millisecond
        self.trainer.callback_metrics[monitor] = torch.tensor(metrics[monitor])
        if not all(torch.isfinite(part).all() for part in (raw, *means.values())):
            self.diverged_in = self.current_epoch + 1
            self.trainer.should_stop = True

    def in_spaces(self, raw: Tensor, rows: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Predictions from raw outputs, and the targets of their rows, in each space that the loss reads and in raw's precision."""
        preds = {space: self.task.prediction(space, raw).to(raw) for space in self.loss.spaces}
        targets = {space: self.get_buffer(f"targets_as_{space}")[rows] for space in preds}
        return preds, {
            space: target.to(raw) if target.is_floating_point() else target for space, target in targets.items()
        }

    def _weights(self, rows: Tensor) -> Tensor | None:
        return None if self.row_weights is None else self.row_weights[rows]

    def raw(self, rows: Tensor) -> Tensor:
        """Raw outputs of the model for these rows, as in use: no gradient, no dropout. Of 32 bits or more, to be judged in them."""
        return outputs_in_use(self.model, self.inputs, rows, self.seed)

    def evaluate(self, which: str) -> dict[str, float]:
        """The neutral metrics of the weights as they are, as `<which>/val/<name>` and `<which>/test/<name>`."""
        return {
            f"{which}/{part}/{name}": value
            for part in ("val", "test")
            for name, value in self.task.evaluate(self.raw(self.split[part]), self.targets[self.split[part]]).items()
        }


def outputs_in_use(model: nn.Module, inputs: Tensor, rows: Tensor, seed: int) -> Tensor:
    """Raw outputs of a model for some rows of the inputs, in 32 bits or more, as in evaluations of a run of this seed."""
    seeding.seed_globals(seed, "dropout", _EVALUATION)  # for a model that draws in use as well
    training = model.training
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(inputs[part]) for part in rows.split(_EVALUATION_ROWS)])
    model.train(training)
    return found.to(torch.promote_types(found.dtype, torch.float32))
