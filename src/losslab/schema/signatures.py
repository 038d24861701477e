"""The settings of a component, read from the signature of its function or class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from losslab.errors import BadRequest

_GIVEN = ("classes", "rows")  # keywords that losslab itself fills
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def settings(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """The keywords of a function with their defaults, as the settings of a card.

    where: what names the function, for messages. Raises BadRequest for a keyword without a default, or with one that no card holds.
    """
    found = {}
    for key, parameter in inspect.signature(function).parameters.items():
        if parameter.default is parameter.empty:
            if parameter.kind is parameter.KEYWORD_ONLY and key not in _GIVEN:
                raise BadRequest(f"{where}: its keyword '{key}' needs a default, such as {key}=1.0.")
            continue
        found[key] = _setting(key, parameter, where)
    return found


def _setting(key: str, parameter: inspect.Parameter, where: str) -> Any:
    default: Any = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    wide = isinstance(default, int) and not isinstance(default, bool) and parameter.annotation in (float, "float")
    default = float(default) if wide else default
    if not isinstance(default, bool | int | float | str | list) or default == []:
        raise BadRequest(
            f"{where}: the default of '{key}' must be a number, a word or a list, and {default!r} is none."
        )
    return default


def named_settings(
    function: Callable[..., Any], where: str, first: int, without: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """The settings of what a request names by where it stands, and the keywords that cannot be set, as their default is None.

    Args:
        function: a loss or a model, or the class of one.
        where: what names it, for messages.
        first: how many parameters come first that are no settings: pred and target of a loss, shape and outputs of a model.
        without: keywords that are none either, such as those that losslab gives itself.

    Raises:
        BadRequest: a parameter without a default, or with one that no card holds.
    """
    found, unset = {}, []
    for number, (key, parameter) in enumerate(parameters_of(function, where).items()):
        positional = parameter.kind in POSITIONAL
        if (positional and number < first) or key in without or parameter.kind in _VARIADIC:
            continue
        if parameter.default is parameter.empty:
            raise BadRequest(f"{where}: its argument '{key}' needs a default, such as {key}=1.0.")
        if parameter.default is None:
            unset.append(key)
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            raise BadRequest(f"{where}: its argument '{key}' must be one that can be given by name.")
        else:
            found[key] = _setting(key, parameter, where)
    return found, unset


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# in another order, as in Keras, an asymmetric loss would be another loss
_TARGETS = ("target", "targets", "y", "y_true", "true", "truth", "label", "labels", "gt")
_PREDS = ("pred", "preds", "prediction", "predictions", "y_pred", "y_hat", "yhat", "input", "output", "logits")


def check_tensors(function: Callable[..., Any], where: str, bound: int = 0) -> None:
    """Raises BadRequest where a loss cannot be called with pred and target.

    bound: how many parameters come before them, such as `self`.
    """
    parameters = list(parameters_of(function, where).items())[bound:]
    if any(parameter.kind is parameter.VAR_POSITIONAL for _, parameter in parameters):
        return
    positional = [key for key, parameter in parameters if parameter.kind in POSITIONAL]
    if len(positional) < 2:
        raise BadRequest(f"{where} must take pred and target first, and it takes ({', '.join(positional)}).")
    if positional[0].lower() in _TARGETS and positional[1].lower() in _PREDS:
        raise BadRequest(
            f"{where} takes ({', '.join(positional[:2])}), and losslab gives the prediction first; "
            f"write ({positional[1]}, {positional[0]})."
        )


def check_no_more(function: Callable[..., Any], where: str, bound: int = 0) -> None:
    """Raises BadRequest where a call with pred and target would lack an argument."""
    for key, parameter in list(parameters_of(function, where).items())[bound + 2 :]:
        if parameter.default is parameter.empty and parameter.kind not in _VARIADIC:
            raise BadRequest(f"{where} needs '{key}' beside pred and target, and losslab gives those two.")


def keywords(function: Callable[..., Any]) -> set[str]:
    """The names of the parameters that can be given by name."""
    try:
        found = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return set()
    return {parameter.name for parameter in found if parameter.kind is not parameter.POSITIONAL_ONLY}


def parameters_of(function: Callable[..., Any], where: str) -> dict[str, inspect.Parameter]:
    """The parameters of a function or class by name. Raises BadRequest where Python cannot tell them."""
    try:
        return dict(inspect.signature(function).parameters)
    except (ValueError, TypeError) as error:
        raise BadRequest(
            f"{where}: Python cannot tell its arguments; write a function of your own that calls it."
        ) from error
