"""Measures whole sweeps, from the start of the process to the last record, and prints a table of README.md: `make bench`.

Each cell is one process, `python sweeps.py ARM CASE RUNS`, which tells how its time was split. The arms that train one run
after another are measured with few runs, as each further run costs them the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CASES = {
    "MLP, friedman": ["task=regression", "trainer.max_epochs=30"],
    "MLP, digits": ["task=multiclass", "trainer.max_epochs=30"],
    "CNN, digits": ["task=multiclass", "model=cnn", "trainer.max_epochs=30"],
}
LOSSES = {
    "MLP, friedman": "mse,l1,smoothl1,huber",
    "MLP, digits": "cross_entropy,mse",
    "CNN, digits": "cross_entropy,mse",
}
RUNS = {
    "template": (1, 10),
    "bare": (1, 10),
    "lone": (1, 10),
    "fused": (1, 10, 30, 100, 300),
}
OURS = ("lone", "fused")
MOST = {"CNN, digits": 30}
PARTS = ("import", "compose", "setup", "train", "evaluate", "write")


class Clock:
    """Seconds spent in each part."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Counts what happens inside as `part`."""
        started = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - started


def requests(case: str, runs: int) -> Iterator[list[str]]:
    """The overrides of each run."""
    names = LOSSES[case].split(",")
    for number in range(runs):
        yield [*CASES[case], "trainer=cpu", f"loss={names[number % len(names)]}", f"seed={number // len(names)}"]


def ours(case: str, runs: int, clock: Clock, *more: str) -> None:
    """`train.py -m`, as a user types it."""
    with clock.of("import"):
        import losslab.sweep.planning
        import losslab.sweep.runner
        import losslab.sweep.training
    from losslab.cli import train

    names = LOSSES[case].split(",")[:runs]
    train_all, outcome = losslab.sweep.runner.train_all, []

    def timed(*arguments: Any) -> Any:
        clock.seconds["compose"] = time.perf_counter() - started
        begun = time.perf_counter()
        outcome.append(train_all(*arguments))
        clock.seconds["write"] = time.perf_counter() - begun
        return outcome[0]

    losslab.sweep.runner.train_all = timed
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        seeds = f"seed=range(0,{max(1, runs // len(names))})"
        train.train(
            ["-m", *CASES[case], "trainer=cpu", f"loss={','.join(names)}", seeds, f"hydra.sweep.dir={folder}", *more]
        )
    for record in outcome[0].records:
        seconds = record.seconds
        parts = {"setup": seconds["setup"], "train": seconds["fit"]}
        parts["evaluate"] = seconds["total"] - sum(parts.values())
        for part, value in parts.items():
            clock.seconds[part] += value
            clock.seconds["write"] -= value


def fused(case: str, runs: int, clock: Clock) -> None:
    """Runs in stacks."""
    ours(case, runs, clock)


def lone(case: str, runs: int, clock: Clock) -> None:
    """The same, one run after another."""
    ours(case, runs, clock, "fused.size=1")


def one_by_one(case: str, runs: int, clock: Clock, loop: Callable[[dict], float]) -> None:
    """A loop of bench.py, whose setup is counted with what it does beside training."""
    from losslab import compose

    for overrides in requests(case, runs):
        with clock.of("compose"):
            request = compose(*overrides)
        with clock.of("setup"):
            seconds = loop(request)
        clock.seconds["train"] += seconds
        clock.seconds["setup"] -= seconds


def bare(case: str, runs: int, clock: Clock) -> None:
    """A loop in plain PyTorch, with metrics after each epoch; it writes nothing."""
    with clock.of("import"):
        import bench
    one_by_one(case, runs, clock, bench.bare)


def template(case: str, runs: int, clock: Clock) -> None:
    """Lightning as tutorials use it."""
    with clock.of("import"):
        import bench
    one_by_one(case, runs, clock, bench.template)


def measured(arm: str, case: str, runs: int) -> dict[str, float]:
    """The seconds of one process, whole and split."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, arm, case, str(runs)], capture_output=True, text=True, check=True)
    whole = time.perf_counter() - started
    return json.loads(done.stdout.splitlines()[-1]) | {"whole": whole}


def main() -> None:
    """Prints the table."""
    columns = [
        "case",
        "arm",
        "runs",
        "whole, s",
        *PARTS,
        "beyond import, ms a run",
        "its training",
        "bare / it",
        "template / it",
    ]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for case in CASES:
        training: dict[str, float] = {}
        for arm, counts in RUNS.items():
            for runs in counts:
                if runs > MOST.get(case, runs):
                    continue
                found = measured(arm, case, runs)
                each = training[arm] = 1000 * found["train"] / runs
                cells = [case, arm, str(runs), f"{found['whole']:.1f}", *(f"{found[part]:.2f}" for part in PARTS)]
                cells += [f"{1000 * (found['whole'] - found['import']) / runs:.0f}", f"{each:.1f}"]
                cells += [f"{training[other] / each:.1f}" if arm in OURS else "" for other in ("bare", "template")]
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        _, chosen, of, count = sys.argv
        timer = Clock()
        {"fused": fused, "lone": lone, "bare": bare, "template": template}[chosen](of, int(count), timer)
        print(json.dumps(timer.seconds))
