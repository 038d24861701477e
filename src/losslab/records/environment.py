"""The code and the packages by which a run is made."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

from losslab.errors import raise_if_ended


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide a result."""
    packages = ("losslab", "torch", "pytorch-lightning", "hydra-core")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


@cache
def commit() -> str | None:
    """The commit of the code that runs, with a plus sign where files differ from it; None where git does not hold this code."""
    here = Path(__file__).resolve()

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here.parent), *words], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)  # a package installed inside somebody's repository is not theirs
        return git("describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*") or None
    except (OSError, subprocess.SubprocessError) as error:
        raise_if_ended(error)  # else other code would seem to have begun what this code goes on with
        return None
