"""Builds the site: `python docs/site/build.py [FOLDER]`, build/site by default. Needs no network; a warning is an error.

Sphinx reads copies of the pages that lie to one another as the pages do, so that their links are those that GitHub follows.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGES = (
    "docs/*.md",
    "examples/**/*",
    "experiments/*/*.md",
    "experiments/*/figures/*",
    "experiments/*/*.parquet",
    "experiments/*/*.csv",
)
NAMED = ("src", "tests", "conf")  # files there are shown by links to them, and are no pages


def lay(source: Path) -> None:
    """Copies the pages, and the files that they name, into the folder that Sphinx reads; removes pages that are gone."""
    found = [(path, path.relative_to(ROOT)) for pattern in PAGES for path in ROOT.glob(pattern) if path.is_file()]
    found += [(ROOT / "README.md", Path("README.md")), *((path, Path(path.name)) for path in HERE.glob("*.md"))]
    for path, place in found:
        copy = source / place
        if not copy.exists() or copy.stat().st_mtime != path.stat().st_mtime:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
    kept = {source / place for _, place in found}
    for old in [*source.glob("*.md"), *source.glob("docs/*.md"), *source.glob("experiments/*/*.md")]:
        if old not in kept:
            old.unlink()
    for name in NAMED:
        if not (source / name).is_symlink():
            (source / name).symlink_to(ROOT / name)


def main(folder: Path) -> int:
    """Builds the site below a folder, as html/index.html. Returns the exit status of Sphinx."""
    lay(folder / "source")
    words = [
        "--fail-on-warning",
        "--keep-going",
        "--quiet",
        "--jobs",
        "2",
        "--conf-dir",
        str(HERE),
        "-d",
        str(folder / "doctrees"),
    ]
    return sphinx([*words, str(folder / "source"), str(folder / "html")])


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/site").absolute()))
