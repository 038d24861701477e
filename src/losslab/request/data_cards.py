"""Data cards: a user's file with all settings, as `losslab inspect FILE --write` leaves it, taken in place of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from losslab.errors import BadRequest, nearest
from losslab.schema import cards

if TYPE_CHECKING:
    from losslab.request.questions import Question

_ENDINGS = (".yaml", ".yml")
_OWN = ("table", "images", "boxes", "arrays")


@dataclass(frozen=True)
class DataCard:
    """What a card says.

    Attributes:
        name: of the data set that it is a form of, such as table.
        settings: those that differ from its defaults; paths are relative to where the command stands.
        task: "" where the card leaves that open.
    """

    name: str
    settings: Mapping[str, Any]
    task: str


def is_one(path: Path | str) -> bool:
    """Whether a name is that of a card's file."""
    return str(path).endswith(_ENDINGS)


def read(path: Path) -> DataCard:
    """A card from its file. Raises BadRequest where it cannot be read or sets what its data do not have."""
    try:
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadRequest(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(card, Mapping) or not card.get("path"):
        raise BadRequest(
            f"{path} is no data card: it must hold 'path: FILE', as `losslab inspect FILE --write` leaves it."
        )
    about, name = card.get("about") or {}, next(iter(card.get("defaults") or ["table"]))
    if name not in _OWN:
        raise BadRequest(f"{path} builds on '{name}', and must build on one of: {', '.join(_OWN)}.")
    known = cards.card("data", str(name)).values
    settings = {str(key): value for key, value in card.items() if key not in ("about", "defaults", "name")}
    for key in settings:
        if key not in {**known, **cards.options("data")}:
            raise BadRequest(f"{path} sets '{key}', which data={name} does not have{nearest(key, known)}.")
    for key, value in settings.items():
        if isinstance(known.get(key), list) and not isinstance(value, list):
            raise BadRequest(f"{path} sets '{key}' to {value!r}, and it is a list: write {key}: [{value}].")
    for key in ("path", "images", "labels"):
        if file := settings.get(key):
            there = path.parent / file
            settings[key] = str(there if not Path(file).exists() and (key == "path" or there.exists()) else file)
    tasks = about.get("tasks") or []
    settings = {key: value for key, value in settings.items() if key not in known or value != known[key]}
    return DataCard(str(name), settings, str(tasks[0]) if len(tasks) == 1 else "")


def typed(words: Sequence[str]) -> dict[str, Any]:
    """The settings of the data among some words, such as data.time=day."""
    from losslab.request import overrides
    from losslab.request.compose import hydra_at_conf

    mine = [word for word in words if word.startswith("data.")]
    if not mine:
        return {}
    with hydra_at_conf():
        return {word.partition("=")[0].removeprefix("data."): overrides.read(word).value() for word in mine}


def expanded(overrides: Sequence[str]) -> list[str]:
    """The overrides, with data=FILE.yaml in the words that it stands for. What is typed beside it wins."""
    found: list[str] = []
    there = {text.lstrip("+~").partition("=")[0] for text in overrides}
    for text in overrides:
        key, _, value = text.partition("=")
        path = value.strip("'\"")
        if key != "data" or not is_one(path) or path in cards.names("data"):
            found.append(text)
            continue
        card = read(Path(path))
        found += [f"task={card.task}"] if card.task and "task" not in there else []
        words = [word(f"data.{key}", value) for key, value in card.settings.items() if f"data.{key}" not in there]
        found += [f"data={card.name}", *words]
    return found


def written(question: Question) -> str:
    """A card that asks the same, for `losslab compare FILE.yaml` and, in a folder conf/data/, for data=NAME."""
    settings = {key: value for key, value in typed(question.words).items() if key != "batch_size"}
    own = {column.name: column.used_as for column in question.columns if column.used_as not in ("target", "unused")}
    text = f"# {question.path.name}, {question.rows:,} rows; made by `losslab inspect`. Edit it and give it in place of the file.\n"
    if own:
        text += "# What each column is used as; to change one, name it in drop, number, category, date or text:\n"
    text += "".join(f"#   {name}: {use}\n" for name, use in own.items())
    text += yaml.safe_dump({"defaults": [question.data], **settings}, sort_keys=False, allow_unicode=True)
    text += yaml.safe_dump({"about": {"tasks": [question.task]}}, sort_keys=False)
    return text


def word(key: str, value: Any) -> str:
    """An override in Hydra's grammar, quoted where that is needed."""
    return f"{key}={_quoted(value)}"


def _quoted(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_quoted, value))}]"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value.lower() not in ("true", "false", "null", "inf", "nan"):
        return value
    escaped = re.sub(r"(\\*)'", lambda found: 2 * found[1] + r"\'", value)
    return "'" + re.sub(r"(\\+)$", r"\1\1", escaped) + "'"
