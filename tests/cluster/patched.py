"""Workers with a checkpoint after each epoch, and a line in a file for each epoch that begins.

So how much is repeated after a kill does not depend on how busy the machine is.
"""

from __future__ import annotations

import os
from pathlib import Path

from losslab.events import EpochStarted, Event
from losslab.sweep import head, worker
from losslab.sweep.engines import base, processes, ray_cluster, slurm
from losslab.training import callbacks

LOG = "LOSSLAB_EPOCHS"  # environment variable that names the file


class Words(worker._Words):
    """Writes a line for each epoch."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochStarted):
            with Path(os.environ[LOG]).open("a") as file:
                file.write(f"{event.stack} {event.epoch}\n")
        super().__call__(event)


class Task(slurm.Task):
    """A task of SLURM."""

    def __call__(self) -> int:
        patch()
        return super().__call__()


def serve(root: str, wait: float) -> int:
    """A task of Ray."""
    patch()
    return worker.serve(Path(root), wait)


def patch() -> None:
    """Patches this process."""
    callbacks._SECONDS_BETWEEN_CHECKPOINTS = -1.0
    worker._Words = Words  # type: ignore[misc]
    worker._LOOKS = (0.2, 0.2)
    head._SECONDS_BETWEEN_STARTS = 1.0
    slurm._SECONDS_BETWEEN_QUESTIONS = 0.5
    for module in (base, processes, slurm, ray_cluster):
        module.WAIT = 2.0  # type: ignore[attr-defined]
    slurm.Task, ray_cluster._serve = Task, serve  # type: ignore[misc]
