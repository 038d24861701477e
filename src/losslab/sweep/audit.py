"""The audit of a sweep: some runs of stacks are also trained alone, and their metrics and status compared."""

from __future__ import annotations

import json
import random
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from losslab.records.record import Record
from losslab.sweep.jobs import Job
from losslab.sweep.training import train_alone


def audit(jobs: Sequence[Job], records: Sequence[Record], count: int) -> str:
    """Trains `count` fused runs, drawn at random, alone as well; says the largest difference beside the spread over seeds.

    Diverged runs are drawn as well: a run that diverges in one way and not in the other is named, as is one that diverges in
    another epoch.
    """
    fused = [(job, record) for job, record in zip(jobs, records, strict=True) if record.fused > 1]
    drawn = random.Random(0).sample(fused, min(count, len(fused)))
    if not drawn:
        return "Audit: no run of this sweep was fused."
    name = f"last/test/{drawn[0][1].selection['metric']}"
    differences, otherwise = [], []
    for job, record in drawn:
        with TemporaryDirectory() as folder:
            quiet = job.request | {"logger": {"name": "none", "figures": 0}}
            alone = train_alone(replace(job, request=quiet, folder=Path(folder), part=None))
        if _end(alone) != _end(record):
            otherwise.append(f"{job.folder.name} ({_end(record)} in its stack, {_end(alone)} alone)")
        elif record.status == "done":
            differences.append(abs((alone.metrics[name] or 0.0) - (record.metrics[name] or 0.0)))
    said = f"Audit: {len(drawn)} runs trained alone as well"
    if differences:
        said += f" differ in {name} by at most {max(differences):.3g}; the spread over seeds is {_spread(fused, name)}"
    else:
        said += ", of which none was done in both ways"
    if otherwise:
        said += f". {len(otherwise)} ended otherwise: {', '.join(otherwise)}"
    return f"{said}."


def _end(record: Record) -> str:
    """How a run ended, in words."""
    return f"diverged in epoch {record.epochs}" if record.status == "diverged" else record.status


def _spread(fused: Sequence[tuple[Job, Record]], name: str) -> str:
    """The median over settings of the standard deviation of a metric over seeds, in words."""
    by_setting = defaultdict(list)
    for job, record in fused:
        if record.status == "done":
            by_setting[json.dumps(job.request | {"seed": 0}, sort_keys=True)].append(record.metrics[name] or 0.0)
    spreads = [statistics.stdev(values) for values in by_setting.values() if len(values) > 1]
    return f"{statistics.median(spreads):.3g} (median standard deviation)" if spreads else "unknown, with one seed"
