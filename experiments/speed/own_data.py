"""Measures what data of a user's cost: `make bench` ends with it.

A comparison with its defaults on 10,000 rows of 20 columns, from the start of the process to the report. Then a table of 336,776
rows of 20 columns, the size of the flights from New York in 2013: the seconds until it is read and prepared, and the most memory
that this takes beside the table itself. The tables are made from a seed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

SMALL, LARGE = 10_000, 336_776
_PREPARE = """
import resource, sys, time
from losslab import compose
from losslab.training.prepare import prepare
import pandas, sklearn, skrub
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
compose("task=regression")
before, started = peak(), time.perf_counter()
run = prepare(compose("task=regression", "data=table", f"data.path={sys.argv[1]}", "data.target=y", "data.batch_size=1024"))
seconds, most = time.perf_counter() - started, peak() - before
print(seconds, most, run.rows.inputs.numel() * run.rows.inputs.element_size(), run.rows.inputs.shape[1])
"""


def made(rows: int) -> pd.DataFrame:
    """Fifteen columns of numbers, three of categories, a date and a target; one cell in fifty is missing."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({f"x{number}": rng.normal(size=rows).round(4) for number in range(15)})
    for number, levels in enumerate((4, 15, 100)):
        frame[f"c{number}"] = rng.choice([f"level {level}" for level in range(levels)], rows)
    frame["day"] = pd.to_datetime("2013-01-01") + pd.to_timedelta(rng.integers(0, 365, rows), "D")
    gone = rng.random((rows, frame.shape[1])) < 0.02
    target = 3 * frame["x0"] + frame["x1"] ** 2 + (frame["c0"] == "level 1") + rng.standard_t(2.5, rows)
    return frame.mask(gone).assign(y=target.round(4))


def compared(folder: Path) -> str:
    """Seconds of `losslab compare` with its defaults, as a whole process."""
    made(SMALL).to_csv(folder / "small.csv", index=False)
    command = [sys.executable, "-c", "from losslab.cli.main import command; command()"]
    started = time.perf_counter()
    subprocess.run(
        [*command, "compare", "small.csv", "--target", "y", "--out", "runs/small"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - started
    runs = len(list((folder / "runs" / "small").rglob("record.json")))
    return f"losslab compare, {SMALL:,} rows x 20 columns, defaults: {seconds:.0f} s from start to report, {runs} runs"


def prepared(folder: Path) -> str:
    """Seconds and memory until a large table is ready for the first step."""
    frame = made(LARGE)
    frame.to_csv(folder / "large.csv", index=False)
    size = int(frame.memory_usage(deep=True).sum())
    del frame
    found = subprocess.run(
        [sys.executable, "-c", _PREPARE, str(folder / "large.csv")], check=True, capture_output=True, text=True
    )
    seconds, most, inputs, width = map(float, found.stdout.split())
    return (
        f"{LARGE:,} rows x 20 columns: read and prepared in {seconds:.1f} s; {most / 1e6:.0f} MB at most beside the start, "
        f"{most / size:.1f} times the table of {size / 1e6:.0f} MB; {width:.0f} inputs a row, {inputs / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(prepared(Path(name)), flush=True)
        print(compared(Path(name)), flush=True)
