"""Which objects become rows, and each as a picture of one size with its box."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from losslab.errors import BadRequest, nearest
from losslab.pictures.annotations import Annotated, Annotations, Box, Drawn, read_annotations
from losslab.pictures.decode import Size, fitted, opened, sides_of, size_of, stacked

if TYPE_CHECKING:
    from PIL.Image import Image

_CLIPPED = 1.0  # pixels by which a box may stick out, as where corners are counted from 0 and from 1


@dataclass(frozen=True)
class Row:
    """One object that is used: in the whole picture, or in a part of it.

    Attributes:
        file: the picture.
        label: the name of its class.
        box: its corners in pixels of the picture.
        frame: the corners of the part that is shown, whole numbers.
        group: the number of the picture.
        turn: whether the picture is turned as its EXIF orientation says.
    """

    file: Path
    label: str
    box: Box
    frame: tuple[int, int, int, int]
    group: int
    turn: bool


@dataclass(frozen=True)
class Chosen:
    """The rows, and what was left out.

    Attributes:
        form: the format of the annotations.
        objects: one or each.
        rows: those that are used.
        pictures: how many pictures there are.
        sizes: of the pictures that are used.
        notes: sentences on what was left out or changed.
    """

    form: str
    objects: str
    rows: list[Row]
    pictures: int
    sizes: list[Size]
    notes: list[str]


def chosen(
    path: Path,
    images: Path,
    objects: str,
    margin: float,
    classes: Sequence[str],
    outside: str,
    listed: set[str] | None = None,
) -> Chosen:
    """The objects that become rows.

    Args:
        path: of the annotations; see `read_annotations`.
        images: the folder of the pictures.
        objects: one: pictures with exactly one object, whole; each: every object, in a part of its picture; auto: one where at
            least half of the pictures with objects have one, else each.
        margin: of each, how far the part reaches beyond the box on each side, on average, in longer sides of the box. It is drawn
            evenly between 0 and twice that, from the name of the picture and the number of the object alone.
        classes: those that are used; empty for all.
        outside: of a box that sticks out of its picture by more than a pixel: refuse, or clip.
        listed: names of pictures, without endings, of which others are left out; None for all.

    Raises:
        BadRequest: see `read_annotations`; no object that is used, a box without area, or one that sticks out.
    """
    found = read_annotations(path, images)
    for name in classes:
        if name not in found.classes:
            raise BadRequest(
                f"data.classes names '{name}', and {path} has no such class{nearest(name, found.classes)}; it has "
                f"{', '.join(found.classes[:12])}{' ...' if len(found.classes) > 12 else ''}."
            )
    pictures = [picture for picture in found.pictures if listed is None or picture.file.stem in listed]
    used = [
        [each for each in picture.objects if not each.crowd and (not classes or each.label in classes)]
        for picture in pictures
    ]
    counts = Counter(min(len(objects), 2) for objects in used)
    if not counts[1] + counts[2]:
        raise BadRequest(
            f"{path} has no object{' of the classes in data.classes' if classes else ''}, so there is nothing to learn."
        )
    if objects == "auto":
        objects = "one" if counts[1] >= counts[2] else "each"
    notes = _left_out(found, pictures, counts, objects)
    if objects == "one" and not counts[1]:
        raise BadRequest(
            f"{path} has no picture with exactly one object; data.objects=each takes every object by itself."
        )
    rows, sizes, clipped = [], [], 0
    for group, (picture, kept) in enumerate(zip(pictures, used, strict=True)):
        if not kept or (objects == "one" and len(kept) > 1):
            continue
        size, turn = _size(picture)
        sizes.append(size)
        for number, each in enumerate(picture.objects):
            if each not in kept:
                continue
            box, moved = _checked(_in_pixels(picture, each.box, size), size, each, picture.file, outside)
            clipped += moved
            whole = (0, 0, size.width, size.height)
            part = whole if objects == "one" else _part(box, size, margin, f"{picture.file.name}/{number}")
            rows.append(Row(picture.file, each.label, box, part, group, turn))
    if clipped:
        notes.append(f"{clipped} boxes stuck out of their pictures and were clipped.")
    return Chosen(found.form, objects, rows, len(pictures), sizes, notes)


def decoded(
    rows: Sequence[Row], side: int, channels: str, stretch: bool, check: Callable[[int], None] = lambda count: None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pictures [n, channels, side, side] in [0, 1], and corners [n, 4] in shares of them, both float32."""
    pixels, corners = [], np.empty((len(rows), 4))
    last: tuple[Path | None, Image | None] = (None, None)
    for number, row in enumerate(rows):
        if last[0] != row.file:
            last = row.file, opened(row.file, turn=row.turn)
        assert last[1] is not None
        made = fitted(last[1].crop(row.frame), side, stretch)
        x1, y1, x2, y2 = row.box
        place = np.array([x1, y1, x2, y2]) - np.array([row.frame[0], row.frame[1]] * 2)
        corners[number] = (place * np.array(made.scale * 2) + np.array(made.offset * 2)) / side
        pixels.append(made.pixels)
    return stacked(pixels, channels, check), corners.clip(0, 1).astype(np.float32)


