"""The columns of a table as numbers that a model reads; whatever is estimated for it comes from the training rows alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from losslab.tables.columns import as_dates

if TYPE_CHECKING:
    import pandas as pd

_TEXT = 30  # numbers for a column of text
Block = NDArray[np.float32] | NDArray[np.bool_]  # [n, width]


def encoder(frame: pd.DataFrame, used: Mapping[str, str], levels: int) -> Callable[[Tensor], Tensor]:
    """A function of the training rows that gives inputs [n, features], float32.

    number: centred by the median, scaled by quartiles and squashed smoothly into (-3, 3) (Holzmueller et al., 2024), so that a
    few extreme values do not hide the others; a missing value becomes the median, 0, and is told by a further column.
    category: a column of 0 and 1 for each of the most frequent values, at most `levels`, the last of which takes all rarer ones
    together; a missing value counts as a value. One that no training row has is told as a rare one, or as none at all.
    date: year, month, day, weekday and, where days have times, the hour, as sines and cosines where they are periodic, and the
    time that has passed.
    text: counts of its parts of three or four letters, weighted by their rarity, in 30 directions (latent semantic analysis).

    How many numbers a column becomes depends on the whole table, so that all seeds train models of one shape. What they hold
    depends on nothing but the training rows.

    Args:
        frame: the table.
        used: from name of a column to what it is used as: number, category, date or text. Others are left out.
        levels: of a category.
    """
    ways = {"number": _numbers, "category": _categories, "date": _dates, "text": _text}
    chosen = {kind: [name for name, use in used.items() if use == kind] for kind in ways}
    frame = frame[[name for names in chosen.values() for name in names]]

    def encode(train: Tensor) -> Tensor:
        rows = train.numpy()
        blocks = [block for kind, names in chosen.items() if names for block in ways[kind](frame[names], rows, levels)]
        ends = np.cumsum([block.shape[1] for block in blocks])
        inputs = np.empty((len(frame), ends[-1]), dtype=np.float32)
        for end in ends:  # each block is let go once it is copied: a large table is not held twice
            block = blocks.pop(0)
            inputs[:, end - block.shape[1] : end] = block
        return torch.from_numpy(inputs)

    return encode


def _numbers(columns: pd.DataFrame, train: NDArray[np.int64], levels: int) -> list[Block]:
    from skrub import SquashingScaler

    blocks, gaps = [], []
    for name in columns:  # one by one, as the copies on the way are of float64
        values = columns[[name]].to_numpy(dtype="float64")
        scaled = SquashingScaler().fit(values[train]).transform(values)
        blocks.append(np.nan_to_num(scaled, nan=0.0).astype(np.float32))
        gaps.append(np.isnan(values))
    return [*blocks, *(gap for gap in gaps if gap.any())]


def _categories(columns: pd.DataFrame, train: NDArray[np.int64], levels: int) -> list[Block]:
    return [_one_category(columns[name], train, levels) for name in columns]


def _one_category(column: pd.Series[Any], train: NDArray[np.int64], levels: int) -> Block:
    import pandas as pd

    codes, known = pd.factorize(column, use_na_sentinel=False)
    width = min(len(known), levels)
    counts = np.bincount(codes[train], minlength=len(known))
    order = np.argsort(-counts, kind="stable")
    kept = order[: width if len(known) <= levels else width - 1]
    kept = kept[counts[kept] > 0]  # what no training row has is not known
    slots = np.full(len(known), width - 1)
    slots[kept] = np.arange(len(kept))
    found = slots[codes]
    block: NDArray[np.bool_] = np.equal.outer(found, np.arange(width))
    block[:, ~block[train].any(0)] = False  # a column that is 0 in all training rows stays 0
    return block


def _dates(columns: pd.DataFrame, train: NDArray[np.int64], levels: int) -> list[Block]:
    from skrub import DatetimeEncoder

    blocks = []
    for name in columns:
        moments = columns[name]
        whole_days = bool((moments.dropna() == moments.dropna().dt.normalize()).all())
        coder = DatetimeEncoder(
            resolution="day" if whole_days else "hour", add_weekday=True, periodic_encoding="circular"
        )
        coder.fit(moments.iloc[train])
        blocks.append(coder.transform(moments))
    together = blocks[0].join(blocks[1:]) if len(blocks) > 1 else blocks[0]
    return _numbers(together, train, levels)


def _text(columns: pd.DataFrame, train: NDArray[np.int64], levels: int) -> list[Block]:
    from skrub import StringEncoder

    blocks = []
    for name in columns:
        words = columns[name].astype("string").fillna("")
        coder = StringEncoder(n_components=_TEXT, random_state=0).fit(words.iloc[train])
        found = coder.transform(words).to_numpy(dtype=np.float32)
        blocks.append(np.pad(found, ((0, 0), (0, _TEXT - found.shape[1]))))
    return blocks


def columns_as_read(frame: pd.DataFrame, used: Mapping[str, str]) -> pd.DataFrame:
    """The columns of a table in the types of what they are used as: numbers as float64, dates as moments, the others as words."""
    import pandas as pd

    found: dict[str, Any] = {}
    for name, use in used.items():
        column = frame[name]
        if use == "date":
            column = as_dates(column)
        elif use == "number":
            column = pd.to_numeric(column, errors="coerce").astype("float64")
        elif use == "category":
            column = column.astype("category")
        found[name] = column
    return pd.DataFrame(found, index=frame.index)


def fingerprint(frame: pd.DataFrame, *more: Sequence[str]) -> str:
    """A hash of a table's cells and names: 16 hexadecimal digits."""
    import hashlib

    import pandas as pd

    digest = hashlib.sha256(repr([list(frame.columns), *map(list, more)]).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]
