"""A table from a file of any common format, as pandas holds it."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import logging
import lzma
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from losslab.errors import BadRequest, first_line, nearest
from losslab.tables.numbers import typed

if TYPE_CHECKING:
    import pandas as pd

_LOG = logging.getLogger(__name__)
_TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat")
_PACKED: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_BINARY = (".parquet", ".pq", ".feather", ".arrow", ".npz", ".npy")
_SEPARATORS = (",", ";", "\t", "|")
_PIECE = 2**20  # characters
_LOOKED_AT = 200  # records, to find the separator


def read_table(path: Path, separator: str = "auto", decimal: str = "auto") -> pd.DataFrame:
    """A table with a name for each column and a row for each sample, in the order of the file.

    Text (.csv, .tsv, .txt, also as .gz, .bz2, .xz or .zip) is UTF-8, UTF-16 or Windows-1252; cells are separated by commas,
    semicolons, tabs, bars or blanks. Numbers may have decimal commas, marks between thousands, a currency or a percent sign,
    if all cells of their column read so. A column whose numbers begin with 0, as ZIP codes do, is kept as words. Empty lines
    are left out, empty and repeated names are completed. Parquet, Feather and npz are read as they are.

    Args:
        path: of the file.
        separator: "auto" or one character.
        decimal: "auto", "." or ",".

    Raises:
        BadRequest: a file that is not there, is empty, is no table, or has a line with too many or too few cells.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if not path.exists():
        beside = sorted(one.name for one in path.parent.iterdir()) if path.parent.is_dir() else []
        raise BadRequest(f"{path}: there is no such file{nearest(path.name, beside)}.")
    if path.is_dir():
        raise BadRequest(f"{path} is a folder; a table is one file.")
    try:
        if suffix in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        elif suffix in (".feather", ".arrow"):
            frame = pd.read_feather(path)
        elif suffix in (".npz", ".npy"):
            frame = _arrays(path)
        elif suffix in (*_TEXT, *_PACKED, ".zip", ""):
            frame = _text(path, separator, decimal)
        else:
            known = ", ".join((*_TEXT, *_BINARY))
            raise BadRequest(f"{path}: '{suffix}' is no format that is read; these are: {known}, also packed.")
    except BadRequest:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, lzma.LZMAError, KeyError) as error:
        raise BadRequest(f"{path} cannot be read: {first_line(error)}.") from error
    if len(frame) == 0:
        raise BadRequest(f"{path} has no rows.")
    frame.columns = pd.Index(_names([str(name) for name in frame.columns], path))
    return frame.reset_index(drop=True)


FROM_FILES = "(file)"  # the column that says which rows came from the file for testing


def read_tables(
    path: Path, test_path: str = "", separator: str = "auto", decimal: str = "auto"
) -> tuple[pd.DataFrame, str]:
    """A table, with the rows of a second one for testing below it, and the name of the column that tells them; "" without one.

    Raises BadRequest, beside what `read_table` does, where the second lacks a column or holds words where the first holds numbers.
    """
    import pandas as pd

    frame = read_table(path, separator, decimal)
    if not test_path:
        return frame, ""
    other = read_table(Path(test_path), separator, decimal)
    for name in frame.columns:
        if name not in other:
            raise BadRequest(
                f"{test_path} has no column '{name}', which {path} has{nearest(name, list(other.columns))}."
            )
        of_numbers = [
            pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().all() for table in (frame, other)
        ]
        if of_numbers[0] != of_numbers[1]:
            holds = "numbers" if of_numbers[0] else "words"
            raise BadRequest(f"Column '{name}' holds {holds} in {path} and not in {test_path}.")
    both = pd.concat([frame, other[frame.columns]], ignore_index=True)
    both[FROM_FILES] = [None] * len(frame) + ["test"] * len(other)
    return both, FROM_FILES


def _arrays(path: Path) -> pd.DataFrame:
    """Arrays with a row for each sample: X becomes x0, x1, ...; others go by their names."""
    import numpy as np
    import pandas as pd

    loaded = np.load(path, allow_pickle=False)
    arrays = dict(loaded.items()) if hasattr(loaded, "items") else {"x": loaded}
    rows = {len(array) for array in arrays.values() if array.ndim}
    if len(rows) != 1 or any(array.ndim not in (1, 2) for array in arrays.values()):
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise BadRequest(f"{path} must hold arrays [n] or [n, columns] of one length; it holds {shapes}.")
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        if array.ndim == 1:
            columns[name] = array
        else:
            columns |= {f"{name.lower()}{number}": array[:, number] for number in range(array.shape[1])}
    return pd.DataFrame(columns)


