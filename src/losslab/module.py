"""One run as a LightningModule: a model under a loss. It asks neither which task nor which loss it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from losslab import optim, pairing
from losslab.corruption import Corrupted
from losslab.data import Split
from losslab.losses import Loss
from losslab.tasks import Task

EVALUATION_ROWS = 4096  # at once, where no gradient is kept


class Batches:
    """The row numbers of each training batch, epoch by epoch, from the seed's stream `order`; what is left over is dropped.

    Which rows make a batch depends on (seed, epoch) alone, so a run that is resumed sees the batches it would have seen.
    """

    def __init__(self, rows: Tensor, batch_size: int, seed: int) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.device = torch.device("cpu")
        self.epoch = 0
        self.sampler = self  # where Lightning looks for `set_epoch`

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows) // self.batch_size

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.order(self.epoch).to(self.device).split(self.batch_size)[: len(self)])

    def order(self, epoch: int) -> Tensor:
        """The training rows in the order of one epoch."""
        return self.rows[torch.randperm(len(self.rows), generator=pairing.generator(self.seed, "order", epoch))]


class RunModule(pl.LightningModule):
    """Trains `model` under `loss` on rows that lie on the device whole; batches are row numbers.

    Losses are kept as tensors and read once an epoch, since each reading waits for the device. A loss that is not finite
    ends the training: `diverged_in` then names the epoch, from 1.
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        loss: Loss,
        data: Corrupted,
        split: Split,
        optimizer: Mapping[str, Any],
        penalty: Mapping[str, float],
        steps: int,
    ) -> None:
        super().__init__()
        self.task, self.model, self.loss = task, model, loss
        self.optimizer_config, self.penalty_config, self.steps = optimizer, penalty, steps
        self.split = split
        for name, tensor in {
            "inputs": data.inputs,
            "targets": data.targets,
            "loss_targets": task.target(loss.space, data.targets),
        }.items():
            self.register_buffer(name, tensor, persistent=False)  # on the device, not in the checkpoint
        self.diverged_in: int | None = None
        self._losses: list[Tensor] = []
        self._penalties: list[Tensor] = []
        self._raw: list[Tensor] = []

    inputs: Tensor
    targets: Tensor
    loss_targets: Tensor

    def configure_optimizers(self) -> Any:
        """torch's optimizer, and its schedule stepped once a batch."""
        optimizer, schedule = optim.build(self.optimizer_config, self.model.parameters(), self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, rows: Tensor, _: int) -> Tensor:
        """What is minimised on one batch: the mean loss, and the penalty on the weights where there is one."""
        pred = self.task.prediction(self.loss.space, self.model(self.inputs[rows]))
        loss = self.loss.per_sample(pred, self.loss_targets[rows]).mean()
        self._losses.append(loss.detach())
        penalty = optim.weight_penalty(self.model, **self.penalty_config)
        if penalty is None:
            return loss
        self._penalties.append(penalty.detach())
        return loss + penalty

    def on_train_epoch_end(self) -> None:
        """Logs the epoch's mean loss and penalty apart, and stops a run that has diverged."""
        logged = {"train/loss": torch.stack(self._losses).mean()}
        if self._penalties:
            logged["train/penalty"] = torch.stack(self._penalties).mean()
        self._losses, self._penalties = [], []
        self.log_dict(logged)
        if not all(map(torch.isfinite, logged.values())):
            self._diverge()

    def validation_step(self, rows: Tensor, _: int) -> None:
        """Keeps the raw outputs, to judge the split as a whole."""
        self._raw.append(self.model(self.inputs[rows]))

    def on_validation_epoch_end(self) -> None:
        """Logs the validation loss and the neutral metrics."""
        rows, raw = self.split["val"], torch.cat(self._raw)
        self._raw = []
        loss = self.loss.per_sample(self.task.prediction(self.loss.space, raw), self.loss_targets[rows]).mean()
        metrics = self.task.evaluate(raw, self.targets[rows])
        self.log_dict({"val/loss": loss, **{f"val/{name}": value for name, value in metrics.items()}})
        if not torch.isfinite(raw).all():
            self._diverge()

    def raw(self, rows: Tensor) -> Tensor:
        """Raw outputs of the model for these rows, without a gradient."""
        with torch.no_grad():
            return torch.cat([self.model(self.inputs[part]) for part in rows.split(EVALUATION_ROWS)])

    def evaluate(self, which: str) -> dict[str, float]:
        """The neutral metrics of the weights as they are, as `<which>/val/<name>` and `<which>/test/<name>`."""
        self.eval()
        return {
            f"{which}/{part}/{name}": value
            for part in ("val", "test")
            for name, value in self.task.evaluate(self.raw(self.split[part]), self.targets[self.split[part]]).items()
        }

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Batches are made on the device."""
        return batch

    def _diverge(self) -> None:
        if self.diverged_in is None:
            self.diverged_in = self.current_epoch + 1
        self.trainer.should_stop = True
