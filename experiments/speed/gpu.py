"""Measures steps and whole sweeps on a GPU, all arms in one run: `make bench-gpu`, in less than five minutes.

Without a GPU it measures the same on the CPU with few runs, so that the script itself can be tried.
"""

from __future__ import annotations

import itertools
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from losslab import compose, hardware, read_records
from losslab.fused.batches import StackedBatches
from losslab.fused.engine import Engine
from losslab.fused.losses import loss_key
from losslab.fused.module import FusedModule
from losslab.fused.step import Step
from losslab.training import numerics
from losslab.training.prepare import Prepared, prepare
from losslab.training.run import run

ROOT = Path(__file__).resolve().parents[2]
GPU = torch.cuda.is_available()
ENGINES = ("eager", "captured", "compiled") if GPU else ("eager",)
CASES = {  # words of a request, losses, runs in the stacks, distinct runs among them
    "MLP, friedman": (["task=regression"], "mse,l1,smoothl1,huber", (300, 1000, 3000) if GPU else (10, 30), 100),
    "CNN, digits": (["task=multiclass", "model=cnn"], "cross_entropy,mse", (400,) if GPU else (4,), 20),
    "CNN, mnist5k": (
        ["task=multiclass", "model=cnn", "data=mnist5k"],
        "cross_entropy,mse",
        (100,) if GPU else (2,),
        10,
    ),
}
SWEEP_SEEDS = (25, 250) if GPU else (1, 2)  # times four losses, five levels of corruption and two rates
SECONDS = 0.5  # for which steps are repeated


def main() -> None:
    """Prints the tables."""
    where = hardware.of_run(compose())
    print(f"{hardware.describe(where)}; Python {platform.python_version()}, torch {torch.__version__}\n")
    print("| case | arm | runs | ready after, s | us a step | us a run-step | times the bare loop |")
    print("|---|---|---|---|---|---|---|")
    for case, (words, losses, sizes, distinct) in CASES.items():
        base = compose(*words, f"loss={losses.split(',')[0]}", "logger=none")
        with numerics.as_asked(base):
            bare = row(case, "bare loop", 1, *bare_loop(base, where))
            if GPU:
                row(case, "bare loop, captured", 1, *bare_loop(base, where, captured=True), bare)
            row(case, "losslab, a run alone", 1, 0.0, lone(base), bare)
            runs = prepared(words, losses.split(","), min(distinct, max(sizes)))
            for size, engine in itertools.product(sizes, ENGINES):
                row(case, f"stack, {engine}", size, *stacked(runs, size, engine, where), bare)
    whole_sweeps()


def row(case: str, arm: str, runs: int, ready: float, seconds: float, bare: float | None = None) -> float:
    """Prints a row of the table of steps; gives the seconds of a step of one run."""
    each = seconds / runs
    times = "" if bare is None else f"{bare / each:.1f}"
    print(f"| {case} | {arm} | {runs} | {ready:.1f} | {1e6 * seconds:.0f} | {1e6 * each:.2f} | {times} |", flush=True)
    return each


def pace(several: Callable[[], int], where: torch.device) -> float:
    """Seconds of one step; a call takes several and gives how many."""

    def now() -> float:
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        return time.perf_counter()

    several()
    steps, started = 0, now()
    while (took := now() - started) < SECONDS:
        steps += several()
    return took / steps


