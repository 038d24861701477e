"""Arrays and DataFrames as a table in a file, so that what is asked of them is asked as of any file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest
from losslab.records.files import write_whole

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table with the names of its special columns; `path` where it is a file already.

    digest: of its content.
    """

    target: str
    group: str
    time: str
    weight: str
    digest: str
    path: Path | None = None
    frame: pd.DataFrame | None = None


def as_table(X: Any, y: Any, groups: Any, time: Any, weight: Any) -> Table:
    """What was handed over as one table. Raises BadRequest for what does not fit together.

    X: a path, a DataFrame, or an array [n, features]. y and the others: the name of a column, or values [n].
    """
    if isinstance(X, str | Path):
        special = {"y": y, "groups": groups, "time": time, "sample_weight": weight}
        for what, value in special.items():
            if value is not None and not isinstance(value, str):
                raise BadRequest(
                    f"With a path, {what} is the name of a column, and a {type(value).__name__} was given."
                )
        return Table(y or "", groups or "", time or "", weight or "", str(X), path=Path(X))
    import numpy as np
    import pandas as pd

    if isinstance(X, pd.DataFrame):
        frame = X.reset_index(drop=True)
        frame.columns = pd.Index(map(str, frame.columns))
    else:
        values = np.asarray(X)
        if values.ndim != 2:
            raise BadRequest(f"X must be an array [n, features]; its shape is {list(values.shape)}.")
        frame = pd.DataFrame(values, columns=[f"x{number}" for number in range(values.shape[1])])
    if y is None:
        raise BadRequest("y is missing: the target, as an array [n] or as the name of a column of X.")
    names = {}
    for what, value, own in (
        ("y", y, "y"),
        ("groups", groups, "group"),
        ("time", time, "time"),
        ("sample_weight", weight, "weight"),
    ):
        if value is None or isinstance(value, str):
            names[what] = value or ""
            continue
        column = value.reset_index(drop=True) if isinstance(value, pd.Series) else np.asarray(value)
        if column.ndim == 2 and column.shape[1] == 1:
            column = column[:, 0]
        if column.ndim != 1 or len(column) != len(frame):
            raise BadRequest(
                f"{what} must have one value for each of the {len(frame)} rows of X; its shape is {list(column.shape)}."
            )
        name = str(getattr(value, "name", None) or own)
        while name in frame:
            name += "_"
        frame[name] = column
        names[what] = name
    digest = str(pd.util.hash_pandas_object(frame, index=False).sum())
    return Table(names["y"], names["groups"], names["time"], names["sample_weight"], digest, frame=frame)


def written(table: Table, folder: Path) -> Path:
    """The file that holds a table from here on."""
    from io import BytesIO

    assert table.frame is not None
    path = folder / "data.parquet"
    content = BytesIO()
    try:
        table.frame.to_parquet(content)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise BadRequest(f"The table cannot be kept as Parquet: {' '.join(str(error).split())}.") from error
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != content.getvalue():
        write_whole(path, content.getvalue())
    return path


def loss_name(loss: str | Callable[..., Any], task: str | None) -> str:
    """The name of a loss; a function is registered under its own."""
    if isinstance(loss, str):
        return loss
    name = getattr(loss, "__name__", type(loss).__name__).lower()
    from losslab import register
    from losslab.losses import LOSSES
    from losslab.schema import cards

    if name not in LOSSES:
        reads = list(cards.card("task", task or "regression").about["spaces"])
        decorate: Any = register.loss(reads=reads)
        decorate(loss)
    return name
