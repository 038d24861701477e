"""Code of the user's own that a request or a card names as 'FILE.py:NAME' or 'module:NAME'. Only what is named is ever imported."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from losslab.errors import BadRequest, nearest
from losslab.schema import source_hashes

_FEW = 8  # names that a sentence can list whole


def check(key: str, target: str) -> None:
    """Raises BadRequest where `target` names no file or module that is there. Imports nothing but parent packages of a module.

    key: what names it, for the message.
    """
    if target == "none":
        raise BadRequest(f"A model of yours is needed: give {key}=FILE.py:NAME, such as {key}=my_models.py:Net.")
    place, _, name = target.rpartition(":")
    if place.endswith(".py"):
        if not name.isidentifier():
            raise BadRequest(f"{key} must name a function or class as 'FILE.py:NAME'; '{target}' does not.")
        if not Path(place).is_file():
            raise BadRequest(f"{key}='{target}': there is no file {Path(place).absolute()}{_beside(Path(place))}.")
        return
    if not (name.isidentifier() and all(part.isidentifier() for part in place.split("."))):
        raise BadRequest(
            f"{key} must name a function or class as 'module:name' or 'FILE.py:name', such as 'my_models:Net'; '{target}' does not."
        )
    if place == "__main__":
        raise BadRequest(f"{key}='{target}': put '{name}' into a file of its own, such as my_models.py, and name that.")
    if place.split(".")[0] in sys.stdlib_module_names:
        raise BadRequest(f"{key}='{target}': '{place}' is a module of Python itself; name one of yours.")
    if _file(place) is None:
        raise BadRequest(
            f"{key}='{target}': Python finds no module '{place}' from {Path.cwd()}, nor among installed packages."
        )


def source(target: str) -> str:
    """A hash of the source that a checked target names, with all source of the user's that it imports."""
    place = target.rpartition(":")[0]
    with _found_from(_folder(place)):
        path = _file(place)
        assert path is not None
        return source_hashes.of_module(path, path.stem if place.endswith(".py") else place, sys.path)


def load(key: str, target: str) -> Any:
    """What a target names. Raises BadRequest where its module does not hold it, or has changed since Python imported it."""
    place, _, name = target.rpartition(":")
    here = source(target)
    with _found_from(_folder(place)):
        found = _import_file(Path(place).resolve()) if place.endswith(".py") else import_module(place)
    # on the spec, as a module that is reloaded gets another
    if vars(found.__spec__).setdefault("losslab_source", here) != here:
        raise BadRequest(
            f"{key}='{target}': the source of '{place}', or of a module that it imports, has changed since this process imported "
            "it; start the process (a notebook: its kernel) again."
        )
    if not hasattr(found, name):
        raise BadRequest(f"{key}='{target}': '{place}' holds no '{name}'{_meant(name, found)}.")
    return getattr(found, name)


def _beside(path: Path) -> str:
    """The files that may have been meant, of those beside one that is not there; all of them where none is near and they are few."""
    if not path.parent.is_dir():
        return f", as there is no folder {path.parent.absolute()}"
    files = sorted(file.name for file in path.parent.glob("*.py"))
    few = f" (beside it: {', '.join(files)})" if 0 < len(files) <= _FEW else ""
    return nearest(path.name, files, cutoff=0.6) or few


def _meant(name: str, module: ModuleType) -> str:
    """The names that may have been meant, of what a module defines; all of them where none is near and they are few."""
    own = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    here = [key for key in own if getattr(getattr(module, key), "__module__", None) == module.__name__]
    few = f" (it holds: {', '.join(here)})" if 0 < len(here) <= _FEW else ""
    return nearest(name, own, cutoff=0.6) or few


def _import_file(path: Path) -> ModuleType:
    """A file as a module, imported once a process; its name tells it from installed modules and other files of one name."""
    name = f"losslab_user_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _folder(place: str) -> Path:
    """Where the code's own imports are looked for first."""
    return Path(place).resolve().parent if place.endswith(".py") else Path.cwd()


def file_of(target: str) -> Path | None:
    """The file that a target names, or the file of its module; None where there is none. Imports nothing but parent packages."""
    path = _file(target.rpartition(":")[0])
    return path if path is not None and path.is_file() else None


def is_module(name: str) -> bool:
    """Whether Python finds a module or package at the top, from where the command stands. Imports nothing."""
    with _found_from(Path.cwd()):
        try:
            return find_spec(name) is not None
        except (ImportError, ValueError):
            return False


def _file(place: str) -> Path | None:
    """The file of a module, found without importing it; None where there is none."""
    if place.endswith(".py"):
        return Path(place).resolve()
    with _found_from(Path.cwd()):
        try:
            found = find_spec(place)
        except (ModuleNotFoundError, ValueError):  # the latter for a module that was made without a file
            return None
    return Path(found.origin) if found is not None and found.has_location and found.origin else None


@contextmanager
def _found_from(folder: Path) -> Iterator[None]:
    """Modules in a folder are found, whatever the command that was started."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
