"""What each column of a table is, what it is used as, and what a user should look at."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest, nearest
from losslab.tables.cells import first_row, short

if TYPE_CHECKING:
    import pandas as pd

ROLES = ("number", "category", "date", "text")
_FEW, _SHARE = 200, 0.5  # distinct words of a category, and their share of the rows
_LOOKED_AT = 5000  # rows, for what is estimated
_LONG = 4  # words in a cell, on average, from which it is text
_READABLE = 0.9  # share of the cells of a column that must be numbers or dates for the others to be errors
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?|\d{1,2} [A-Za-z]{3,9},? \d{4}|[A-Za-z]{3,9} \d{1,2}, \d{4}"
)
_CODES = re.compile(r"zip|postcode|postal|plz|code|(^|_)id$|_id_|month|weekday|year|class|grade", re.IGNORECASE)
_YES_NO = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"0", "1"})


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: in the file.
        kind: in plain words, such as "whole numbers".
        missing: cells without a value.
        distinct: values that differ.
        used_as: number, category, date, text, target or unused.
        doubt: what a user should look at; "" for nothing.
        example: a value.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    used_as: str
    doubt: str = ""
    example: str = ""


def describe(
    frame: pd.DataFrame,
    target: str,
    drop: Sequence[str] = (),
    number: Sequence[str] = (),
    category: Sequence[str] = (),
    date: Sequence[str] = (),
    text: Sequence[str] = (),
    group: str = "",
    time: str = "",
    parts: str = "",
    row_weight: str = "",
) -> list[Column]:
    """All columns, in the order of the table. What a user says of a column wins over what it looks like.

    Raises BadRequest for a name that is no column, and for a column that cannot be used as a user says.
    """
    said = {name: role for role, names in zip(ROLES, (number, category, date, text), strict=True) for name in names}
    special = {
        group: "it groups the rows",
        time: "it is the time",
        parts: "it divides the rows",
        row_weight: "it weights the rows",
    }
    for name in (*drop, *said, *filter(None, special)):
        if name not in frame:
            raise BadRequest(f"There is no column '{name}'{nearest(name, list(map(str, frame.columns)))}.")
        if name == target:
            raise BadRequest(f"'{name}' is the target, so it cannot be used for anything else.")
    found = []
    if target in frame:
        look(frame[target])  # refused first: other columns are compared with it
    for name in map(str, frame.columns):
        column = look(frame[name])
        if name == target:
            column = replace(column, used_as="target", doubt="")
        elif special.get(name):
            column = replace(column, used_as="unused", doubt=special[name])
        elif name in drop:
            column = replace(column, used_as="unused", doubt="dropped, as you said")
        elif name in said:
            column = replace(column, used_as=said[name], doubt="")
            _check_role(frame[name], said[name])
        elif column.used_as != "unused" and (leak := _leak(frame[name], frame[target])):
            column = replace(column, doubt=leak)
        found.append(column)
    if not any(column.used_as in ROLES for column in found):
        raise BadRequest(f"No column is left to predict '{target}' from.")
    return found


def look(column: pd.Series[Any]) -> Column:
    """What a column looks like by itself."""
    import pandas as pd

    name, rows, known = str(column.name), len(column), column.dropna()
    distinct = int(known.nunique())
    example = "" if known.empty else short(known.iloc[0])
    of: dict[str, Any] = {"name": name, "missing": rows - len(known), "distinct": distinct, "example": example}
    if known.empty:
        return Column(kind="empty", used_as="unused", doubt="it has no values", **of)
    if distinct == 1:
        return Column(kind="constant", used_as="unused", doubt=f"it is always {example}", **of)
    if pd.api.types.is_bool_dtype(known):
        return Column(kind="yes or no", used_as="category", **of)
    if pd.api.types.is_datetime64_any_dtype(known):
        return Column(kind="dates", used_as="date", **of)
    if pd.api.types.is_numeric_dtype(known):
        return _of_numbers(known.astype("float64"), rows, of)
    return _of_words(known.astype(str), rows, of)


def _of_numbers(known: Any, rows: int, of: Mapping[str, Any]) -> Column:
    import numpy as np

    infinite = ~np.isfinite(known)
    if infinite.any():
        row = first_row(infinite)
        raise BadRequest(
            f"Column '{of['name']}', row {row} is infinite; nothing can be learnt from it. Correct it, or remove the row."
        )
    whole = bool((known == known.round()).all())
    steps = known.diff().dropna()
    if whole and rows > 2 and of["distinct"] == rows and (steps == steps.iloc[0]).all() and abs(steps.iloc[0]) == 1:
        return Column(kind="identifier", used_as="unused", doubt="it counts the rows", **of)
    if whole and rows >= 20 and of["distinct"] == rows and re.search(r"(^|_| )id$|^id|Id$|ID$", of["name"]):
        return Column(kind="identifier", used_as="unused", doubt="every row has its own", **of)
    doubt = ""
    if whole and of["distinct"] <= 50 < rows and _CODES.search(of["name"]):
        doubt = f"used as a number; if its {of['distinct']} values are codes, name it in data.category"
    return Column(kind="whole numbers" if whole else "numbers", used_as="number", doubt=doubt, **of)


def _of_words(known: Any, rows: int, of: Mapping[str, Any]) -> Column:
    import pandas as pd

    distinct = of["distinct"]
    values = pd.Series(known.unique())
    some = known.iloc[:: max(1, len(known) // _LOOKED_AT)]
    words = float(some.str.split().str.len().mean())
    if any(set(values.str.lower()) == pair for pair in _YES_NO):
        return Column(kind="yes or no", used_as="category", **of)
    if some.str.fullmatch(_DATE).mean() >= _READABLE:
        return _of_dates(known, of)
    share = float(pd.to_numeric(some, errors="coerce").notna().mean())
    numbers = pd.to_numeric(known, errors="coerce") if share >= _READABLE else pd.Series(dtype=float)
    if share >= _READABLE and distinct > 20 and numbers.isna().any():
        wrong = numbers.isna()
        row = first_row(wrong)
        doubt = f"{int(wrong.sum())} cells are no numbers, such as row {row}, '{short(known[wrong].iloc[0])}'; they count as missing"
        return Column(kind="numbers", used_as="number", doubt=doubt, **of)
    if distinct == len(known) and rows >= 20 and words < _LONG:
        return Column(kind="identifier", used_as="unused", doubt="every row has its own", **of)
    if words >= _LONG and distinct > min(_FEW, _SHARE * rows):
        return Column(kind="text", used_as="text", **of)
    doubt = ""
    if distinct > _FEW or (distinct > _SHARE * rows and rows >= 40):
        doubt = f"it has {distinct:,} values, of which the most frequent are told apart"
    return Column(kind="words", used_as="category", doubt=doubt, **of)


def _of_dates(known: Any, of: Mapping[str, Any]) -> Column:
    wrong = as_dates(known).isna()
    order = day_first(known)
    doubt = (
        ""
        if order is None
        else f"days and months cannot be told apart; read as {'day.month' if order else 'month/day'}"
    )
    if wrong.any():
        cell = short(known[wrong].iloc[0])
        doubt = (
            f"{int(wrong.sum())} cells are no dates, such as row {first_row(wrong)}, '{cell}'; they count as missing"
        )
    return Column(kind="dates", used_as="date", doubt=doubt, **of)


def as_dates(column: Any) -> Any:
    """Moments, without time zones; missing where a cell is none.

    Of 3/4 the month comes first, of 3.4. the day, unless other cells of the column show otherwise.
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.tz_localize(None) if column.dt.tz is not None else column
    words = column.astype("string")
    values = pd.Series(words.dropna().unique(), dtype="string")
    order = day_first(values)
    ends = _ends(values)
    first = order if order is not None else bool(len(ends) and ends[0].max() > 12)
    found = pd.to_datetime(values, errors="coerce", format="mixed", dayfirst=first, utc=True).dt.tz_localize(None)
    return words.map(dict(zip(values, found, strict=True))).astype("datetime64[ns]")


