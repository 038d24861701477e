"""Code of the user's own that a config names as 'module:name'. Only what is named there is ever imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from losslab.values import BadRequest


def check(key: str, target: str) -> None:
    """Raises BadRequest where `target` names no module that Python finds from here. Imports nothing but its parent packages."""
    if target == "none":
        raise BadRequest(f"model=own needs a model of yours: give {key}=module:name, such as {key}=my_models:Net.")
    module, _, name = target.partition(":")
    if not (name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise BadRequest(
            f"{key} must name a function or class as 'module:name', such as 'my_models:Net'; '{target}' does not."
        )
    if module.split(".")[0] in sys.stdlib_module_names:
        raise BadRequest(f"{key}='{target}': '{module}' is a module of Python itself; name one that holds a model.")
    with _from_here():
        try:
            found = find_spec(module)
        except ModuleNotFoundError:
            found = None
    if found is None:
        raise BadRequest(
            f"{key}='{target}': Python finds no module '{module}' from {Path.cwd()}, nor among installed packages."
        )


def load(key: str, target: str) -> Any:
    """What a target names. Raises BadRequest where its module does not hold it."""
    module, _, name = target.partition(":")
    with _from_here():
        found = import_module(module)
    if not hasattr(found, name):
        raise BadRequest(f"{key}='{target}': the module '{module}' holds no '{name}'.")
    return getattr(found, name)


@contextmanager
def _from_here() -> Iterator[None]:
    """Modules in the current folder are found, whatever the command that was started."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
