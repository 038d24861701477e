"""Files of data sets that losslab does not hold itself: inside installed packages, or in a folder of the user's.

A card names them: `about.package` with its `about.extra`, or `about.files` below `data.root`. Nothing here imports torch or
the package, so that a request for data that are not there is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest, nearest

WEIGHT_FILES = (".csv", ".txt", ".npy")


def inside_package(package: str, *parts: str) -> Path:
    """The path of a file that an installed package ships, without importing the package."""
    found = find_spec(package)
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]).joinpath(*parts)


def check(data: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Raises BadRequest where the files of a data set, by its settings and the facts of its card, are not there."""
    package = about.get("package")
    if package and find_spec(package) is None:
        raise BadRequest(
            f"data={data['name']} reads files of the package '{package}', which is not installed: "
            f"pip install 'losslab[{about['extra']}]', or pip install {package}."
        )
    if about.get("path"):
        _check_path(data, about["path"])
    missing = [name for name in about.get("files", []) if not (Path(data["root"]) / name).exists()]
    if missing and not data["download"]:
        raise BadRequest(
            f"data={data['name']} needs the file {missing[0]} below data.root={data['root']}; "
            "data.download=true fetches it."
        )


def _check_path(data: Mapping[str, Any], what: str) -> None:
    """Raises BadRequest where `data.path` is not there; `what`: file or folder."""
    if not data["path"]:
        raise BadRequest(f"data={data['name']} needs data.path, a {what} of yours.")
    path = Path(data["path"])
    if not (path.is_file() if what == "file" else path.exists()):
        beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        raise BadRequest(f"data.path={path}: there is no such {what}{nearest(path.name, beside)}.")


def files_of_user(data: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Path]:
    """The files of the user's that a data set and its row weights are read from and that are there, by what they are."""
    files = {f"data/{name}": Path(data["root"]) / name for name in about.get("files", [])}
    if about.get("path") == "file":
        files["data"] = Path(data["path"])
    if data.get("weight", "none") not in ("none", "balanced"):
        files["weight"] = Path(data["weight"])
    return {what: path for what, path in files.items() if path.is_file()}


def check_weight(weight: str) -> None:
    """Raises BadRequest where `data.weight` is neither a word that is known nor a file that is there."""
    if weight in ("none", "balanced"):
        return
    path = Path(weight)
    if path.suffix not in WEIGHT_FILES:
        raise BadRequest(
            f"data.weight must be none, balanced or a file ({', '.join(WEIGHT_FILES)}), and '{weight}' is not."
        )
    if not path.is_file():
        raise BadRequest(f"data.weight={weight}: there is no such file.")
