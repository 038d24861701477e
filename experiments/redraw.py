"""Draws the figures of published studies anew from the records beside their pages; nothing is trained.

    python experiments/redraw.py [NAME ...]

Without names: of all studies. Only figures that are there already are drawn; curves are not in records.parquet, so theirs are not.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import figures
import pandas as pd

from losslab.records.record import Record
from losslab.report import collect
from losslab.report.analysis import find
from losslab.report.charts import matplotlib_backend
from losslab.report.results import Results
from losslab.report.sections import sections
from losslab.request.command import StudyRequest, check_command
from losslab.schema.canonical import set_value
from losslab.study.recipe import Study

HERE = Path(__file__).resolve().parent
_NAMED = ("data", "model", "optimizer", "corruption")  # their names stand beside their settings
_CONFIG = tuple(f"config.{group}" for group in (*_NAMED, "task", "loss", "trainer", "logger"))


def main(names: Sequence[str]) -> int:
    """Draws the figures of these studies, of all where there are no names. Returns the exit status."""
    for name in names or sorted(path.parent.name for path in HERE.glob("*/records.parquet")):
        results = published(name)
        for section in sections(results, find(results)):
            path = HERE / name / "figures" / f"{section.key}.png"
            if section.picture and path.exists():
                matplotlib_backend.draw(section.picture, path)
        if name in figures.FIGURES:
            figures.main(name)
    return 0


def published(name: str, metric: str = "", epoch: str = "") -> Results:
    """The tables of a study from its published records, by its own metric and epoch where none is named."""
    asked = check_command([f"experiment={name}"], multirun=False)
    study = asked.study if isinstance(asked, StudyRequest) else None
    records = records_of(name, study)
    return collect.results(records, collect.ReportOptions(metric=metric, epoch=epoch, mix=True), study)


_READ: dict[str, list[Record]] = {}  # a page asks for several metrics of one study


def records_of(name: str, study: Study | None) -> list[Record]:
    """The published records of a study."""
    if name not in _READ:
        mark = study.mark() if study else None
        table = pd.read_parquet(HERE / name / "records.parquet")
        _READ.clear()
        _READ[name] = [record_of(row, mark) for row in table.to_dict("records")]
    return _READ[name]


def record_of(row: dict[Any, Any], mark: dict[str, Any] | None) -> Record:
    """A row of records.parquet as a record; `mark`: of the study that it belongs to, if any. Curves are not there."""
    nested: dict[str, Any] = {}
    for key, value in sorted(row.items()):
        if (isinstance(value, float) and pd.isna(value)) or value is None:
            continue
        value = ast.literal_eval(value) if isinstance(value, str) and value.startswith("[") else value
        set_value(nested, f"{key}.name" if key in (*_NAMED, *_CONFIG) else key, value)
    if mark:
        nested["study"] |= {"study": mark}
    return Record(**({"reason": None, "loss_params": {}} | nested))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
