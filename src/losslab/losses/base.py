"""The table of loss functions, and the modules that check, weight, reduce and add their losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, cast

import torch
from torch import Tensor, nn

from losslab import spaces
from losslab.losses.outside import as_function
from losslab.losses.precision import computed_wide, wide
from losslab.losses.unit import Shares
from losslab.losses.weighting import OPTIONS, reduced, weighed
from losslab.registry import Registry
from losslab.schema import cards, compatibility
from losslab.schema.space_words import BY_CLASS, YES_OR_NO

LossFunction = Callable[..., Tensor]
# the value under which an option does nothing, beside None
_NOTHING = {"class_weights": [1.0], "label_smoothing": 0.0, "pos_weight": 1.0, "ignore_index": None}
UNCOUNTED = [0.0]  # the value of a hyperparameter that is to be counted in the training targets


def _of_each_sample(function: LossFunction) -> LossFunction:
    """A loss from outside, held to one number for each sample; of several for a sample it takes the mean."""

    @wraps(function)
    def checked(pred: Tensor, target: Tensor, **settings: Any) -> Tensor:
        found = function(pred, target, **settings)
        if not isinstance(found, Tensor) or found.ndim == 0 or len(found) != len(pred):
            gave = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"The loss '{function.__name__}' must give a number for each sample, [N] or [N, ...], without reducing them; for pred "
                f"{list(pred.shape)} it gave {gave}."
            )
        return found.flatten(1).mean(1) if found.ndim > 1 else found

    return checked


LOSSES: Registry[LossFunction] = Registry(  # in half precision they are computed in float32
    "loss", wrap=computed_wide, wrap_outside=lambda found: computed_wide(_of_each_sample(as_function(found)))
)
register = LOSSES.register


@dataclass(frozen=True)
class State:
    """Numbers that a loss keeps between calls; its function takes them as keywords, as tensors without an axis.

    learned: trained with the model, without weight decay; name -> first value.
    running: not trained; name -> first value. `update(pred, target, **keywords)` gives their next values, once a training step.
    late: the loss of a training step is computed with the numbers from before that step; otherwise with the updated ones.
    each: what there is one running number for: "classes", or a hyperparameter that is a whole number. They then come as [K], and
        before the number of classes is known without an axis.
    """

    learned: Mapping[str, float] = field(default_factory=dict)
    running: Mapping[str, float] = field(default_factory=dict)
    update: Callable[..., dict[str, Tensor]] | None = None
    late: bool = False
    each: str = ""


STATES: dict[str, State] = {}
MEANS: dict[str, LossFunction] = {}


def has_mean(mean: LossFunction) -> Callable[[LossFunction], LossFunction]:
    """States a function of torch's that gives the mean of a registered loss in one step, with the same keywords."""

    def note(function: LossFunction) -> LossFunction:
        MEANS[function.__name__] = mean
        return function

    return note


def keeps(**parts: Any) -> Callable[[LossFunction], LossFunction]:
    """States which numbers a registered loss keeps; the parts are those of State. Its card has the fact `stateful`."""

    def note(function: LossFunction) -> LossFunction:
        STATES[function.__name__] = State(**parts)
        return function

    return note


