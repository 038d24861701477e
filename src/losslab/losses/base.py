"""One table of losses, and the modules that check, reduce and add them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from losslab import config
from losslab.losses import spaces
from losslab.losses.precision import computed_wide, wide
from losslab.registry import Registry

LossFunction = Callable[..., Tensor]
LOSSES: Registry[LossFunction] = Registry()
UNCOUNTED = [0.0]  # the value of a hyperparameter `counts` that is to be counted in the training targets


def register(function: LossFunction) -> LossFunction:
    """Enters a loss under its own name; in half precision it is computed in float32."""
    return LOSSES.register(computed_wide(function))


@dataclass(frozen=True)
class State:
    """Numbers that a loss keeps between calls; its function takes them as keywords, as tensors without an axis.

    learned: trained with the model, without weight decay; name -> first value.
    running: not trained; name -> first value. `update(pred, target, **keywords)` gives their next values, once a training step.
    """

    learned: Mapping[str, float] = field(default_factory=dict)
    running: Mapping[str, float] = field(default_factory=dict)
    update: Callable[..., dict[str, Tensor]] | None = None


STATES: dict[str, State] = {}


def keeps(**parts: Any) -> Callable[[LossFunction], LossFunction]:
    """Says of a registered loss which numbers it keeps; the parts are those of State. Its card has the fact `stateful`."""

    def note(function: LossFunction) -> LossFunction:
        STATES[function.__name__] = State(**parts)
        return function

    return note


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
        self._state = STATES.get(name, State())
        self._lists = [key for key, value in params.items() if isinstance(value, list)]
        for key in self._lists:
            self.register_buffer(key, torch.tensor(params[key], dtype=torch.get_default_dtype()), persistent=False)
        self._others = [*self._lists, *self._state.learned, *self._state.running]
        for key, first in self._state.learned.items():
            self.register_parameter(key, nn.Parameter(torch.tensor(first)))
        for key, first in self._state.running.items():
            self.register_buffer(key, torch.tensor(first))

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Mean loss, a scalar. Shapes are checked at each call; the values of the targets at the first, as that waits for the device.

        Raises:
            ValueError: shapes that differ (nothing is ever broadcast), or a target outside the loss's domain.
        """
        if not self._target_checked:
            spaces.check_shapes(self.space, pred, target)
            self.check_target(target, pred.shape[-1])
        dtype, pred, target = pred.dtype, wide(pred), wide(target)  # a mean may fit where one sample's loss does not
        if self.training and self._state.update:
            with torch.no_grad():
                for key, value in self._state.update(pred.detach(), target, **self.keywords(pred)).items():
                    self.get_buffer(key).copy_(value)
        return self.per_sample(pred, target).mean().to(dtype)

    def per_sample(self, pred: Tensor, target: Tensor) -> Tensor:
        """Loss of each sample, [N]; changes no state. Raises ValueError where shapes do not fit."""
        spaces.check_shapes(self.space, pred, target)
        return self._function(pred, target, **self.keywords(pred))

    def keywords(self, like: Tensor) -> dict[str, Any]:
        """What the function takes beside pred and target: numbers and words as they are, lists and state as tensors."""
        if not self._others:  # some microseconds of each step
            return self.params
        tensors = {key: self._as(key, like) for key in self._lists}
        return self.params | tensors | {key: getattr(self, key) for key in self._others if key not in tensors}

    def _as(self, key: str, like: Tensor) -> Tensor:
        """A list in the precision of the loss and on the device of the prediction, from its own numbers where the buffer has another."""
        kept, dtype = self.get_buffer(key), torch.promote_types(like.dtype, torch.float32)
        if kept.dtype == dtype and kept.device == like.device:
            return kept
        return torch.tensor(self.params[key], dtype=dtype, device=like.device)

    def check_target(self, target: Tensor, classes: int | None = None) -> None:
        """Raises ValueError for a target outside the loss's domain, and for class counts that nobody gave or counted."""
        spaces.check_target(self.space, target, classes)
        if self.params.get("counts") == UNCOUNTED:
            raise ValueError(
                f"The loss '{self.name}' needs the samples of each class: give counts=[...] or call `calibrate` first."
            )
        self._target_checked = True

    def calibrate(self, target: Tensor, classes: int) -> None:
        """Counts the samples of each class in the training targets, indices [N] or distributions [N, K], for a loss that needs it."""
        if self.params.get("counts") == UNCOUNTED:
            counts = target.sum(0) if target.is_floating_point() else torch.bincount(target, minlength=classes)
            self.params["counts"] = counts.tolist()
            self.counts = torch.tensor(self.params["counts"], device=counts.device)

    def extra_repr(self) -> str:
        """What `print(loss)` shows between the brackets."""
        return ", ".join([self.name, *(f"{key}={value}" for key, value in self.params.items())])


