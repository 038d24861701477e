"""Which parts of a request fit one another: losses, data, corruptions and models to a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from losslab.errors import BadRequest as BadRequest
from losslab.errors import Incompatible
from losslab.errors import nearest as nearest
from losslab.schema import loss_terms
from losslab.schema.canonical import check_hyperparameters
from losslab.schema.cards import card, names, options
from losslab.schema.space_words import OF_CLASSES

_LEAST_EPS_OF_HALF = 1e-4  # a gradient whose square is 0 in float16 is below 2.4e-4


def space(task: str, loss: str) -> str | None:
    """The space in which a loss serves a task: the first that it reads and the task offers; None where there is none.

    A loss that does not state what it reads gets the first space of the task.
    """
    offered, about = card("task", task).about["spaces"], card("loss", loss).about
    if about.get("assumed"):
        return str(next(iter(offered)))
    return next((space for space in about["reads"] if space in offered), None)


def terms(loss: Mapping[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    """The plain losses that a loss setting stands for, hyperparameters filled in, each with its weight: itself, or those of a sum."""
    if "terms" not in loss:
        return [(1.0, dict(loss))]
    return [
        (weight, {"name": name} | check_hyperparameters(name, params))
        for weight, name, params in loss_terms.parse(loss["terms"])
    ]


def reads(loss: Mapping[str, Any]) -> list[str]:
    """The spaces that a loss reads; of a sum, those that all its terms read."""
    each = [card("loss", term["name"]).about["reads"] for _, term in terms(loss)]
    return [space for space in each[0] if all(space in others for others in each)]


def misfits(task: str, loss: Mapping[str, Any]) -> list[str]:
    """The names among a loss and its terms that have no space in common with a task."""
    return [term["name"] for _, term in terms(loss) if space(task, term["name"]) is None]


def heads(task: str, loss: Mapping[str, Any]) -> int:
    """How many numbers a model gives for each output of a task under a loss: two where it reads a scale beside the value."""
    offered = card("task", task).about["spaces"]
    return max(int(offered[space(task, term["name"])]) for _, term in terms(loss))


def facts(loss: Mapping[str, Any]) -> set[str]:
    """What holds of a loss, or of a term of a sum."""
    return {fact for _, term in terms(loss) for fact in card("loss", term["name"]).about["facts"]}


def fitting(group: str, task: str) -> list[str]:
    """The losses, data sets or corruptions that a task can take, sorted."""
    if group == "loss":
        return [name for name in names("loss") if not misfits(task, card("loss", name).values)]
    return [name for name in names(group) if _fits(group, name, task)]


def _fits(group: str, name: str, task: str) -> bool:
    """Whether a task can take a data set or a corruption."""
    return task in card(group, name).about["tasks"]


def check_fit(request: Mapping[str, Any]) -> None:
    """Raises Incompatible where data, corruption, loss or model do not fit the task or the data."""
    task, data, model = (request[group]["name"] for group in ("task", "data", "model"))
    for group, word in (("data", "data set"), ("corruption", "corruption")):
        name = request[group]["name"]
        if not _fits(group, name, task):
            fit = fitting(group, task)
            raise Incompatible(f"The {word} '{name}' does not fit task '{task}', which takes: {', '.join(fit)}.")
    whole = request["data"].get("split") == "whole" or card("data", data).about.get("one_split")
    if whole and request["corruption"]["name"] != "none":
        raise Incompatible(f"The rows of '{data}' are also its test rows, which stay clean; use corruption=none.")
    if request["task"].get("log_target") and task != "regression":
        raise Incompatible(
            f"task.log_target is for regression, and task '{task}' predicts no free numbers; leave it away."
        )
    if wrong := misfits(task, request["loss"]):
        count = len(fitting("loss", task))
        raise Incompatible(
            f"The loss '{wrong[0]}' does not fit task '{task}'; `losslab losses --task {task}` lists the {count} that do."
        )
    _check_class_options(task, request)
    _check_precision(request)
    if kind := card("data", data).about.get("kind"):
        check_kind(data, kind, model)


def check_kind(data: str, kind: str, model: str) -> None:
    """Raises Incompatible where a model does not read the kind of a data set."""
    kinds = card("model", model).about["kinds"]
    if kind not in kinds:
        fit = [name for name in names("model") if kind in card("model", name).about["kinds"]]
        raise Incompatible(
            f"The model '{model}' reads {' or '.join(kinds)} data and '{data}' is a {kind}; models that fit: {', '.join(fit)}."
        )


def _check_precision(request: Mapping[str, Any]) -> None:
    """Raises Incompatible for an optimizer that cannot divide by its squared gradients in float16."""
    eps = request["optimizer"].get("eps")
    if request["trainer"]["precision"] == "16-true" and eps is not None and eps < _LEAST_EPS_OF_HALF:
        name = request["optimizer"]["name"]
        raise Incompatible(
            f"In float16 the squares of small gradients are 0 and an eps of {eps:g} is too small to divide by, so that "
            f"optimizer={name} would diverge under most losses: set optimizer.eps={_LEAST_EPS_OF_HALF:g} or more, or take "
            "trainer.precision=bf16-true, 32-true, or optimizer=sgd."
        )


def _check_class_options(task: str, request: Mapping[str, Any]) -> None:
    """Raises Incompatible for weights and smoothing of classes where there are none, and BadRequest for those of a whole sum."""
    for _, term in terms(request["loss"]):
        for key in options("loss"):
            if key in term and space(task, term["name"]) not in OF_CLASSES and term[key] != options("loss")[key]:
                raise Incompatible(f"loss.{key} is for targets that are classes, and task '{task}' has none.")
            if "terms" in request["loss"] and key in request["loss"]:
                raise BadRequest(
                    f"A sum has no loss.{key} of its own; write it into its terms, as in 'cross_entropy({key}=...)'."
                )
    offered = card("task", task).about["spaces"]
    one_label = card("task", task).about.get("one_label", True)
    if request["data"].get("weight") == "balanced" and not (set(offered) & set(OF_CLASSES) and one_label):
        raise Incompatible(
            f"data.weight=balanced makes classes count the same, and task '{task}' has none, or several in a row."
        )
