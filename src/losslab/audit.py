"""Fused runs of a sweep trained alone as well: how far the two are apart."""

from __future__ import annotations

import json
import random
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from losslab.jobs import Job
from losslab.record import Record
from losslab.run import train


def audit(jobs: Sequence[Job], records: Sequence[Record], count: int) -> str:
    """Trains `count` fused runs, drawn at random, alone as well; says the largest difference beside the spread over seeds."""
    fused = [
        (job, record) for job, record in zip(jobs, records, strict=True) if record.fused > 1 and record.status == "done"
    ]
    drawn = random.Random(0).sample(fused, min(count, len(fused)))
    if not drawn:
        return "Audit: no run of this sweep was fused."
    name = f"last/test/{drawn[0][1].selection['metric']}"
    differences = []
    for job, record in drawn:
        with TemporaryDirectory() as folder:
            alone = train(job.request | {"logger": {"name": "none", "figures": 0}}, Path(folder), bar=True)
        differences.append(abs((alone.metrics[name] or 0.0) - (record.metrics[name] or 0.0)))
    by_setting = defaultdict(list)
    for job, record in fused:
        by_setting[json.dumps(job.request | {"seed": 0}, sort_keys=True)].append(record.metrics[name] or 0.0)
    spreads = [statistics.stdev(values) for values in by_setting.values() if len(values) > 1]
    spread = f"{statistics.median(spreads):.3g}" if spreads else "unknown, with one seed"
    return (
        f"Audit: {len(drawn)} runs trained alone as well differ in {name} by at most {max(differences):.3g}; "
        f"the spread over seeds is {spread} (median standard deviation)."
    )
