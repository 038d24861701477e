"""The column that is predicted, in the form that its task takes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest, nearest

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

CLASSES = ("binary", "multiclass", "ordinal")  # tasks whose targets are one class a row
_LOG = logging.getLogger(__name__)
_YES = ("1", "1.0", "yes", "y", "true", "t", "positive", "pos", "+")
_FEW_NUMBERS = 20  # from which on numbers are hardly classes
_FEWEST = 3  # rows of a class: one for each part
MOST_CLASSES = 1000


def with_target(frame: pd.DataFrame, target: str, missing_target: str = "refuse") -> pd.DataFrame:
    """The rows that have a target, where missing_target is drop; else the table as it is."""
    if missing_target != "drop" or target not in frame:
        return frame
    known = frame[target].notna()
    if lost := int((~known).sum()):
        _LOG.warning(f"{lost} of {len(frame)} rows have no '{target}' and are left out.")
    return frame[known].reset_index(drop=True)


def target_values(
    frame: pd.DataFrame, target: str, task: str, order: Sequence[Any] = ()
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The targets, and their names.

    regression, counts, quantiles: numbers [n, 1], float64, and the name of the column. multiclass: class numbers [n], int64, and
    the classes, numbers in their order and words in that of the alphabet. ordinal: the same, with words in their `order`.
    binary: 0 or 1 [n], and both values, 1 being the larger number, yes, true or positive, else the rarer word.

    order: the classes from the lowest up, for task=ordinal; ordered categories of a table have one by themselves.

    Raises BadRequest, with column and row, for targets that are missing, infinite or of another task, for words whose order is not
    known where it counts, and for a class with fewer rows than a split has parts.
    """
    if target not in frame:
        raise BadRequest(f"There is no column '{target}'{nearest(target, list(map(str, frame.columns)))}.")
    column = frame[target]
    if not column.notna().any():
        raise BadRequest(f"Column '{target}', the target, has no values.")
    if (missing := column.isna()).any():
        row = int(missing.to_numpy().argmax()) + 1
        raise BadRequest(
            f"Column '{target}', the target, has no value in {int(missing.sum())} of {len(column)} rows, such as row {row}; "
            "data.missing_target=drop leaves them out."
        )
    if order and task != "ordinal":
        raise BadRequest(f"data.order says how classes lie, which only task=ordinal takes; task={task} was asked for.")
    return _classes(column, task, order) if task in CLASSES else _numbers(column, task)


def _numbers(column: pd.Series[Any], task: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    import numpy as np
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").astype("float64").to_numpy()
    if pd.api.types.is_datetime64_any_dtype(column):
        values = np.full(len(column), np.nan)
    name = str(column.name)
    if np.isnan(values).any():
        row = int(np.isnan(values).argmax())
        other = "binary" if column.nunique() == 2 else "multiclass"
        raise BadRequest(
            f"Column '{name}', row {row + 1}: '{column.iloc[row]}' is no number, which {task} needs; "
            f"with task={other} the column's {column.nunique()} values are classes."
        )
    if not np.isfinite(values).all():
        row = int((~np.isfinite(values)).argmax())
        raise BadRequest(
            f"Column '{name}', row {row + 1} is {values[row]}; nothing can be learnt from an infinite target."
        )
    if np.abs(values).max() > 1e30:
        row = int(np.abs(values).argmax())
        raise BadRequest(f"Column '{name}', row {row + 1} is {values[row]:g}, which is too large to compute with.")
    if task == "counts" and ((values < 0) | (values != np.round(values))).any():
        row = int(((values < 0) | (values != np.round(values))).argmax())
        raise BadRequest(
            f"Column '{name}', row {row + 1} is {values[row]:g}, and a count is 0, 1, 2, ...; use task=regression."
        )
    if (values == values[0]).all():
        raise BadRequest(f"Column '{name}', the target, is always {values[0]:g}, so there is nothing to learn.")
    return values[:, None], (name,)


def _classes(column: pd.Series[Any], task: str, order: Sequence[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    import numpy as np
    import pandas as pd

    name = str(column.name)
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    values = sorted(column.unique().tolist(), key=(lambda value: value) if numeric else str)
    counts = column.value_counts()
    if isinstance(column.dtype, pd.CategoricalDtype):
        counts = counts[counts > 0]
    if task == "ordinal" and (order or not numeric):
        values = _in_order(column, values, order)
    if len(values) == 1:
        raise BadRequest(f"Column '{name}', the target, has one class, '{values[0]}', so there is nothing to learn.")
    if len(values) > MOST_CLASSES:
        raise BadRequest(
            f"Column '{name}' has {len(values):,} values, which are too many classes; is it a number to predict? Use task=regression."
        )
    if task == "binary" and len(values) != 2:
        other = "regression" if numeric and len(values) > _FEW_NUMBERS else "multiclass"
        raise BadRequest(f"Column '{name}' has {len(values)} values, and task=binary needs two; use task={other}.")
    if counts.min() < _FEWEST:
        rare = counts.idxmin()
        raise BadRequest(
            f"Column '{name}', the target: class '{_named(rare)}' has {counts.min()} row{'s' if counts.min() > 1 else ''}, and each of "
            f"train, validation and test needs one; leave the class out, or join it with another."
        )
    if task == "binary":
        yes = [value for value in values if str(value).lower() in _YES]
        rarer = values[1] if counts.iloc[0] == counts.iloc[1] else counts.idxmin()
        last = values[1] if numeric else yes[0] if len(yes) == 1 else rarer
        values = [next(value for value in values if value != last), last]
    numbers = column.map({value: number for number, value in enumerate(values)}).to_numpy(dtype=np.int64)
    return numbers, tuple(map(_named, values))


def _in_order(column: pd.Series[Any], values: list[Any], order: Sequence[Any]) -> list[Any]:
    """The values of a column from the lowest class up. Raises BadRequest where that is not known."""
    import pandas as pd

    name, named = str(column.name), {_named(value): value for value in values}
    if not order and isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        return [value for value in column.cat.categories if value in values]
    example = f"data.order=[{','.join(named)}]"
    if not order:
        raise BadRequest(
            f"Column '{name}' holds words, and task=ordinal needs their order; name them from the lowest up, such as {example}."
        )
    said = [_named(value) for value in order]
    if sorted(said) != sorted(named):
        missing, strange = [one for one in named if one not in said], [one for one in said if one not in named]
        wrong = (
            f"lacks '{missing[0]}'"
            if missing
            else f"has '{strange[0]}', which no row is"
            if strange
            else "has one twice"
        )
        raise BadRequest(f"data.order {wrong}: it names each class of column '{name}' once, from the lowest up.")
    return [named[one] for one in said]


def _named(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
