"""Injects faults and bad input by the thousand, and writes down what came of them: experiments/faults/README.md holds the table.

    python experiments/inject_faults.py [SHARE [SEED]]

SHARE, 1 unless given, scales all counts: 0.02 gives a look in two minutes, and leaves the page alone. Exit status 1 where anything was
lost or doubled, or a traceback seen.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # several processes at once; read when torch is imported

import torch
from faults import files, kills, load, processes, requests, scarce
from faults.tally import Tally
from rich.console import Console
from rich.table import Table

from losslab.record import commit, versions

PAGE = Path(__file__).resolve().parent / "faults" / "README.md"
MARK = "<!-- table -->"
COLUMNS = ("what was done", "times", "runs asked for", "lost", "doubled", "tracebacks", "stray files", "seconds")
Injector = Callable[[int, int, Path], list[Tally]]
INJECTORS: dict[str, tuple[Injector, int]] = {  # with how many are injected at a share of 1; what takes longest first
    "kills": (kills.inject, 50),
    "requests": (requests.inject, 10_000),
    "processes": (processes.inject, 50),
    "scarce": (scarce.inject, 5),
    "files": (files.inject, 500),
    "load": (load.inject, 10_000),  # timed, and so by itself
}


def main(share: float = 1.0, seed: int = 0) -> int:
    """Injects all of them, prints the table and, at a share of 1, puts it into the page. Returns the exit status."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        parts = [pool.submit(harm, name, share, seed) for name in INJECTORS if name != "load"]
        found = [tally for part in parts for tally in part.result()]
    found += harm("load", share, seed)
    table = Table(*COLUMNS)
    for row in rows(found):
        table.add_row(*row)
    Console(width=140).print(table)
    if share == 1:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARK)
        after = rest.partition(MARK)[2]
        PAGE.write_text(f"{before}{MARK}\n{markdown(found, seed)}{MARK}{after}", encoding="utf-8")
    return int(any(tally.lost or tally.doubled or tally.tracebacks or tally.stray for tally in found))


def harm(name: str, share: float, seed: int) -> list[Tally]:
    """What came of one kind of fault, in a folder that is removed afterwards."""
    torch.set_num_threads(1)
    inject, count = INJECTORS[name]
    with tempfile.TemporaryDirectory(prefix="losslab-") as folder:
        found = inject(max(2, round(share * count)), seed, Path(folder) / name)
    print(f"{name}: {sum(tally.seconds for tally in found):.0f} s", file=sys.stderr, flush=True)
    return found


def rows(found: Iterable[Tally]) -> list[tuple[str, ...]]:
    """The cells of the table, and a last row with the sums."""
    found = list(found)
    numbers = [(t.tried, t.runs, t.lost, t.doubled, t.tracebacks, t.stray, t.seconds) for t in found]
    sums = tuple(map(sum, zip(*numbers, strict=True)))
    return [
        (what, *(f"{value:,.0f}" for value in row))
        for what, row in zip([*(tally.what for tally in found), "all"], [*numbers, sums], strict=True)
    ]


def markdown(found: Iterable[Tally], seed: int) -> str:
    """The table for the page, and what made it."""
    lines = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 1)), *rows(found)]
    made = f"Seed {seed}, commit {commit()}, " + ", ".join(f"{name} {version}" for name, version in versions().items())
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + f"\n\n{made}.\n"


if __name__ == "__main__":
    raise SystemExit(main(*(kind(word) for kind, word in zip((float, int), sys.argv[1:], strict=False))))
