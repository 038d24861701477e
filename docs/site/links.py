"""What is done to a page as Sphinx reads it, so that the same Markdown reads well on GitHub and in the site."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]

# pages that have others below them, in the order of the page itself
BELOW = {
    "docs/findings": re.compile(r"\]\((\.\./experiments/\w+/README)\.md\)"),
    "experiments/bbox_losses/README": re.compile(r"\]\((SIMULATOR)\.md\)"),
}


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Changes links as the site needs them, and says which pages lie below this one."""
    text, folder = source[0], (ROOT / docname).parent
    text = text.replace("](../README.md", "](../index.md")
    text = re.sub(r"\]\((?:\.\./)?examples/gallery/(\w+)\.py\)", r"](/gallery/\1.rst)", text)
    text = re.sub(r"\]\((?:examples/)?gallery\)", "](/gallery/index.rst)", text)
    text = re.sub(r"(?<!!)\[([^][]+)\]\(([^)#:\s]+)\)", lambda found: without_folder(found, folder), text)
    if docname in ("docs/losses", "docs/conformance"):
        text = re.sub(r"(?m)^\| `(\w+)` \|", r"| [`\1`](../catalogue/\1.md) |", text)
    if below := BELOW.get(docname):
        text += "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(dict.fromkeys(below.findall(text))) + "\n```\n"
    source[0] = text


def without_folder(found: re.Match[str], folder: Path) -> str:
    """A link to a folder, of which a site has no page, as its text alone."""
    return found[1] if (folder / found[2]).is_dir() else found[0]
