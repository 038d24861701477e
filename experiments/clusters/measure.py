"""Measures two workers beside one, and what an engine adds to a stack: `python experiments/clusters/measure.py`, some ten minutes.

SLURM and Ray are measured where they are: the first needs a cluster that the environment names (SLURM_CONF), the second is started here.
Two workers need two idle cores: the load of the machine is printed.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINE = [sys.executable, str(ROOT / "train.py"), "-m", "trainer=cpu", "data.rows=1000", "logger=none"]
LONG = ["loss=mse,l1,huber,smoothl1", "seed=range(0,16)", "fused.size=8", "trainer.max_epochs=100"]
SHORT = ["loss=mse", "fused.size=2", "trainer.max_epochs=1"]
ENGINES = {
    "local": ["executor=local", "fused.processes=1"],
    "worker": ["executor=worker", "executor.workers=1"],
    "slurm": ["executor=slurm", "executor.workers=1", "executor.minutes=10"],
    "ray": ["executor=ray", "executor.workers=1"],
}
STACKS = (10, 40)


def main(what: str = "workers engines") -> None:
    """Prints both tables."""
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
    if "workers" in what:
        print(
            "| workers | seconds | CPU seconds | times as fast | and where each has a core to itself |\n|---|---|---|---|---|"
        )
        one = by_workers(1)
        for count, (seconds, cpu) in ((1, one), (2, by_workers(2))):
            shown = f"{seconds:.1f} | {cpu:.1f} | {one[0] / seconds:.2f} | {count * one[1] / cpu:.2f}"
            print(f"| {count} | {shown} |", flush=True)
    if "engines" in what:
        print("\n| executor | ms a stack | seconds beside the stacks |\n|---|---|---|")
        for name, words in ENGINES.items():
            if there(name):
                few, many = (whole([*SHORT, f"seed=range(0,{2 * count})", *words]) for count in STACKS)
                each = (many - few) / (STACKS[1] - STACKS[0])
                print(f"| {name} | {1000 * each:.0f} | {few - each * STACKS[0]:.1f} |", flush=True)


def there(engine: str) -> bool:
    """Whether an engine can be used here."""
    if engine == "slurm":
        return bool(shutil.which("sbatch") and os.environ.get("SLURM_CONF") and importlib.util.find_spec("submitit"))
    return engine != "ray" or importlib.util.find_spec("ray") is not None


def whole(words: Sequence[str]) -> float:
    """Seconds of a command, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run(
            [*LINE, *words, f"hydra.sweep.dir={folder}/sweep"], check=True, capture_output=True, env=one_thread()
        )
        return time.perf_counter() - began


def by_workers(count: int) -> tuple[float, float]:
    """Seconds of a sweep by so many workers, without their start; and CPU seconds of all its processes, their start counted in.

    The second tells of a busy machine, too, what two workers cost one another.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = [*LONG, "executor=worker", f"executor.workers={count}", f"hydra.sweep.dir={folder}/sweep"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*LINE, *words], check=True, capture_output=True, env=one_thread())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        records = sorted(path.stat().st_mtime for path in Path(folder).glob("sweep/*/record.json"))
        stacks = len(records) // 8
        # the first stacks of all workers end at about the same time, and the rest is what they do at full speed
        return (records[-1] - records[0]) / (stacks - count) * stacks, cpu


def one_thread() -> dict[str, str]:
    """An environment in which a process computes on one core."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    main(*sys.argv[1:])
