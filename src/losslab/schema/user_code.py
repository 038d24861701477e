"""Code of the user's own that a config names as 'module:name'. Only what is named there is ever imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest
from losslab.schema import source_hashes


def check(key: str, target: str) -> None:
    """Raises BadRequest where `target` names no module that Python finds from here. Imports nothing but its parent packages."""
    if target == "none":
        raise BadRequest(f"model=own needs a model of yours: give {key}=module:name, such as {key}=my_models:Net.")
    module, _, name = target.partition(":")
    if not (name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise BadRequest(
            f"{key} must name a function or class as 'module:name', such as 'my_models:Net'; '{target}' does not."
        )
    if module == "__main__":
        raise BadRequest(f"{key}='{target}': put '{name}' into a file of its own, such as my_models.py, and name that.")
    if module.split(".")[0] in sys.stdlib_module_names:
        raise BadRequest(f"{key}='{target}': '{module}' is a module of Python itself; name one that holds a model.")
    if _file(module) is None:
        raise BadRequest(
            f"{key}='{target}': Python finds no module '{module}' from {Path.cwd()}, nor among installed packages."
        )


def source(target: str) -> str:
    """A hash of the source that a checked target names, with all source of the user's that it imports."""
    module = target.partition(":")[0]
    with _from_here():
        path = _file(module)
        assert path is not None
        return source_hashes.of_module(path, module, sys.path)


def load(key: str, target: str) -> Any:
    """What a target names. Raises BadRequest where its module does not hold it, or has changed since Python imported it."""
    module, _, name = target.partition(":")
    here = source(target)
    with _from_here():
        found = import_module(module)
    # on the spec, as a module that is reloaded gets another
    if vars(found.__spec__).setdefault("losslab_source", here) != here:
        raise BadRequest(
            f"{key}='{target}': the source of '{module}', or of a module that it imports, has changed since this process imported "
            "it; start the process (a notebook: its kernel) again."
        )
    if not hasattr(found, name):
        raise BadRequest(f"{key}='{target}': the module '{module}' holds no '{name}'.")
    return getattr(found, name)


def _file(module: str) -> Path | None:
    """The file of a module, found without importing it; None where there is none."""
    with _from_here():
        try:
            found = find_spec(module)
        except (ModuleNotFoundError, ValueError):  # the latter for a module that was made without a file
            return None
    return Path(found.origin) if found is not None and found.has_location and found.origin else None


@contextmanager
def _from_here() -> Iterator[None]:
    """Modules in the current folder are found, whatever the command that was started."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
