"""How much each row counts in the training and the validation loss; metrics count all rows the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from losslab.errors import BadRequest


def row_weights(
    weight: str, labels: Tensor | None, train: Tensor, rows: int, given: Tensor | None = None
) -> Tensor | None:
    """The weight of each row, [n], float32; None if all count the same.

    Args:
        weight: none; balanced, so that the training rows of every class have the same sum of weights (King and Zeng, 2001); or a
            file with one number per row.
        labels: shares of the classes in each row's target [n, K], as the run sees them; None if targets are not classes.
        train: numbers of the training rows.
        rows: n.
        given: weights that the data themselves have, [n]; they are taken with `none`, and times the others.

    Raises:
        BadRequest: a file that does not hold one finite number of at least 0 for each row, or only zeros for the training rows.
    """
    if given is not None:
        others = row_weights(weight, labels, train, rows)
        return _checked("row_weight", given if others is None else given * others, train)
    if weight == "none":
        return None
    if weight == "balanced":
        assert labels is not None
        counts = labels[train].double().sum(0)
        of_class = len(train) / (counts > 0).sum() / counts.clamp(min=1)
        return (labels.double() @ of_class).float()
    found = _read(Path(weight))
    if len(found) != rows:
        raise BadRequest(
            f"data.weight={weight} holds {len(found)} numbers, and the data have {rows} rows; it takes one for each."
        )
    wrong = ~(np.isfinite(found) & (found >= 0))
    if wrong.any():
        row = int(wrong.argmax())
        raise BadRequest(
            f"data.weight={weight}: row {row} is {found[row]}, and a weight is a finite number of at least 0."
        )
    return _checked(f"data.weight={weight}", torch.from_numpy(found).float(), train)


def _checked(what: str, weights: Tensor, train: Tensor) -> Tensor:
    if not weights[train].sum() > 0:
        raise BadRequest(f"{what} is 0 for all training rows, so there is nothing to learn from.")
    return weights


def _read(path: Path) -> NDArray[np.float64]:
    """The numbers of a file as float64 [n]; a first line of text counts as a heading."""
    try:
        if path.suffix == ".npy":
            found = np.load(path, allow_pickle=False)
            if found.ndim != 1:
                raise BadRequest(f"data.weight={path} must hold an array [n]; its shape is {list(found.shape)}.")
            return np.asarray(found, dtype=np.float64)
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise BadRequest(f"data.weight={path} cannot be read: {error}.") from error
    numbers = []
    for number, line in enumerate(lines):
        try:
            numbers.append(float(line))
        except ValueError:
            if number:
                raise BadRequest(f"data.weight={path}: line {number + 1}, '{line[:40]}', is no number.") from None
    return np.array(numbers)
