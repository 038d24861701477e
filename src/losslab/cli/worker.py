"""`losslab worker DIR`: trains stacks that commands hand over in a folder that machines share."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

from losslab.cli import messages
from losslab.errors import BadRequest, halting
from losslab.events import Event, StackEnded, StackTaken
from losslab.training import threads


def add_to(commands: Any) -> None:
    """Adds the command to a parser."""
    worker = commands.add_parser(
        "worker",
        help="train what other commands hand over with executor=worker",
        description="Trains stacks of a sweep or a study, one after another. Any number of workers may serve one folder, on any "
        "machine that sees it, and may be started and stopped at any time.",
    )
    worker.add_argument("folder", type=Path, metavar="DIR", help="the folder of the sweep or the study")
    worker.add_argument(
        "--wait", type=float, default=600.0, metavar="SECONDS", help="leave after so long without a stack; 600"
    )
    worker.add_argument(
        "--most", type=float, default=float("inf"), metavar="SECONDS", help="take no further stack after so long"
    )
    worker.add_argument("--quiet", action="store_true", help="print nothing")


def answer(given: argparse.Namespace) -> int:
    """Trains what is handed over. Returns the exit status."""
    for option in ("wait", "most"):
        if not getattr(given, option) >= 0:
            raise BadRequest(f"--{option} must be a number of seconds, 0 or more.")
    if not given.folder.is_dir():
        raise BadRequest(
            f"There is no folder {given.folder} on this machine; a worker must see the folder of the sweep."
        )
    threads.wait_shortly()
    from losslab.sweep.worker import serve

    # a cluster that takes the machine away sends it, and SIGTERM at the latest
    signal.signal(signal.SIGUSR2, lambda *_: signal.raise_signal(signal.SIGTERM))
    with halting():
        trained = serve(given.folder, given.wait, given.most, (lambda event: None) if given.quiet else _report)
    if not given.quiet:
        messages.print_line(f"{trained} {'stack' if trained == 1 else 'stacks'} trained; no other is left.")
    return 0


def _report(event: Event) -> None:
    if isinstance(event, StackTaken):
        runs = len(event.stack.jobs)
        messages.print_line(f"Training {'1 run' if runs == 1 else f'a stack of {runs} runs'}.")
    elif isinstance(event, StackEnded):
        ended = sorted({record.status for record in event.records})
        messages.print_line(f"Ended: {', '.join(ended)}.")
