"""The cards: each states the settings of a component, their defaults and ranges, and facts about it.

A card is shipped in losslab's conf/, lies in a folder of the user's, or is made from a decorated function; all three are equal.
Nothing here imports torch or the code that a card names, so that a wrong request is answered at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from omegaconf import OmegaConf

from losslab.errors import BadRequest, nearest
from losslab.schema import decorated
from losslab.schema.metric_facts import METRICS
from losslab.schema.suggestions import unknown, word

_HERE = Path(__file__).resolve().parents[1]  # the package

# Inside the package where it was installed as a wheel, at the top of the repository where it is being worked on.
CONF = next((p for p in (_HERE / "conf", _HERE.parents[1] / "conf") if p.is_dir()), _HERE / "conf")
FOLDERS = "LOSSLAB_CARDS"  # environment variable with folders of the user's cards, so that processes that are started know them
GROUPS = ("task", "data", "corruption", "loss", "model", "optimizer", "trainer", "logger")
CHOICES = (*GROUPS, "study", "experiment", "executor")  # groups of which a command line chooses a file
CHOSEN = ("task", "data", "corruption", "loss", "model", "optimizer")  # groups of which a request names components
OPEN = (*CHOSEN, "metric")  # groups that take cards from outside

_ADDED: dict[tuple[str, str], Card] = {}  # those of decorated functions


@dataclass(frozen=True, eq=False)  # a card that is read anew is another, as its file may have changed
class Card:
    """What is known of one component without running it.

    Attributes:
        values: its settings with their defaults, `name` among them.
        about: facts about it.
        comments: what its file says of each setting.
        path: its file; None for a decorated function, and for what is named by a reference.
        function: where its function stands, 'FILE.py:NAME' or 'module:NAME'; "" for one in losslab's own registry.
        code: the source of a decorated function.
        description: what a decorated function says of itself.
        group: of a card that a reference names, for messages.
    """

    values: dict[str, Any]
    about: dict[str, Any]
    comments: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    function: str = ""
    code: str = ""
    description: str = ""
    group: str = "loss"

    @property
    def shipped(self) -> bool:
        """Whether it is one of losslab's own."""
        return self.path is not None and self.path.is_relative_to(CONF)

    @property
    def named_by(self) -> str:
        """What names its function, for messages."""
        return f"'function' of {self.path}" if self.path else self.group


def card(group: str, name: str) -> Card:
    """The card of a component; an empty group means conf/config.yaml. Raises BadRequest for a name that is not there."""
    if is_reference(group, name):
        found: Card = _references().card(group, name)
        return found
    return _ADDED.get((group, name)) or _card(group, name, CONF, folders())


def is_reference(group: str, name: str) -> bool:
    """Whether a name says where the user's code stands; see `losslab.schema.references`."""
    of = _references()
    return of.is_of(group) and (of.of_alias(name) or (of.is_one(name) and name not in names(group)))


def has(group: str, name: str) -> bool:
    """Whether a name can be given for a component of a group. Raises BadRequest for a reference that names none."""
    return name in names(group) or (is_reference(group, name) and bool(card(group, name)))


def _references() -> ModuleType:
    from losslab.schema import references  # which builds on this file

    return references


def names(group: str) -> tuple[str, ...]:
    """The names that a group offers, sorted."""
    added = [name for of, name in _ADDED if of == group]
    found = _files(group, CONF, folders())
    return tuple(sorted({*found, *added})) if added else tuple(found)


def add(group: str, made: Card) -> None:
    """Enters the card of a decorated function, in the place of an earlier one. Raises BadRequest for a name that is taken."""
    name = made.values["name"]
    if group == "metric" and name in METRICS:
        raise BadRequest(f"There is already a metric '{name}' of losslab's own; choose another name.")
    if name in _files(group, CONF, folders()):
        raise BadRequest(
            f"There is already a {word(group)} '{name}' ({_card(group, name, CONF, folders()).path}); choose another name."
        )
    if decorated.enters_names():
        _ADDED[group, name] = made


def remove(group: str, name: str) -> None:
    """Takes the card of a decorated function away."""
    _ADDED.pop((group, name), None)


def refresh() -> None:
    """Looks anew at the user's folders: to be called where a request begins, as their files may have changed."""
    for cached in (_folders, _files, _card, _outside):
        cached.cache_clear()
    _references().refresh()


