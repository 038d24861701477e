"""A loss that a request names by where it stands: 'FILE.py:NAME', 'module:NAME' or 'package.module.NAME'. Each becomes a card.

    my_losses.py:andrews       a function, or one under `@losslab.register.loss(...)`, whose facts are then the card's
    my_losses.py:Andrews       a class of torch.nn.Module: the keywords of its constructor are the settings
    torch.nn.HuberLoss         the same, of an installed package

A function or class without the decorator may state facts as attributes: `andrews.reads = "values"`. Where it does not state what it
reads, each task gives it the first of its spaces. The file or module is imported, and nothing else. No torch is imported here.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import logging
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest, first_line, nearest
from losslab.schema import cards, decorated, ranges, signatures, torch_losses, user_code
from losslab.schema.space_words import WORDS
from losslab.schema.suggestions import unknown

_LOG = logging.getLogger(__name__)
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
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

_made: dict[tuple[str, str], cards.Card] = {}  # by reference and folder, since the last request
_aliases: dict[str, str] = {}  # a name that Hydra can take for a file's -> the reference
_imports: ContextVar[bool] = ContextVar("imports", default=True)


def is_one(text: str) -> bool:
    """Whether a name of a loss says where it stands."""
    return ":" in text or text.endswith(".py") or bool(_DOTTED.fullmatch(text))


def card(text: str) -> cards.Card:
    """The card of what a reference names. Raises BadRequest, in one sentence, for what is no loss."""
    text = _aliases.get(text, text)
    key = (text, str(Path.cwd()))
    if key not in _made:
        _made[key] = _card(text)
    return _made[key]


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


def entered() -> list[tuple[str, cards.Card]]:
    """Alias and card of each reference that was made a card since the last request began."""
    here = str(Path.cwd())
    return [(alias(text), made) for (text, folder), made in list(_made.items()) if folder == here]


def short(text: str) -> str:
    """The name of the function or class alone, where a name is a reference."""
    return re.split(r"[:.]", text)[-1] if is_one(text) else text


@contextmanager
def without_imports() -> Iterator[None]:
    """Within it, a reference that is no card yet is refused: what is only read, such as an old record, starts no code."""
    token = _imports.set(False)
    try:
        yield
    finally:
        _imports.reset(token)


def _card(text: str) -> cards.Card:
    if not _imports.get():  # to look for a module imports its parents
        raise BadRequest(f"The loss '{text}' is code of the user's, which is not imported to read records.")
    name, target = _target(text)
    found = _load(text, target)
    where = f"The loss '{text}'"
    if stated := decorated.of(found):
        group, made = stated
        if group != "loss":
            raise BadRequest(f"{where} is registered as another part ({group}) and not as a loss.")
        _settings(found, where)  # refuses what cannot be called with pred and target
        settings = {key: value for key, value in made.values.items() if key != "name"}
        about, description = made.about, made.description
    else:
        settings, unset = _settings(found, where)
        about = _stated(found, where, settings)
        about |= {"instead": dict.fromkeys(unset, f"its default in '{text}' is None, and losslab leaves it so")}
        description = inspect.getdoc(getattr(found, "func", found)) or ""
        if torch_losses.known(found):
            description = re.sub(r":\w+:`([^`]*)`", r"\1", description.split("\n\n")[0])
    for key in settings:
        if key in TAKEN:
            raise BadRequest(f"{where} has a setting '{key}', which losslab has a meaning of its own for; rename it.")
    if same := torch_losses.known(found):
        _LOG.warning(f"{text} is the same loss as losslab's '{same.same}'; {text} is run, as you name it.")
    return cards.Card(
        {"name": name} | settings,
        cards.DEFAULTS["loss"] | about,
        function=target,
        description=description or f"{short(text)}: it has no docstring.",
    )


def _target(text: str) -> tuple[str, str]:
    """The name that a request keeps, and what `user_code` takes: 'FILE.py:NAME' with the whole path, or 'module:NAME'."""
    place, mark, name = text.rpartition(":")
    if text.endswith(".py"):
        raise BadRequest(f"loss='{text}' names a file; name what is in it as '{text}:NAME'{_holds(Path(text))}.")
    if not mark:  # package.module.NAME
        place, _, name = text.rpartition(".")
        if not user_code.is_module(place.split(".")[0]):
            said = unknown("loss", text, cards.names("loss")).rstrip(".")
            raise BadRequest(f"{said}; nor does Python find a module '{place.split('.')[0]}'.")
    if place.split(".")[0] == "losslab":
        raise BadRequest(
            f"loss='{text}': losslab's own losses are named plainly, as in loss=huber; `losslab losses` lists them."
        )
    if not place.endswith(".py"):
        user_code.check("loss", f"{place}:{name}")
        return text, f"{place}:{name}"
    file = Path(place).expanduser()
    user_code.check("loss", f"{file}:{name}")
    _check_syntax(text, file)
    return f"{os.path.normpath(file)}:{name}", f"{file.resolve()}:{name}"


def _check_syntax(text: str, file: Path) -> None:
    try:
        ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        at = f"{file}, line {line}," if line else str(file)
        raise BadRequest(f"loss='{text}': {at} is no valid Python: {getattr(error, 'msg', error)}.") from error
    except OSError as error:
        raise BadRequest(f"loss='{text}': {file} cannot be read: {error.strerror}.") from error


def _holds(file: Path) -> str:
    """What a file defines, for a message."""
    try:
        body = ast.parse(file.expanduser().read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return ""
    names = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    public = [name for name in names if not name.startswith("_")]
    return f"; it holds: {', '.join(public)}" if public else ""


def _load(text: str, target: str) -> Any:
    """The object itself. Raises BadRequest for whatever its module raises while it is imported."""
    try:
        with decorated.only_noted():
            found = user_code.load("loss", target)
    except BadRequest as error:  # of a decorator in the file, or of `user_code`
        if str(error).startswith("loss="):
            raise
        raise BadRequest(f"loss='{text}': {error}") from error
    except (Exception, SystemExit) as error:
        raise BadRequest(f"loss='{text}' cannot be imported: {_raised(error, target)}.") from error
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
        raise BadRequest(f"loss='{text}' is no plain function: leave async and yield away, and return the losses.")
    if inspect.isfunction(found) and found.__name__ == "<lambda>":
        raise BadRequest(f"loss='{text}' is a lambda; write it as 'def {short(text)}(pred, target): ...'.")
    if isinstance(found, type):
        if not any(f"{base.__module__}.{base.__name__}" == "torch.nn.modules.module.Module" for base in found.__mro__):
            raise BadRequest(f"loss='{text}' is a class that is no torch.nn.Module; name a function or such a class.")
    elif not callable(found):
        raise BadRequest(f"loss='{text}' is {found!r:.60}, of type {type(found).__name__}, and not a function.")
    elif not hasattr(found, "__name__") and not hasattr(found, "func"):
        raise BadRequest(
            f"loss='{text}' is an object of {type(found).__name__}; name the class itself, or a function, so that its settings are known."
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


def _settings(found: Any, where: str) -> tuple[dict[str, Any], list[str]]:
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
        return signatures.loss_settings(found, where, 0, without)
    signatures.check_tensors(found, where)
    return signatures.loss_settings(found, where, 2, without)


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
    for fact in ("ranges", "search", "presets"):
        for key in about.get(fact, {}):
            if key not in settings:
                raise BadRequest(
                    f"{where} states {fact} for '{key}', which is none of its settings{nearest(str(key), settings)}."
                )
    for key, text in about.get("ranges", {}).items():
        _check_range(key, text, settings[key], where)
    return about | ({"assumed": True} if assumed else {})


def _check_range(key: str, text: Any, default: Any, where: str) -> None:
    number = isinstance(default, int | float) and not isinstance(default, bool)
    try:
        if number and text[0] not in "[(":
            raise ValueError
        ranges.typed(key, default, default, {key: text})
    except BadRequest:
        return  # said where the value is used
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise BadRequest(
            f"{where}: the range of '{key}', {text!r}, cannot be read; write it as '(0, inf)' or '[0, 1]'."
        ) from error
