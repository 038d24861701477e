"""Arrays, DataFrames and datasets of torch as a file, so that what is asked of them is asked as of any file."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest, first_line
from losslab.records.files import write_whole

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table with the names of its special columns; `path` where it is a file already.

    digest: of its content.
    frame: what is to be written as a table.
    arrays: what is to be written as arrays, where there are more axes than a table has.
    """

    target: str
    group: str
    time: str
    weight: str
    digest: str
    path: Path | None = None
    frame: pd.DataFrame | None = None
    arrays: dict[str, Any] | None = None


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

    if _is_dataset(X):
        if y is not None:
            raise BadRequest("A dataset gives its own targets; leave y away.")
        X, y = _of_dataset(X)
    if not isinstance(X, pd.DataFrame) and (np.ndim(X) > 2 or (np.ndim(y) == 2 and np.shape(y)[1] > 1)):
        return _as_arrays(X, y, groups, time, weight)
    if isinstance(X, pd.DataFrame):
        frame = X.reset_index(drop=True)
        frame.columns = pd.Index(map(str, frame.columns))
        if (again := frame.columns[frame.columns.duplicated()]).size:
            raise BadRequest(f"X has the column '{again[0]}' twice; give each column a name of its own.")
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


def _is_dataset(X: Any) -> bool:
    """Whether it is a dataset of torch with a length. torch is imported only where the caller has done so."""
    module = sys.modules.get("torch.utils.data")
    return module is not None and isinstance(X, module.Dataset) and hasattr(X, "__len__")


def _of_dataset(X: Any) -> tuple[Any, Any]:
    """Inputs and targets of all samples. Raises BadRequest where a sample is no pair, or samples differ in shape."""
    import numpy as np

    samples = [X[number] for number in range(len(X))]
    if not samples or any(not isinstance(sample, tuple | list) or len(sample) != 2 for sample in samples):
        raise BadRequest("Each sample of the dataset must be a pair (input, target).")
    try:
        return tuple(np.stack([np.asarray(sample[part]) for sample in samples]) for part in (0, 1))  # type: ignore[return-value]
    except (ValueError, TypeError, RuntimeError) as error:
        raise BadRequest(f"The samples of the dataset cannot be joined into arrays: {first_line(error)}.") from error


def _as_arrays(X: Any, y: Any, groups: Any, time: Any, weight: Any) -> Table:
    import numpy as np

    if y is None:
        raise BadRequest("y is missing: the target, an array [n] or [n, D].")
    given = {"inputs": X, "targets": y, "groups": groups, "times": time, "weights": weight}
    for name, value in given.items():
        if isinstance(value, str):
            raise BadRequest(f"{name} is '{value}', and arrays have no columns; give an array [n].")
    kept = {name: np.asarray(value) for name, value in given.items() if value is not None}
    kept |= {"groups": np.unique(kept["groups"], return_inverse=True)[1]} if "groups" in kept else {}
    digest = hashlib.sha256()
    for name, array in kept.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return Table("", "", "", "", digest.hexdigest(), arrays=kept)


@contextmanager
def as_file(table: Table, folder: Path) -> Iterator[Path]:
    """The file that holds a table, or arrays, from here on; taken away again where the request is refused and nothing else is there."""
    there = {path for path in (folder, *folder.parents) if path.exists()}
    path = table.path or _written(table, folder)
    try:
        yield path
    except BadRequest:
        if table.path is None and folder not in there and [*folder.iterdir()] == [path]:
            path.unlink()
            for made in (folder, *folder.parents):
                if made in there or any(made.iterdir()):
                    break
                made.rmdir()
        raise


def _written(table: Table, folder: Path) -> Path:
    """The file that holds a table, or arrays, from here on."""
    from io import BytesIO

    content = BytesIO()
    if table.arrays is not None:
        import numpy as np

        np.savez(content, **table.arrays)
        return _kept(folder / "data.npz", content.getvalue())
    assert table.frame is not None
    try:
        table.frame.to_parquet(content)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise BadRequest(f"The table cannot be kept as Parquet: {' '.join(str(error).split())}.") from error
    return _kept(folder / "data.parquet", content.getvalue())


def _kept(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(f"The folder {path.parent} cannot be made: {first_line(error)}.") from error
    if not path.exists() or path.read_bytes() != content:
        write_whole(path, content)
    return path


def loss_name(loss: str | Callable[..., Any], task: str | None) -> str:
    """The name of a loss; a function is registered under its own."""
    if isinstance(loss, str):
        return loss
    if not inspect.isfunction(loss):
        raise BadRequest(
            f"A loss is a name or a function of pred and target, and a {type(loss).__name__} is neither. A loss of torch has a name: "
            "losslab takes 'torch.nn.SmoothL1Loss'."
        )
    name = loss.__name__.lower()
    if not name.isidentifier():
        raise BadRequest("A loss that is a lambda has no name for the report; write it with def.")
    from losslab import register
    from losslab.losses import LOSSES
    from losslab.schema import cards

    if name not in LOSSES:
        reads = list(cards.card("task", task or "regression").about["spaces"])
        decorate: Any = register.loss(reads=reads)
        decorate(loss)
    return name
