"""Decorators that make losses, models, data sets, corruptions, optimizers and metrics from functions of yours.

What is registered is like losslab's own: `compose("loss=andrews")`, sweeps, studies and `losslab.losses.get` take its name, which is
that of the function in small letters. Settings are the keywords of the function, with their defaults. It lasts as long as the
process; for commands put the function into a file and name it there, or describe it in a card: docs/own_parts.md.

>>> import torch
>>> from losslab import losses, register
>>> @register.loss(reads="values", ranges={"c": "(0, inf)"}, search={"c": "log [0.1, 3]"})
... def andrews(pred, target, *, c=1.339):
...     return c**2 * (1 - ((pred - target) / c).clamp(-torch.pi, torch.pi).cos())
>>> losses.get("andrews", c=1.0)(torch.zeros(2, 1), torch.full((2, 1), 9.0)).item()
2.0
>>> register.forget("loss", "andrews")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from losslab.corruption import CORRUPTIONS
from losslab.data import SOURCES
from losslab.errors import BadRequest
from losslab.losses import LOSSES
from losslab.metrics import METRICS
from losslab.models import MODELS
from losslab.registry import Registry
from losslab.training.optimizers import OPTIMIZERS

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]
_REGISTRIES: dict[str, Registry[Any]] = {
    registry.group: registry for registry in (LOSSES, MODELS, SOURCES, CORRUPTIONS, OPTIMIZERS, METRICS)
}


def loss(
    *,
    reads: str | Sequence[str],
    ranges: Mapping[str, str] | None = None,
    search: Mapping[str, str] | None = None,
    facts: Sequence[str] = (),
    source: str = "yours",
) -> Decorator[F]:
    """A loss: a function of pred and target that gives a loss for each sample, [N] or [N, ...], not reduced.

    Args:
        reads: the spaces of docs/shapes.md that it can read, the preferred one first, such as "values" or "class_logits".
        ranges: what each hyperparameter may be, such as {"c": "(0, inf)"}.
        search: where a study tunes each hyperparameter, such as {"c": "log [0.1, 3]"}.
        facts: what holds of it, such as "convex"; `losslab show` lists the words.
        source: author and year.

    Raises:
        losslab.BadRequest: a hyperparameter without a default, or a name of losslab's own.
    """
    return _decorator(
        LOSSES, reads=_listed(reads), facts=list(facts), source=source, **_stated(ranges=ranges, search=search)
    )


def model(
    *, kinds: str | Sequence[str] = ("table", "picture"), ranges: Mapping[str, str] | None = None
) -> Decorator[F]:
    """A model: a class or function of the shape of one input and the number of outputs that gives a torch.nn.Module.

    Args:
        kinds: the kinds of data that it reads: "table" [n, features], "picture" [n, channels, height, width].
        ranges: what each setting may be, such as {"width": "[1, inf)"}.
    """
    return _decorator(MODELS, kinds=_listed(kinds), **_stated(ranges=ranges))


def data(*, tasks: str | Sequence[str], ranges: Mapping[str, str] | None = None) -> Decorator[F]:
    """A data set: a function that gives (inputs, targets), arrays or tensors with a row for each sample, clean and not yet split.

    Args:
        tasks: the tasks that it fits. It decides what targets are: class indices [n] for "multiclass", 0 or 1 [n] for "binary",
            numbers [n] or [n, D] for "regression" and "counts", boxes [n, 4] for "bbox".
        ranges: what each setting may be, such as {"noise": "[0, inf)"}.
    """
    return _decorator(SOURCES, tasks=_listed(tasks), **_stated(ranges=ranges))


def corruption(*, tasks: str | Sequence[str], ranges: Mapping[str, str] | None = None) -> Decorator[F]:
    """A corruption: a function of inputs, targets and a torch.Generator that gives a `losslab.corruption.Changed`.

    Args:
        tasks: the tasks whose data it can corrupt.
        ranges: what each setting may be, such as {"fraction": "[0, 1]"}.
    """
    return _decorator(CORRUPTIONS, tasks=_listed(tasks), **_stated(ranges=ranges))


def optimizer(*, search: Mapping[str, str] | None = None, ranges: Mapping[str, str] | None = None) -> Decorator[F]:
    """An optimizer: a class or function of parameters, `lr` and further keywords that gives a torch.optim.Optimizer.

    Its runs are trained one by one, as a stack knows SGD, Adam and AdamW only.

    Args:
        search: where a study tunes the learning rate, such as {"lr": "log [1e-4, 1e-1]"}.
        ranges: what each setting may be.
    """
    return _decorator(OPTIMIZERS, **_stated(search=search, ranges=ranges))


def _decorator(registry: Registry[Any], **about: Any) -> Decorator[F]:
    return registry.register(**about)


def metric(*, tasks: str | Sequence[str], better: str, unit: str = "") -> Decorator[F]:
    """A metric: a function of the predictions and the targets of one run that gives a number. Runs of the tasks then have it.

    Args:
        tasks: the tasks that it judges. It decides what predictions are: probabilities of the classes [n, K] for "multiclass",
            of yes [n] for "binary", numbers in units of the target [n, D] for "regression" and "counts", corners [n, 4] for "bbox".
        better: "min" or "max".
        unit: for tables, such as "euro".
    """
    return _decorator(METRICS, tasks=_listed(tasks), better=better, unit=unit)


def forget(group: str, name: str) -> None:
    """Takes a registered component away. `group`: loss, model, data, corruption, optimizer or metric."""
    if group not in _REGISTRIES:
        raise BadRequest(f"There is no group '{group}'. Valid: {', '.join(_REGISTRIES)}.")
    _REGISTRIES[group].forget(name)


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _stated(**facts: Mapping[str, str] | None) -> dict[str, dict[str, str]]:
    return {key: dict(value) for key, value in facts.items() if value is not None}
