"""What a machine may run out of while it trains: space on the disk, and files that a process may open. Linux only."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from faults import kills
from faults.tally import Tally

_DISK = "64m"
_KINDS = ("one run", "stacks")


def inject(count: int, seed: int, folder: Path) -> list[Tally]:
    """Ends the space of a real file system, and the handles of a process, `count` times each at random points of each command.

    The space is that of a small file system in memory, which only root may mount; without the right to, that part is left out.
    """
    rng = np.random.default_rng(seed)
    found = []
    for kind in _KINDS:
        asked, place = kills.COMMANDS[kind], folder / kind.replace(" ", "_")
        with small_disk(place / "disk") as disk:
            if disk:
                found.append(kills.disturbed(f"{kind}, disk full", asked, count, disk, FullDisk(rng, disk)))
        found.append(kills.disturbed(f"{kind}, no more handles", asked, count, place / "handles", NoHandles(rng)))
    return found


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of its own at `folder`, for a time; None where it may not be mounted."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        print(f"{folder} cannot be mounted, so no disk is filled.", file=sys.stderr)
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class FullDisk:
    """Runs the command on a disk whose free space, drawn from what it needs undisturbed, does not suffice."""

    def __init__(self, rng: np.random.Generator, disk: Path) -> None:
        self.rng, self.disk, self.needed = rng, disk, 0

    def undisturbed(self, asked: list[str], folder: Path) -> None:
        """Runs the command to its end and takes the space that it needs."""
        before = _free(self.disk)
        ended(kills.start(asked))
        self.needed = before - _free(self.disk)

    def __call__(self, asked: list[str], folder: Path) -> tuple[bool, str]:
        """One full disk."""
        filler, left = self.disk / "filler", int(self.rng.integers(self.needed + 1))
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, _free(self.disk) - left))
        try:
            return judged(kills.start(asked))
        finally:
            filler.unlink()


class NoHandles(kills.Killer):
    """Runs the command as a process that from a moment on, drawn from the time that it takes undisturbed, can open no file."""

    def __call__(self, asked: list[str], folder: Path) -> tuple[bool, str]:
        """One process without handles."""
        started, process = time.perf_counter(), kills.start(asked)
        with suppress(subprocess.TimeoutExpired):
            process.wait(self.rng.uniform(self.ready / 2, self.whole))
            self.faster(started)
        with suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (0, 0))
        return judged(process)


def ended(process: subprocess.Popen[str]) -> str:
    """What a process said; raises RuntimeError where it failed."""
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(said)
    return said


def judged(process: subprocess.Popen[str]) -> tuple[bool, str]:
    """Whether a process came to its end, and what it said: a failure must end in a sentence, which else is marked as a traceback."""
    _, said = process.communicate()
    sentence = said.rstrip("\n").split("\n")[-1].startswith("train.py: Stopped, as ")  # libraries may warn before
    if process.returncode and not sentence and "Traceback" not in said:
        said = f"Traceback: no sentence: {said}"
    return process.returncode == 0, said


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
