"""Small pictures in files, for tests: folders of classes, and pictures with boxes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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
