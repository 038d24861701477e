"""Numbers as people write them: decimal commas, marks between thousands, currencies and percent signs."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest

if TYPE_CHECKING:
    import pandas as pd

_LOG = logging.getLogger(__name__)
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "<NA>", "?")
_AMONG_NUMBERS = (*_MISSING, "None", "none", "-", "--", ".", "missing", "na", "NAN", "Null")
_SIGNS = re.compile(r"^\s*([$€£¥%]|USD|EUR|GBP)?\s*([+-]?)\s*([$€£¥])?\s*(.*?)\s*([$€£¥%]|USD|EUR|GBP)?\s*$", re.DOTALL)
_DOT = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d{1,3}([ '\u00a0\u202f]\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d+)?")  # 1,234.5
_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d{1,3}([ '\u00a0\u202f]\d{3})+|\d+)?(,\d*)?([eE][+-]?\d+)?")  # 1.234,5
_EITHER = re.compile(r"[+-]?\d{1,3}[.,]\d{3}")  # 1,234 may be a thousand or a little more than one
_CODE = re.compile(r"0\d+")
_TRUE, _FALSE = ("true",), ("false",)


def typed(frame: pd.DataFrame, file: str, separator: str, decimal: str) -> pd.DataFrame:
    """A table of words with numbers where all cells of a column are some.

    Whether 1,234 is a thousand or a little more than one is decided by the whole file. Raises BadRequest where nothing in it
    decides.
    """
    import pandas as pd

    order, index = list(map(str, frame)), frame.index
    found: dict[str, Any] = {}
    for name in order:
        column = _plain(frame[name])
        if column is not None and not _all_thousands(frame[name], column):
            found[name] = column
            del frame[name]  # the words of a large table take more memory than its numbers
    mark = decimal if decimal != "auto" else _decimal([frame[name] for name in frame], separator)
    for name in map(str, list(frame)):
        words = frame.pop(name)
        column = _plain(words)
        if column is None or mark == ",":
            written = _written(words, name, file, mark, separator)
            column = written if written is not None else column
        found[name] = _words(words) if column is None else column
    return pd.DataFrame({name: found[name] for name in order}, index=index)


def _plain(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """The column as numbers, or true and false, where its cells are plain ones; None else."""
    import pandas as pd

    known = ~column.isin(_AMONG_NUMBERS)
    cells = column[known]
    if cells.empty:
        return None
    sample = cells.iloc[:20]
    if pd.to_numeric(sample, errors="coerce").isna().all():
        words = set(sample.str.lower())
        if words <= {*_TRUE, *_FALSE} and set(cells.str.lower().unique()) <= {*_TRUE, *_FALSE} and known.all():
            return column.str.lower() == "true"
        return None
    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.isna().any():
        return None
    if cells.str.fullmatch(_CODE).any():
        return None  # 00123 is a code
    return numbers.reindex(column.index) if not known.all() else numbers


def _decimal(columns: list[pd.Series[Any]], separator: str) -> str:
    """The decimal mark of a file: what some column shows beyond doubt; "" where none does."""
    votes = {".": 0, ",": 0}
    for column in columns:
        cells = [_bare(cell) for cell in column[~column.isin(_AMONG_NUMBERS)].unique()[:1000]]
        if not cells or not any(any(digit.isdigit() for digit in cell) for cell in cells):
            continue
        dot, comma = (all(pattern.fullmatch(cell) for cell in cells) for pattern in (_DOT, _COMMA))
        if dot != comma:
            votes["." if dot else ","] += 1
    if votes["."] == votes[","]:
        return ""
    return max(votes, key=lambda mark: votes[mark])


def _written(column: pd.Series[Any], name: str, file: str, mark: str, separator: str) -> pd.Series[Any] | None:
    """Numbers that are written with marks or signs; None where some cell is none."""
    import pandas as pd

    known = ~column.isin(_AMONG_NUMBERS)
    unique = column[known].unique()
    bare = {cell: _bare(cell) for cell in unique}
    if not bare or not all(any(letter.isdigit() for letter in cell) for cell in bare.values()):
        return None
    if any(_CODE.fullmatch(cell) for cell in bare.values()):
        return None
    dot, comma = (all(pattern.fullmatch(cell) for cell in bare.values()) for pattern in (_DOT, _COMMA))
    if not dot and not comma:
        return None
    if dot and comma:
        marked = [cell for cell in bare.values() if "," in cell or "." in cell]
        if marked and mark == "":
            if separator != ",":
                raise BadRequest(
                    f"{file}: column '{name}' holds numbers such as {marked[0]}, and nothing in the file says whether the mark "
                    "stands before decimals or between thousands; give data.decimal=',' or data.decimal=."
                )
            _LOG.warning(f"{file}: '{name}' is read with commas between thousands, such as {marked[0]}.")
        comma = mark == ","
    if {"%"} & {sign for cell in unique for sign in cell.strip()[:1] + cell.strip()[-1:]}:
        _LOG.warning(f"{file}: '{name}' is read without its percent signs: 5 % is 5.")
    numbers = {cell: _value(text, comma) for cell, text in bare.items()}
    return pd.Series(column.map(numbers), index=column.index, dtype="float64").where(known)


def _all_thousands(column: pd.Series[Any], numbers: pd.Series[Any]) -> bool:
    """Whether all cells with a dot have three digits behind it, as 1.234 where commas stand before decimals."""
    if numbers.dtype.kind != "f":
        return False  # no cell has a dot
    cells = column[~column.isin(_AMONG_NUMBERS)]
    return all(
        part.str.fullmatch(r"[+-]?(\d{1,3}(\.\d{3})+|\d{1,3})").all() for part in (cells.iloc[:100], cells)
    ) and bool(cells.str.contains(".", regex=False).any())


def _bare(cell: str) -> str:
    """A cell without a currency or a percent sign."""
    found = _SIGNS.match(cell)
    assert found is not None
    return f"{found[2]}{found[4]}"


def _value(cell: str, comma: bool) -> float:
    text = re.sub(r"[ '\u00a0\u202f]", "", cell)
    text = text.replace(".", "").replace(",", ".") if comma else text.replace(",", "")
    return float(text)


def _words(column: pd.Series[Any]) -> pd.Series[Any]:
    """Words, without those that mean that nothing is known. NA stays where all words are codes of two letters, as of countries."""
    missing = set(_MISSING)
    others = column[~column.isin(missing)]
    if len(others) and others.str.fullmatch("[A-Z]{2}").all():
        missing.discard("NA")
    return column.where(~column.isin(missing)).str.strip()
