"""A loss or model that a request names by where it stands: 'FILE.py:NAME', 'module:NAME' or 'package.module.NAME'. Each becomes a card.

    my_losses.py:andrews       a function, or one under `@losslab.register.loss(...)`, whose facts are then the card's
    my_models.py:Net           a class of torch.nn.Module: the keywords of its constructor are the settings
    torch.nn.HuberLoss         the same, of an installed package
    torchvision:resnet18       a network of torchvision or timm; see `model_libraries`

A function or class without the decorator may state facts as attributes: `andrews.reads = "values"`, `Net.kinds = "picture"`. The file
or module is imported, and nothing else. No torch is imported here. `loss_references` and `model_references` say what each group takes.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest, first_line
from losslab.schema import cards, decorated, loss_references, model_libraries, model_references, user_code
from losslab.schema.suggestions import unknown

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_GROUPS = {"loss": loss_references, "model": model_references}  # those that can be named by where they stand
_PLURAL = {"loss": "losses", "model": "models"}
_PLAIN = {"loss": "loss=huber; `losslab losses` lists them", "model": "model=mlp"}

_made: dict[tuple[str, str, str], cards.Card] = {}  # by group, reference and folder, since the last request
_aliases: dict[str, str] = {}  # a name that Hydra can take for a file's -> the reference
_imports: ContextVar[bool] = ContextVar("imports", default=True)


def is_one(text: str) -> bool:
    """Whether a name says where the code stands."""
    return ":" in text or text.endswith(".py") or bool(_DOTTED.fullmatch(text))


def card(group: str, text: str) -> cards.Card:
    """The card of what a reference names. Raises BadRequest, in one sentence, for what is none of the group."""
    text = _aliases.get(text, text)
    key = (group, text, str(Path.cwd()))
    if group == "model" and model_libraries.is_one(text) and not _imports.get():
        return model_libraries.card(text, checked=False)
    if key not in _made:
        _made[key] = _card(group, text)
    return _made[key]


def is_of(group: str) -> bool:
    """Whether what a group holds can be named by where it stands."""
    return group in _GROUPS


def refresh() -> None:
    """Forgets the cards, as files may have changed; what was imported stays."""
    _made.clear()


def alias(text: str) -> str:
    """A name for a reference that can be that of a file, for Hydra."""
    name = f"{re.sub(r'[^A-Za-z0-9]+', '_', text).strip('_')}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    _aliases[name] = text
    return name


def of_alias(name: str) -> bool:
    """Whether a name was made by `alias`."""
    return name in _aliases


def entered() -> list[tuple[str, str, cards.Card]]:
    """Group, alias and card of each reference that was made a card since the last request began."""
    here = str(Path.cwd())
    return [(group, alias(text), made) for (group, text, folder), made in list(_made.items()) if folder == here]


def short(text: str) -> str:
    """The name of the function or class alone, where a name is a reference."""
    if model_libraries.is_one(text):  # whose names may hold dots
        return text.partition(":")[2]
    return re.split(r"[:.]", text)[-1] if is_one(text) else text


@contextmanager
def without_imports() -> Iterator[None]:
    """Within it, a reference that is no card yet is refused: what is only read, such as an old record, starts no code."""
    token = _imports.set(False)
    try:
        yield
    finally:
        _imports.reset(token)


def _card(group: str, text: str) -> cards.Card:
    if not _imports.get():  # to look for a module imports its parents
        raise BadRequest(f"The {group} '{text}' is code of the user's, which is not imported to read records.")
    if group == "model" and model_libraries.is_one(text):
        return model_libraries.card(text)
    of = _GROUPS[group]
    name, target = _target(group, text)
    found = _load(group, text, target)
    where = f"The {group} '{text}'"
    if stated := decorated.of(found):
        registered, made = stated
        if registered != group:
            raise BadRequest(f"{where} is registered as another part ({registered}) and not as a {group}.")
        of.settings_of(found, where)  # refuses what cannot be called as its group is
        settings = {key: value for key, value in made.values.items() if key != "name"}
        about, description = made.about, made.description
    else:
        settings, unset, about, description = of.described(found, where)
        about |= {"instead": dict.fromkeys(unset, f"its default in '{text}' is None, and losslab leaves it so")}
    for key in settings:
        if key in of.TAKEN:
            raise BadRequest(f"{where} has a setting '{key}', which losslab has a meaning of its own for; rename it.")
    if group == "loss":
        loss_references.tell(found, text)
    return cards.Card(
        {"name": name} | settings,
        cards.DEFAULTS[group] | about,
        function=target,
        description=description or f"{short(text)}: it has no docstring.",
        group=group,
    )


def _target(group: str, text: str) -> tuple[str, str]:
    """The name that a request keeps, and what `user_code` takes: 'FILE.py:NAME' with the whole path, or 'module:NAME'."""
    place, mark, name = text.rpartition(":")
    if text.endswith(".py"):
        raise BadRequest(f"{group}='{text}' names a file; name what is in it as '{text}:NAME'{_holds(Path(text))}.")
    if not mark:  # package.module.NAME
        place, _, name = text.rpartition(".")
        if not user_code.is_module(place.split(".")[0]):
            said = unknown(group, text, cards.names(group)).rstrip(".")
            raise BadRequest(f"{said}; nor does Python find a module '{place.split('.')[0]}'.")
    if place.split(".")[0] == "losslab":
        raise BadRequest(f"{group}='{text}': losslab's own {_PLURAL[group]} are named plainly, as in {_PLAIN[group]}.")
    if not place.endswith(".py"):
        user_code.check(group, f"{place}:{name}")
        return text, f"{place}:{name}"
    file = Path(place).expanduser()
    user_code.check(group, f"{file}:{name}")
    _check_syntax(group, text, file)
    return f"{os.path.normpath(file)}:{name}", f"{file.resolve()}:{name}"


def _check_syntax(group: str, text: str, file: Path) -> None:
    try:
        ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        at = f"{file}, line {line}," if line else str(file)
        raise BadRequest(f"{group}='{text}': {at} is no valid Python: {getattr(error, 'msg', error)}.") from error
    except OSError as error:
        raise BadRequest(f"{group}='{text}': {file} cannot be read: {error.strerror}.") from error


def _holds(file: Path) -> str:
    """What a file defines, for a message."""
    try:
        body = ast.parse(file.expanduser().read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return ""
    names = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    public = [name for name in names if not name.startswith("_")]
    return f"; it holds: {', '.join(public)}" if public else ""


def _load(group: str, text: str, target: str) -> Any:
    """The object itself. Raises BadRequest for whatever its module raises while it is imported."""
    try:
        with decorated.only_noted():
            found = user_code.load(group, target)
    except BadRequest as error:  # of a decorator in the file, or of `user_code`
        if str(error).startswith(f"{group}="):
            raise
        raise BadRequest(f"{group}='{text}': {error}") from error
    except (Exception, SystemExit) as error:
        raise BadRequest(f"{group}='{text}' cannot be imported: {_raised(error, target)}.") from error
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
        raise BadRequest(f"{group}='{text}' is no plain function: leave async and yield away.")
    if inspect.isfunction(found) and found.__name__ == "<lambda>":
        raise BadRequest(f"{group}='{text}' is a lambda; write it as 'def {short(text)}{_GROUPS[group].CALL}: ...'.")
    if isinstance(found, type):
        if not any(f"{base.__module__}.{base.__name__}" == "torch.nn.modules.module.Module" for base in found.__mro__):
            raise BadRequest(
                f"{group}='{text}' is a class that is no torch.nn.Module; name a function or such a class."
            )
    elif not callable(found):
        raise BadRequest(f"{group}='{text}' is {found!r:.60}, of type {type(found).__name__}, and not a function.")
    elif not hasattr(found, "__name__") and not hasattr(found, "func"):
        raise BadRequest(
            f"{group}='{text}' is an object of {type(found).__name__}; name the class itself or a function, so that its settings are known."
        )
    return found


def _raised(error: BaseException, target: str) -> str:
    """An error with the last line of the user's that it passed through."""
    file = user_code.file_of(target)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if file and Path(frame.filename).resolve() == file
    ]
    said = f"{type(error).__name__}: {first_line(error)}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:  # of a module that it imports
        return f"{error.filename}, line {error.lineno}, is no valid Python: {error.msg}"
    return f"{file}, line {frames[-1].lineno}, raises {said}" if frames else said
