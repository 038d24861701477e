"""What the runs of a plain sweep are called: losses by whatever of them differs, settings by whatever else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from losslab.records.record import Record, flatten
from losslab.schema.canonical import WHERE_AND_HOW
from losslab.study.recipe import ONE_SETTING


@dataclass(frozen=True)
class Labelled:
    """Records in the order of their levels, with the names of their losses and settings.

    settings: one row a record; index: the label of its setting; one column an axis, by its dotted key.
    """

    records: list[Record]
    losses: list[str]
    settings: pd.DataFrame

    def only(self, groups: Sequence[str], rest: str = ONE_SETTING) -> list[str]:
        """For each record the label of its setting, of the axes of some groups alone."""
        axes = [str(axis) for axis in self.settings if str(axis).split(".")[0] in groups]
        return [_label(self.settings, row, axes) or rest for row in range(len(self.records))]


def labelled(records: Sequence[Record]) -> Labelled:
    """Records as a report and the end of a sweep name them. Learning rates and other numbers go from small to large."""
    flat = pd.DataFrame([flatten(record.config) for record in records])
    differing = [str(key) for key in flat if flat[key].astype(str).nunique() > 1]
    numbers = [key for key in differing if key not in ("seed", "loss") and pd.api.types.is_numeric_dtype(flat[key])]
    flat = flat.sort_values(numbers, kind="stable") if numbers else flat  # levels in their order, not as words
    ordered = [records[row] for row in flat.index]
    of_loss = [key for key in differing if key.startswith("loss.")]
    axes = [key for key in differing if key.split(".")[0] not in ("loss", "seed", *WHERE_AND_HOW)]
    losses = [" ".join(filter(None, [record.loss, _label(flat, row, of_loss)])) for row, record in enumerate(ordered)]
    where = [_label(flat, row, axes) or ONE_SETTING for row in range(len(ordered))]
    return Labelled(ordered, losses, flat[axes].set_axis(where))


def _label(flat: pd.DataFrame, row: int, keys: Sequence[str]) -> str:
    return ", ".join(f"{key.split('.', 1)[-1]}={value}" for key in keys if not pd.isna(value := flat[key].iloc[row]))
