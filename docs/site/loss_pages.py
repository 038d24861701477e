"""One page for each loss, from its card and its docstring: formula, picture, hyperparameters, advice, source.

`python docs/site/loss_pages.py FOLDER` writes them. A picture whose curves have not changed is not drawn again.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from losslab.catalogue import advice, plot
from losslab.catalogue.listing import Entry, blocks, entry, grouped, shown
from losslab.catalogue.loss_curves import Panel, Portrait, portrait
from losslab.schema import cards
from losslab.schema.loss_facts import FACTS
from losslab.schema.space_words import WORDS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STROKES = {
    "path": "Orange: the same for another target, class or scale.",
    "setting": "Thin and blue: with another value of its first hyperparameter.",
    "other": "Thin in black, pink and green: well-known losses beside it.",
}


def write(folder: Path) -> None:
    """Writes the page of each loss and their index into a folder; files that would not change are not touched."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name in cards.names("loss"):
        seen = portrait(name)
        draw(seen, folder / f"figures/{name}.svg")
        _put(folder / f"{name}.md", page(name, seen))
    _put(folder / "index.md", index())


def page(name: str, seen: Portrait) -> str:
    """The page of a loss as Markdown."""
    loss = entry(name)
    roles = {curve.role for panel in seen.panels for curve in panel.curves}
    pages = Environment(
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    pages.filters |= {"shown": shown, "prose": prose, "cell": cell}
    head, rows = conformance()
    text = pages.get_template("loss.md.j2").render(
        loss=loss,
        parts=blocks(loss.docstring) if loss.docstring else [("", [loss.summary])],
        tasks=loss.tasks,
        task=usual_task(loss),
        known={setting.key for setting in loss.settings},
        titles={"Args": "Takes", "Returns": "Gives"},
        note=seen.note,
        strokes="".join(f" {said}" for role, said in STROKES.items() if role in roles),
        words={space.name: space.words for space in WORDS.values()},
        facts=FACTS,
        advice=advised(name),
        studies=studies(name),
        head=head,
        conformance=rows.get(name, []),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def usual_task(loss: Entry) -> str:
    """The task to try a loss on: that of the first space that it reads."""
    kinds = {"numbers": "regression", "classes": "multiclass", "yes or no": "binary"}
    task = kinds.get(WORDS[loss.reads[0]].kind, "")
    return task if task in loss.tasks else loss.tasks[0]


def index() -> str:
    """The list of all losses by the tasks that they serve, each with what it is."""
    names = cards.names("loss")
    made = [
        "# Every loss",
        "",
        f"{len(names)} losses by the tasks that they serve. Each has a page: formula, picture, hyperparameters, advice, source.",
        "",
    ]
    for tasks, entries in grouped(names):
        made += [f"## {_served(tasks)}", ""]
        made += [f"- [`{loss.name}`]({loss.name}.md): {prose(loss.gist)}" for loss in entries]
        made += [""]
    return "\n".join(made)


def prose(text: str) -> str:
    """Text with the signs escaped that Markdown would take for its own; losses in backticks are links."""
    names = set(cards.names("loss"))
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\\*_<\[\]$~|^{}#])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"[`{part}`]({part}.md)" if part in names else f"`{part}`" for part in parts[1::2]]
    return "".join(parts)


def cell(text: str) -> str:
    """The same for a cell of a table."""
    return prose(text).replace("\n", " ")


def advised(name: str) -> list[tuple[str, str, str, str]]:
    """The symptoms for which the advice names a loss: title, anchor, cause, what to do."""
    return [
        (symptom.title, _anchor(f"{symptom.number}. {symptom.title}"), remedy.cause, prose(remedy.action))
        for symptom in advice.symptoms()
        for remedy in symptom.remedies
        if any(name == loss.partition("(")[0] for losses in remedy.losses.values() for loss in losses)
    ]


@cache
def titles() -> dict[str, str]:
    """The title of each study's page."""
    pages = sorted((ROOT / "experiments").glob("*/README.md"))
    return {path.parent.name: path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for path in pages}


def studies(name: str) -> list[tuple[str, str]]:
    """The published studies whose recipes compare a loss, with their titles."""
    return [(study, title) for study, title in titles().items() if name in compared(study)]


@cache
def compared(study: str) -> list[str]:
    """The losses, terms of sums included, that the recipe of a study or a sweep names."""
    recipe = ROOT / f"conf/experiment/{study}.yaml"
    asked = yaml.safe_load(recipe.read_text(encoding="utf-8")) if recipe.exists() else {}
    swept = asked.get("hydra", {}).get("sweeper", {}).get("params", {}).get("loss", "")
    losses = asked.get("study", {}).get("losses", swept.split(","))
    return re.findall(r"[a-z]\w*", " ".join(re.sub(r"\(.*?\)", "", loss) for loss in losses))


@cache
def conformance() -> tuple[str, dict[str, list[str]]]:
    """The head of the table of docs/conformance.md, and its rows by their loss."""
    lines = (ROOT / "docs/conformance.md").read_text(encoding="utf-8").splitlines()
    begin = lines.index(next(line for line in lines if line.startswith("| loss | inputs")))
    rows: dict[str, list[str]] = {}
    for line in lines[begin + 2 :]:
        if found := re.match(r"\| `(\w+)` ", line):
            rows.setdefault(found[1], []).append(_without_loss(line))
    return "\n".join(map(_without_loss, lines[begin : begin + 2])), rows


def _without_loss(line: str) -> str:
    return "|" + line.split("|", 2)[2]


def draw(seen: Portrait, picture: Path) -> None:
    """Draws value and gradient as `losslab show` does, the two beside each other; a row for each path."""
    rows = len(seen.panels) // seen.columns
    panels = (
        seen.panels[:2]
        if rows == 1
        else [panel for pair in zip(*_rows(seen.panels, rows), strict=True) for panel in pair]
    )
    pair = replace(seen, columns=2, panels=panels)
    curves = [
        (curve.label, curve.role, curve.x.tolist(), curve.y.tolist()) for panel in panels for curve in panel.curves
    ]
    words = [(panel.title, panel.xlabel, panel.ylabel) for panel in panels]
    code = inspect.getsource(plot) + inspect.getsource(draw)
    digest = hashlib.sha256(repr((code, seen.title, seen.note, words, curves)).encode()).hexdigest()
    noted = picture.with_suffix(".sha256")
    if not (picture.exists() and noted.exists() and noted.read_text() == digest):
        plot.draw(pair, picture, form="svg")
        noted.write_text(digest)


def _rows(panels: Sequence[Panel], rows: int) -> list[Sequence[Panel]]:
    """The panels of each quantity: a portrait has them row by row."""
    each = len(panels) // rows
    return [panels[row * each : (row + 1) * each] for row in range(rows)]


def _served(tasks: Sequence[str]) -> str:
    return "every task" if tuple(tasks) == cards.names("task") else ", ".join(tasks)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _put(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
