"""Files of data sets that losslab does not hold itself: inside installed packages, or in a folder of the user's.

A card names them: `about.package` with its `about.extra`, `about.files` below `data.root`, or `about.path`, what `data.path`
must be, with `about.more_paths`, further settings that name a file or a folder of the user's and may be empty. Nothing here
imports torch or the package, so that a request for data that are not there is refused at once.
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
        for key, what in about.get("more_paths", {}).items():
            if data.get(key) and not _is(beside_path(data, key), what):
                raise BadRequest(f"data.{key}={data[key]}: there is no such {what}{_near(Path(data[key]))}.")
    missing = [name for name in about.get("files", []) if not (Path(data["root"]) / name).exists()]
    if missing and not data["download"]:
        raise BadRequest(
            f"data={data['name']} needs the file {missing[0]} below data.root={data['root']}; "
            "data.download=true fetches it."
        )


def check_logger(name: str, about: Mapping[str, Any]) -> None:
    """Raises BadRequest where the package of a logger is not installed."""
    if (package := about.get("package")) and find_spec(package) is None:
        raise BadRequest(
            f"logger={name} needs the package '{package}': pip install 'losslab[{name}]', or pip install {package}."
        )


def _check_path(data: Mapping[str, Any], what: str) -> None:
    """Raises BadRequest where `data.path` is not there; `what`: file or folder."""
    if not data["path"]:
        raise BadRequest(f"data={data['name']} needs data.path, a {what} of yours.")
    path = Path(data["path"])
    if path.exists() and not _is(path, what):
        raise BadRequest(
            f"data.path={path} is a {'folder' if path.is_dir() else 'file'}, and data={data['name']} needs a {what}."
        )
    if not path.exists():
        raise BadRequest(f"data.path={path}: there is no such {what}{_near(path)}.")


def _is(path: Path, what: str) -> bool:
    return {"file": path.is_file, "folder": path.is_dir}.get(what, path.exists)()


def _near(path: Path) -> str:
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    return nearest(path.name, beside)


def beside_path(data: Mapping[str, Any], key: str) -> Path:
    """The path that a setting names: as it stands, or inside the folder `data.path` where it is there."""
    path, inside = Path(data[key]), Path(data["path"]) / data[key]
    return inside if not path.exists() and inside.exists() else path


def pictures_of(path: Path, images: str) -> Path:
    """The folder of the pictures that boxes were drawn in: as the user says, or where each format has it.

    Pascal VOC has JPEGImages beside Annotations, YOLO images beside labels, COCO often a folder images beside its file. Where
    none of them is there, the pictures lie in the folder of the annotations.
    """
    if images:
        return Path(images)
    folder = path if path.is_dir() else path.parent
    parents = (folder.parent,) if path.is_dir() else (folder, folder.parent)
    guesses = [parent / name for parent in parents for name in ("JPEGImages", "images")]
    if folder.parent.name == "labels":  # labels/train goes with images/train
        guesses.append(folder.parent.parent / "images" / folder.name)
    return next((guess for guess in guesses if guess.is_dir()), folder)


def files_of_user(data: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Path]:
    """The files and folders of the user's that a data set and its row weights are read from and that are there, by what they are."""
    files = {f"data/{name}": Path(data["root"]) / name for name in about.get("files", [])}
    if about.get("path") and data.get("path"):
        files["data"] = Path(data["path"])
        files |= {key: beside_path(data, key) for key in about.get("more_paths", {}) if data.get(key)}
        if "images" in about.get("more_paths", {}):
            files["images"] = pictures_of(files["data"], data["images"])
    if data.get("weight", "none") not in ("none", "balanced"):
        files["weight"] = Path(data["weight"])
    return {what: path for what, path in files.items() if path.exists()}


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
