"""A sweep whose workers and commands are killed again and again, and what of it was lost, doubled or repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cluster import patched
from faults import children, kills

SWEEP = ["-m", "loss=mse,huber", "seed=0,1,2,3", "fused.size=2", "trainer.max_epochs=60"]
SWEEP += ["data.rows=200", "trainer=cpu", "model.hidden=[8]"]
PROGRAM = """
import sys
from cluster import patched
from losslab.cli import main

patched.patch()
sys.exit(main.main(sys.argv[1:]))
"""
# where the program finds `cluster`, and what the tests themselves were told
_PATHS = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
_HANGS = 300.0  # seconds without a record, after which a sweep is taken to hang


@dataclass
class Harm:
    """What was done to sweeps, and what came of it."""

    workers: int = 0  # killed
    heads: int = 0
    runs: int = 0
    lost: int = 0  # runs whose record is missing or another than undisturbed
    doubled: int = 0  # records that were written again
    repeated: int = 0  # most epochs that a stack began anew after one kill
    said: list[str] = field(default_factory=list)  # tracebacks


def start(words: Sequence[str], log: Path) -> subprocess.Popen[str]:
    """`losslab` with these words, as a process in a group of its own; `log`: for the epochs of a worker."""
    return children.start(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, patched.LOG: str(log), "OMP_NUM_THREADS": "1", "PYTHONPATH": _PATHS},
    )


class Cluster(ABC):
    """An engine, with what must be known to disturb it.

    words: that send a sweep to it.
    """

    words: tuple[str, ...]

    def __init__(self, log: Path) -> None:
        self.log = log

    def tend(self, folder: Path) -> None:  # noqa: B027 - most engines keep their workers themselves
        """Does what its users would, such as starting further workers."""

    @abstractmethod
    def kill_a_worker(self, rng: np.random.Generator) -> bool:
        """Kills one that trains, or takes its machine away; False where there is none."""

    def stop(self) -> list[str]:
        """Ends what was started for a sweep; what was said on the way."""
        return []


class ByHand(Cluster):
    """Three workers that are started by hand, and again when one has ended."""

    words = ("executor=worker",)

    def __init__(self, log: Path, count: int = 3) -> None:
        super().__init__(log)
        self.count, self.workers, self.said = count, list[subprocess.Popen[str]](), list[str]()

    def tend(self, folder: Path) -> None:
        for process in [process for process in self.workers if process.poll() is not None]:
            self.said.append(process.communicate()[1])
            self.workers.remove(process)
        while folder.is_dir() and len(self.workers) < self.count:
            self.workers.append(start(["worker", str(folder), "--wait=600", "--quiet"], self.log))

    def kill_a_worker(self, rng: np.random.Generator) -> bool:
        alive = [process for process in self.workers if process.poll() is None]
        if not alive:
            return False
        how = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGUSR2])
        os.kill(alive[rng.integers(len(alive))].pid, int(how))
        return True

    def stop(self) -> list[str]:
        for process in self.workers:
            process.kill()
            self.said.append(process.communicate()[1])
        self.workers.clear()
        said, self.said = self.said, []
        return said


def disturbed(
    cluster: Cluster, workers: int, heads: int, folder: Path, seed: int, sweep: Sequence[str] = SWEEP
) -> Harm:
    """Sends sweeps to a cluster until so many workers and so many commands were killed, each in the middle of a sweep."""
    rng, harm = np.random.default_rng(seed), Harm()
    whole = start(["train", *sweep, f"hydra.sweep.dir={folder / 'whole'}"], cluster.log)
    said = whole.communicate()[1]
    assert whole.returncode == 0, said
    expected = kills.left_by(folder / "whole")
    number = 0
    while harm.workers < workers or harm.heads < heads:
        number += 1
        into = folder / str(number)
        cluster.log.write_text("")
        _one(cluster, workers, heads, into, rng, harm, sweep)
        found = kills.left_by(into)
        harm.runs += len(expected)
        harm.lost += sum(found.get(name) != left for name, left in expected.items())
        harm.lost += len(list(into.glob(".*")))
        harm.repeated = max(harm.repeated, _repeated(cluster.log))
    return harm


def _one(
    cluster: Cluster, workers: int, heads: int, into: Path, rng: np.random.Generator, harm: Harm, sweep: Sequence[str]
) -> None:
    line = ["train", *sweep, f"hydra.sweep.dir={into}", *cluster.words]
    head, stamps = start(line, cluster.log), dict[Path, tuple[int, int]]()
    moved = pause = time.monotonic()
    pause += rng.uniform(1, 4)
    try:
        while head.poll() is None:
            time.sleep(0.05)
            cluster.tend(into)
            before = len(stamps)
            harm.doubled += _again(into, stamps)
            moved = moved if len(stamps) == before else time.monotonic()
            assert time.monotonic() - moved < _HANGS, "nothing goes on"
            if time.monotonic() < pause or not cluster.log.read_text():
                continue
            pause = time.monotonic() + rng.uniform(0.2, 2)
            if harm.heads < heads and rng.random() < heads / (workers + heads):
                how = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
                os.kill(head.pid, int(how))
                harm.said.append(head.communicate()[1])
                harm.heads += 1
                head = start(line, cluster.log)
            elif harm.workers < workers:
                harm.workers += cluster.kill_a_worker(rng)
        harm.said.append(head.communicate()[1])
        assert head.returncode == 0, harm.said[-1]
        harm.doubled += _again(into, stamps)
    finally:
        head.kill()
        harm.said = [said for said in [*harm.said, *cluster.stop()] if "Traceback" in said]


def _again(folder: Path, stamps: dict[Path, tuple[int, int]]) -> int:
    """How many records were written again since `stamps`, which are brought up to date."""
    now = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.glob("*/record.json")}
    again = sum(stamps.get(path, stamp) != stamp for path, stamp in now.items())
    stamps |= now
    return again


def _repeated(log: Path) -> int:
    """The most epochs that a stack began once more at once. A checkpoint is made after each, so that there is one at most."""
    last: dict[str, int] = defaultdict(lambda: -1)
    most = 0
    for line in log.read_text().splitlines():
        stack, epoch = line.split()
        most = max(most, last[stack] + 1 - int(epoch))
        last[stack] = int(epoch)
    return most


def told(harm: Harm) -> dict[str, Any]:
    """The figures of a table."""
    return {key: value if key != "said" else len(value) for key, value in vars(harm).items()}
