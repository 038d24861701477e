"""Losses in numbers: their values and gradients along the paths of a space, one beside well-known losses or several together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab import errors, losses
from losslab.catalogue.curve_paths import CLASSES, COUNTS, PLANS, Path, Plan, Quantity, Seen, against
from losslab.catalogue.listing import shown
from losslab.losses import Loss, Sum
from losslab.losses.base import UNCOUNTED
from losslab.schema import canonical, cards, compatibility

NEIGHBOURS = ("l1", "mse", "huber", "giou", "bce", "cross_entropy", "bce_with_logits", "poisson_nll")  # known to most
MOST = 8  # strokes that can be told apart


@dataclass(frozen=True)
class Curve:
    """A line of a panel.

    Its role is own, path (the loss elsewhere), setting (with another hyperparameter), other (another loss) or equal (one of several).
    """

    label: str
    role: str
    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    xlabel: str
    ylabel: str
    curves: list[Curve]


@dataclass(frozen=True)
class Portrait:
    """The panels of a loss, row by row, and what a reader must know beside them."""

    title: str
    note: str
    columns: int
    panels: list[Panel]


def portrait(name: str, **hyperparameters: Any) -> Portrait:
    """The curves of a loss in the first space that it reads.

    Raises:
        BadRequest: a name or hyperparameter that does not exist or is out of range, or a sum whose terms share no space.
        NotImplementedError: a space for which there is no drawing.
    """
    params = canonical.check_hyperparameters(name, hyperparameters)
    loss = losses.get(name, **params)
    space = loss.spaces[0] if isinstance(loss, Sum) else loss.space
    if space not in PLANS:
        raise NotImplementedError(f"There is no drawing for losses that read '{space}'.")
    plan = PLANS[space](_reach(params))
    others = _terms(loss) if isinstance(loss, Sum) else _neighbours(name, space)
    panels = []
    quantities = {
        label: quantity
        for label, quantity in plan.quantities.items()
        if quantity is not against or name != plan.reference
    }
    for number, (ylabel, quantity) in enumerate(quantities.items()):
        for first, more in _groups(plan, loss):
            draw = _Pen(plan, space, quantity)
            curves = [draw(f"{name}, {first.label}" if more else name, "own", loss, first)]
            curves += [draw(path.label, "path", loss, path) for path in more]
            if number == 0:
                curves += [draw(text, "setting", one, first) for text, one in _settings(name, space, params).items()]
            curves += [draw(text, "other", one, first) for text, one in others.items()]
            panels.append(Panel(first.label if plan.apart else "", first.axis, ylabel, curves))
    return Portrait(
        label(name, params), _note(name, space), len(panels) // len(quantities) if plan.apart else len(panels), panels
    )


def together(chosen: Sequence[tuple[str, Mapping[str, Any]]]) -> Portrait:
    """The curves of several losses, names with hyperparameters, on the same axes, in the first space that all of them read.

    Each loss has one label in all panels. Where a loss differs between the paths of the space, each path has a panel.

    Raises:
        BadRequest: as `portrait`; also losses without a space in common, the same loss twice, or more than there are strokes for.
        NotImplementedError: a space for which there is no drawing.
    """
    checked = [(name, canonical.check_hyperparameters(name, given)) for name, given in chosen]
    space = _shared_space([name for name, _ in checked], [compatibility.reads({"name": n} | p) for n, p in checked])
    labels = [str(params["terms"]) if name == "sum" else label(name, params) for name, params in checked]
    if twice := next((one for one in labels if labels.count(one) > 1), None):
        raise errors.BadRequest(f"The loss '{twice}' is there twice; leave one away or change its hyperparameters.")
    if len(labels) > MOST:
        raise errors.BadRequest(f"One picture shows at most {MOST} losses, and these are {len(labels)}.")
    if space not in PLANS:
        raise NotImplementedError(f"There is no drawing for losses that read '{space}'.")
    plan = PLANS[space](max(_reach(params) for _, params in checked))
    made = {text: losses.get(name, space=space, **p) for text, (name, p) in zip(labels, checked, strict=True)}
    quantities = {text: quantity for text, quantity in plan.quantities.items() if quantity is not against}
    apart = plan.apart or any(more for loss in made.values() for _, more in _groups(plan, loss))
    panels = []
    for ylabel, quantity in quantities.items():
        draw = _Pen(plan, space, quantity)
        for path in plan.paths if apart else plan.paths[:1]:
            curves = [draw(text, "equal", loss, path) for text, loss in made.items()]
            panels.append(Panel(path.label if apart else "", path.axis, ylabel, curves))
    remarks = dict.fromkeys(f"{name}: {remark}" for name, _ in checked for remark in _remarks(name))
    columns = len(panels) // len(quantities) if apart else len(panels)
    return Portrait(f"{len(made)} losses", "; ".join([_drawn_on(space), *remarks]), columns, panels)


def _shared_space(names: Sequence[str], read: Sequence[Sequence[str]]) -> str:
    """The first space that all losses read."""
    shared = [space for space in read[0] if all(space in others for others in read)]
    if not shared:
        told = "; ".join(f"'{name}' reads {', '.join(spaces)}" for name, spaces in zip(names, read, strict=True))
        raise errors.BadRequest(f"These losses read no space in common, so that they share no axes: {told}.")
    return shared[0]


class _Pen:
    """Makes the curves of one quantity."""

    def __init__(self, plan: Plan, space: str, quantity: Quantity) -> None:
        self.quantity = quantity
        self.reference = losses.get(plan.reference, space=space) if plan.reference else None

    def __call__(self, label: str, role: str, loss: Loss | Sum, path: Path) -> Curve:
        base = _look(self.reference, path) if self.reference else None
        return Curve(label, role, path.x, self.quantity(path, _look(loss, path), base))


def _groups(plan: Plan, loss: Loss | Sum) -> list[tuple[Path, list[Path]]]:
    """The paths of each panel of a row: the first, and those on which the loss is another function of x."""
    first, *more = plan.paths
    if plan.apart:
        return [(path, []) for path in plan.paths]
    own = _look(loss, first)
    return [(first, [path for path in more if not _equal(own, _look(loss, path))])]


def _look(loss: Loss | Sum, path: Path) -> Seen:
    for one in loss.each() if isinstance(loss, Sum) else [loss]:
        labels = torch.repeat_interleave(torch.arange(CLASSES), COUNTS)
        one.double().calibrate(F.one_hot(labels).double() if one.space == "label_logits" else labels, CLASSES)
    pred = path.pred.detach().clone().requires_grad_()
    value = loss.per_sample(pred, path.target)
    (gradient,) = torch.autograd.grad(value.sum(), pred)
    return Seen(value.detach(), gradient, (gradient * path.along).reshape(len(pred), -1).sum(1))


def _equal(one: Seen, other: Seen) -> bool:
    return torch.allclose(one.value, other.value) and torch.allclose(one.slope, other.slope)


def label(name: str, params: Mapping[str, Any]) -> str:
    """A loss with its hyperparameters, without those that are counted in the data: 'huber (delta=1)'."""
    told = [
        f"{key}={shown(value)}" for key, value in params.items() if key not in ("name", "terms") and value != UNCOUNTED
    ]
    return f"{name} ({', '.join(told)})" if told else name


def _note(name: str, space: str) -> str:
    return "; ".join([_drawn_on(space), *_remarks(name)])


def _drawn_on(space: str) -> str:
    return f"on {space.replace('_', ' ')}"


def _remarks(name: str) -> list[str]:
    """What a reader must know of the curves of a loss."""
    facts = compatibility.facts(cards.card("loss", name).values)
    told = {
        "batchwise": "the points of a curve are one batch, on which the loss of each depends",
        "detached": "gradients are those of training, with a part of the loss held fixed",
        "stateful": "with what it keeps as it is before training",
    }
    return [text for fact, text in told.items() if fact in facts]


def _terms(loss: Sum) -> dict[str, Loss | Sum]:
    """Each term of a sum with its weight."""
    return {
        f"{weight:g} * {label(term.name, term.params)}": Sum([weight], [term])
        for weight, term in zip(loss.weights, loss.each(), strict=True)
    }


def _neighbours(name: str, space: str) -> dict[str, Loss | Sum]:
    """Up to three well-known losses of the same space, with their default hyperparameters."""
    read = {other: cards.card("loss", other).about["reads"] for other in NEIGHBOURS if other != name}
    near = sorted((other for other in read if space in read[other]), key=lambda other: read[other][0] != space)[:3]
    return {other: losses.get(other, space=space) for other in NEIGHBOURS if other in near}


def _settings(name: str, space: str, params: Mapping[str, Any]) -> dict[str, Loss | Sum]:
    """The loss with the first of its hyperparameters that is a float set lower and higher, where its range allows."""
    key = next((key for key, value in params.items() if isinstance(value, float)), None)
    if key is None:
        return {}
    unknown = "(0, inf)" if params[key] > 0 else "(-inf, inf)"
    inside = cards.card("loss", name).about.get("ranges", {}).get(key, unknown)
    return {
        f"{key}={shown(value)}": losses.get(name, space=space, **dict(params) | {key: value})
        for value in _around(params[key], inside)
        if _allowed(name, {key: value})
    }


def _around(value: float, inside: str) -> list[float]:
    """A number well below and one well above `value`, between the ends of a range."""
    low, high = (float(part) for part in inside[1:-1].split(","))
    step = max(1.0, abs(value))
    below = value - step if low < value - 10 * step else value / 3 if low == 0 else (low + value) / 2
    above = (value + high) / 2 if high < value + 10 * step else 3 * value if value > 0 else value + 1
    return [number for number in (float(f"{below:.2g}"), float(f"{above:.2g}")) if number != value]


def _allowed(name: str, params: Mapping[str, Any]) -> bool:
    try:
        canonical.check_hyperparameters(name, params)
    except errors.BadRequest:
        return False
    return True


def _reach(params: Mapping[str, Any]) -> float:
    """How far residuals are drawn: far enough to see where a threshold among the hyperparameters acts."""
    numbers = [x for value in params.values() for x in (value if isinstance(value, list) else [value])]
    return max([5.0, *(1.5 * x for x in numbers if isinstance(x, float) and x <= 10)])
