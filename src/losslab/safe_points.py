"""Ctrl-C and SIGTERM: noted when they arrive, acted on at a safe point.

A KeyboardInterrupt that is raised wherever the program stands may meet code that cannot pass it on: extensions in C and
Cython, `__del__`, a callback. It is lost there, and what that code was making may be half made. So the command only notes the
signal, and `check` raises KeyboardInterrupt between steps, epochs, runs and trials.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_PATIENCE = 5.0  # seconds after which what has met no safe point is interrupted where it stands
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_noted = threading.Event()
_former: list[Any] = []  # handler of the clock that waits for a safe point


@contextmanager
def noted() -> Iterator[None]:
    """For its time a signal is noted, and raised at the next `check`, or at its end; a second one raises at once.

    For commands only: elsewhere, and in any thread but the main one, signals stay as they are. A signal that the process was
    started to ignore, as in the background of a shell, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _note)
    try:
        yield
        check()
    except (Exception, SystemExit):  # whatever it is, a signal came before it
        check()
        raise
    finally:
        for number, handler in (before | _alarm()).items():
            signal.signal(number, handler)
        _noted.clear()


@contextmanager
def held_back() -> Iterator[None]:
    """Signals wait for its end. A process that is started meanwhile never gets them: who started it is to end it."""
    if not hasattr(signal, "pthread_sigmask"):  # not a Unix
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check() -> None:
    """A safe point: raises KeyboardInterrupt where a signal was noted."""
    if _noted.is_set():
        raise KeyboardInterrupt


def sleep(seconds: float) -> None:
    """Waits so long, with a safe point every 0.2 seconds."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check()
        time.sleep(min(left, 0.2))


def exit_with(status: int) -> None:
    """Ends the process with a status; Ctrl-C on the way, as in functions for `atexit`, ends it at once with 130."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(130))
    sys.exit(status)


def _note(number: int, frame: FrameType | None) -> None:
    if _noted.is_set():
        raise KeyboardInterrupt
    _noted.set()
    if hasattr(signal, "SIGALRM"):
        _former.append(signal.signal(signal.SIGALRM, lambda *_: check()))
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)


def _alarm() -> dict[signal.Signals, Any]:
    """Stops the clock of a signal that was noted, and gives the handler that the clock had before."""
    if not _former:
        return {}
    signal.setitimer(signal.ITIMER_REAL, 0)
    return {signal.SIGALRM: _former.pop()}
