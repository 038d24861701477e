"""Runs below a folder, finished or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from losslab.records import stacks
from losslab.records.locks import holder
from losslab.records.record import NAME, Record, flatten
from losslab.records.run_folder import read_config
from losslab.records.store import read_record


@dataclass(frozen=True)
class Run:
    """A run as it lies on the disk.

    status: that of its record; without one "running" or "stopped"; "corrupt" where the record cannot be read.
    """

    folder: Path
    status: str
    config: dict[str, Any]
    record: Record | None
    when: datetime  # of its record, else of its config

    @property
    def settings(self) -> dict[str, Any]:
        """All that was asked for, by dotted keys."""
        return flatten(self.config)

    @property
    def metric(self) -> tuple[str, float | None]:
        """The metric that selects the best epoch, and its test value there; "" and None where nothing was trained."""
        name = self.record.selection.get("metric", "") if self.record else ""
        return name, self.record.metrics.get(f"best/test/{name}") if self.record else None

    def plain(self) -> dict[str, Any]:
        """What scripts are given of it."""
        metric, value = self.metric
        settings = self.settings
        return {
            "folder": str(self.folder),
            "status": self.status,
            "task": settings.get("task"),
            "data": settings.get("data"),
            "loss": settings.get("loss"),
            "params": {key[5:]: value for key, value in settings.items() if key.startswith("loss.")},
            "seed": settings.get("seed"),
            "metric": metric,
            "value": value,
            "when": self.when.isoformat(timespec="seconds"),
        }


def run_in(folder: Path) -> Run | None:
    """The run in a folder; None where there is none of losslab's."""
    try:
        record, corrupt = read_record(folder), False
    except ValueError:
        record, corrupt = None, True
    config = record.config if record else read_config(folder)
    if config is None:
        return None
    written = (
        (path if (path := folder / NAME).exists() else stacks.file_of(folder) or folder / "config.yaml").stat().st_mtime
    )
    status = record.status if record else "corrupt" if corrupt else "running" if holder(folder) else "stopped"
    return Run(folder, status, config, record, datetime.fromtimestamp(written).astimezone())


def runs_below(folder: Path) -> list[Run]:
    """All runs below a folder, the newest first."""
    places = {path.parent: None for name in (NAME, "config.yaml") for path in sorted(folder.rglob(name))}
    places |= dict.fromkeys(stacks.records_below(folder)[0])
    found = [run for place in places if (run := run_in(place))]
    return sorted(found, key=lambda run: run.when, reverse=True)
