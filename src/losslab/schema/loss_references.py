"""What a function or class that a request names as a loss states of itself: its settings, and the facts of its card. No torch here."""

from __future__ import annotations

import inspect
import logging
import re
from typing import Any

from losslab.errors import BadRequest, nearest
from losslab.schema import cards, signatures, stated_facts, torch_losses
from losslab.schema.space_words import WORDS

_LOG = logging.getLogger(__name__)
CALL = "(pred, target)"  # with what losslab calls one
_STATED = ("reads", "ranges", "search", "facts", "source", "presets")  # facts that attributes may state
# the first space of each task, in the order in which one is taken where no task says which
_OF_TASKS = ("values", "class_logits", "binary_logit", "log_rate", "boxes")
# words that a request has a meaning for, so that no setting may have them for its name
TAKEN = (
    "name",
    "about",
    "terms",
    "space",
    "reduction",
    "class_weights",
    "label_smoothing",
    "pos_weight",
    "ignore_index",
)
_NOT_SETTINGS = ("reduction", "size_average", "reduce")  # of torch: losslab reduces itself


def described(found: Any, where: str) -> tuple[dict[str, Any], list[str], dict[str, Any], str]:
    """Its settings, the keywords that cannot be set, its facts, and what it says of itself. Raises BadRequest for what is no loss.

    where: what names it, for messages.
    """
    settings, unset = settings_of(found, where)
    description = inspect.getdoc(getattr(found, "func", found)) or ""
    if torch_losses.known(found):
        description = re.sub(r":\w+:`([^`]*)`", r"\1", description.split("\n\n")[0])
    return settings, unset, _stated(found, where, settings), description


def tell(found: Any, text: str) -> None:
    """Says which loss of losslab is the same as one of torch."""
    if same := torch_losses.known(found):
        _LOG.warning(f"{text} is the same loss as losslab's '{same.same}'; {text} is run, as you name it.")


def settings_of(found: Any, where: str) -> tuple[dict[str, Any], list[str]]:
    """The settings of a function or class, and the keywords that cannot be set."""
    if wrong := torch_losses.refused(found):
        raise BadRequest(f"{where} takes {wrong[0]}, which no task gives; take loss={wrong[1]}.")
    without = {*_NOT_SETTINGS, *torch_losses.fixed(found)}
    if str(getattr(found, "__module__", "")).startswith("torch."):
        without |= {"label_smoothing", "pos_weight", "ignore_index"}  # losslab's own options do the same
    if isinstance(found, type):
        forward = getattr(found, "forward")  # noqa: B009  # typed as no attribute of a class
        signatures.check_tensors(forward, f"{where} (its forward)", bound=1)
        signatures.check_no_more(forward, f"{where} (its forward)", bound=1)
        return signatures.named_settings(found, where, 0, without)
    signatures.check_tensors(found, where)
    return signatures.named_settings(found, where, 2, without)


def _stated(found: Any, where: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The facts that attributes state, checked; those of torch's losses from a table."""
    about = {key: getattr(found, key) for key in _STATED if hasattr(found, key)}
    if known := torch_losses.known(found):
        about = {"reads": list(known.reads), "source": "torch"} | about
    assumed = "reads" not in about
    about.setdefault("reads", list(_OF_TASKS))
    for key in ("reads", "facts"):
        if key in about:
            about[key] = [about[key]] if isinstance(about[key], str) else list(about[key])
    cards.check_facts("loss", where, about)
    for space in about["reads"]:
        if space not in WORDS:
            raise BadRequest(
                f"{where} reads '{space}', which is no space{nearest(str(space), WORDS)}. Valid: {', '.join(WORDS)}."
            )
    stated_facts.check(about, settings, where)
    return about | ({"assumed": True} if assumed else {})
