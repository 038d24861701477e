"""A SLURM cluster of two nodes on this machine, and what is done to the tasks of a job array on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from cluster.disturb import Cluster

SCRIPT = Path(__file__).with_name("start-slurm")
THERE = all(map(shutil.which, ("slurmctld", "slurmd", "sbatch"))) and os.getuid() == 0


@contextmanager
def started(folder: Path) -> Iterator[Path]:
    """The cluster; the path of its slurm.conf, which is in the environment for the time."""
    before = os.environ.get("SLURM_CONF")
    subprocess.run([SCRIPT, folder], check=True, timeout=120)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        yield folder / "slurm.conf"
    finally:
        _run("scancel", "-u", "root")
        subprocess.run([SCRIPT, folder, "stop"], check=True, timeout=60)
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before


class OnSlurm(Cluster):
    """A job array of two tasks at a time."""

    words = ("executor=slurm", "executor.partition=low", "executor.workers=2", "executor.minutes=5")

    def tend(self, folder: Path) -> None:
        """Lets tasks that were queued again begin at once: SLURM has them wait for two minutes."""
        if time.monotonic() % 1 < 0.1:
            for job in _run("squeue", "-h", "-r", "-t", "PENDING", "-o", "%A").split():
                _run("scontrol", "update", f"jobid={job}", "StartTime=now")

    def kill_a_worker(self, rng: np.random.Generator) -> bool:
        """Kills the process of one, sends it the signal of its time limit, queues it again, or takes all nodes for other jobs."""
        jobs = _run("squeue", "-h", "-t", "RUNNING", "-p", "low", "-o", "%A").split()
        if not jobs:
            return False
        job, how = rng.choice(jobs), rng.choice(["kill", "signal", "requeue", "preempt"])
        if how == "kill":
            tasks = _tasks()
            if not tasks:
                return False
            with suppress(ProcessLookupError):
                os.kill(int(rng.choice(tasks)), signal.SIGKILL)
        elif how == "signal":
            _run("scancel", "--signal=USR2", job)
        elif how == "requeue":
            _run("scontrol", "requeue", job)
        else:
            _run("sbatch", "-p", "high", "-N2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")
        return True

    def stop(self) -> list[str]:
        _run("scancel", "-u", "root")
        return []


def _tasks() -> list[int]:
    """The processes of tasks of this cluster."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            if b"python" in line.split(b"\0")[0] and b"submitit.core._submit" in line:
                found += [int(folder.name)] if os.environ["SLURM_CONF"].encode() in environment else []
    return found


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