def from_outside() -> list[tuple[str, str]]:
    """Group and name of each card that is not losslab's own."""
    return [*_ADDED, *_outside(CONF, folders())]


def of_this_process() -> bool:
    """Whether there are cards of decorated functions, which no other process knows."""
    return bool(_ADDED)


def recipes_of_user() -> dict[str, Path]:
    """The recipes in the user's folders, by name."""
    return {name: path for name, path in _files("experiment", CONF, folders()).items() if not path.is_relative_to(CONF)}


@cache
def _outside(shipped: Path, outside: tuple[Path, ...]) -> list[tuple[str, str]]:
    groups = OPEN if outside else ()
    return [
        (group, name)
        for group in groups
        for name, path in _files(group, shipped, outside).items()
        if not path.is_relative_to(shipped)
    ]


def use_folder(folder: Path) -> None:
    """Adds a folder of the user's cards, for this process and those that it starts. Raises BadRequest where there is none."""
    if not folder.is_dir():
        raise BadRequest(
            f"--config-dir={folder}: there is no such folder; it holds cards such as {folder}/loss/NAME.yaml."
        )
    known = os.environ.get(FOLDERS, "").split(os.pathsep)
    os.environ[FOLDERS] = os.pathsep.join(dict.fromkeys(filter(None, [*known, str(folder.absolute())])))


def folders() -> tuple[Path, ...]:
    """The folders of the user's cards: those that were named, and conf/ where the command stands."""
    return _folders(os.environ.get(FOLDERS, ""), os.getcwd())  # noqa: PTH109 - pathlib takes ten times as long


@cache
def _folders(named: str, here: str) -> tuple[Path, ...]:
    found = [*map(Path, filter(None, named.split(os.pathsep)))]
    beside = Path(here, "conf")
    own = (beside / "study" / "fair.yaml").is_file()  # losslab's own cards, or those of another copy of it
    found += [beside] if beside.is_dir() and not own else []
    return tuple(dict.fromkeys(found))


@cache
def _files(group: str, shipped: Path, outside: tuple[Path, ...]) -> dict[str, Path]:
    """The file of each name of a group, sorted by name. Raises BadRequest for a name that is there twice.

    A recipe for a published table has the name of its folder, too: paper/NAME.
    """
    found = {path.stem: path for path in (shipped / group).glob("*.yaml")}
    if group == "experiment":
        found |= {f"{path.parent.name}/{path.stem}": path for path in (shipped / group).glob("*/*.yaml")}
    for folder in outside if group in (*OPEN, "experiment") else ():
        for path in sorted((folder / group).glob("*.yaml")):
            if group != "experiment" and not _is_card(path):
                continue  # a project may have a conf/ of its own, for other programs
            if path.stem in found:
                raise BadRequest(
                    f"{path}: there is already a {word(group)} '{path.stem}' ({found[path.stem]}); choose another name."
                )
            found[path.stem] = path
    return dict(sorted(found.items()))