class Sum(nn.Module):
    """A weighted sum of losses; a plain loss in the harness is a sum of one.

    pred and target are one tensor each, where all terms read one space, or one tensor for each space that a term reads.
    """

    def __init__(self, weights: list[float], terms: list[Loss]) -> None:
        super().__init__()
        self.weights = weights
        self.terms = nn.ModuleList(terms)
        self.spaces = list(dict.fromkeys(term.space for term in terms))  # that the terms read

    def each(self) -> list[Loss]:
        """The terms, as what they are."""
        return cast(list[Loss], list(self.terms))

    def forward(self, pred: Tensor | Mapping[str, Tensor], target: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Mean loss, a scalar; see `Loss`."""
        return self._add([term(_in(term.space, pred), _in(term.space, target)) for term in self.each()])

    def per_sample(self, pred: Tensor | Mapping[str, Tensor], target: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Loss of each sample, [N]; see `Loss`."""
        return self._add([term.per_sample(_in(term.space, pred), _in(term.space, target)) for term in self.each()])

    def _add(self, each: list[Tensor]) -> Tensor:
        total = _times(self.weights[0], each[0])
        for weight, one in zip(self.weights[1:], each[1:], strict=True):
            total = total + _times(weight, one)
        return total


def _times(weight: float, value: Tensor) -> Tensor:
    return value if weight == 1 else weight * value


def _in(space: str, given: Tensor | Mapping[str, Tensor]) -> Tensor:
    return given if isinstance(given, Tensor) else given[space]


def get(name: str, *, space: str | None = None, **hyperparameters: Any) -> Loss | Sum:
    """A loss by name, for the harness or for any training loop of yours.

    Args:
        name: one of `names()`.
        space: what pred and target are, where the loss can read several; by default the first that it reads.
        hyperparameters: values other than the defaults in conf/loss/<name>.yaml. `get("sum", terms="5*l1 + 2*giou")` adds losses.

    Raises:
        losslab.config.BadRequest: a name or hyperparameter that does not exist, or a value outside its range.
    """
    params = config.check_hyperparameters(name, hyperparameters)
    reads = config.reads(params | {"name": name})
    if not reads:
        raise config.BadRequest(
            f"The terms of '{params['terms']}' read no space in common, so one pred cannot serve all."
        )
    if space is not None and space not in reads:
        raise config.BadRequest(f"The loss '{name}' does not read '{space}'; it reads: {', '.join(reads)}.")
    if "terms" not in params:
        return Loss(name, space or reads[0], params)
    pairs = config.terms(params)
    return Sum([weight for weight, _ in pairs], [_plain(space or reads[0], term) for _, term in pairs])


def for_task(task: str, loss: Mapping[str, Any]) -> Sum:
    """The loss of a checked config, each term in the space in which it serves a task."""
    pairs = config.terms(loss)
    each = [_plain(str(config.space(task, term["name"])), term) for _, term in pairs]
    return Sum([weight for weight, _ in pairs], each)


def names(task: str | None = None) -> list[str]:
    """The names of all losses, or of those that serve a task; sorted."""
    return list(config.names("loss")) if task is None else config.fitting("loss", task)


def _plain(space: str, loss: Mapping[str, Any]) -> Loss:
    return Loss(loss["name"], space, {key: value for key, value in loss.items() if key != "name"})
