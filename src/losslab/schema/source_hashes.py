"""Files of the user's own that a run is made from, each known by a hash of its content: a model's code, data, row weights.

A run is the same run only while they are. Nothing here imports torch or the code that is read.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from losslab.errors import BadRequest


def of_text(text: str) -> str:
    """A hash of a text, 16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def of_file(path: Path) -> str:
    """A hash of a file's content, 16 hexadecimal digits. Raises BadRequest where it cannot be read."""
    return _read(path).digest


def of_path(path: Path) -> str:
    """A hash of a file's content, or of the names and contents of all files below a folder, 16 hexadecimal digits."""
    if not path.is_dir():
        return of_file(path)
    root = len(str(path)) + 1
    return _folder_as_of(path, tuple((file[root:], *_state(file)) for file in _files_below(str(path))))


def files_below(folder: Path) -> list[Path]:
    """The files below a folder, sorted by their names, without hidden ones and those that file managers leave.

    Links to folders are followed. Raises BadRequest where a folder cannot be read.
    """
    return [Path(file) for file in _files_below(str(folder))]


def _files_below(folder: str) -> list[str]:  # a sweep asks for each of its runs, and a Path takes ten times as long
    def unreadable(error: OSError) -> None:
        raise BadRequest(f"{error.filename} cannot be read: {error.strerror or error}.") from error

    found, seen = [], set()
    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        folders[:] = [name for name in folders if not is_clutter(name)]
        if (real := os.path.realpath(place)) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        found += [f"{place}{os.sep}{name}" for name in names if not is_clutter(name)]
    return sorted(found)


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is what file managers and archives leave, and no data."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r")


@lru_cache(maxsize=16)  # a sweep asks for each of its runs
def _folder_as_of(path: Path, files: tuple[tuple[str | int, ...], ...]) -> str:
    """A folder as of one state of its files: each its name, then its state."""
    digest = hashlib.sha256()
    for name, *_ in files:
        digest.update(f"{name}\0{_digest(path / str(name))}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _state(path: str | Path) -> tuple[int, ...]:
    try:
        state = os.stat(path)  # noqa: PTH116  # a text takes less time than a Path
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror or error}.") from error
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror or error}.") from error


def of_module(path: Path, module: str, roots: Iterable[str]) -> str:
    """A hash of a module's source and of all source of the user's that it imports, 16 hexadecimal digits.

    Of what is installed, only the module itself counts, with the version of its package. What a module reads or imports only
    while it runs is not seen.

    Args:
        path: the file of the module.
        module: its dotted name.
        roots: folders in which Python looks for modules, the first first.
    """
    parts = module.split(".")
    root = path.parents[len(parts) - (path.stem != "__init__")]
    if _installed(root):
        with suppress(PackageNotFoundError):
            return _together({module: of_file(path), "version": version(parts[0])})
        return of_file(path)
    places = [root, *(folder for each in roots if not _installed(folder := Path(each)))]
    found = {module: path}
    waiting = [module]
    while waiting:
        importer = waiting.pop()
        for name in _imports(_read(found[importer]), importer, found[importer].stem == "__init__"):
            if name in found or name.split(".")[0] == "losslab":
                continue
            if file := _file_of(name, places):
                found[name] = file
                waiting.append(name)
    return _together({name: of_file(file) for name, file in found.items()})


def _together(parts: Mapping[str, str]) -> str:
    text = "".join(f"{name}={parts[name]};" for name in sorted(parts))
    return of_text(text)


@dataclass(frozen=True)
class _File:
    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]  # level of dots, module, names that are taken from it


def _read(path: Path) -> _File:
    return _read_as_of(path, *_state(path))


@lru_cache(maxsize=1024)  # a sweep asks for each of its runs
def _read_as_of(path: Path, *state: int) -> _File:
    """A file as of one state of it."""
    return _File(_digest(path), tuple(_imported(path)) if path.suffix == ".py" else ())


def _imported(path: Path) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """What the import statements of a source file name, wherever in it they stand."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # Python says so when it imports the file
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", tuple(alias.name for alias in node.names)


def _imports(file: _File, importer: str, is_package: bool) -> Iterator[str]:
    """Dotted names of all that may be a module among a file's imports: `from a import b` may mean a.b."""
    package = importer.split(".") if is_package else importer.split(".")[:-1]
    for level, module, names in file.imports:
        base = package[: len(package) - level + 1] if level else []
        whole = [*base, *filter(None, module.split("."))]
        yield from (".".join(whole[:end]) for end in range(1, len(whole) + 1))  # Python imports its packages first
        yield from (".".join([*whole, name]) for name in names)


def _file_of(name: str, places: Iterable[Path]) -> Path | None:
    for place in places:
        path = place.joinpath(*name.split("."))
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file
    return None


def _installed(folder: Path) -> bool:
    """Whether a folder is where Python keeps its own modules or installed packages, or lies below it."""
    return any(folder.resolve().is_relative_to(place) for place in _places_of_python())


@lru_cache(maxsize=1)
def _places_of_python() -> list[Path]:
    return [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
