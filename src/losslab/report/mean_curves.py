"""The curves of runs that lie together, for TensorBoard or another logger: the mean of each loss in each setting, with a band."""

from __future__ import annotations

import math
import re
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from losslab.records.record import Record
from losslab.report.labels import labelled
from losslab.study.recipe import ONE_SETTING
from losslab.training import loggers
from losslab.training.tensorboard import Band, write_bands
from losslab.training.trainer import quiet

FOLDER = "summary"
_BAND = (0.1, 0.9)  # quantiles over the runs that are still training


def write(runs: Mapping[Path, Record]) -> None:
    """Writes the mean curves of runs that have no folder, below `summary` beside where their folders would lie.

    To a logger that logs no run of a stack by itself, such as MLflow, go the means of all runs.
    """
    by_parent: dict[Path, list[Record]] = defaultdict(list)
    for folder, record in runs.items():
        if record.curves and (not folder.exists() or not loggers.logs_each_run(_logger(record))):
            by_parent[folder.parent].append(record)
    for parent, records in by_parent.items():
        for name, some in _named(records).items():
            into = parent / FOLDER / re.sub(r"[^\w.+=, -]+", "_", name)[:150]
            with quiet():
                logger = loggers.build(_logger(some[0]), into)
                if logger:
                    loggers.write_bands(logger, _bands(some))
                else:
                    write_bands(into, _bands(some))


def _logger(record: Record) -> dict[str, Any]:
    return dict(record.config["logger"])


def _named(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by their loss and setting; of a study those of its comparison."""
    found: dict[str, list[Record]] = defaultdict(list)
    compared = [record for record in records if record.study and record.study["phase"] == "confirm"]
    for record in compared:
        found[_name(record.study["loss"], record.study["setting"])].append(record)  # type: ignore[index]
    plain = [record for record in records if not record.study]
    if plain:
        named = labelled(plain)
        for record, loss, setting in zip(named.records, named.losses, named.settings.index, strict=True):
            found[_name(loss, str(setting))].append(record)
    return found


def _name(loss: str, setting: str) -> str:
    return loss if setting == ONE_SETTING else f"{loss}, {setting}"


def _bands(records: Sequence[Record]) -> dict[str, Band]:
    """Mean and band of each curve, epoch by epoch."""
    bands = {}
    for name in dict.fromkeys(name for record in records for name in record.curves):
        epochs = max(len(record.curves.get(name, [])) for record in records)
        values = np.full((len(records), epochs), math.nan)
        for row, record in zip(values, records, strict=True):
            curve = record.curves.get(name, [])
            row[: len(curve)] = [math.nan if value is None else value for value in curve]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # an epoch in which no run is left
            low, high = np.nanquantile(values, _BAND, axis=0)
            bands[name] = Band(np.nanmean(values, axis=0), low, high)
    return bands
