"""Small pictures in files, for tests: folders of classes, and pictures with boxes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


def picture(colour: tuple[int, int, int], width: int = 12, height: int = 12, seed: int = 0) -> Image.Image:
    """A picture of one colour with a little noise."""
    noise = np.random.default_rng(seed).integers(-25, 26, (height, width, 3))
    return Image.fromarray((np.array(colour) + noise).clip(0, 255).astype("uint8"))


def class_folders(
    folder: Path, each: int = 12, grey: bool = False, classes: Mapping[str, tuple[int, int, int]] = COLOURS
) -> Path:
    """`each` pictures of every class, of several sizes."""
    for place, (name, colour) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            made = picture(colour, 10 + number % 3, 12, 100 * place + number)
            (made.convert("L") if grey else made).save(folder / name / f"{number:03}.png")
    return folder


def with_square(box: tuple[int, int, int, int], width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    """A dark picture with a bright square at a box in pixels."""
    pixels = np.random.default_rng(seed).integers(0, 60, (height, width, 3)).astype("uint8")
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = (240, 200, 60)
    return Image.fromarray(pixels)


Boxes = dict[str, list[tuple[int, int, int, int]]]


def scenes(folder: Path, several: int = 0, count: int = 20, width: int = 40, height: int = 30) -> Boxes:
    """`count` pictures with a bright square each, and a second one in the first `several`; the boxes of each, in pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    draw, found = np.random.default_rng(7), {}
    for number in range(count):
        w, h = draw.integers(6, 14, 2)
        x, y = draw.integers(0, width - w + 1), draw.integers(0, height - h + 1)
        boxes = [(int(x), int(y), int(x + w), int(y + h))]
        if number < several:
            boxes.append((1, 2, 6, 9))
        with_square(boxes[0], width, height, number).save(folder / f"{number:03}.png")
        found[f"{number:03}.png"] = boxes
    return found


def coco(file: Path, boxes: Boxes, width: int = 40, height: int = 30) -> dict[str, Any]:
    """Writes a COCO file; objects are cats and, the second ones, dogs."""
    images = [{"id": n, "file_name": name, "width": width, "height": height} for n, name in enumerate(boxes)]
    annotations = [
        {"id": 100 * n + k, "image_id": n, "category_id": k + 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
        for n, each in enumerate(boxes.values())
        for k, (x1, y1, x2, y2) in enumerate(each)
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(content))
    return content


def voc(folder: Path, boxes: Boxes, width: int = 40, height: int = 30) -> None:
    """Writes a Pascal VOC file for each picture: corners count from 1, both ends included."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in boxes.items():
        objects = "".join(
            f"<object><name>{'dog' if k else 'cat'}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax>"
            f"<ymax>{y2}</ymax></bndbox></object>\n"
            for k, (x1, y1, x2, y2) in enumerate(each)
        )
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}</filename>{size}\n{objects}</annotation>\n"
        (folder / name).with_suffix(".xml").write_text(text)


def yolo(folder: Path, boxes: Boxes, width: int = 40, height: int = 30) -> None:
    """Writes a YOLO file for each picture, and classes.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classes.txt").write_text("cat\ndog\n")
    for name, each in boxes.items():
        lines = [
            f"{k} {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} {(x2 - x1) / width} {(y2 - y1) / height}\n"
            for k, (x1, y1, x2, y2) in enumerate(each)
        ]
        (folder / name).with_suffix(".txt").write_text("".join(lines))
