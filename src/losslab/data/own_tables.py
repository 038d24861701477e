"""A table of the user's, from a file: data=table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from losslab.data import encoding
from losslab.data.base import Data, register
from losslab.errors import BadRequest
from losslab.tables import describe, read_tables, target_values, with_target
from losslab.tables.columns import ROLES, as_dates

if TYPE_CHECKING:
    import pandas as pd

_PARTS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}


@register
def table(
    path: str,
    test_path: str,
    target: str,
    order: Sequence[Any],
    unit: str,
    drop: Sequence[str],
    number: Sequence[str],
    category: Sequence[str],
    date: Sequence[str],
    text: Sequence[str],
    group: str,
    time: str,
    parts: str,
    row_weight: str,
    missing_target: str,
    levels: int,
    separator: str,
    decimal: str,
    task: str,
) -> Data:
    """A table of the user's: CSV, TSV, Parquet, Feather or npz, a row for each sample and a column that is predicted.

    Raises BadRequest, with file, column and row, for whatever cannot be read or learnt from.
    """
    whole, from_files = read_tables(Path(path), test_path, separator, decimal)
    if from_files and parts:
        raise BadRequest("data.parts and data.test_path both say which rows are for testing; leave one away.")
    frame, parts = with_target(whole, target, missing_target), parts or from_files
    try:
        targets, names = target_values(frame, target, task, order)
        columns = describe(frame, target, drop, number, category, date, text, group, time, parts, row_weight)
        used = {column.name: column.used_as for column in columns if column.used_as in ROLES}
        typed = encoding.columns_as_read(frame, used)
        return Data(
            inputs=torch.empty(len(frame), 0),
            targets=torch.tensor(targets, dtype=torch.int64 if task in ("multiclass", "ordinal") else torch.float32),
            target_names=names,
            kind="table",
            fingerprint=encoding.fingerprint(typed.assign(**{f"target {target}": frame[target]}), [task]),
            groups=_groups(frame, group) if group else None,
            times=_times(frame, time) if time else None,
            given=_parts(frame, parts) if parts else None,
            weights=_weights(frame, row_weight) if row_weight else None,
            encode=encoding.encoder(typed, used, levels),
        )
    except BadRequest as error:
        raise BadRequest(f"{Path(path).name}: {error}") from error


def _groups(frame: pd.DataFrame, name: str) -> Tensor:
    import pandas as pd

    codes, _ = pd.factorize(_whole(frame, name, "group"))
    return torch.tensor(codes)


def _times(frame: pd.DataFrame, name: str) -> Tensor:
    """Moments as numbers in their order: numbers as they are, dates in seconds."""
    import pandas as pd

    column = _whole(frame, name, "time")
    if pd.api.types.is_numeric_dtype(column):
        return torch.tensor(column.to_numpy(dtype="float64"))
    moments = as_dates(column)
    if moments.isna().any():
        row = int(moments.isna().to_numpy().argmax())
        raise BadRequest(
            f"Column '{name}', row {row + 1}: {str(column.iloc[row])!r} is no date, and data.time needs one."
        )
    return torch.tensor(moments.astype("datetime64[ns]").astype("int64").to_numpy() / 1e9)


def _parts(frame: pd.DataFrame, name: str) -> Tensor:
    column = frame[name].astype("string").str.strip().str.lower()
    known = column.isna() | column.isin(_PARTS)
    if not known.all():
        row = int((~known).to_numpy().argmax())
        raise BadRequest(
            f"Column '{name}', row {row + 1}: '{column.iloc[row]}' is no part of a split; use train, val and test, or leave it "
            "empty to have it drawn."
        )
    if not (column == "test").any():
        raise BadRequest(f"Column '{name}' names no row for testing; it holds train, val and test.")
    return torch.tensor([_PARTS.get(str(word), -1) for word in column.fillna("")], dtype=torch.int64)


def _weights(frame: pd.DataFrame, name: str) -> Tensor:
    import pandas as pd

    found = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype="float64")
    wrong = ~((found >= 0) & (found < float("inf")))
    if wrong.any():
        row = int(wrong.argmax())
        raise BadRequest(
            f"Column '{name}', row {row + 1}: a weight is a finite number of at least 0, and {frame[name].iloc[row]} is not."
        )
    return torch.tensor(found, dtype=torch.float32)


def _whole(frame: pd.DataFrame, name: str, what: str) -> pd.Series[Any]:
    column = frame[name]
    if column.isna().any():
        row = int(column.isna().to_numpy().argmax())
        raise BadRequest(f"Column '{name}', row {row + 1} is empty, and every row needs its {what}.")
    return column
