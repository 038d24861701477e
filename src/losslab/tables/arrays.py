"""Arrays of any number of axes from an npz file: inputs [n, ...] and targets, and what belongs to each row."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest, first_line
from losslab.tables.targets import CLASSES, target_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEEDED = ("inputs", "targets")
BESIDE = ("groups", "times", "weights")


def is_array_file(path: Path) -> bool:
    """Whether a file is an npz with `inputs` and `targets`; a table has a name for each column."""
    return path.suffix.lower() == ".npz" and path.is_file() and set(NEEDED) <= set(_loaded(path))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name: inputs [n, ...], float32; targets [n] or [n, D]; and groups, times, weights [n] where there are any.

    Pictures of whole numbers up to 255 become shares of 255; [n, height, width] gets an axis of one channel.
    Raises BadRequest, with array and row, for what is missing, of other lengths, or not finite.
    """
    import numpy as np

    found = _loaded(path)
    for name in NEEDED:
        if name not in found:
            raise BadRequest(
                f"{path} must hold 'inputs' and 'targets'; it holds: {', '.join(sorted(found)) or 'nothing'}."
            )
    kept = {name: found[name] for name in (*NEEDED, *BESIDE) if name in found}
    inputs, rows = kept["inputs"], len(kept["inputs"]) if kept["inputs"].ndim else 0
    if inputs.ndim < 2 or inputs.dtype.kind not in "buif" or not rows:
        raise BadRequest(f"{path}: inputs must be numbers [n, ...]; they are {inputs.dtype} {list(inputs.shape)}.")
    for name, array in kept.items():
        most = 2 if name == "targets" else 1
        if name != "inputs" and (not 1 <= array.ndim <= most or len(array) != rows):
            raise BadRequest(
                f"{path}: {name} must have one row for each of the {rows} inputs; its shape is {list(array.shape)}."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int((~np.isfinite(array)).reshape(rows, -1).any(1).argmax())
            raise BadRequest(
                f"{path}: row {row + 1} of {name} holds a number that is not finite; remove or replace such rows."
            )
    kept["inputs"] = (inputs.astype("float32") / 255) if inputs.dtype == np.uint8 else inputs.astype("float32")
    if kept["inputs"].ndim == 3:
        kept["inputs"] = kept["inputs"][:, None]
    return kept


def array_targets(
    path: Path, targets: NDArray[Any], task: str, order: Sequence[Any] = ()
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Targets as a task takes them, and their names; see `losslab.tables.target_values`. Raises BadRequest where they do not fit."""
    import numpy as np
    import pandas as pd

    columns = targets.reshape(len(targets), -1)
    if task == "bbox":
        right = columns.shape[1] == 4 and columns.dtype.kind in "uif"
        if not right or not ((columns >= 0) & (columns <= 1)).all() or not (columns[:, 2:] > columns[:, :2]).all():
            raise BadRequest(
                f"{path}: targets of boxes are corners x1 y1 x2 y2 [n, 4] in shares of the picture, x1 < x2 and y1 < y2."
            )
        return columns.astype("float64"), ("x1", "y1", "x2", "y2")
    if columns.shape[1] > 1 and task in CLASSES:
        raise BadRequest(f"{path}: targets of classes are one label a row, [n]; their shape is {list(targets.shape)}.")
    if task == "multilabel":
        if columns.shape[1] < 2 or not ((columns == 0) | (columns == 1)).all():
            raise BadRequest(
                f"{path}: targets of several labels are 0 or 1 [n, labels], two labels or more; these are {targets.dtype} "
                f"{list(targets.shape)}."
            )
        if never := [number for number, some in enumerate((columns == 1).sum(0)) if not some]:
            raise BadRequest(
                f"{path}: label {never[0]} holds for no row, so nothing can be learnt of it; leave it out."
            )
        return columns.astype("float64"), tuple(f"label{number}" for number in range(columns.shape[1]))
    names = ["target"] if columns.shape[1] == 1 else [f"target{number}" for number in range(columns.shape[1])]
    frame = pd.DataFrame(columns, columns=names)
    try:
        each = [target_values(frame, name, task, order) for name in names]
    except BadRequest as error:
        raise BadRequest(f"{path}: {error}") from error
    if len(each) == 1:
        return each[0]
    return np.concatenate([values for values, _ in each], 1), tuple(names)


def _loaded(path: Path) -> dict[str, NDArray[Any]]:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BadRequest(f"{path} cannot be read: {first_line(error)}.") from error
