"""A loss by its name: what a user calls, and what the harness calls for a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor

from losslab import errors
from losslab.losses.base import Loss, Sum
from losslab.losses.weighting import REDUCTIONS
from losslab.schema import canonical, cards, compatibility, space_words


def get(
    name: str,
    *,
    space: str | None = None,
    reduction: str = "mean",
    class_weights: Sequence[float] | Tensor | None = None,
    label_smoothing: float | None = None,
    pos_weight: float | Sequence[float] | Tensor | None = None,
    ignore_index: int | None = None,
    **hyperparameters: Any,
) -> Loss | Sum:
    """A loss by name, for this program or for your own training loop.

    >>> import torch
    >>> focal = get("focal", space="binary_logit", gamma=2.0, reduction="sum")
    >>> focal(torch.tensor([3.0, -2.0]), torch.tensor([0.0, 1.0])).item()
    4.416...

    Args:
        name: one of `names()`, or where a loss of yours stands: "my_losses.py:andrews", "torch.nn.HuberLoss".
        space: what pred and target are, if the loss can read several spaces; by default the first that it reads.
        reduction: what a call returns: "mean", "sum" or "none".
        class_weights: one number for each class (binary: for no and for yes), or one for all.
        label_smoothing: share of the target that is spread evenly over all classes, in [0, 1].
        pos_weight: weight of yes: one number, or one for each column [C]; for losses that read `binary_logit` or `binary_prob`.
        ignore_index: samples with this label, such as -100, are left out.
        hyperparameters: values other than the defaults in conf/loss/<name>.yaml. `get("sum", terms="5*l1 + 2*giou")` adds losses.

    The four options from class_weights on are for losses whose targets are classes; see `losslab.losses.weighting`. Weights
    together with smoothing move the optimum towards labels with a large weight, as in torch. Values are checked at each call,
    which takes some tens of microseconds. If they are known to be valid, set `checks_values = False` on the loss.

    Raises:
        losslab.errors.BadRequest: a name, hyperparameter or option that does not exist or does not fit, or a value out of range.
    """
    yes = _plain_value(pos_weight)
    asked = {"class_weights": _plain_value(class_weights), "label_smoothing": label_smoothing}
    if isinstance(yes, float) and "pos_weight" in cards.card("loss", name).values:
        asked["pos_weight"] = yes
    checked = {key: value for key, value in asked.items() if value is not None}
    params = canonical.check_hyperparameters(name, hyperparameters | checked)
    name = cards.card("loss", name).values["name"]
    reads = compatibility.reads(params | {"name": name})
    if reduction not in REDUCTIONS:
        raise errors.BadRequest(f"reduction must be one of: {', '.join(REDUCTIONS)}; '{reduction}' is not.")
    if not reads:
        raise errors.BadRequest(
            f"The terms of '{params['terms']}' read no space in common, so one pred cannot serve all."
        )
    if space is not None and space not in reads:
        raise errors.BadRequest(f"The loss '{name}' does not read '{space}'; it reads: {', '.join(reads)}.")
    space = space or reads[0]
    options = {"pos_weight": _positive(yes), "ignore_index": ignore_index} | {
        key: params[key] for key in checked if key in params
    }
    options = {key: value for key, value in options.items() if value is not None}
    for key in options:
        if space not in (space_words.YES_OR_NO if key == "pos_weight" else space_words.OF_CLASSES):
            raise errors.BadRequest(
                f"{key} is for targets that are {'yes or no' if key == 'pos_weight' else 'classes'}, and '{name}' reads '{space}' here."
            )
    if "terms" not in params:
        return Loss(name, space, params | options, reduction)
    pairs = compatibility.terms(params)
    return Sum([weight for weight, _ in pairs], [_plain(space, term | options, reduction) for _, term in pairs])


def _plain_value(value: Any) -> Any:
    """Numbers as a request holds them."""
    if isinstance(value, Tensor):
        return value.double().tolist()
    if isinstance(value, Sequence):
        return [float(one) for one in value]
    return float(value) if isinstance(value, int) else value


def _positive(value: Any) -> float | list[float] | None:
    """The weight of yes, checked."""
    for one in value if isinstance(value, list) else [value]:
        if value is not None and not (isinstance(one, int | float) and 0 < one < float("inf")):
            raise errors.BadRequest(f"pos_weight must hold finite numbers above 0, and {one!r} is not.")
    return cast(float | list[float] | None, value)


def for_task(task: str, loss: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> Sum:
    """The loss of a checked config, each term in the space in which it serves a task.

    settings: of the task. A hyperparameter that the card of a loss states under `of_task` follows that of the task.

    Raises BadRequest where such a hyperparameter was given another value.
    """
    pairs = [(weight, _following(term, settings or {})) for weight, term in compatibility.terms(loss)]
    each = [_plain(str(compatibility.space(task, term["name"])), term) for _, term in pairs]
    return Sum([weight for weight, _ in pairs], each)


def _following(term: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    card = cards.card("loss", term["name"])
    key = card.about.get("of_task", "")
    if key not in settings:
        return term
    if term[key] not in (card.values[key], settings[key]):
        raise errors.BadRequest(
            f"loss.{key}={term[key]} differs from task.{key}={settings[key]}; set task.{key} alone, which the loss follows."
        )
    return term | {key: settings[key]}


def names(task: str | None = None) -> list[str]:
    """The names of all losses, or of those that serve a task; sorted."""
    return list(cards.names("loss")) if task is None else compatibility.fitting("loss", task)


def _plain(space: str, loss: Mapping[str, Any], reduction: str = "mean") -> Loss:
    return Loss(loss["name"], space, {key: value for key, value in loss.items() if key != "name"}, reduction)
