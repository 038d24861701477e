"""The report of a study: one HTML file that needs no network, or Markdown with figures beside it."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from losslab.errors import BadRequest
from losslab.report import answer, by_setting
from losslab.report.analysis import Findings, find
from losslab.report.charts import matplotlib_backend, svg_backend
from losslab.report.charts.spec import Chart, Heat
from losslab.report.flipped import flip_sentence
from losslab.report.results import Results
from losslab.report.sections import Section, sections
from losslab.report.usage import usage

_TEMPLATES = Path(__file__).with_name("templates")
# what Markdown reads as more than itself: brackets only where they make a link, an underscore only at the edge of a word
_MARKS = re.compile(r"[\\`*|~$]|\](?=[(\[:])|(?<!\w)_|_(?!\w)|^[#>+-](?= )")
_CODE = re.compile(r"`([^`]+)`")


def write_html(results: Results, path: Path, found: Findings | None = None) -> Path:
    """Writes the page, which asks for nothing outside itself, and returns its path.

    Args:
        results: the tables of the study.
        path: of the file; its folder is made.
        found: what `find(results)` gave, where it is known already.
    """
    if path.suffix.lower() not in ("", ".html", ".htm"):
        raise BadRequest(f"A report is a page, and {path} names another form; end its name in .html.")
    found = found or find(results)
    made = sections(results, found)
    page = _pages(autoescape=True, prose=_html_prose).get_template("report.html.j2")
    return _write(path, page.render(**_told(results, found, made), drawn=_drawn))


def _drawn(chart: Chart | Heat, label: str) -> Markup:
    """A chart as a page shows it."""
    return Markup(svg_backend.square(chart) if isinstance(chart, Heat) else svg_backend.picture(chart, label))


def write_markdown(results: Results, folder: Path, found: Findings | None = None) -> Path:
    """Writes report.md with its pictures in figures/, and returns the path of report.md."""
    found = found or find(results)
    made = sections(results, found)
    pages = _pages(autoescape=False, prose=_markdown_prose)
    pages.filters |= {"cell": markdown, "cell_prose": _in_cell}
    text = pages.get_template("report.md.j2").render(**_told(results, found, made))
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for section in made:
        if section.picture:
            matplotlib_backend.draw(section.picture, folder / "figures" / f"{section.key}.png")
    return _write(folder / "report.md", text)


def markdown(text: str) -> str:
    """Text that Markdown shows letter by letter, in a cell of a table too."""
    line = re.sub(r"\s+", " ", text)
    return html.escape(_MARKS.sub(lambda found: "\\" + found[0], line), quote=False)


def _told(results: Results, found: Findings, made: list[Section]) -> dict[str, Any]:
    return {
        "results": results,
        "answer": answer.parts(results, found, by_setting=False),
        "by_setting": by_setting.table(results, found),
        "flipped": flip_sentence(results, found),
        "usage": usage(results, found),
        "sections": made,
        "title": results.name or f"A sweep of {results.task}",
    }


def _pages(autoescape: bool, prose: Any) -> Environment:
    pages = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["prose"] = prose
    return pages


def _html_prose(text: str) -> Markup:
    """Escaped, with what stands in backticks as code."""
    return Markup(_CODE.sub(lambda code: f"<code>{code[1].replace('(', '(<wbr>')}</code>", html.escape(text)))


def _markdown_prose(text: str) -> str:
    """Escaped, with what stands in backticks as code."""
    parts = _CODE.split(text)  # outside, inside, outside, ...
    return "".join(f"`{' '.join(part.split())}`" if number % 2 else markdown(part) for number, part in enumerate(parts))


def _in_cell(text: str) -> str:
    """The same in a cell of a table, where a bar ends the cell even inside code."""
    parts = _CODE.split(text)
    return "".join(
        f"`{' '.join(part.split())}`".replace("|", "\\|") if number % 2 else markdown(part)
        for number, part in enumerate(parts)
    )


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
