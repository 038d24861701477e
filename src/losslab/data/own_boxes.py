"""Boxes of the user's in pictures of theirs: data=boxes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from losslab import pictures
from losslab.data.base import Data, register
from losslab.data.own_pictures import check_memory
from losslab.schema import requirements

_LOG = logging.getLogger(__name__)
CORNERS = ("x1", "y1", "x2", "y2")


@register
def boxes(
    path: str,
    images: str,
    objects: str,
    margin: float,
    classes: Sequence[str],
    outside: str,
    channels: str,
    side: int,
    fit: str,
) -> Data:
    """Pictures with one box each, from annotations in COCO, Pascal VOC or YOLO format.

    Objects of one picture are one group, so that they are in one part of a split.

    Raises BadRequest, with the file and the object, for whatever cannot be read or learnt from.
    """
    folder = requirements.pictures_of(Path(path), images)
    found = pictures.chosen(Path(path), folder, objects, margin, classes, outside)
    return of_rows(found, Path(path).name, channels, side, fit)


def of_rows(found: pictures.Chosen, where: str, channels: str, side: int, fit: str) -> Data:
    """The rows that were chosen, as tensors. Logs what was left out."""
    for note in found.notes:
        _LOG.warning(f"{where}: {note}")
    sides = side or pictures.side_of(found.rows)
    check_memory(len(found.rows), sides, 1 if channels == "auto" else int(channels))
    inputs, corners = pictures.decoded(
        found.rows, sides, channels, fit == "stretch", lambda count: check_memory(len(found.rows), sides, count)
    )
    several = found.objects == "each"
    return Data(
        inputs=torch.from_numpy(inputs),
        targets=torch.from_numpy(corners),
        target_names=CORNERS,
        kind="picture",
        groups=torch.tensor([row.group for row in found.rows]) if several else None,
    )
