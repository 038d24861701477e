"""What a sweep is expected to take before it begins: stacks, workers, time, files and bytes, by speeds measured on a few steps."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from losslab.errors import raise_if_ended
from losslab.schema import check as schema_check
from losslab.sweep.cost import seconds_a_run
from losslab.sweep.jobs import Stack
from losslab.training.prepare import prepare

START = 5.0  # seconds that a worker takes before its first stack, mostly to import torch
_FILES, _OF_TENSORBOARD = 4, 1  # of a run: config.yaml, record.json and two checkpoints; one more of events
_TEXTS = 9_000  # bytes of config.yaml and record.json without curves
_A_NUMBER = 12  # bytes of one number of a curve, in a record; TensorBoard takes some five times as much
_COLUMNS = 5  # of a run's curves
_OF_A_STACK = 2  # files of a stack that leaves all its runs together
_OF_A_CHECKPOINT = 3_000  # bytes beside its weights
_MOST = 64  # runs of a stack, from which a step takes no less for each
_paces: dict[
    tuple[str, int], float | None
] = {}  # seconds of a run, by its shape and the size of its stack: measured once
_weights: dict[str, int] = {}


@dataclass(frozen=True)
class Forecast:
    """What a sweep is expected to take.

    Attributes:
        runs, stacks: how many are to be trained.
        tasks: into how many shares an engine cuts the stacks, where it does; else as many as workers.
        workers: how many train at the same time.
        seconds: from the first worker's start to the last one's end; None where it was not measured.
        busy: seconds of work of all workers together.
        gpu_hours: of all workers together.
        files, bytes: that the runs will leave.
    """

    runs: int
    stacks: int
    tasks: int
    workers: int
    seconds: float | None
    busy: float
    gpu_hours: float
    files: int
    bytes: int


def of(stacks: Sequence[Stack], workers: int, gpus: float = 0.0, share: float = 0.0) -> Forecast:
    """What training stacks, in this order, by so many workers is expected to take.

    Args:
        stacks: which stacks.
        workers: how many at most.
        gpus: of each worker.
        share: seconds of work of one task of an engine; 0: each worker is one task.
    """
    taken = [seconds(stack) for stack in stacks]
    known = [one for one in taken if one is not None]
    runs = [job for stack in stacks for job in stack.jobs]
    together = [stack for stack in stacks if stack.together]
    count = max(1, min(workers, len(stacks)))
    busy = sum(known)
    whole = makespan(known, count) + START if known and len(known) == len(taken) else None
    tasks = max(count, min(len(stacks), -(-int(busy) // int(share)))) if share else count
    sizes = [_files_and_bytes(job.request) for job in runs]
    files, size = (sum(column) for column in zip(*sizes, strict=True)) if sizes else (0, 0)
    files -= sum(_files_and_bytes(job.request)[0] for stack in together for job in stack.jobs)
    files += _OF_A_STACK * len(together)
    return Forecast(len(runs), len(stacks), tasks, count, whole, busy, gpus * busy / 3600, files, size)


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Seconds until the last of several workers ends, each of which takes the next of these stacks when it is free."""
    free = [0.0] * workers
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def seconds(stack: Stack) -> float | None:
    """Seconds that a stack is expected to take on this machine; None where no step of it can be taken: training it will say why."""
    request, runs = stack.jobs[0].request, len(stack.jobs)
    shape = _shape(request), min(runs, _MOST)
    if shape not in _paces:
        try:
            _paces[shape] = seconds_a_run(request, runs)
        except Exception as error:
            raise_if_ended(error)
            _paces[shape] = None
    pace = _paces[shape]
    return None if pace is None else pace * runs


def largest_first(stacks: Sequence[Stack]) -> list[Stack]:
    """Stacks in the order in which workers are busy to the end: those that take longest first."""
    return sorted(stacks, key=lambda stack: -(seconds(stack) or 0.0))


def _shape(request: Mapping[str, Any]) -> str:
    """What decides how long a run takes, as text: runs that differ in the rest take about as long."""
    kept = {key: request[key] for key in ("task", "data", "model", "trainer")}
    return json.dumps(kept | {"optimizer": request["optimizer"]["name"]}, sort_keys=True)


def _files_and_bytes(request: Mapping[str, Any]) -> tuple[int, int]:
    """How many files a run leaves, and about how many bytes."""
    logs = request["logger"]["name"] == "tensorboard"
    numbers = request["trainer"]["max_epochs"] * _COLUMNS
    checkpoints = 2 * (_OF_A_CHECKPOINT + _bytes_of_weights(request))
    return _FILES + _OF_TENSORBOARD * logs, _TEXTS + checkpoints + numbers * _A_NUMBER * (1 + 5 * logs)


def _bytes_of_weights(request: Mapping[str, Any]) -> int:
    shape = _shape(request)
    if shape not in _weights:
        try:
            _weights[shape] = sum(
                4 * weight.numel() for weight in prepare(schema_check.check(request)).model.parameters()
            )
        except Exception as error:  # training the run will say it, and record it
            raise_if_ended(error)
            _weights[shape] = 0
    return _weights[shape]
