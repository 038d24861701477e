"""The losses as text: their cards and docstrings for the terminal and for docs/losses.md.

Nothing here imports torch, so that a listing is there at once; docstrings are read from the source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from inspect import cleandoc
from pathlib import Path
from textwrap import fill
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from losslab import errors
from losslab.schema import cards, compatibility, identities, loss_terms, user_code
from losslab.schema.loss_facts import COMMON, FACTS
from losslab.schema.search_space import of_loss
from losslab.schema.space_words import WORDS


@dataclass(frozen=True)
class Setting:
    """A hyperparameter: its default, its range, what its comment says, the words that stand for numbers, and another value if set."""

    key: str
    default: Any
    range: str
    comment: str
    presets: Mapping[str, Any]
    given: Any = None

    @property
    def value(self) -> Any:
        """The value that is used."""
        return self.default if self.given is None else self.given

    @property
    def meaning(self) -> str:
        """What it means, and its presets."""
        words = ", ".join(f"{word} stands for {shown(value)}" for word, value in self.presets.items())
        return ". ".join(filter(None, [self.comment.rstrip("."), words]))

    @property
    def described(self) -> str:
        """All of it in one line."""
        default = f" (default {shown(self.default)})" if shown(self.value) != shown(self.default) else ""
        inside = f", in {self.range}" if self.range else ""
        return f"{self.key}={shown(self.value)}{default}{inside}" + (f": {self.meaning}" if self.meaning else "")


@dataclass(frozen=True)
class Entry:
    """All that is known of a loss without running it."""

    name: str
    tasks: tuple[str, ...]
    reads: tuple[str, ...]
    settings: tuple[Setting, ...]
    facts: tuple[str, ...]
    identities: tuple[str, ...]  # with what other losses it is the same
    tuned: str  # its search space in words; "" where nothing is tuned but the learning rate
    source: str
    docstring: str
    assumed: bool = False  # it does not state what it reads

    @property
    def summary(self) -> str:
        """The first sentence of the docstring; for a sum, the sum."""
        if not self.docstring:
            return f"The sum `{self.terms}`."
        first = " ".join(self.docstring.split("\n\n")[0].split())
        return re.split(r"(?<=[.!?])\s+(?=[A-Z]|l = )", first)[0]

    @property
    def gist(self) -> str:
        """The summary up to its colon, if that says enough: what the loss is, without what follows from it."""
        begun = self.summary.split(": ")[0]
        return (begun if len(begun) >= 40 else self.summary).rstrip(".")

    @property
    def terms(self) -> str | None:
        """The terms of a sum as its card has them; None for a plain loss."""
        return next((str(setting.value) for setting in self.settings if setting.key == "terms"), None)

    @property
    def assignments(self) -> str:
        """The hyperparameters with their values, as they are typed."""
        return ", ".join(f"{setting.key}={shown(setting.value)}" for setting in self.settings)

    def under(self, params: Mapping[str, Any]) -> Entry:
        """The same loss under checked hyperparameters, of which some may be options that every loss of its kind takes."""
        own = {setting.key for setting in self.settings}
        further = [Setting(key, cards.options("loss")[key], "", "", {}) for key in params if key not in own]
        settings = [replace(one, given=params.get(one.key)) for one in (*self.settings, *further)]
        return replace(self, settings=tuple(settings))

    @property
    def notable_facts(self) -> tuple[str, ...]:
        """Its facts in words, without those that hold of nearly all losses."""
        return tuple(fact.replace("_", " ") for fact in self.facts if fact not in COMMON)


def entry(name: str) -> Entry:
    """The entry of a loss. Raises BadRequest for a name that is not there."""
    of_the_user = cards.is_reference("loss", name) or ("loss", name) in cards.from_outside()  # may change in a process
    return _entry.__wrapped__(name) if of_the_user else _entry(name)


@cache
def _entry(name: str) -> Entry:
    card = cards.card("loss", name)
    return Entry(
        name,
        tasks=tuple(task for task in cards.names("task") if not compatibility.misfits(task, card.values)),
        reads=tuple(compatibility.reads(card.values)),
        settings=_settings("loss", name, card.about.get("ranges", {})),
        facts=tuple(card.about.get("facts", [])),
        identities=_identities(name),
        tuned="; ".join(dimension.in_words for dimension in of_loss(name)),
        source=str(card.about.get("source", "yours")),
        docstring=_docstring("loss", name),
        assumed=bool(card.about.get("assumed")),
    )


def _identities(name: str) -> tuple[str, ...]:
    """What its card states, and what the cards of others state of it."""
    stated = [(other, identity) for other in cards.names("loss") for identity in identities.of(other)]
    return tuple(
        f"{other} = {identity.in_words}" for other, identity in stated if name == other or identity.names_loss(name)
    )


def _settings(group: str, name: str, ranges: Mapping[str, str]) -> tuple[Setting, ...]:
    """What can be set in a file of a group, with what the file says of it."""
    card = cards.card(group, name)
    presets = card.about.get("presets", {})
    return tuple(
        Setting(key, value, ranges.get(key, ""), card.comments.get(key, ""), presets.get(key, {}))
        for key, value in card.values.items()
        if key != "name"
    )


def shown(value: Any) -> str:
    """A value of a hyperparameter as it is typed."""
    if isinstance(value, float):
        return f"{value:g}"
    return f"[{','.join(map(shown, value))}]" if isinstance(value, list) else str(value)


def grouped(names: Sequence[str]) -> list[tuple[tuple[str, ...], list[Entry]]]:
    """The losses in groups that serve the same tasks: those of one task first, those of most tasks last."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for name in names:
        groups.setdefault(entry(name).tasks, []).append(entry(name))
    return sorted(groups.items(), key=lambda group: (len(group[0]), group[0]))


