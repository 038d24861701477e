"""The pages that readers see, their blocks of code and their commands, read as Markdown is."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from support.picture_files import class_folders, coco, scenes

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "docs/site"
PLACES = ("README.md", "docs/*.md", "docs/site/*.md", "examples/*.md", "experiments/*/*.md")


@dataclass(frozen=True)
class Block:
    """A block of code: the page, its line there, its language and its text."""

    page: str
    line: int
    language: str
    code: str

    @property
    def commands(self) -> list[str]:
        """Its lines without comments and empty ones; lines that a backslash joins are one."""
        return [text for line in self.code.replace("\\\n", " ").splitlines() if (text := uncommented(line))]


@cache
def texts() -> dict[str, str]:
    """Every page by its path from the root."""
    paths = [path for place in PLACES for path in sorted(ROOT.glob(place))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@cache
def blocks(language: str = "") -> list[Block]:
    """Every block of code, or those in a language. What is indented without a fence is one, in no language."""
    found = [
        Block(page, (token.map or [0])[0] + 1, token.info.strip(), token.content)
        for page, text in texts().items()
        for token in MarkdownIt().parse(text)
        if token.type in ("fence", "code_block")
    ]
    return [block for block in found if block.language == language or not language]


@cache
def in_text() -> list[tuple[str, str]]:
    """Each page with what stands in backticks on it, outside blocks."""
    spans: list[tuple[str, str]] = []
    for page, text in texts().items():
        for token in MarkdownIt().enable("table").parse(text):
            inner: list[Token] = token.children or []
            spans += [(page, child.content) for child in inner if child.type == "code_inline"]
    return list(dict.fromkeys(spans))


def uncommented(line: str) -> str:
    """A line of shell without its comment."""
    return re.sub(r"(?:^|\s+)#(?=\s).*$", "", line).strip()


def words(line: str) -> list[str]:
    """A line of shell as words, without a variable that is set before them."""
    return [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S*", word)]


def put_files(folder: Path) -> None:
    """Puts into a folder what the commands of the pages name.

    These are the blocks of Python whose first line names a file, such as `# my_models.py`, the card of a loss, and small data.
    """
    for block in blocks("python"):
        if file := re.match(r"# (\w+\.py)\n", block.code):
            (folder / file[1]).write_text(block.code)
    (folder / "conf/loss").mkdir(parents=True)
    (folder / "conf/loss/andrews.yaml").write_text(
        next(block.code for block in blocks("yaml") if "about:" in block.code)
    )
    rows = [f"{5 + 3 * (i % 7) + 0.37 * i:.2f},{i % 7},{'abc'[i % 3]}" for i in range(150)]
    for name, target in (("sales", "price"), ("diabetes", "target")):
        (folder / f"{name}.csv").write_text("\n".join([f"{target},rooms,town", *rows]))
    class_folders(folder / "flowers", 40)
    coco(folder / "annotations.json", scenes(folder / "photos", count=120))
