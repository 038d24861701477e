"""Corruptions of boxes. Defaults: conf/corruption/<name>.yaml.

Targets: corners x1 y1 x2 y2 [n, 4], in shares of the picture. Pictures do not change. Every returned box lies in [0, 1] and has
sides of 0.01 or more. If a corruption would make a box smaller, the row keeps its clean box. The corrupted
rows are those whose box changed.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from losslab.corruption.base import Changed, choose_rows, new_targets, register

LEAST = 0.01  # width and height of the smallest box, in shares of the picture: below a pixel of `scenes`


@register
def jitter(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, noise: float) -> Changed:
    """Jitter: centre and size of a box get a random error, in proportion to its size (Liu et al., 2022, OA-MIL).

    cx' = cx + w u1, cy' = cy + h u2, w' = w (1 + u3), h' = h (1 + u4), each u uniform in [-noise, noise]; then cut to the picture.

    Args:
        inputs: [n, ...], returned as they are.
        targets: corners [n, 4], clean.
        generator: random generator for the rows and u; with a larger noise each corner moves in the same direction, but farther.
        fraction: share of the rows, in [0, 1]; a larger one includes the rows of a smaller one.
        noise: in [0, 1), in widths and heights of the box; OA-MIL takes 0.1 to 0.4.
    """
    chosen = choose_rows(len(targets), fraction, generator)
    centre, size = _centre_and_size(targets)
    shift, growth = (noise * (2 * torch.rand(2, len(targets), 2, generator=generator) - 1)).to(targets)
    return _given(inputs, targets, chosen, _boxes(centre + size * shift, size * (1 + growth)))


@register
def wrong_boxes(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, kind: str) -> Changed:
    """Wrong boxes: a share of the pictures gets a box unrelated to the object (Chadwick and Newman, 2019).

    Args:
        inputs: [n, ...], returned as they are.
        targets: corners [n, 4], clean.
        generator: random generator for the rows and the boxes.
        fraction: share of the rows, in [0, 1]; a larger one includes the rows of a smaller one, with the same boxes.
        kind: `random` (width and height uniform in [0.01, 1], then the place uniform inside the picture) or `other` (the clean box
            of another picture, each equally likely).
    """
    chosen = choose_rows(len(targets), fraction, generator)
    place, sizes = torch.rand(2, len(targets), 2, generator=generator).to(targets)
    other = _others(targets, generator)
    if kind == "other":
        return _given(inputs, targets, chosen, other)
    size = LEAST + (1 - LEAST) * sizes
    low = place * (1 - size)
    return _given(inputs, targets, chosen, torch.cat([low, low + size], 1))


@register
def loose_boxes(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, factor: float) -> Changed:
    """Loose or tight boxes: a share of the boxes is too large, or too small, around the same centre (Su, Deng and Fei-Fei, 2012).

    w' = factor * w, h' = factor * h around the same centre, then cut to the picture.

    Args:
        inputs: [n, ...], returned as they are.
        targets: corners [n, 4], clean.
        generator: random generator for the rows.
        fraction: share of the rows, in [0, 1]; a larger one includes the rows of a smaller one.
        factor: above 1: loose; below 1: tight.
    """
    chosen = choose_rows(len(targets), fraction, generator)
    centre, size = _centre_and_size(targets)
    return _given(inputs, targets, chosen, _boxes(centre, factor * size))


@register
def truncated_boxes(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, cut: float) -> Changed:
    """Truncated boxes: one side is cut off, as at the edge of a crop (Everingham et al., 2010, "truncated").

    At one of the four sides, each equally likely, the box loses a share `cut` of its width or height.

    Args:
        inputs: [n, ...], returned as they are.
        targets: corners [n, 4], clean.
        generator: random generator for the rows and the sides.
        fraction: share of the rows, in [0, 1]; a larger one includes the rows of a smaller one, cut at the same sides.
        cut: in [0, 1).
    """
    chosen = choose_rows(len(targets), fraction, generator)
    side = torch.randint(4, (len(targets),), generator=generator)
    _, size = _centre_and_size(targets)
    inwards = torch.cat([size, -size], 1) * cut
    hidden = torch.nn.functional.one_hot(side, 4).to(targets)
    return _given(inputs, targets, chosen, targets + hidden * inwards)


@register
def swapped_corners(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float) -> Changed:
    """Swapped corners: one corner of a box is right, and the opposite one comes from the box of another picture.

    (x1, y1) of the own box and (x2, y2) of the box of another picture, each equally likely, put in order on each axis so that
    x1 < x2 and y1 < y2. There is no source: it is a mistake of data handling, such as sorting two columns of a table separately.

    Args:
        inputs: [n, ...], returned as they are.
        targets: corners [n, 4], clean.
        generator: random generator for the rows and the other boxes.
        fraction: share of the rows, in [0, 1]; a larger one includes the rows of a smaller one, with the same boxes.
    """
    chosen = choose_rows(len(targets), fraction, generator)
    first, second = targets[:, :2], _others(targets, generator)[:, 2:]
    return _given(inputs, targets, chosen, torch.cat([first.minimum(second), first.maximum(second)], 1))


def _given(inputs: Tensor, targets: Tensor, chosen: Tensor, boxes: Tensor) -> Changed:
    """New boxes for the chosen rows, cut to the picture; the clean one where the new one would be too small."""
    boxes = boxes.clamp(0, 1)
    usable = (boxes[:, 2:] - boxes[:, :2] >= LEAST * (1 - 1e-3)).all(1)
    return new_targets(inputs, targets, torch.where((chosen & usable)[:, None], boxes, targets))


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Corners [n, 4] -> centres and sizes, [n, 2] each."""
    low, high = boxes.chunk(2, 1)
    return (low + high) / 2, high - low


def _boxes(centre: Tensor, size: Tensor) -> Tensor:
    """Centres and sizes [n, 2] -> corners [n, 4]."""
    return torch.cat([centre - size / 2, centre + size / 2], 1)


def _others(boxes: Tensor, generator: Generator) -> Tensor:
    """For each row the box of another row, each equally likely; its own if there is no other."""
    count = len(boxes)
    steps = torch.randint(1, max(2, count), (count,), generator=generator)
    return boxes[(torch.arange(count) + steps) % count]