def blocks(docstring: str) -> list[tuple[str, list[str]]]:
    """The paragraphs of a docstring, each as its heading ('' or 'Args', 'Returns', ...) and its items, line breaks undone."""
    made = []
    for part in filter(None, re.split(r"\n\s*\n", cleandoc(docstring))):
        head, *lines = part.splitlines()
        if not re.fullmatch(r"[A-Z]\w+:", head) or not lines:
            made.append(("", [" ".join(part.split())]))
            continue
        items: list[str] = []
        depth = min(len(line) - len(line.lstrip()) for line in lines)
        for line in lines:
            if line[depth].isspace() and items:
                items[-1] += f" {line.strip()}"
            else:
                items.append(line.strip())
        made.append((head[:-1], items))
    return made


def assigned(texts: Sequence[str]) -> dict[str, Any]:
    """Hyperparameters as they are typed, KEY=VALUE. Raises BadRequest for what is not of this form."""
    pairs = [text.partition("=") for text in texts]
    for key, mark, value in pairs:
        if not (key and mark and value):
            raise errors.BadRequest(f"'{key}{mark}{value}' cannot be read; write a hyperparameter as KEY=VALUE.")
    try:
        return {key.removeprefix("loss."): loss_terms.value(text) for key, _, text in pairs}
    except yaml.YAMLError as error:
        raise errors.BadRequest(f"The values in '{' '.join(texts)}' cannot be read.") from error


def print_list(names: Sequence[str], console: Console, title: str) -> None:
    """Prints a few lines a loss: what it is, and its hyperparameters and facts."""
    console.print(Text(title, style="bold"))
    for tasks, entries in grouped(names):
        width = max(len(loss.name) for loss in entries) + 2
        console.print(Text(f"\n{_served(tasks)}", style="bold underline"))
        for loss in entries:
            known = "; ".join(filter(None, [loss.assignments, ", ".join(loss.notable_facts)]))
            gist = wrapped(loss.gist, console.width, width, first=loss.name.ljust(width))
            console.print(Text.assemble((gist[:width], "bold"), gist[width:]), soft_wrap=True)
            if known:
                console.print(Text(wrapped(known, console.width, width), style="dim"), soft_wrap=True)
    console.print(
        Text("\n" + wrapped("`losslab show NAME` prints the whole card of a loss and draws it.", console.width))
    )


def markdown(names: Sequence[str]) -> str:
    """The catalogue as docs/losses.md carries it: a table for each group of losses that serve the same tasks."""
    made = []
    for tasks, entries in grouped(names):
        made += [f"**{_served(tasks)}**", ""]
        made += ["| loss | what it does | hyperparameters | facts | source |", "|---|---|---|---|---|"]
        for loss in entries:
            settings = f"`{loss.assignments}`" if loss.assignments else ""
            cells = (f"`{loss.name}`", loss.summary, settings, ", ".join(loss.notable_facts), _author(loss.source))
            made.append(f"| {' | '.join(map(_cell, cells))} |")
        made.append("")
    return "\n".join(made).rstrip()


