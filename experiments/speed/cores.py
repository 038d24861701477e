"""Measures sweeps in one process and in two, from the start of the command to its end, and prints a table of README.md.

The arms take turns; each cell is a median, with the smallest and the largest. `python cores.py [TURNS]`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

CASES = {
    "8 CNNs on scenes, which train alone": "task=bbox loss=giou,l1 seed=range(4) fused.size=1 trainer.max_epochs=6",
    "4 stacks of 25 MLPs on digits": "task=multiclass loss=cross_entropy,mse seed=range(50) fused.size=25 trainer.max_epochs=60",
}
OF_USER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # with one of them a user has chosen


def seconds(words: str, processes: int) -> float:
    """What one command takes."""
    with tempfile.TemporaryDirectory() as folder:
        asked = [*words.split(), "trainer=cpu", f"fused.processes={processes}", f"hydra.sweep.dir={folder}"]
        started = time.perf_counter()
        code = "import sys; from losslab.cli.train import train; sys.exit(train(sys.argv[1:]))"
        environment = {name: value for name, value in os.environ.items() if name not in OF_USER}
        subprocess.run([sys.executable, "-c", code, "-m", *asked], env=environment, capture_output=True, check=True)
        return time.perf_counter() - started


def cell(found: list[float]) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(found):.0f} ({min(found):.0f} to {max(found):.0f})"


def main(turns: int) -> None:
    """Prints the table."""
    print("| case | one process, s | two processes, s | one / two |\n|---|---|---|---|")
    for case, words in CASES.items():
        found: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(turns):
            for processes in (1, 2) if turn % 2 else (2, 1):
                found[processes].append(seconds(words, processes))
                print(case, processes, f"{found[processes][-1]:.1f}", os.getloadavg(), file=sys.stderr, flush=True)
        ratio = statistics.median(one / two for one, two in zip(*found.values(), strict=True))
        print(f"| {case} | {cell(found[1])} | {cell(found[2])} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