def _is_card(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return "about:" in text  # refused where it is asked for
    return isinstance(content, dict) and "about" in content


@cache
def _card(group: str, name: str, shipped: Path, outside: tuple[Path, ...]) -> Card:
    known = _files(group, shipped, outside) if group else {}
    if group and name not in known:
        raise BadRequest(unknown(group, name, [*known, *(added for of, added in _ADDED if of == group)]))
    path = known[name] if group else shipped / f"{name}.yaml"
    return _shipped(group, path) if path.is_relative_to(shipped) else _of_user(group, name, _read(group, path))


@cache
def _shipped(group: str, path: Path) -> Card:
    return _read(group, path)


def _read(group: str, path: Path) -> Card:
    """A card from its file, with what it inherits from another of its group."""
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except (yaml.YAMLError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise BadRequest(f"{path} must hold settings as 'key: value', and facts under 'about:'.")
    values: dict[str, Any] = {}
    about: dict[str, Any] = {}
    function = ""
    for parent in content.pop("defaults", []):
        if group and isinstance(parent, str) and parent != "_self_":
            inherited = card(group, parent)
            values |= inherited.values
            about |= {"function": parent} | inherited.about
            function = inherited.function
    about |= content.pop("about", {}) or {}
    content.pop("hydra", None)
    values |= {str(key): value for key, value in content.items()}
    return Card(values, about, _comments(path), path, function)


def _of_user(group: str, name: str, made: Card) -> Card:
    """The card of a user's file with its function found: beside the card, beside the folder of its group, or beside that of all cards.

    Raises BadRequest where it lacks what a card must state.
    """
    check_facts(group, str(made.path), made.about)
    made = replace(made, about=DEFAULTS.get(group, {}) | made.about)
    function, values = made.about.get("function", ""), made.values | {"name": name}
    if ":" in function:
        file, _, inner = function.rpartition(":")
        places = [parent / file for parent in list(made.path.parents)[:3]] if made.path else []
        found = next((place.resolve() for place in places if file.endswith(".py") and place.is_file()), file)
        return replace(made, values=values, function=f"{found}:{inner}")
    if not function:
        raise BadRequest(f"{made.path} must say which function it describes: 'function: FILE.py:NAME' under 'about:'.")
    return replace(made, values=values)


# facts that a card from outside need not state
DEFAULTS: dict[str, dict[str, Any]] = {
    "loss": {"facts": [], "source": "yours"},
    "model": {"kinds": ["table", "picture"]},
}
# what a card from outside may state, and what it must
_FACTS: dict[str, tuple[set[str], set[str]]] = {
    "task": ({"spaces", "metrics"}, {"short_list", "more", "one_label"}),
    "loss": ({"reads"}, {"facts", "source", "search", "presets", "identities", "before", "counted", "of_task"}),
    "data": (
        {"tasks"},
        {"kind", "rows", "one_split", "uneven", "rows_per_point", "numbers", "path", "more_paths", "files", "package"}
        | {"extra", "presets"},
    ),
    "corruption": ({"tasks"}, set()),
    "model": (set(), {"kinds", "per_row", "quick", "target"}),
    "optimizer": (set(), {"search", "stacked"}),
    "metric": ({"tasks", "better"}, {"unit"}),
}


def check_facts(group: str, where: str, about: Mapping[str, Any]) -> None:
    """Raises BadRequest for a fact that is not known, or that is missing, in a card from outside."""
    needed, more = _FACTS[group]
    known = {*needed, *more, "ranges", "instead", "function"}
    for key in about:
        if key not in known:
            raise BadRequest(
                f"{where} states '{key}', which means nothing{nearest(key, known)}. Known: {', '.join(sorted(known))}."
            )
    if about.get("better", "min") not in ("min", "max"):
        raise BadRequest(f"{where} states better: {about['better']}, which must be min or max.")
    for key in sorted(needed - set(about)):
        raise BadRequest(f"{where} must state '{key}' under 'about:'; {_WHY[key]}.")


_WHY = {
    "reads": "such as reads: [values], the spaces that the loss reads (docs/shapes.md)",
    "tasks": "such as tasks: [regression], the tasks that it fits",
    "better": "min or max, the direction that is better",
    "spaces": "the spaces that it offers, with how many numbers each takes",
    "metrics": "the metrics, the one that selects the best epoch first",
}


def metrics(task: str) -> dict[str, str]:
    """The metrics of a task, each with its better direction, "min" or "max"; the first selects the best epoch.

    They are those that its card lists, and those from outside whose cards name the task.
    """
    listed = card("task", task).about["metrics"]
    more = [name for name in names("metric") if task in card("metric", name).about["tasks"] and name not in listed]
    return {
        name: METRICS[name].better if name in METRICS else card("metric", name).about["better"]
        for name in [*listed, *more]
    }


def options(group: str) -> dict[str, Any]:
    """The settings that any component of a group takes beside its own, with the values under which they do nothing."""
    every = card("", "config").about["options"]
    return {key.removeprefix(f"{group}."): value for key, value in every.items() if key.startswith(f"{group}.")}


def _comments(path: Path) -> dict[str, str]:
    """The comment beside each top-level key of a YAML file, with the comment lines that go on below it."""
    found: dict[str, str] = {}
    key = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"(\w+):[^#]*?(?:\s#\s*(.*))?$", line):
            key = match[1]
            found[key] = match[2] or ""
        elif key and (match := re.match(r"\s+#\s*(.*)", line)):
            found[key] = f"{found[key]} {match[1]}".strip()
        else:
            key = None
    return found
