"""Networks of torchvision and timm by name, as in model=torchvision:resnet18. Imports a library only once one of its names is asked for."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from losslab.errors import BadRequest
from losslab.schema import cards
from losslab.schema.suggestions import near

_LISTS = {
    "torchvision": "torchvision.models.list_models(module=torchvision.models)",
    "timm": "timm.list_models()",
}


def is_one(text: str) -> bool:
    """Whether a name of a model is LIBRARY:NAME."""
    return text.partition(":")[0] in _LISTS and ":" in text


def card(text: str, checked: bool = True) -> cards.Card:
    """The card of a network. Raises BadRequest, in one sentence, for a name that the library does not have, and without the library.

    checked: whether the library is asked for the name, which imports it.
    """
    library, _, name = text.partition(":")
    if checked:
        _check(library, name)
    return cards.Card(
        {"name": text, "pretrained": False},
        {"kinds": ["picture"]},
        {"pretrained": "begin with the weights that the library offers; false: random ones from the seed"},
        code=f"{library} {_version(library)}",
        description=f"{name} of {library}, its head fitted to the task and its first layer to the channels of the pictures.",
        group="model",
    )


def _check(library: str, name: str) -> None:
    if find_spec(library) is None:
        raise BadRequest(
            f"model={library}:{name} needs the package {library}, which is not installed: pip install 'losslab[models]', "
            f"or pip install {library}."
        )
    known = _torchvision() if library == "torchvision" else _timm(name)
    if name not in known:
        meant = [f"'{library}:{one}'" for one in near(name, known)] if name else []
        hint = f" (did you mean {' or '.join(meant)}?)" if meant else ""
        raise BadRequest(f"There is no model '{library}:{name}'{hint}. {_LISTS[library]} lists all {len(known)}.")


def _torchvision() -> list[str]:
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


def _timm(name: str) -> list[str]:
    """All names, and `name` where it is one of them with a tag for its weights, as in resnet18.a1_in1k."""
    import timm

    return [*timm.list_models(), *([name] if name and timm.is_model(name) else [])]


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "of unknown version"
