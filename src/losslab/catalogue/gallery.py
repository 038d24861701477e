"""One offline page with every loss: its card, its curves, and what it costs beside torch."""

from __future__ import annotations

import base64
import html
import io
import platform
import re
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from losslab import errors
from losslab.catalogue import timing
from losslab.catalogue.listing import Entry, blocks, entry, shown
from losslab.catalogue.loss_curves import Portrait, portrait
from losslab.catalogue.plot import draw
from losslab.schema import cards
from losslab.schema.loss_facts import FACTS
from losslab.schema.space_words import WORDS

TEMPLATE = Path(__file__).with_name("gallery.html.j2")


def write(names: Sequence[str], into: Path, rounds: int = 30) -> Path:
    """Writes the page of these losses, their speed measured in so many rounds, and returns its path."""
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_text(render([entry(name) for name in names], timing.table(names, rounds)), encoding="utf-8")
    return into


def render(entries: Sequence[Entry], rows: Sequence[timing.Row]) -> str:
    """The page as text."""
    pages = Environment(loader=FileSystemLoader(TEMPLATE.parent), autoescape=True, undefined=StrictUndefined)
    known = {loss.name for loss in entries}
    pages.filters |= {"prose": lambda text: prose(text, known), "shown": shown, "blocks": blocks}
    return pages.get_template(TEMPLATE.name).render(
        entries=entries,
        tasks={task: [loss for loss in entries if task in loss.tasks] for task in cards.names("task")},
        pictures={loss.name: pictures(loss.name) for loss in entries},
        facts=FACTS,
        spaces={space.name: space.words for space in WORDS.values()},
        rows=rows,
        measured={"rows": timing.ROWS, "outputs": timing.OUTPUTS},
        versions={name: version(name) for name in ("losslab", "torch", "torchvision", "matplotlib")},
        python=platform.python_version(),
        today=date.today().isoformat(),
    )


def prose(text: str, known: set[str]) -> Markup:
    """Text for the page, escaped; `names` in backticks as code, those of losses on the page as links."""

    def code(found: re.Match[str]) -> str:
        name = found[1]
        return f'<a href="#{name}"><code>{name}</code></a>' if name in known else f"<code>{name}</code>"

    return Markup(re.sub(r"`([^`]+)`", code, html.escape(text)))


def pictures(name: str) -> dict[str, Any]:
    """The figure of a loss as data, in a row for wide windows and in a column for narrow ones; or why there is none."""
    try:
        seen = portrait(name)
    except (NotImplementedError, errors.BadRequest) as error:
        return {"missing": str(error)}
    return {"columns": seen.columns, "wide": _data(seen, seen.columns), "tall": _data(seen, 1)}


def _data(seen: Portrait, columns: int) -> str:
    written = io.BytesIO()
    draw(seen, written, columns, form="svg")
    text = re.sub(r"\n\s*", "\n", written.getvalue().decode())
    tenths = re.sub(r' d="[^"]*"', lambda found: re.sub(r"(\d\.\d)\d+", r"\1", found[0]), text)  # of a point: enough
    return f"data:image/svg+xml;base64,{base64.b64encode(tenths.encode()).decode()}"