def side_of(rows: Sequence[Row]) -> int:
    """The side of the squares where the user names none."""
    return sides_of([Size(row.frame[2] - row.frame[0], row.frame[3] - row.frame[1], "") for row in rows])


def _left_out(found: Annotations, pictures: Sequence[Annotated], counts: Counter[int], objects: str) -> list[str]:
    crowds = sum(each.crowd for picture in pictures for each in picture.objects)
    notes = []
    if objects == "one" and counts[0] + counts[2]:
        notes.append(
            f"{counts[1]} of {len(pictures)} pictures have exactly one object and are used; {counts[0]} with none and {counts[2]} "
            "with several are left out."
        )
    elif objects == "each" and counts[0]:
        notes.append(f"{counts[0]} of {len(pictures)} pictures have no object and are left out.")
    if crowds:
        notes.append(f"{crowds} annotations of crowds are left out.")
    return notes


def _size(picture: Annotated) -> tuple[Size, bool]:
    """The size of a picture, and whether it is turned as its EXIF orientation says: not where its boxes were drawn before that."""
    size = size_of(picture.file)
    if picture.size is None or picture.size == (size.width, size.height):
        return size, True
    if picture.size == (size.height, size.width):
        from PIL import Image

        with Image.open(picture.file) as image:
            if image.size == picture.size:
                return Size(*image.size, size.mode), False
    raise BadRequest(
        f"{picture.file} has {size.width} x {size.height} pixels, and its annotation says {picture.size[0]} x {picture.size[1]}; "
        "the boxes belong to another version of it."
    )


def _in_pixels(picture: Annotated, box: Box, size: Size) -> Box:
    if not picture.shares:
        return box
    x1, y1, x2, y2 = box
    return x1 * size.width, y1 * size.height, x2 * size.width, y2 * size.height


def _checked(box: Box, size: Size, each: Drawn, file: Path, outside: str) -> tuple[Box, bool]:
    """A box inside its picture, and whether it was clipped by more than a pixel."""
    x1, y1, x2, y2 = box
    if not (x2 > x1 and y2 > y1):
        raise BadRequest(f"{each.where}: the box of '{each.label}' in {file} has no area; correct it or take it away.")
    beyond = max(-x1, -y1, x2 - size.width, y2 - size.height)
    inside = max(x1, 0.0), max(y1, 0.0), min(x2, float(size.width)), min(y2, float(size.height))
    if not (inside[2] > inside[0] and inside[3] > inside[1]):
        raise BadRequest(f"{each.where}: the box of '{each.label}' lies outside {file}; correct it or take it away.")
    if beyond > _CLIPPED + 1e-6 and outside == "refuse":
        raise BadRequest(
            f"{each.where}: the box of '{each.label}' sticks out of {file} by {beyond:.4g} pixels; data.outside=clip cuts such boxes off."
        )
    return inside, beyond > _CLIPPED + 1e-6


def _part(box: Box, size: Size, margin: float, name: str) -> tuple[int, int, int, int]:
    """A part of a picture around a box, inside the picture."""
    seed = hashlib.sha256(f"margins of {name}".encode()).digest()
    drawn = np.random.default_rng(int.from_bytes(seed[:8], "big")).uniform(0, 2 * margin, 4)
    x1, y1, x2, y2 = box
    left, top, right, bottom = drawn * max(x2 - x1, y2 - y1)
    return (
        int(np.floor(max(x1 - left, 0))),
        int(np.floor(max(y1 - top, 0))),
        int(np.ceil(min(x2 + right, size.width))),
        int(np.ceil(min(y2 + bottom, size.height))),
    )