def _text(path: Path, separator: str, decimal: str) -> pd.DataFrame:
    import pandas as pd

    text = _unpacked(path)
    mark = _separator(text) if separator == "auto" else separator.replace("\\t", "\t")
    records = _records(text, mark)
    header = next(records)[1]
    first = next(records, (0, []))[1]
    named = not all(_is_number(cell) for cell in header)
    trailing = len(header) > 1 and not header[-1].strip() and (not first[-1:] or not first[-1].strip())
    _check_widths(text, mark, path, len(header), trailing)
    if not named:
        _LOG.warning(f"{path} has no line of names: its columns are called x0 to x{len(header) - 1}.")
    with text.bytes() as file:
        frame = pd.read_csv(
            file,
            encoding=text.encoding,
            sep=r"\s+" if mark == " " else mark,
            header=0 if named else None,
            names=[str(number) for number in range(len(header))],
            index_col=False,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            skip_blank_lines=True,
            engine="c",
        )
    frame.columns = pd.Index([name.strip() for name in header] if named else [f"x{n}" for n in range(len(header))])
    if trailing and (frame.iloc[:, -1] == "").all():
        frame = frame.iloc[:, :-1]
    frame = frame[~(frame == "").all(axis=1)] if (frame.iloc[:, 0] == "").any() else frame
    frame.columns = pd.Index(_names(list(frame.columns), path))
    return typed(frame, path.name, mark, decimal)


class _Text(NamedTuple):
    """The text of a file, which is read anew for each pass, as all of it may not fit beside what is made of it."""

    bytes: Callable[[], BinaryIO]
    encoding: str

    def open(self) -> io.TextIOWrapper:
        """The text, from its beginning, with line ends as they are."""
        return io.TextIOWrapper(self.bytes(), self.encoding, newline="")


def _unpacked(path: Path) -> _Text:
    """The text of a file and its encoding."""
    suffix = path.suffix.lower()
    if suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
            if len(inside) != 1:
                raise BadRequest(f"{path} must hold one file, and it holds {len(inside)}.")
            raw = archive.read(inside[0])
        source: Callable[[], BinaryIO] = partial(io.BytesIO, raw)
    else:
        source = partial(_PACKED.get(suffix, _open), path)
    with source() as file:
        start = file.read(4096)
        if not start.strip() and not any(piece.strip() for piece in iter(partial(file.read, _PIECE), b"")):
            raise BadRequest(f"{path} is empty.")
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _Text(source, "utf-16")
    if b"\x00" in start:
        raise BadRequest(f"{path} is no text: it holds zero bytes. Is it a spreadsheet? Save it as CSV.")
    if start[:2] == b"PK":
        raise BadRequest(f"{path} is a packed file or a spreadsheet, and its name says text; save it as CSV.")
    for encoding in ("utf-8-sig", "cp1252"):
        text = _Text(source, encoding)
        with suppress(UnicodeDecodeError), text.open() as decoded:
            while decoded.read(_PIECE):
                pass
            return text
    return _Text(source, "latin-1")


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _separator(text: _Text) -> str:
    """The mark that gives all records the same number of cells, the most cells if several do; a comma if there is one column."""
    found = {}
    for mark in _SEPARATORS:
        widths = Counter(len(record) for _, record in islice(_records(text, mark), _LOOKED_AT))
        width, count = widths.most_common(1)[0]
        if width > 1:
            found[mark] = (count / widths.total(), width)
    if found:
        return max(found, key=lambda mark: found[mark])
    blanks = Counter(len(record) for _, record in islice(_records(text, " "), _LOOKED_AT))
    width, count = blanks.most_common(1)[0]
    return " " if width > 1 and count == blanks.total() and count > 1 else ","


def _records(text: _Text, mark: str) -> Iterator[tuple[int, list[str]]]:
    """The number of the line on which each record ends, and its cells; empty lines left out."""
    csv.field_size_limit(2**31 - 1)
    with text.open() as file:
        if mark == " ":
            yield from ((number, line.split()) for number, line in enumerate(file, 1) if line.strip())
            return
        reader = csv.reader(file, delimiter=mark, skipinitialspace=True)
        yield from ((reader.line_num, record) for record in reader if record and any(record))


def _check_widths(text: _Text, mark: str, path: Path, width: int, trailing: bool) -> None:
    """Raises BadRequest for the first line that has more or fewer cells than the header."""
    for line, record in _records(text, mark):
        if len(record) != width and not (trailing and len(record) == width - 1):
            raise BadRequest(
                f"{path.name}, line {line}: {len(record)} cells, and the header has {width}. Is a quote missing, or is the "
                f"separator not {mark!r}?"
            )


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*", cell))


def _names(names: list[str], path: Path) -> list[str]:
    """Names without gaps and repetitions."""
    found: list[str] = []
    for number, name in enumerate(names, 1):
        whole = name if name and not name.startswith("Unnamed: ") else f"column {number}"
        copy, once = 2, whole
        while whole in found or (whole != name and whole in names):
            whole, copy = f"{once} ({copy})", copy + 1
        if whole != name:
            what = f"has the name '{name}' again" if name else "has no name"
            _LOG.warning(f"{path.name}: column {number} {what} and is called '{whole}'.")
        found.append(whole)
    return found