class Loss(nn.Module):
    """A loss ready for use: a per-sample function, its hyperparameters, the space it reads, and the options of every loss.

    Args:
        name: of the loss.
        space: what pred and target are; `losslab.spaces` tells the shapes that it takes.
        params: hyperparameters, and of `losslab.losses.weighting.OPTIONS` those that are asked for.
        reduction: "mean", "sum" or "none", what a call gives.
    """

    def __init__(self, name: str, space: str, params: Mapping[str, Any], reduction: str = "mean") -> None:
        super().__init__()
        self.name = name
        self.space = space
        self.params = dict(params)
        self.reduction = reduction
        self.checks_values = (
            True  # of predictions and targets, at each call; can be turned off where they are known to be valid
        )
        self._function = LOSSES.of(name)
        card = cards.card("loss", name)
        self.counted = card.about.get("counted", "")  # a hyperparameter: the training samples of each class
        # a function of the user's may have the name of one of losslab's
        own = "" if card.function else self._function.__name__
        self._state, self._mean = STATES.get(own, State()), MEANS.get(own)
        self._batchwise = "batchwise" in card.about.get("facts", [])
        self._shares = Shares(name, params)
        self.options = [key for key in OPTIONS if params.get(key) not in (None, _NOTHING[key])]
        self.plain = {key: value for key, value in params.items() if key not in OPTIONS}
        self._lists = [key for key, value in params.items() if isinstance(value, list)]
        for key in self._lists:
            self.register_buffer(key, torch.tensor(params[key], dtype=torch.get_default_dtype()), persistent=False)
        self._others = [*(key for key in self._lists if key in self.plain), *self._state.learned, *self._state.running]
        for key, first in self._state.learned.items():
            self.register_parameter(key, nn.Parameter(torch.tensor(first)))
        for key, first in self._state.running.items():
            self.register_buffer(key, torch.tensor(first))
        if self._state.each in self.plain:
            self._lengthen(self.plain[self._state.each])

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of a batch, reduced. In training, each call also updates the numbers that the loss keeps.

        Args:
            pred: see `losslab.spaces` for the shapes of each space.
            target: likewise.
            weight: of the samples, [N], or of each loss, at least 0. The mean is then the weighted one.

        Returns:
            A scalar, or for the reduction "none" a loss for each sample. The mean over nothing is 0, and so is its gradient.

        Raises:
            ValueError: shapes or types that do not fit (nothing is ever broadcast), or values outside the space. On a GPU
                such values raise on the device, as an invalid index in torch does, so that no call waits for it.
        """
        return self._call(self.reduction, pred, target, weight, self.training)

    def per_sample(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of each sample, [N]; changes no state. Raises as `forward` does."""
        return self._call("none", pred, target, weight, False)

    def mean_loss(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean loss, whatever the reduction; changes no state. Raises as `forward` does."""
        return self._call("mean", pred, target, weight, False)

    def _call(self, reduction: str, pred: Tensor, target: Tensor, weight: Tensor | None, moves: bool) -> Tensor:
        try:
            met = spaces.meet(self.space, pred, target)
        except ValueError as error:
            raise ValueError(f"{error}{self._other_space(pred)}") from None
        if self.counted and not any(self.params[self.counted]):
            what = "shares" if self.space == "label_logits" else "samples"
            raise ValueError(
                f"The loss '{self.name}' needs the {what} of each class: give {self.counted}=[...] or call `calibrate` first."
            )
        if self.checks_values and pred.numel():
            self._check_values(met, weight)
        dtype, pred = pred.dtype, wide(pred)  # a mean may fit where one sample's loss does not
        met = met._replace(pred=wide(met.pred), target=wide(met.target))
        options = {key: self._as(key, pred) if key in self._lists else self.params[key] for key in self.options}
        if self._state.each == "classes":
            self._lengthen(met.pred.shape[-1])
        if self._state.each:
            self._follow(met.pred.device)
        keywords = self.keywords(pred)
        if moves and self._state.update and pred.numel():
            with torch.no_grad():
                if self._state.late:
                    keywords |= {key: keywords[key].clone() for key in self._state.running}
                for key, value in self._state.update(*self._counting(met), **keywords).items():
                    self.get_buffer(key).copy_(value)
        if reduction == "mean" and self._mean and not options and weight is None and pred.numel():
            return self._mean(met.pred, met.target, **keywords).to(dtype)
        found = weighed(self._function, self.space, met, keywords, options, self._batchwise)
        return reduced(reduction, found, met.shape, self.space, weight).to(dtype)

    def _counting(self, met: spaces.Meeting) -> tuple[Tensor, Tensor]:
        """The predictions and targets from which the running numbers are updated: all but the ignored ones."""
        pred, target = met.pred.detach(), met.target
        if (ignored := self.params.get("ignore_index")) is None:
            return pred, target
        kept = target != ignored
        return pred[kept], target[kept]

    def _other_space(self, pred: Tensor) -> str:
        """What to write instead, where there is one logit per sample and the loss reads a logit for each class."""
        one = pred.ndim == 1 or pred.shape[1:] == (1,)
        others = [space for space in compatibility.reads({"name": self.name}) if space in YES_OR_NO]
        if not (one and others and self.space in BY_CLASS):
            return ""
        return f" For one logit a sample write losses.get('{self.name}', space='{others[0]}')."

    def _check_values(self, met: spaces.Meeting, weight: Tensor | None) -> None:
        target = met.target
        if (ignored := self.params.get("ignore_index")) is not None:
            target = target.where(target != ignored, 0)
        spaces.check_values(self.space, met.pred, target, weight)
        self._shares.watch(target)

    def keywords(self, like: Tensor) -> dict[str, Any]:
        """What the function takes beside pred and target: numbers and words as they are, lists and state as tensors."""
        if not self._others:  # saves some microseconds of each step
            return self.plain
        return self.plain | {
            key: self._as(key, like) if key in self._lists else getattr(self, key) for key in self._others
        }

    def _lengthen(self, count: int) -> None:
        """Gives the running numbers their axis, if they have none yet."""
        for key in self._state.running:
            if (kept := self.get_buffer(key)).ndim == 0:
                setattr(self, key, kept.repeat(count))

    def _follow(self, device: torch.device) -> None:
        """Puts running numbers that have an axis where the prediction is; those without one may lie anywhere."""
        for key in self._state.running:
            if (kept := self.get_buffer(key)).ndim and kept.device != device:
                setattr(self, key, kept.to(device))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Running numbers that were saved with their axis are loaded with it."""
        for key in self._state.running:
            if (saved := state_dict.get(prefix + key)) is not None and saved.ndim:
                self._lengthen(len(saved))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _as(self, key: str, like: Tensor) -> Tensor:
        """A list in the precision of the loss and on the device of the prediction; made anew where the buffer differs."""
        kept, dtype = self.get_buffer(key), torch.promote_types(like.dtype, torch.float32)
        if kept.dtype == dtype and kept.device == like.device:
            return kept
        return torch.tensor(self.params[key], dtype=dtype, device=like.device)

    def check_target(self, target: Tensor, classes: int | None = None) -> None:
        """Raises ValueError for a target outside the loss's space; waits for the device."""
        spaces.check_target(self.space, target, classes)

    def calibrate(self, target: Tensor, classes: int) -> None:
        """Counts the samples of each class in the training targets, for a loss that needs it.

        Targets are indices [N] or distributions [N, K]; of several labels at once [N, C], of which the shares are taken.
        """
        if self.counted and self.params[self.counted] == UNCOUNTED:
            labels = target[target != self.params.get("ignore_index")] if not target.is_floating_point() else target
            if not labels.is_floating_point():
                counts = torch.bincount(labels.flatten(), minlength=classes)
            else:  # of several labels at once the shares of the samples
                counts = labels.mean(0) if self.space == "label_logits" else labels.sum(0)
            self.params[self.counted] = counts.tolist()
            setattr(self, self.counted, torch.tensor(self.params[self.counted], device=counts.device))

    def extra_repr(self) -> str:
        """What `print(loss)` shows between the brackets."""
        return ", ".join([self.name, *(f"{key}={value}" for key, value in self.params.items())])


Given = Tensor | Mapping[str, Tensor]


class Sum(nn.Module):
    """A weighted sum of losses; a plain loss in the harness is a sum of one.

    pred and target are one tensor each if all terms read one space; otherwise one tensor for each space that a term reads.
    """

    def __init__(self, weights: list[float], terms: list[Loss]) -> None:
        super().__init__()
        self.weights = weights
        self.terms = nn.ModuleList(terms)
        self.spaces = list(dict.fromkeys(term.space for term in terms))  # that the terms read

    def each(self) -> list[Loss]:
        """The terms, typed as losses."""
        return cast(list[Loss], list(self.terms))

    def forward(self, pred: Given, target: Given, weight: Tensor | None = None) -> Tensor:
        """The loss of a batch, reduced; see `Loss`. A mean is the sum of the terms' means."""
        return self._add([term(*_in(term.space, pred, target), weight) for term in self.each()])

    def per_sample(self, pred: Given, target: Given, weight: Tensor | None = None) -> Tensor:
        """The loss of each sample, [N]; see `Loss`."""
        return self._add([term.per_sample(*_in(term.space, pred, target), weight) for term in self.each()])

    def mean_loss(self, pred: Given, target: Given, weight: Tensor | None = None) -> Tensor:
        """The mean loss; see `Loss`."""
        return self._add([term.mean_loss(*_in(term.space, pred, target), weight) for term in self.each()])

    def _add(self, each: list[Tensor]) -> Tensor:
        total = _times(self.weights[0], each[0])
        for weight, one in zip(self.weights[1:], each[1:], strict=True):
            total = total + _times(weight, one)
        return total


def _times(weight: float, value: Tensor) -> Tensor:
    return value if weight == 1 else weight * value


def _in(space: str, pred: Given, target: Given) -> tuple[Tensor, Tensor]:
    inside = [given if isinstance(given, Tensor) else given[space] for given in (pred, target)]
    return inside[0], inside[1]