def print_card(loss: Entry, console: Console) -> None:
    """Prints all that is known of a loss."""
    _print_head(loss.name, loss.docstring or loss.summary, console)
    tuned = [f"tuned over: {loss.tuned}"] if loss.tuned else []
    serves, reads = [_served(loss.tasks)], [f"{space}: {WORDS[space].words}" for space in loss.reads]
    if loss.assumed:
        serves = ["the tasks on which it works; `losslab check NAME --task TASK` tries one"]
        reads = [f"not stated, so that each task gives it the first of its spaces ({', '.join(loss.reads)})"]
    for title, items in (
        ("Serves", serves),
        ("Reads", reads),
        ("Hyperparameters", [setting.described for setting in loss.settings] + tuned),
        ("The same loss", list(loss.identities)),
        ("Facts", [f"{fact}: {FACTS.get(fact, 'a fact without a description')}" for fact in loss.facts]),
        ("Source", [loss.source]),
    ):
        _print_section(title, items, console)


def print_corruption(name: str, console: Console) -> None:
    """Prints all that is known of a corruption. Raises BadRequest for a name that is not there."""
    card = cards.card("corruption", name)
    _print_head(name, _docstring("corruption", name), console)
    ranges = cards.card("", "config").about["ranges"]
    own = {key.removeprefix("corruption."): text for key, text in ranges.items()} | card.about.get("ranges", {})
    _print_section("Fits", [_served(sorted(card.about["tasks"]))], console)
    settings = _settings("corruption", name, own)
    _print_section("Settings", [setting.described for setting in settings], console)


def _print_head(name: str, docstring: str, console: Console) -> None:
    """Prints a name and what a docstring says."""
    console.print(Text(name, style="bold underline"))
    for title, items in blocks(docstring):
        if title:
            _print_section(title, items, console)
        else:
            console.print()
            console.print(Text(wrapped(items[0], console.width)), soft_wrap=True)


def _print_section(title: str, items: Sequence[str], console: Console) -> None:
    """Prints a heading and a paragraph for each item; nothing where there are none."""
    if items:
        console.print(Text(f"\n{title}", style="bold"))
    for item in items:
        console.print(Text(wrapped(item, console.width, 6, first="  ")), soft_wrap=True)


def _served(tasks: Sequence[str]) -> str:
    return "every task" if tuple(tasks) == cards.names("task") else ", ".join(tasks) or "no task"


def wrapped(text: str, width: int, indent: int = 0, first: str | None = None) -> str:
    """Text in lines of at most `width`, of which the second and all further are indented, and the first begins as told."""
    first = " " * indent if first is None else first
    lines = fill(
        text,
        min(width, 110),  # longer lines are hard to read
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or first


def _cell(text: str) -> str:
    """Text as a cell of a Markdown table: signs that Markdown would take for its own are escaped, but for those in code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_<])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts).replace("|", r"\|")


def _author(source: str) -> str:
    """A source up to its first year."""
    found = re.match(r"[^;]*?\(\d{4}\)", source)
    return found[0] if found else source


def _docstring(group: str, name: str) -> str:
    """What the function of a card says of itself, read from its source without importing it."""
    card = cards.card(group, name)
    if card.path is None:
        return card.description
    if card.function:
        path = user_code.file_of(card.function)
        return _docstrings_in(path).get(card.function.rpartition(":")[2], "") if path else ""
    return _docstrings(_FOLDERS[group]).get(str(card.about.get("function", name)), "")


_FOLDERS = {"loss": "losses", "corruption": "corruption"}


@cache
def _docstrings(folder: str) -> dict[str, str]:
    """The docstring of each registered function in a folder of losslab, by its name in small letters."""
    found: dict[str, str] = {}
    for path in sorted((Path(__file__).parents[1] / folder).glob("*.py")):
        found |= {name.lower(): text for name, text in _docstrings_in(path, registered=True).items()}
    return found


def _docstrings_in(path: Path, registered: bool = False) -> dict[str, str]:
    """The docstring of each function or class of a file, or of those under `@register`."""
    return {
        node.name: ast.get_docstring(node) or ""
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        if not registered or any(isinstance(mark, ast.Name) and mark.id == "register" for mark in node.decorator_list)
    }
