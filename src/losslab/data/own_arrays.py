"""Arrays of the user's from an npz file: data=arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from losslab.data.base import Data, register
from losslab.tables.arrays import array_targets, read_arrays


@register
def arrays(path: str, order: Sequence[Any], task: str) -> Data:
    """Inputs of any shape and their targets, from an npz file with `inputs` and `targets`.

    Raises BadRequest, with array and row, for whatever cannot be read or learnt from.
    """
    found = read_arrays(Path(path))
    targets, names = array_targets(Path(path), found["targets"], task, order)
    groups = torch.tensor(found["groups"]).unique(return_inverse=True)[1] if "groups" in found else None
    return Data(
        inputs=torch.from_numpy(found["inputs"]),
        targets=torch.tensor(targets, dtype=torch.int64 if task in ("multiclass", "ordinal") else torch.float32),
        target_names=names,
        groups=groups,
        times=torch.tensor(found["times"], dtype=torch.float64) if "times" in found else None,
        weights=torch.tensor(found["weights"], dtype=torch.float32) if "weights" in found else None,
    )
