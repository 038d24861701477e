"""What a request would take of this machine's memory, estimated before anything is made. No torch here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest

_SHARE = 0.75  # of the memory; the rest is torch's own and other programs'
_COPIES_OF_DATA = (
    5  # in float32: as made, standardised, corrupted, as the run holds it, and the most that is used in between
)
_COPIES_OF_MODEL = 5  # in float32: weights, gradient, two of the optimizer, the best epoch's
_OF_THIS_PROCESS = Path("/proc/self/status")
_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container on Linux; a number, or the word max


def memory() -> int:
    """Bytes of memory that this process may use, whether free or not."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 2**63 - 1
    try:
        return min(whole, int(_LIMIT.read_text()))
    except (OSError, ValueError):
        return whole


def processes() -> int:
    """How many processes fit into memory that take as much as this one has taken at most; no limit where that is not known."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", _OF_THIS_PROCESS.read_text(), re.M)
    except OSError:  # not on Linux
        found = None
    return int(_SHARE * memory() / (1024 * int(found[1]))) if found else 2**31


def check_data(data: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Raises BadRequest for more rows of a made data set than memory can hold; `numbers` in its card are those of one row."""
    if "numbers" in about:
        _check(f"data.rows={data['rows']}", "the data", 4 * _COPIES_OF_DATA * data["rows"] * about["numbers"])


def check_pictures(asked: str, rows: int, numbers: int) -> None:
    """Raises BadRequest for more pictures than memory can hold, of so many numbers each; `asked`: what would make them fewer."""
    _check(asked, f"{rows:,} pictures", 4 * _COPIES_OF_DATA * rows * numbers)


def check_model(model: Mapping[str, Any], parameters: int) -> None:
    """Raises BadRequest for a model of more parameters than memory can train."""
    settings = " ".join(f"model.{key}={value}" for key, value in model.items() if key != "name")
    what = " ".join(filter(None, [f"model={model['name']}", settings]))
    _check(what, f"a model of {parameters:,} parameters", 4 * _COPIES_OF_MODEL * parameters)


def _check(asked: str, what: str, size: int) -> None:
    if size > _SHARE * (there := memory()):
        raise BadRequest(
            f"{asked} would take some {size / 1e9:,.1f} GB of memory for {what}, and this machine has {there / 1e9:,.1f} GB; ask for less."
        )