def day_first(words: Any) -> bool | None:
    """Whether 3/4 is taken for a day and a month, where no cell of the column shows it; None where some cell does."""
    ends = _ends(words)
    if ends.empty or ends.max().max() > 12:
        return None
    return not words.str.contains("/", na=False).any()


def _ends(words: Any) -> Any:
    """The first two numbers of dates whose year comes last."""
    return words.str.extract(r"^(\d{1,2})[-/.](\d{1,2})[-/.]").dropna().astype(int)


def _check_role(column: Any, role: str) -> None:
    """Raises BadRequest for a column of which too little can be read as what a user says it is."""
    import pandas as pd

    known = column.dropna()
    read: Any = {"number": lambda: pd.to_numeric(known, errors="coerce"), "date": lambda: as_dates(known)}.get(role)
    if read is None or known.empty:
        return
    wrong = read().isna()
    if wrong.any():
        row = first_row(wrong)
        raise BadRequest(
            f"Column '{column.name}', row {row}: '{short(known[wrong].iloc[0])}' is no {role}, and the column is to be used as one."
        )


def _leak(column: Any, target: Any) -> str:
    """What a column that nearly is the target is doubted for."""
    import pandas as pd

    if column.isna().any() and target.nunique() == 2:
        apart = pd.crosstab(column.isna(), target)
        if apart.shape == (2, 2) and (apart > 0).sum().max() == 1 and (apart > 0).sum(axis=1).max() == 1:
            return f"it is missing just where '{target.name}' has one value; drop it if it is not known beforehand"
    both = column.notna() & target.notna()
    one, other = column[both], target[both]
    if len(one) < 20 or one.nunique() < 2 or other.nunique() < 2:
        return ""
    numeric = all(pd.api.types.is_numeric_dtype(part) and not pd.api.types.is_bool_dtype(part) for part in (one, other))
    if numeric and other.nunique() > 2 and abs(one.astype(float).corr(other.astype(float))) > 0.9999:
        return f"it is the target '{target.name}' in another form; drop it if it is not known beforehand"
    if other.nunique() <= 50 and one.nunique() <= 50:
        pairs = pd.crosstab(one, other)
        if ((pairs > 0).sum(axis=1) == 1).all():
            return f"each of its values goes with one value of '{target.name}'; drop it if it is not known beforehand"
    return ""