def bare_loop(request: dict[str, Any], where: torch.device, captured: bool = False) -> tuple[float, float]:
    """A loop in plain PyTorch with torch's fused Adam: seconds until it is ready, and those of a step."""
    parts = prepare(request)
    task, model, loss = parts.task.to(where), parts.model.to(where), parts.loss.to(where)
    inputs, (space,) = parts.rows.inputs.to(where), loss.spaces
    targets = task.target_as(space, parts.rows.targets.to(where), inputs.dtype)
    batches = [rows.to(where) for rows in itertools.chain.from_iterable(parts.batches)]
    optimizer = torch.optim.Adam(model.parameters(), request["optimizer"]["lr"], fused=True, capturable=captured)
    rows = batches[0].clone()

    def step(rows: Tensor) -> None:
        optimizer.zero_grad()
        loss({space: task.prediction(space, model(inputs[rows]))}, {space: targets[rows]}).backward()
        optimizer.step()

    def epoch() -> int:
        for batch in batches:
            step(batch)
        return len(batches)

    if not captured:
        return 0.0, pace(epoch, where)
    started = time.perf_counter()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(rows)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(rows)

    def replays() -> int:
        for batch in batches:
            rows.copy_(batch)
            graph.replay()
        return len(batches)

    return time.perf_counter() - started, pace(replays, where)


def lone(request: dict[str, Any]) -> float:
    """Seconds of a step of a run alone as a user gets it: evaluation, checkpoints and Lightning included."""
    with tempfile.TemporaryDirectory() as folder:
        parts = prepare(request)
        return run(request, folder, bar=False).seconds["fit"] / parts.steps


def prepared(words: Sequence[str], losses: Sequence[str], count: int) -> list[Prepared]:
    """So many runs of a few losses, with seeds and rates of their own."""
    made = []
    bases = [compose(*words, f"loss={loss}", "logger=none") for loss in losses]
    for number in range(count):
        base = bases[number % len(bases)]
        rate = {"lr": base["optimizer"]["lr"] * (1 + number / count)}
        made.append(prepare(base | {"seed": number // len(bases), "optimizer": base["optimizer"] | rate}))
    return made


def stacked(runs: Sequence[Prepared], size: int, engine: str, where: torch.device) -> tuple[float, float]:
    """Seconds until a stack is at its pace, tracing, capturing and compiling included, and those of its steps.

    Some of the runs stand in it more than once.
    """
    some = sorted((replace(runs[number % len(runs)]) for number in range(size)), key=loss_key)
    module = FusedModule(some).to(where)
    batches = StackedBatches(some)
    batches.device = where
    chunk = next(iter(batches))
    executed = Engine(Step(module, module.configure_optimizers(), chunk), engine)

    def steps() -> int:
        executed.run(chunk)
        return len(chunk)

    started = time.perf_counter()
    with torch.no_grad():
        steps()
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        ready = time.perf_counter() - started
        seconds = pace(steps, where)
    if executed.described() != engine:
        print(f"(not {engine} but {executed.described()})")
    executed.close()
    return ready, seconds


def whole_sweeps() -> None:
    """Prints what sweeps take from the start of their process, and how much of that is training; the largest leave a few files."""
    print("\n| sweep | whole, s | setup | training | evaluation | all else | all but training, ms a run | engine |")
    print("|---|---|---|---|---|---|---|---|")
    importing = seconds_of([sys.executable, "-c", "import losslab.sweep.runner, losslab.sweep.planning"])
    for seeds in SWEEP_SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            words = ["task=regression", "loss=mse,l1,smoothl1,huber", "corruption.fraction=0,0.1,0.2,0.3,0.4"]
            words += ["optimizer.lr=0.001,0.003", f"seed=range(0,{seeds})"]
            whole = seconds_of([sys.executable, str(ROOT / "train.py"), "-m", *words, f"hydra.sweep.dir={folder}"])
            records = read_records(Path(folder))
        setup, fit, total = (sum(record.seconds[part] for record in records) for part in ("setup", "fit", "total"))
        beside = 1000 * (whole - importing - fit) / len(records)
        cells = [whole, setup, fit, total - setup - fit, whole - total, beside]
        name = f"{len(records):,} MLPs on friedman, stacks of {max(record.fused for record in records)}"
        engines = ", ".join(sorted({record.engine for record in records}))
        print(f"| {name} | {' | '.join(f'{cell:.2f}' for cell in cells)} | {engines} |", flush=True)


def seconds_of(command: Sequence[str]) -> float:
    """Seconds of a process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
