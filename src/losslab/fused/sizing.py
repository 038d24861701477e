"""How many runs train fastest as one stack, and on how many threads, on this machine as it is now: measured on a few steps."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch

from losslab.errors import is_out_of_memory
from losslab.fused.engine import WARM_UP, Engine, pays
from losslab.fused.module import FusedModule
from losslab.fused.step import Step
from losslab.safe_points import check
from losslab.seeding import globals_restored
from losslab.training import optimizers, threads
from losslab.training.prepare import Prepared

_STEPS = 3  # that are timed; the fastest counts
_GAIN = 0.95  # a stack must take at most so much of the time of lone runs; of two that take the same, the larger serves

_LONG = 0.02  # seconds of a step that is more than overhead


class Size(NamedTuple):
    """How many runs make a stack; on how many threads and by which engine it trains, where that was measured."""

    runs: int
    threads: int | None
    engine: str | None = None


def fastest(run: Prepared, most: int, device: torch.device) -> Size:
    """The stack up to `most` runs in which one like this takes the least time; of one run where no stack gains.

    Doubles the size until that no longer pays; on a GPU takes four times as many. A step that is short is mostly overhead, which a
    larger stack shares among more runs: so a small stack that gains nothing says little until its step is long.
    """
    count = threads.most()
    # a GPU is kept busy by a large stack only, and a graph takes longer to capture than a few steps
    first, growth = (2, 2) if device.type == "cpu" else (16, 4)
    with threads.using(threads.worth(run.model, run.rows.inputs[: run.batches.batch_size])):
        best, size, tried = lone_pace(run, device), 1, min(first, most)
    while 1 < tried <= most:
        try:
            pace = stacked_pace(run, tried, device, count)
        except Exception as error:
            if is_out_of_memory(error):
                break
            raise
        if pace <= (_GAIN if size == 1 else 1 / _GAIN) * best:
            best, size = min(best, pace), tried
        elif pace * tried > _LONG:
            break
        tried = min(growth * tried, most) if tried < most else most + 1
    if size == 1:
        return Size(1, count)
    auto = run.request["fused"]["engine"] == "auto"
    engine = "compiled" if auto and pays(run.model, device, best * size * run.steps) else None
    return Size(size, _fewest_threads(run, size, device, best) if device.type == "cpu" else count, engine)


def _fewest_threads(run: Prepared, size: int, device: torch.device, best: float) -> int:
    """The threads on which a stack takes the least time: half as many, again and again, while that loses nothing."""
    count = threads.most()
    while count > 1 and not threads.chosen_by_user():
        pace = stacked_pace(run, size, device, count // 2)
        if pace > best:
            break
        best, count = pace, count // 2
    return count


@globals_restored()  # a model may draw
def lone_pace(run: Prepared, device: torch.device) -> float:
    """Seconds of one step of a run by itself."""
    model = copy.deepcopy(run.model).to(device)  # the run stays as it is, and where it is
    loss, task = copy.deepcopy(run.loss).to(device), copy.deepcopy(run.task).to(device)
    optimizer, _ = optimizers.build(run.request["optimizer"], model.parameters(), run.steps, loss.parameters())
    rows = run.batches.order(0)[: run.batches.batch_size]
    inputs, targets = run.rows.inputs[rows].to(device), run.rows.targets[rows].to(device)
    in_spaces = {space: task.target_as(space, targets, inputs.dtype) for space in loss.spaces}

    def step() -> None:
        raw = model(inputs)
        value = loss.mean_loss({space: task.prediction(space, raw) for space in loss.spaces}, in_spaces)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return _fastest(step, device)


def stacked_pace(run: Prepared, size: int, device: torch.device, count: int) -> float:
    """Seconds of one step of a stack on so many threads, for each of its runs."""
    # of different seeds, as their masks of dropout are drawn apart
    runs = [replace(run, request=run.request | {"seed": seed}) for seed in range(size)]
    module = FusedModule(runs).to(device)
    rows = torch.stack([run.batches.order(epoch)[: run.batches.batch_size] for epoch in range(size)]).to(device)
    asked = "eager" if run.request["fused"]["engine"] == "eager" else "auto"  # compiles nothing for so few steps
    engine = Engine(Step(module, module.configure_optimizers(), rows[None]), asked)
    with torch.no_grad(), threads.using(count):
        return _fastest(lambda: engine.run(rows[None]), device, cold=WARM_UP + 1 if device.type == "cuda" else 1) / size


def _fastest(step: Callable[[], None], device: torch.device, cold: int = 1) -> float:
    """Seconds of the fastest of a few steps, after some that find everything cold."""
    seconds = []
    for _ in range(cold + _STEPS):
        check()
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return min(seconds[cold:])
