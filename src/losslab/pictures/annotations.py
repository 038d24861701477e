"""Boxes that were drawn in pictures, from files of three formats: COCO JSON, Pascal VOC XML and YOLO text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from losslab.errors import BadRequest, nearest
from losslab.pictures.decode import SUFFIXES
from losslab.schema.source_hashes import files_below

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Drawn:
    """One object.

    Attributes:
        label: the name of its class.
        box: its corners, in pixels, or in shares of the picture; see `Annotated`.
        where: the file and the place in it that says so, for messages.
        crowd: whether it is many objects in one box.
    """

    label: str
    box: Box
    where: str
    crowd: bool = False


@dataclass(frozen=True)
class Annotated:
    """The objects of one picture.

    Attributes:
        file: the picture.
        objects: in the order of the annotations.
        size: width and height as the annotations say them; None where they do not.
        shares: whether boxes are in shares of the picture.
    """

    file: Path
    objects: list[Drawn] = field(default_factory=list)
    size: tuple[int, int] | None = None
    shares: bool = False


@dataclass(frozen=True)
class Annotations:
    """All that a file or folder of annotations holds; `form` names its format, `classes` those that it lists or uses."""

    form: str
    pictures: list[Annotated]
    classes: tuple[str, ...]


def read_annotations(path: Path, images: Path) -> Annotations:
    """The annotations of a COCO file (.json), or of a folder of Pascal VOC files (.xml) or YOLO files (.txt).

    Args:
        path: the file or the folder.
        images: the folder of the pictures.

    Raises:
        BadRequest: a file that is malformed, with its line, or that is of no such format; an object of a class that is not there,
            or in a picture that is not there.
    """
    if path.is_file() and path.suffix.lower() == ".json":
        return _coco(path, images)
    files = files_below(path) if path.is_dir() else [path]
    xml, text = ([file for file in files if file.suffix.lower() == suffix] for suffix in (".xml", ".txt"))
    if xml:
        return _voc(xml, images)
    if text:
        return _yolo(path, text, images)
    raise BadRequest(
        f"{path} holds no boxes; it must be a COCO file (.json), or a folder of Pascal VOC files (.xml) or YOLO files (.txt)."
    )


def _coco(path: Path, images: Path) -> Annotations:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise BadRequest(f"{path}, line {error.lineno}, column {error.colno} is no JSON: {error.msg}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadRequest(f"{path} cannot be read: {error}.") from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise BadRequest(
            f"{path} is no COCO file of boxes: it must hold the lists 'images', 'annotations' and 'categories'."
        )
    classes: dict[Any, str] = {}
    for number, entry in enumerate(content.get("categories") or []):
        identity, name = _held(entry, f"{path}, category {number}", "id", "name")
        classes[identity] = str(name)
    found: dict[Any, Annotated] = {}
    for number, entry in enumerate(content["images"]):
        identity, name = _held(entry, f"{path}, image {number}", "id", "file_name")
        if identity in found:
            raise BadRequest(f"{path}, image {number}: the id {identity} is another image's already.")
        size = (entry["width"], entry["height"]) if entry.get("width") and entry.get("height") else None
        found[identity] = Annotated(_inside(images, str(name)), size=size)
    for number, entry in enumerate(content["annotations"]):
        where = f"{path}, annotation {entry.get('id', number) if isinstance(entry, dict) else number}"
        picture, category = _held(entry, where, "image_id", "category_id")
        if picture not in found:
            raise BadRequest(f"{where}: its image_id {picture} is in no entry of 'images'.")
        if category not in classes:
            raise BadRequest(f"{where}: its category_id {category} is in no entry of 'categories'.")
        crowd = bool(entry.get("iscrowd"))
        box = _numbers(entry.get("bbox"), where, "bbox") if not crowd else (0.0, 0.0, 1.0, 1.0)
        left, top, width, height = box
        found[picture].objects.append(Drawn(classes[category], (left, top, left + width, top + height), where, crowd))
    drawn = [each.box for one in found.values() for each in one.objects if not each.crowd]
    if len(drawn) > 1 and all(max(box) <= 1 for box in drawn):
        raise BadRequest(
            f"{path}: all boxes lie within the first pixel of their pictures. COCO counts in pixels; are they shares of the picture?"
        )
    return Annotations("COCO", _there(found.values(), images), tuple(classes.values()))


def _voc(files: list[Path], images: Path) -> Annotations:
    """Corners in Pascal VOC count pixels from 1, both ends included."""
    pictures, known = [], _by_stem(images)
    for file in files:
        try:
            root = ElementTree.parse(file).getroot()
        except ElementTree.ParseError as error:
            line = getattr(error, "position", (1, 0))[0]
            raise BadRequest(f"{file}, line {line} is no XML: {error}.") from error
        if root.tag != "annotation":
            raise BadRequest(
                f"{file} is no Pascal VOC file: it must begin with <annotation>, and begins with <{root.tag}>."
            )
        name = root.findtext("filename") or ""
        picture = images / Path(name.replace("\\", "/")).name
        if not name or not picture.is_file():
            picture = known.get(file.stem, picture if name else images / f"{file.stem}.jpg")
        try:
            size = tuple(int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
        except ValueError as error:
            raise BadRequest(f"{file}: <size> holds no whole numbers.") from error
        objects = []
        for number, each in enumerate(root.iter("object"), 1):
            where = f"{file}, object {number}"
            label = each.findtext("name")
            if not label:
                raise BadRequest(f"{where} has no <name>.")
            said = [each.findtext(f"bndbox/{corner}") for corner in ("xmin", "ymin", "xmax", "ymax")]
            x1, y1, x2, y2 = _numbers(said, where, "<bndbox>")
            objects.append(Drawn(label.strip(), (x1 - 1, y1 - 1, x2, y2), where))
        pictures.append(Annotated(picture, objects, (size[0], size[1]) if all(size) else None))
    return Annotations("Pascal VOC", _there(pictures, images), _used(pictures))


def _yolo(path: Path, files: list[Path], images: Path) -> Annotations:
    """A line is the number of a class, then centre x, centre y, width and height in shares of the picture."""
    lists = ("classes.txt", "obj.names", "data.yaml", "dataset.yaml")
    folder = path if path.is_dir() else path.parent
    names = next(
        (_names_of(place / name) for place in (folder, folder.parent) for name in lists if (place / name).is_file()),
        None,
    )
    pictures, known = [], _by_stem(images)
    for file in files:
        if file.name in lists:
            continue
        inside = file.relative_to(folder).with_suffix("").as_posix()
        objects = []
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            where, words = f"{file}, line {number}", line.split()
            if len(words) != 5 or not words[0].isdigit():
                raise BadRequest(
                    f"{where} must hold a class and four numbers, 'class cx cy w h', and holds '{line.strip()[:60]}'."
                )
            if names is not None and int(words[0]) not in names:
                raise BadRequest(f"{where}: there is no class {words[0]}; {len(names)} are listed, from 0 on.")
            x, y, width, height = _numbers(words[1:], where, "box")
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            objects.append(Drawn(names[int(words[0])] if names else words[0], box, where))
        pictures.append(
            Annotated(known.get(inside, known.get(file.stem, images / f"{inside}.jpg")), objects, shares=True)
        )
    used = _used(pictures)
    return Annotations("YOLO", _there(pictures, images), tuple(names.values()) if names else used)


def _names_of(file: Path) -> dict[int, str]:
    """The names of the classes of YOLO files, by number."""
    if file.suffix not in (".yaml", ".yml"):
        return dict(enumerate(line.strip() for line in _lines(file) if line.strip()))
    try:
        content = yaml.safe_load("\n".join(_lines(file)))
    except yaml.YAMLError as error:
        raise BadRequest(f"{file} cannot be read: {' '.join(str(error).split())}.") from error
    names = content.get("names") if isinstance(content, Mapping) else None
    if not isinstance(names, list | Mapping):
        raise BadRequest(f"{file} must hold the names of the classes as 'names: [...]'.")
    return {int(key): str(name) for key, name in (names.items() if isinstance(names, Mapping) else enumerate(names))}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise BadRequest(f"{file} cannot be read: {error}.") from error


def _held(entry: Any, where: str, *keys: str) -> list[Any]:
    """The values of an entry that must be there and can be told apart."""
    for key in keys:
        if not isinstance(entry, dict) or not isinstance(entry.get(key), str | int):
            raise BadRequest(f"{where} has no '{key}'.")
    return [entry[key] for key in keys]


def _numbers(said: Any, where: str, what: str) -> Box:
    try:
        found = [float(each) for each in said]
    except (TypeError, ValueError):
        found = []
    if len(found) != 4 or not all(map(math.isfinite, found)):
        raise BadRequest(f"{where}: its {what} must hold four numbers, and it holds {str(said)[:60]}.")
    return found[0], found[1], found[2], found[3]


def _used(pictures: Iterable[Annotated]) -> tuple[str, ...]:
    return tuple(sorted({each.label for picture in pictures for each in picture.objects}))


def _inside(images: Path, name: str) -> Path:
    """A picture by its name with folders or, where there is none, without them."""
    name = name.replace("\\", "/")
    beside = images / Path(name).name
    return beside if not (images / name).is_file() and beside.is_file() else images / name


def _by_stem(images: Path) -> dict[str, Path]:
    """Pictures by their names without endings, alone and with their folders."""
    found: dict[str, Path] = {}
    for file in files_below(images) if images.is_dir() else []:
        if file.suffix.lower() in SUFFIXES:
            found.setdefault(file.stem, file)
            found[file.relative_to(images).with_suffix("").as_posix()] = file
    return found


def _there(pictures: Iterable[Annotated], images: Path) -> list[Annotated]:
    """The pictures in the order of their names. Raises BadRequest for one that has objects and is not there."""
    ordered = sorted(pictures, key=lambda picture: str(picture.file))
    files: set[Path] = set()
    for picture in ordered:
        if picture.objects and not picture.file.is_file():
            beside = [one.name for one in picture.file.parent.iterdir()] if picture.file.parent.is_dir() else []
            raise BadRequest(
                f"{picture.objects[0].where}: there is no picture {picture.file}{nearest(picture.file.name, beside)}; data.images "
                f"names the folder of the pictures, and it is {images}."
            )
        if picture.file in files:
            raise BadRequest(f"{picture.file} is annotated twice; join its annotations.")
        files.add(picture.file)
    return ordered
