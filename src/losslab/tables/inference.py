"""Which task a target calls for, and why; a question where two readings are right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from losslab.tables.cells import first_row

if TYPE_CHECKING:
    import pandas as pd

_YEARS = (1800, 2100)
_MANY = 20  # distinct whole numbers from which they are no longer classes
_SCALE = re.compile(
    r"rating|score|stars?|grade|level|rank|likert|satisf|quality|severity|stage|class|type|code|label|category|group",
    re.IGNORECASE,
)
_ID = re.compile(r"(^|_| )(id|zip|zipcode|postcode|postal|plz|code|index|key|uuid)$|^(id|zip)|Id$|ID$", re.IGNORECASE)
_COUNT = re.compile(
    r"(^|_| )(n|num|number|counts?|cnt)(_| |$)|visits|calls|rentals|claims|goals|children|events|purchases|clicks|crimes|accidents",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Inferred:
    """A task with its reason; "" where it is not clear, with the tasks that fit, the likelier first."""

    task: str
    why: str
    alternatives: tuple[str, ...] = ()


def infer_task(target: pd.Series[Any]) -> Inferred:
    """The task of a target: binary, multiclass, ordinal, regression or counts.

    Two values are binary, words are classes, ordered categories are ordinal, numbers with fractions are regression, many
    whole numbers regression or counts. Few whole numbers may be classes, a scale or counts, which nothing in the data decides:
    then `task` is "".
    """
    import pandas as pd

    name, known = str(target.name), target.dropna()
    distinct, rows = int(known.nunique()), len(known)
    if distinct < 2:
        return Inferred("", f"'{name}' has {'one value' if distinct else 'no values'}, so there is nothing to learn.")
    if distinct == 2:
        return _of_two(known, name)
    if isinstance(known.dtype, pd.CategoricalDtype) and known.cat.ordered:
        return Inferred("ordinal", f"'{name}' holds {distinct} categories, of which the table keeps an order")
    if pd.api.types.is_datetime64_any_dtype(known):
        return Inferred("", f"'{name}' holds dates; predict a number made from them, such as days since the first.")
    numbers = pd.to_numeric(known, errors="coerce") if not pd.api.types.is_numeric_dtype(known) else known
    if numbers.isna().any():
        return _of_words(known.astype(str), numbers, name, distinct, rows)
    return _of_numbers(numbers.astype("float64"), name, distinct, rows)


def _of_two(known: Any, name: str) -> Inferred:
    values = [f"{value:g}" if isinstance(value, float) else str(value) for value in sorted(known.unique(), key=str)]
    return Inferred("binary", f"'{name}' has two values, {values[0]} and {values[1]}")


def _of_words(known: Any, numbers: Any, name: str, distinct: int, rows: int) -> Inferred:
    from losslab.tables.columns import as_dates

    if float(numbers.notna().mean()) > 0.9 and distinct > _MANY:
        wrong = numbers.isna()
        row = first_row(wrong)
        return Inferred(
            "",
            f"'{name}' holds numbers but for {int(wrong.sum())} cells, such as row {row}, '{known[wrong].iloc[0]}'; correct or empty them.",
        )
    if known.str.contains(r"\d[-/.]\d").mean() > 0.9 and as_dates(known).notna().all():
        return Inferred("", f"'{name}' holds dates; predict a number made from them, such as days since the first.")
    if distinct > 0.5 * rows or distinct > 1000:
        return Inferred(
            "",
            f"'{name}' holds words that hardly repeat ({distinct:,} in {rows:,} rows), so there is nothing to learn.",
        )
    if int(known.value_counts().min()) < 3 and distinct > 50:
        return Inferred(
            "", f"'{name}' holds {distinct:,} words, many of them in one or two rows; join rare ones first."
        )
    return Inferred("multiclass", f"'{name}' holds {distinct} different words")


def _of_numbers(known: Any, name: str, distinct: int, rows: int) -> Inferred:
    whole = bool((known == known.round()).all())
    low, high = float(known.min()), float(known.max())
    if not whole:
        halves = bool((2 * known == (2 * known).round()).all())
        if distinct <= 10 and (halves or distinct < 0.05 * rows):
            return Inferred(
                "",
                f"'{name}' has {distinct} different numbers, from {low:g} to {high:g}: amounts or classes?",
                ("regression", "multiclass"),
            )
        return Inferred("regression", f"'{name}' holds numbers with fractions, {distinct:,} different ones")
    if distinct == rows and rows >= 20 and _ID.search(name):
        return Inferred(
            "", f"'{name}' is different in every row and looks like an identifier, which cannot be predicted."
        )
    if _ID.search(name):
        return Inferred(
            "",
            f"'{name}' looks like codes: its {distinct:,} whole numbers may be classes or amounts.",
            ("multiclass", "regression"),
        )
    if distinct > 5 and low >= _YEARS[0] and high <= _YEARS[1] and high - low < 300:
        return Inferred(
            "", f"'{name}' looks like years, {low:g} to {high:g}: amounts or classes?", ("regression", "multiclass")
        )
    if distinct <= _MANY:
        if low >= 0 and (_COUNT.search(name) or (low == 0 and _falls(known))) and not _SCALE.search(name):
            return Inferred(
                "",
                f"'{name}' has {distinct} whole numbers, {low:g} to {high:g}, which may be counts or classes.",
                ("counts", "multiclass"),
            )
        scale = f"'{name}' has {distinct} whole numbers, {low:g} to {high:g}"
        return Inferred(
            "",
            f"{scale}: are they classes, classes with an order, or a scale whose distances count?",
            ("multiclass", "ordinal", "regression"),
        )
    if low > 1 and _COUNT.search(name):
        return Inferred(
            "",
            f"'{name}' holds whole numbers from {low:g} to {high:g}, which may be counts or amounts.",
            ("counts", "regression"),
        )
    if 0 <= low <= 1 and (_COUNT.search(name) or _counts(known)):
        return Inferred("counts", f"'{name}' holds whole numbers from {low:g} to {high:g} that spread as counts do")
    return Inferred("regression", f"'{name}' holds {distinct:,} different whole numbers, {low:g} to {high:g}")


def _falls(known: Any) -> bool:
    """Whether small numbers are the most frequent, as of rare events."""
    return bool(known.mean() < 0.4 * known.max() and (known <= known.mean()).mean() > 0.5)


def _counts(known: Any) -> bool:
    """Whether whole numbers from 0 spread as counts: zeros among them, skewed, and more spread than their mean."""
    return bool(
        (known == 0).mean() > 0.01
        and known.mean() > known.median()
        and known.var() > 0.8 * known.mean()
        and known.max() < 1e4
    )
