"""Pictures of the user's, each with a label: data=images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from losslab import pictures
from losslab.data.base import Data, register
from losslab.schema import memory, requirements


@register
def images(
    path: str,
    labels: str,
    file_column: str,
    label_column: str,
    order: Sequence[Any],
    channels: str,
    side: int,
    fit: str,
    task: str,
) -> Data:
    """Pictures by class in folders, or with a table of labels, brought to one size and one number of channels.

    Raises BadRequest, with the file, for whatever cannot be read or learnt from.
    """
    table = requirements.beside_path({"path": path, "labels": labels}, "labels") if labels else None
    found = pictures.labelled(Path(path), task, table, file_column, label_column, order)
    sides = side or pictures.sides_of([pictures.size_of(file) for file in found.files])
    check_memory(len(found.files), sides, 1 if channels == "auto" else int(channels))
    pixels = [pictures.fitted(pictures.opened(file, 2 * sides), sides, fit == "stretch").pixels for file in found.files]
    values = pictures.stacked(pixels, channels, lambda count: check_memory(len(pixels), sides, count))
    return Data(
        inputs=torch.from_numpy(values),
        targets=torch.tensor(found.targets, dtype=torch.int64 if task in ("multiclass", "ordinal") else torch.float32),
        target_names=found.names,
        kind="picture",
        given=None if found.parts is None else torch.tensor(found.parts),
    )


def check_memory(rows: int, side: int, channels: int) -> None:
    """Raises BadRequest for more pictures of such a size than memory can hold."""
    memory.check_pictures(f"data.side={side} with {channels} channels", rows, channels * side * side)
