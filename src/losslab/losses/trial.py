"""A loss of the user's is tried on a few made-up samples before anything is trained, so that a wrong one is refused at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

from losslab.errors import BadRequest, describe
from losslab.losses.base import LOSSES, Loss, LossFunction
from losslab.schema import cards, compatibility, references
from losslab.schema.space_words import BY_CLASS, WORDS
from losslab.spaces import SPACES

_LOG = logging.getLogger(__name__)
_ROWS, _CLASSES = 5, 3


def check(task: str, loss: Mapping[str, Any]) -> None:
    """Raises BadRequest where a loss that is named by a reference, or such a term of a sum, cannot serve a task that it fits.

    It must give a loss for each sample, with a gradient. Says in a log message which space it is given, where it does not state one.
    """
    for _, term in compatibility.terms(loss):
        name = term["name"]
        space = compatibility.space(task, name)
        if cards.is_reference("loss", name) and space:
            params = {key: value for key, value in term.items() if key != "name"}
            if why := why_not(name, space, params):
                raise BadRequest(f"The loss '{name}' cannot be used for task '{task}': {why}{_remedy(name)}.")
            _tell(name, task, space)


def _tell(name: str, task: str, space: str) -> None:
    """Says which space a loss is given, where the task offers others that it may have been written for."""
    offered = cards.card("task", task).about["spaces"]
    others = [other for other in offered if other != space and offered[other] == offered[space]]
    if cards.card("loss", name).about.get("assumed") and others:
        _say(
            f"{name} does not state what it reads, so task '{task}' gives it {space}: {WORDS[space].words}. If it reads "
            f"{' or '.join(others)}, state that: {references.short(name)}.reads = '{others[0]}'."
        )


@cache
def _say(text: str) -> None:
    """Says it once a process."""
    _LOG.warning(text)


_found: dict[tuple[str, str, LossFunction, str], str] = {}


def why_not(name: str, space: str, params: Mapping[str, Any]) -> str:
    """Why a loss cannot be used in a space; "" where it can. Tried once for each setting and version of its function."""
    known = (name, space, LOSSES.of(name), repr(params))
    if known not in _found:
        _found[known] = _tried(name, space, params)
    return _found[known]


def _tried(name: str, space: str, params: Mapping[str, Any]) -> str:
    outputs = _CLASSES if space in BY_CLASS else 1
    pred, target = SPACES[space].example(_ROWS, outputs, torch.Generator().manual_seed(0))
    shapes = f"for pred {list(pred.shape)} and target {list(target.shape)} ({space}: {WORDS[space].words})"
    options = [key for key in params if key in ("class_weights", "label_smoothing")]  # their number depends on the data
    plain = {key: value for key, value in params.items() if key not in options}
    try:
        each = Loss(name, space, plain, "none").per_sample(pred.requires_grad_(), target)
    except ValueError as error:
        return str(error).rstrip(".")
    except Exception as error:  # a user's own code
        return f"{shapes} it raises {describe(error).splitlines()[0].rstrip('.')}"
    if not each.requires_grad:
        return f"{shapes} its result has no gradient, as if it had been computed outside of torch, under no_grad, or after detach or item"
    return ""


def _remedy(name: str) -> str:
    """How to state what a loss reads, where it does not."""
    if not cards.card("loss", name).about.get("assumed"):
        return ""
    own = references.short(name)
    return f"; it does not state what it reads: write {own}.reads = 'values', or @losslab.register.loss(reads='values') above it"
