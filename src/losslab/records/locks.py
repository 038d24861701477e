"""Locks on runs: no two processes hold one at once, and it is released when its process ends."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import struct
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from losslab.errors import BadRequest

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

_LOG = logging.getLogger(__name__)
RUNS, STUDY = ".losslab-runs", ".losslab-study"  # files that hold nothing; a lock is a locked byte of one of them
_HELD = (errno.EACCES, errno.EAGAIN)
_TRIES = 100  # to open a file that other processes make and remove
_FLOCK = "hhqqi4x"  # Linux's struct flock: type, whence, start, length, process


@contextmanager
def locked(folders: Iterable[Path], kind: str = RUNS) -> Iterator[None]:
    """Keeps other processes from training what lies in these folders, which need not be there yet.

    The locks on all folders below one parent are bytes of one file there, so that thousands cost one open file, and two
    sweeps may share a folder as long as they share no run. The system releases a lock when its process ends, however.

    Raises BadRequest, which names the first folder and its holder, where another process holds one of them. Where the file
    system has no locks, says so and goes on.
    """
    names: dict[Path, list[str]] = defaultdict(list)
    for folder in dict.fromkeys(folder.absolute() for folder in folders):
        names[folder.parent].append(folder.name)
    with ExitStack() as held:
        for parent in sorted(names):
            held.enter_context(_locked_in(parent, names[parent], kind))
        yield


def holder(folder: Path, kind: str = RUNS) -> str | None:
    """Who holds the lock on a folder, in words; None where nobody does. Leaves nothing behind.

    Not for a process that holds locks itself: the system would release them.
    """
    try:
        file = os.open(folder.absolute().parent / kind, os.O_RDWR)
    except OSError:
        return None
    place = _place(folder.name)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except OSError as error:
        return _holder(file, place) if error.errno in _HELD else None
    finally:
        os.close(file)
    return None


def remove_stale(folders: Iterable[Path]) -> None:
    """Removes the lock files that a dead process left beside these folders, unless another process uses them."""
    for path in {folder.absolute().parent / RUNS for folder in folders}:
        with suppress(OSError):
            if path.exists():
                _drop(_open(path), path)


@contextmanager
def _locked_in(parent: Path, names: list[str], kind: str) -> Iterator[None]:
    path = parent / kind
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        file = _open(path)
    except OSError as error:
        if fcntl and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
            raise  # what keeps from training as well
        _LOG.warning(f"{parent} cannot be locked; start no second process on the same runs.")
        yield
        return
    try:
        # the system finds the place of a lock sooner where it comes before all others
        for place, name in sorted(((_place(name), name) for name in names), reverse=True):
            _lock(file, place, parent / name)
        yield
    finally:
        _drop(file, path)
        with suppress(OSError):  # not empty
            for folder in made:
                folder.rmdir()


def _open(path: Path) -> int:
    """Opens a file to lock bytes of; not one that another process is removing."""
    if fcntl is None:
        raise OSError(errno.ENOLCK, "no locks")
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):  # another process has just removed the file, or the folder that it had made
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.lockf(file, fcntl.LOCK_SH, 1, 0)  # byte 0: it is in use
                if os.path.samestat(os.fstat(file), path.stat()):
                    return file
            except OSError:
                os.close(file)
                raise
            os.close(file)
    raise OSError(errno.ENOLCK, "no locks")


def _lock(file: int, place: int, folder: Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        raise BadRequest(
            f"{folder} is locked by {_holder(file, place)}; wait for its end, or choose another folder with "
            "hydra.run.dir=DIR, for a sweep hydra.sweep.dir=DIR."
        ) from error


def _drop(file: int, path: Path) -> None:
    """Releases all locks, and removes the file where no other process uses it."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
        path.unlink(missing_ok=True)
    except OSError:  # in use
        pass
    finally:
        os.close(file)


def _holder(file: int, place: int) -> str:
    """Who holds a byte, as far as the system tells."""
    if sys.platform != "linux":
        return "another process"
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
    kind, *_, process = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    known = kind != fcntl.F_UNLCK and process > 0
    return f"process {process} on {os.uname().nodename}" if known else "another process"


def _place(name: str) -> int:
    """The number of the byte that stands for a name, from 1."""
    return 1 + (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 2)
