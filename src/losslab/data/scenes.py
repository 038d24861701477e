"""Pictures with one object each and its exact box: real digits at random places, among pieces of other digits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from losslab.data.base import Data, register
from losslab.data.images import mnist5k

CANVAS = 64  # pixels a side
_PIECE = 8  # pixels a side of a piece of clutter
_INK = 0.2  # a pixel brighter than this belongs to the digit


@register
def scenes(rows: int, clutter: int, noise: float) -> Data:
    """Each picture [1, 64, 64] shows one whole digit, 14 to 44 pixels high, `clutter` small pieces of other digits, and noise.

    The target is the digit's box, corners x1 y1 x2 y2 in shares of the canvas [0, 1]. It fits the outermost pixels of the digit
    exactly. Digit, place, size and clutter are drawn once for all seeds.
    """
    generator = torch.Generator().manual_seed(20260101)
    digits = mnist5k().inputs
    crops = ink_boxes(digits[:, 0])
    chosen = torch.randint(len(digits), (rows,), generator=generator)
    shape = crops[chosen, 2:] - crops[chosen, :2]  # width, height of the ink, in pixels of the digit
    height = 14 + 30 * torch.rand(rows, generator=generator)
    stretch = 0.8 + 0.4 * torch.rand(rows, generator=generator)
    size = torch.stack([(height * stretch * shape[:, 0] / shape[:, 1]).clamp(8, 44), height], 1)
    place = torch.rand(rows, 2, generator=generator) * (CANVAS - size)
    boxes = torch.cat([place, place + size], 1)

    pictures = torch.maximum(
        scatter_pieces(digits, rows, clutter, generator), paste(digits[chosen], crops[chosen], boxes)
    )
    pictures = (pictures + noise * torch.randn(pictures.shape, generator=generator)).clamp(0, 1)
    return Data(pictures, boxes / CANVAS, ("x1", "y1", "x2", "y2"))


def scatter_pieces(digits: Tensor, rows: int, clutter: int, generator: torch.Generator) -> Tensor:
    """Canvases [rows, 1, 64, 64], each with `clutter` pieces of 8 x 8 pixels from the middle of digits, never a whole digit."""
    counts = (rows, clutter)
    which = torch.randint(len(digits), counts, generator=generator)
    cut = torch.randint(6, digits.shape[-1] - 6 - _PIECE, (*counts, 2), generator=generator)
    put = torch.randint(CANVAS - _PIECE + 1, (*counts, 2), generator=generator)
    step = torch.arange(_PIECE)

    def pixels(
        corner: Tensor, side: int
    ) -> Tensor:  # numbers of a window's pixels in a flat picture [rows, clutter, 64]
        return ((corner[..., 1, None, None] + step[:, None]) * side + corner[..., 0, None, None] + step).flatten(2)

    pieces = digits.flatten(1)[which[..., None], pixels(cut, digits.shape[-1])]
    canvases = torch.zeros(rows, CANVAS * CANVAS)
    canvases.scatter_reduce_(1, pixels(put, CANVAS).flatten(1), 0.8 * pieces.flatten(1), "amax")
    return canvases.reshape(rows, 1, CANVAS, CANVAS)


def ink_boxes(pictures: Tensor) -> Tensor:
    """The smallest box around each picture's ink: pictures [n, h, w] -> corners in pixels [n, 4]."""
    ink = pictures > _INK
    sides = []
    for axis in (1, 2):  # over the rows, which leaves columns, then over the columns
        there = ink.any(axis).int()
        sides.append((there.argmax(1), there.shape[1] - there.flip(1).argmax(1)))
    (x1, x2), (y1, y2) = sides
    return torch.stack([x1, y1, x2, y2], 1).float()


def paste(pictures: Tensor, source: Tensor, boxes: Tensor) -> Tensor:
    """Empty canvases [n, 1, 64, 64] with the part `source` [n, 4] of each picture [n, 1, h, w] stretched onto `boxes` [n, 4], in pixels."""
    scale = (source[:, 2:] - source[:, :2]) / (boxes[:, 2:] - boxes[:, :2])
    centres = torch.arange(CANVAS) + 0.5
    grids = []
    for axis in (0, 1):
        at = source[:, axis, None] + (centres - boxes[:, axis, None]) * scale[:, axis, None]
        inside = (centres > boxes[:, axis, None]) & (centres < boxes[:, axis + 2, None])
        grids.append(
            torch.where(inside, 2 * at / pictures.shape[3 - axis] - 1, 9.0)
        )  # 9: outside the picture, so black
    grid = torch.stack([grids[0][:, None, :].expand(-1, CANVAS, -1), grids[1][:, :, None].expand(-1, -1, CANVAS)], 3)
    return F.grid_sample(pictures, grid, align_corners=False)
