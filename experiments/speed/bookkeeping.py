"""Measures what a sweep does beside training, in CPU time of one thread: `python experiments/speed/bookkeeping.py`, part of `make bench`.

Runs of one epoch of a small model, so that nearly all is composing, preparing, recording and writing.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from losslab import read_records

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["task=regression", "loss=mse,l1,smoothl1,huber", "corruption.fraction=0,0.1,0.2,0.3,0.4"]
WORDS += ["trainer=cpu", "trainer.max_epochs=1", "data.rows=200", "model.hidden=[8]"]
CASES = [
    (15, "folders", "10"),
    (15, "folders", "0"),
    (15, "stacks", "0"),
    (500, "stacks", "0"),
]  # seeds, store, figures
IMPORTS = "import losslab.sweep.runner, losslab.sweep.planning, losslab.cli.train"


def main() -> None:
    """Prints the table."""
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}\n")
    print("| runs | store | figures | CPU, s | of it importing | training | beside these, ms a run |")
    print("|---|---|---|---|---|---|---|")
    importing = cpu_seconds([sys.executable, "-c", IMPORTS])
    for seeds, store, figures in CASES:
        with tempfile.TemporaryDirectory() as folder:
            asked = [*WORDS, f"seed=range(0,{seeds})", f"store={store}", f"logger.figures={figures}"]
            whole = cpu_seconds([sys.executable, str(ROOT / "train.py"), "-m", *asked, f"hydra.sweep.dir={folder}"])
            records = read_records(Path(folder))
        fit = sum(record.seconds["fit"] for record in records)
        beside = 1000 * (whole - importing - fit) / len(records)
        drawn = "at the best and the last epoch" if figures != "0" else "none"
        cells = [f"{seconds:.1f}" for seconds in (whole, importing, fit, beside)]
        print(f"| {len(records):,} | {store} | {drawn} | {' | '.join(cells)} |", flush=True)


def cpu_seconds(command: Sequence[str]) -> float:
    """CPU seconds of a process of one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
