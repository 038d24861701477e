"""Measures whole sweeps on a machine that does something else as well, and prints a table of README.md: `make bench`.

Each number is the time of a process from its start to its end. The arms take turns, so that the moods of a machine meet all.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TURNS = 3
CASES = {
    "300 MLPs on friedman": [
        "task=regression",
        "loss=mse,l1,smoothl1,huber,cauchy,welsch",
        "seed=range(0,50)",
        "trainer.max_epochs=30",
    ],
    "30 MLPs on mnist5k": [
        "task=multiclass",
        "data=mnist5k",
        "data.batch_size=128",
        "model.hidden=[128,64]",
        "loss=cross_entropy,mae,focal",
        "seed=range(0,10)",
        "trainer.max_epochs=10",
    ],
}
AS_TORCH_DOES = {"OMP_NUM_THREADS": str(os.cpu_count()), "GOMP_SPINCOUNT": "300000"}  # GNU OpenMP's own number


def started(case: str, folder: str, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    """A sweep as a user types it."""
    words = ["-m", *CASES[case], "trainer=cpu", f"hydra.sweep.dir={folder}"]
    unset = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    environment = {key: value for key, value in os.environ.items() if key not in unset} | settings
    return subprocess.Popen(
        [sys.executable, ROOT / "train.py", *words], env=environment, stdout=subprocess.DEVNULL, cwd=folder
    )


def seconds(case: str, at_once: int = 1, settings: dict[str, str] | None = None) -> float:
    """How long so many sweeps take that start at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        folders = [Path(folder, str(number)) for number in range(at_once)]
        for each in folders:
            each.mkdir()
        sweeps = [started(case, str(each), settings or {}) for each in folders]
        if any([sweep.wait() for sweep in sweeps]):  # noqa: C419  # all are waited for
            raise SystemExit(f"A sweep failed: {case}.")
        return time.perf_counter() - begun


@contextmanager
def one_core_busy() -> Iterator[None]:
    """Another program that computes all the time, on one thread."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def main() -> None:
    """Prints the table: medians, and the smallest and largest in brackets."""
    columns = ["case", "quiet, threads as torch has them, s", "quiet, s", "one core busy, s", "two at once, s"]
    print(f"| {' | '.join([*columns, 'busy / quiet', 'two / quiet'])} |\n{'|---' * (len(columns) + 2)}|")
    for case in CASES:
        found: dict[str, list[float]] = {column: [] for column in columns[1:]}
        for _ in range(TURNS):
            found[columns[1]].append(seconds(case, settings=AS_TORCH_DOES))
            found[columns[2]].append(seconds(case))
            with one_core_busy():
                found[columns[3]].append(seconds(case))
            found[columns[4]].append(seconds(case, at_once=2))
        middle = {column: statistics.median(times) for column, times in found.items()}
        cells = [f"{middle[name]:.1f} ({min(times):.1f} to {max(times):.1f})" for name, times in found.items()]
        ratios = [f"{middle[name] / middle[columns[2]]:.2f}" for name in columns[3:]]
        print(f"| {' | '.join([case, *cells, *ratios])} |", flush=True)


if __name__ == "__main__":
    main()
