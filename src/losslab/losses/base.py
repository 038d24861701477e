"""One table of losses, and the one module that checks and reduces them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from losslab import config
from losslab.losses import spaces
from losslab.registry import Registry

LossFunction = Callable[..., Tensor]
LOSSES: Registry[LossFunction] = Registry()
register = LOSSES.register


class Loss(nn.Module):
    """A loss ready for use: a per-sample function, its hyperparameters, and the space it reads.

    Calling it gives the mean over the samples, the only reduction there is; `per_sample` gives [N].
    """

    def __init__(self, name: str, space: str, params: Mapping[str, Any]) -> None:
        super().__init__()
        self.name = name
        self.space = space
        self.params = dict(params)
        if name not in LOSSES:
            raise config.BadRequest(
                f"The loss '{name}' has a card, conf/loss/{name}.yaml, but no function in losslab/losses/."
            )
        self._function = LOSSES[name]
        self._target_checked = False

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Mean loss, a scalar. Shapes are checked at each call; the values of the targets at the first, as that waits for the device.

        Raises:
            ValueError: shapes that differ (nothing is ever broadcast), or a target outside the loss's domain.
        """
        if not self._target_checked:
            spaces.check_shapes(self.space, pred, target)
            self.check_target(target, pred.shape[-1])
        return self.per_sample(pred, target).mean()

    def per_sample(self, pred: Tensor, target: Tensor) -> Tensor:
        """Loss of each sample, [N]. Raises ValueError where shapes do not fit."""
        spaces.check_shapes(self.space, pred, target)
        return self._function(pred, target, **self.params)

    def check_target(self, target: Tensor, classes: int | None = None) -> None:
        """Raises ValueError for a target outside the loss's domain."""
        spaces.check_target(self.space, target, classes)
        self._target_checked = True

    def extra_repr(self) -> str:
        """What `print(loss)` shows between the brackets."""
        return ", ".join([self.name, *(f"{key}={value}" for key, value in self.params.items())])


def get(name: str, *, space: str | None = None, **hyperparameters: Any) -> Loss:
    """A loss by name, for the harness or for any training loop of yours.

    Args:
        name: one of `names()`.
        space: what pred and target are, where the loss can read several; by default the first that it reads.
        hyperparameters: values other than the defaults in conf/loss/<name>.yaml.

    Raises:
        losslab.config.BadRequest: a name or hyperparameter that does not exist, or a value outside its range.
    """
    params = config.check_hyperparameters(name, hyperparameters)
    reads = config.card("loss", name).about["reads"]
    if space is not None and space not in reads:
        raise config.BadRequest(f"The loss '{name}' does not read '{space}'; it reads: {', '.join(reads)}.")
    return Loss(name, space or reads[0], params)


def for_task(task: str, loss: Mapping[str, Any]) -> Loss:
    """The loss of a config, in the space in which it serves a task."""
    hyperparameters = {key: value for key, value in loss.items() if key != "name"}
    return get(loss["name"], space=config.space(task, loss["name"]), **hyperparameters)


def names(task: str | None = None) -> list[str]:
    """The names of all losses, or of those that serve a task; sorted."""
    return list(config.names("loss")) if task is None else config.fitting("loss", task)
