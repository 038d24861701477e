"""What the runs of a study would cost on this machine, measured on a few steps of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from losslab import hardware
from losslab.fused import sizing
from losslab.fused.trial import why_alone
from losslab.schema import check as schema_check
from losslab.training import numerics, threads
from losslab.training.prepare import prepare

_RECORD = 0.03  # seconds that a run takes beside its steps: its checkpoints, curves and record
_JUDGING = 1 / 3  # of the time of a training step, for as many rows: a forward pass alone


def seconds_a_run(request: Mapping[str, Any], most: int) -> float:
    """Seconds that one of `most` runs like this takes, trained in stacks where that is faster. Trains nothing.

    Raises BadRequest for a request that cannot be met.
    """
    run = prepare(schema_check.check(request))
    where = hardware.of_run(run.request)
    with numerics.as_asked(run.request):
        if most < 2 or why_alone(run.model, run.rows.inputs[:2]):
            step = sizing.lone_pace(run, where)
        else:
            step = sizing.stacked_pace(run, min(most, 64), where, threads.most())
    judged = len(run.split["val"]) / max(1, len(run.split["train"]))
    return run.steps * step * (1 + _JUDGING * judged) + _RECORD
