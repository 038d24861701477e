"""The files of a report: a page, Markdown, figures and tables of records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from losslab.records.record import Record, flatten


def save(records: Sequence[Record], path: Path) -> Path:
    """Writes one row a record as parquet and, beside it, as CSV; nested names joined by dots, curves left out.

    Lists are text, and so is a column whose values are of several types or numbers of more than 64 bits.
    """
    rows = []
    for record in records:
        part = {key: value for key, value in (record.study or {}).items() if key != "study"}
        plain = vars(record) | {"curves": {}, "study": part}
        rows.append({key: str(value) if isinstance(value, list) else value for key, value in flatten(plain).items()})
    made = pd.DataFrame(rows)
    for column in made:
        several = made[column].dtype == object and pd.api.types.infer_dtype(made[column]) not in ("boolean", "empty")
        if several:
            made[column] = made[column].map(str, na_action="ignore")
    made.to_parquet(path, index=False)
    made.to_csv(path.with_suffix(".csv"), index=False)
    return path
