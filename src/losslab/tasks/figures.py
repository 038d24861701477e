"""What figures for TensorBoard share: pictures in three channels, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

if TYPE_CHECKING:
    from losslab.tasks.base import Drawing

_NUMBERED = 30  # classes, at most, whose counts and names can be read
_CELL, _LARGEST = 48, 1200  # pixels a side, of a cell and of all cells
_DARKEST = np.array([8, 48, 107])  # blue of a cell that holds all of its row


def in_colour(pictures: Tensor) -> Tensor:
    """Pictures [n, channels, height, width] in [0, 1] as [n, 3, height, width]: of other than three channels the first, as grey."""
    return pictures if pictures.shape[1] == 3 else pictures[:, :1].expand(-1, 3, -1, -1)


def draw_confusion(writer: Drawing, step: int, counts: Tensor, names: Sequence[str]) -> None:
    """Adds the figure `confusion`: counts [K, K], a row per true class, a column per predicted one; shaded by the share of the row.

    Of more than 30 classes only the shades are shown. Drawn by Pillow: matplotlib takes fifty times as long, for hundreds of runs.
    """
    share = (counts / counts.sum(1, keepdim=True).clamp(min=1)).cpu().numpy()
    few = len(names) <= _NUMBERED
    cell = _CELL if few else max(1, _LARGEST // len(names))
    shades = (255 - share[..., None] * (255 - _DARKEST)).astype(np.uint8)
    cells = Image.fromarray(shades).resize((cell * len(names),) * 2, Image.Resampling.NEAREST)
    font = _font()
    title = "rows: true class, columns: predicted class (validation split)"
    edge = 8 + (max(int(font.getlength(name)) for name in names) if few else 0)
    whole = Image.new(
        "RGB", (max(edge + cells.width + 8, int(font.getlength(title)) + 16), cells.height + edge + 32), "white"
    )
    whole.paste(cells, (edge, 24))
    pen = ImageDraw.Draw(whole)
    pen.text((8, 4), title, "black", font)
    for place, name in enumerate(names if few else ()):
        middle = place * cell + cell // 2
        pen.text((edge - 4, 24 + middle), name, "black", font, anchor="rm")
        upright = Image.new("L", (edge, 20))
        ImageDraw.Draw(upright).text((edge - 4, 10), name, 255, font, anchor="rm")
        turned = upright.rotate(90, expand=True)
        whole.paste("black", (edge + middle - 10, 24 + cells.height), turned)
        for guess, count in enumerate(counts[place].tolist()):
            at = (edge + guess * cell + cell // 2, 24 + middle)
            pen.text(at, f"{count:g}", "white" if share[place, guess] > 0.5 else "black", font, anchor="mm")
    writer.add_image("confusion", np.asarray(whole), step, dataformats="HWC")


@cache
def _font() -> ImageFont.FreeTypeFont:
    """The one of matplotlib, which has Greek and Cyrillic letters as well."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 13)
