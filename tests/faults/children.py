"""Processes of losslab's commands, started as from a terminal whatever started this one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

# A background job, nohup, cron or a supervisor may have told this process to ignore these; its children would inherit that.
# Who ignores SIGCHLD is told of every child that it ended with 0.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGQUIT", "SIGTERM", "SIGCHLD") if hasattr(signal, name)]
# what changes how colourful text is, which backend draws, and how much Hydra and Python say
_LOOKS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "LINES")
_TOOLS = ("MPLBACKEND", "HYDRA_FULL_ERROR", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONUNBUFFERED", "PYTHONVERBOSE")


def start(command: Sequence[str], **how: Any) -> subprocess.Popen[str]:
    """A process with text pipes, one thread, no signal ignored, nothing on stdin unless `how` has it, and plain text.

    `how`: further arguments of subprocess.Popen.
    """
    environment = dict(os.environ)
    plain(environment)
    with in_foreground():
        return subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, "text": True, "env": environment} | how)


def plain(environment: MutableMapping[str, str]) -> None:
    """Takes out of an environment what changes the text of a command; 80 columns and one thread."""
    for name in (*_LOOKS, *_TOOLS):
        environment.pop(name, None)
    environment |= {"COLUMNS": "80", "TERM": "xterm", "OMP_NUM_THREADS": "1"}


@contextmanager
def in_foreground() -> Iterator[None]:
    """For its time none of these signals is ignored or blocked, here and in processes that are started; in the main thread."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ignored = [number for number, handler in before.items() if handler is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
