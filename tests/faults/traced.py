"""The command `train.py` as a process that also says of each run of a sweep that it has trained it: 'trained FOLDER'."""

from __future__ import annotations

import sys
from pathlib import Path

_CODE = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); from faults.traced import train; train()"
COMMAND = [sys.executable, "-W", "ignore", "-c", _CODE]  # followed by the words of a request


def train() -> None:
    """What the process does."""
    from losslab.cli import train as command
    from losslab.events import Event, RunFinished
    from losslab.safe_points import exit_with

    heard = command.Command._report

    def report(self: command.Command, event: Event) -> None:
        if isinstance(event, RunFinished) and not event.again:
            print(f"trained {event.job.folder.name}", flush=True)
        heard(self, event)

    command.Command._report = report
    exit_with(command.train(sys.argv[1:]))
