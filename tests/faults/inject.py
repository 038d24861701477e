"""Injects faults and bad input by the thousand, and writes down what came of them: docs/faults.md holds the table.

    PYTHONPATH=tests python -m faults.inject [--share 0.02] [--seed 1] [--page] [NAME ...]

With names, only those of INJECTORS; a share below 1 scales all counts down. With --page the tallies are kept in
tests/faults/tallies.json, and the page shows all that are there. Exit status 1 where anything was lost or doubled, or a
traceback seen.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # several processes at once; read when torch is imported

import torch
from rich.console import Console
from rich.table import Table

from faults import files, hostile, kills, load, processes, requests, scarce
from faults.tally import Tally
from losslab.records.environment import commit, versions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
KEPT = Path(__file__).with_name("tallies.json")
MARK = "<!-- table -->"
COLUMNS = ("what was done", "times", "runs asked for", "lost", "doubled", "tracebacks", "stray files", "seconds")
Injector = Callable[[int, int, Path], list[Tally]]
INJECTORS: dict[str, tuple[Injector, int]] = {  # with how many are injected at a share of 1; what takes longest first
    "kills": (kills.inject, 50),
    "requests": (requests.inject, 10_000),
    "hostile": (hostile.inject, 200),
    "processes": (processes.inject, 25),
    "scarce": (scarce.inject, 3),
    "files": (files.inject, 250),
    "load": (load.inject, 10_000),  # timed, and so by itself
}


def main(names: list[str], share: float = 1.0, seed: int = 0, page: bool = False) -> int:
    """Injects these, all where none is named; prints the table and, if asked, renews the page. Returns the exit status."""
    asked = [name for name in INJECTORS if name in names or not names]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        parts = {name: pool.submit(harm, name, share, seed) for name in asked if name != "load"}
        found = {name: part.result() for name, part in parts.items()}
    if "load" in asked:
        found["load"] = harm("load", share, seed)
    tallies = [tally for part in found.values() for tally in part]
    table = Table(*COLUMNS)
    for row in rows(tallies):
        table.add_row(*row)
    Console(width=140).print(table)
    if page:
        keep(found, seed)
    return int(any(tally.lost or tally.doubled or tally.tracebacks or tally.stray for tally in tallies))


def keep(found: dict[str, list[Tally]], seed: int) -> None:
    """Writes tallies beside the page, in the place of earlier ones of the same injectors, and all of them into the page."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    by = {"commit": commit(), "seed": seed, "versions": versions()}
    kept |= {name: {"by": by, "tallies": [asdict(tally) for tally in part]} for name, part in found.items()}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARK)
    after = rest.partition(MARK)[2]
    PAGE.write_text(f"{before}{MARK}\n{markdown(kept)}{MARK}{after}", encoding="utf-8")


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


def markdown(kept: dict[str, Any]) -> str:
    """The table for the page, from what is kept, and what made it."""
    parts = [kept[name] for name in INJECTORS if name in kept]
    found = [Tally(**tally) for part in parts for tally in part["tallies"]]
    lines = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 1)), *rows(found)]
    made = dict.fromkeys(
        f"commit {by['commit']}, seed {by['seed']}, " + ", ".join(f"{name} {it}" for name, it in by["versions"].items())
        for by in (part["by"] for part in parts)
    )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + f"\n\nMade by {'; '.join(made)}.\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Harm done on purpose, and what came of it.")
    parser.add_argument("names", nargs="*", choices=[*INJECTORS, []], metavar="NAME", help=", ".join(INJECTORS))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", action="store_true")
    raise SystemExit(main(**vars(parser.parse_args())))
