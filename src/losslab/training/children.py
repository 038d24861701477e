"""What processes that train for this one have in common: how they start, that they end with it, and that it logs what they log."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from logging.handlers import QueueHandler
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread

# A fork of this process would copy the locks of its threads, which then nobody releases. On Linux a server that has imported
# what trains, and has trained nothing, is forked instead; elsewhere each process imports anew.
STARTING = get_context("forkserver" if sys.platform == "linux" else "spawn")


def attach(parent: Connection) -> None:
    """Ends this process as soon as the other end of the pipe is closed, and sends there what losslab logs.

    The pipe is closed when its process closes it and when that process ends, however.
    """
    Thread(target=_end_with, args=[parent], daemon=True).start()
    logging.getLogger("losslab").addHandler(_ToParent(parent))  # type: ignore[arg-type]


def _end_with(parent: Connection) -> None:
    with suppress(EOFError, OSError):
        parent.recv()
    os._exit(1)  # as SIGKILL would: what is written is whole or not there


class _ToParent(QueueHandler):
    """Sends what is logged."""

    queue: Connection  # type: ignore[assignment]

    def enqueue(self, record: logging.LogRecord) -> None:
        """Logging calls this."""
        self.queue.send(record)
