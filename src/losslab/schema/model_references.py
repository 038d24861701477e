"""What a function or class that a request names as a model states of itself: its settings, and the facts of its card. No torch here."""

from __future__ import annotations

import inspect
from typing import Any

from losslab.errors import BadRequest, nearest
from losslab.schema import cards, signatures, stated_facts

CALL = "(shape, outputs)"  # with what losslab calls one
_STATED = ("kinds", "ranges")  # facts that attributes may state
_KINDS = ("table", "picture", "simulation")
TAKEN = ("name", "about", "rows")  # words that a request or losslab has a meaning for
_OUTPUTS = ("out", "class")  # parts of the names that a number of outputs mostly has
_SHAPES = ("shape", "size", "in_", "input", "features", "dim")  # the same of a shape


def described(found: Any, where: str) -> tuple[dict[str, Any], list[str], dict[str, Any], str]:
    """Its settings, the keywords that cannot be set, its facts, and what it says of itself. Raises BadRequest for what is no model.

    where: what names it, for messages.
    """
    settings, unset = settings_of(found, where)
    about = {key: getattr(found, key) for key in _STATED if hasattr(found, key)}
    if "kinds" in about:
        about["kinds"] = [about["kinds"]] if isinstance(about["kinds"], str) else list(about["kinds"])
    cards.check_facts("model", where, about)
    for kind in about.get("kinds", []):
        if kind not in _KINDS:
            raise BadRequest(
                f"{where} reads '{kind}' data, and there is no such kind{nearest(str(kind), _KINDS)}. Valid: {', '.join(_KINDS)}."
            )
    stated_facts.check(about, settings, where)
    description = inspect.getdoc(found) or ""
    return settings, unset, about, description


def settings_of(found: Any, where: str) -> tuple[dict[str, Any], list[str]]:
    """The settings of a function or class, and the keywords that cannot be set.

    Raises BadRequest where it cannot be called with a shape and a number of outputs.
    """
    _check_signature(found, where)
    return signatures.named_settings(found, where, 2, ())


def _check_signature(found: Any, where: str) -> None:
    """Raises BadRequest for what does not take the shape of one input and the number of outputs, in this order."""
    parameters = signatures.parameters_of(found, where)
    positional = [each for each in parameters.values() if each.kind in signatures.POSITIONAL]
    if any(each.kind is each.VAR_POSITIONAL for each in parameters.values()):
        return
    own = getattr(found, "__name__", "Net")
    right = (
        f"losslab calls it as {own}(shape, outputs), with the shape of one input, such as (10,) or (1, 28, 28), and the "
        "number of outputs"
    )
    takes = ", ".join(parameters)
    if len(positional) < 2:
        raise BadRequest(f"{where} takes ({takes}), and {right}; write a function that takes these two and returns it.")
    first, second = positional[:2]
    if _like(first.name, _OUTPUTS) and not _like(first.name, _SHAPES) and _like(second.name, _SHAPES):
        raise BadRequest(f"{where} takes ({takes}), and {right}; write ({second.name}, {first.name}).")
    has_default = first.default is not first.empty, second.default is not second.empty
    if has_default[0] or (has_default[1] and not _like(second.name, _OUTPUTS)):
        raise BadRequest(f"{where} takes ({takes}), and {right}; write a function that takes these two and returns it.")


def _like(name: str, parts: tuple[str, ...]) -> bool:
    return any(part in name.lower() for part in parts)
