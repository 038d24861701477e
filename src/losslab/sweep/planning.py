"""Planning: which runs of a sweep train together as a stack, and how large a stack is."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from losslab import data, hardware
from losslab.errors import raise_if_ended
from losslab.fused.sizing import Size, fastest
from losslab.fused.trial import why_alone
from losslab.losses import stacking
from losslab.schema import check as schema_check
from losslab.schema import compatibility, memory
from losslab.schema.cards import card, of_this_process
from losslab.sweep import forecast
from losslab.sweep.cost import seconds_a_run
from losslab.sweep.jobs import Job, Stack
from losslab.training import numerics, threads
from losslab.training.prepare import prepare, shared

LEAST = 2  # runs that are worth a stack
_ALONE = Size(1, None)

_SOME, _MANY = 300, 5000  # steps of all runs from which measuring the fastest stack pays: slow ones, and quick ones
_ROUNDS = 2  # stacks for each of several workers, of which the last to end waits for no more than one
_SHARE = 10.0  # seconds of work, from which a process of its own pays: it takes some five to start


def plan(jobs: Sequence[Job], spread: bool = False, workers: int = 0, together: bool = False) -> list[Stack]:
    """Groups jobs that differ only in what a stack may differ in, and cuts the groups to a size that suits the machine.

    spread: whether they may be trained in several processes where fused.processes does not say.
    workers: how many workers train them, which are to be busy to the end; 0: this process does, or several of this machine.
    together: whether stacks leave a few files for all their runs.
    """
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[_shared(job.request)].append(job)
    stacks = []
    for group in groups.values():
        (size, count, engine), why = stack_size([job.request for job in group])
        if size < LEAST or why:
            stacks += [Stack([job], why) for job in group]
        else:
            number = -(-len(group) // size)  # stacks of nearly one size rather than a small last one
            number = max(number, _for_workers(group, size, workers * len(group) / len(jobs)))
            if number > 1:  # what runs share is made once in each stack
                group = sorted(group, key=lambda job: shared(job.request))
            even = -(-len(group) // number)
            parts = [group[start : start + even] for start in range(0, len(group), even)]
            stacks += [Stack(part, threads=count, engine=engine) for part in parts]
    count = 1 if workers else _processes(stacks, spread)
    return [replace(stack, processes=count, together=together and len(stack.jobs) > 1) for stack in stacks]


def _for_workers(group: Sequence[Job], size: int, workers: float) -> int:
    """Into how many stacks a group is cut so that workers are busy to the end; each has enough to do. fused.size=K stays as it is."""
    if not workers or group[0].request["fused"]["size"] or _is_short([job.request for job in group]):
        return 1
    whole = (forecast.seconds(Stack(list(group[:size]))) or 0.0) * len(group) / min(size, len(group))
    return min(math.ceil(_ROUNDS * workers), int(whole / _SHARE), len(group))


def _processes(stacks: Sequence[Stack], spread: bool) -> int:
    """In how many processes stacks are to train: as fused.processes says, or so many that each has enough to do.

    What a run takes is measured on a few steps of the first. A GPU is kept busy by one process, and what is registered in this one
    is not known in another.
    """
    if len(stacks) < 2 or of_this_process():
        return 1
    requests = [job.request for stack in stacks for job in stack.jobs]
    asked = int(requests[0]["fused"]["processes"])
    if asked == 1 or not (asked or spread):
        return 1
    trainers = {tuple(request["trainer"].values()): request for request in requests}
    if any(hardware.of_run(request).type != "cpu" for request in trainers.values()):
        return 1
    if asked:
        return min(asked, len(stacks))
    if threads.chosen_by_user() or _is_short(requests):
        return 1
    try:
        seconds = seconds_a_run(requests[0], len(stacks[0].jobs)) * len(requests)
    except Exception as error:  # whatever it is, training the run will say it, and record it
        raise_if_ended(error)
        return 1
    return max(1, min(threads.most(), len(stacks), int(seconds / _SHARE), memory.processes()))


def stack_size(requests: Sequence[dict[str, Any]]) -> tuple[Size, str | None]:
    """How many of some runs, alike but for what a stack may differ in, train as one, and how; and why not more.

    Measured on a few steps where there is enough to train for that to pay. Elsewhere a rule: 100 for fully connected models,
    which on two cores gain up to some 50 and lose nothing at 300, and 8 for others, which gain less.
    """
    if why := _why_alone(requests):
        return _ALONE, why
    if asked := int(requests[0]["fused"]["size"]):
        return Size(asked, None), None
    if _is_short(requests):
        return Size(100 if _is_quick(requests[0]) else 8, None), None
    try:
        run = prepare(schema_check.check(requests[0]))
    except Exception:  # whatever it is, training the run will say it, and record it
        return Size(100, None), None
    if why := why_alone(run.model, run.rows.inputs[:2]):
        return _ALONE, why
    where = hardware.of_run(run.request)
    with numerics.as_asked(run.request):
        size = fastest(run, min(len(requests), 256 if where.type == "cpu" else 4096), where)
    return size, "on this machine a stack of them takes longer than one after another" if size.runs == 1 else None


def _why_alone(requests: Sequence[dict[str, Any]]) -> str | None:
    """What in their requests keeps runs, alike but for what a stack may differ in, from training as one; None where nothing does."""
    request = requests[0]
    if int(request["fused"]["size"]) == 1:
        return "fused.size=1"
    if (precision := request["trainer"]["precision"]) not in ("32-true", "tf32"):
        return f"a stack is trained in 32 bits, and they are not (trainer.precision={precision})"
    if "stateful" in compatibility.facts(request["loss"]):
        return "their loss keeps numbers of its own, which a stack does not carry"
    if why := _loss_alone(request):
        return why
    if not card("optimizer", request["optimizer"]["name"]).about.get("stacked"):
        return "their optimizer is none of those that a stack has"
    return "no other run shares its data, model, optimizer, batch size and epochs" if len(requests) < LEAST else None


def _is_short(requests: Sequence[dict[str, Any]]) -> bool:
    """Whether runs like the first of these have too few steps for a measurement to pay, as far as that is known."""
    request = requests[0]
    if (rows := schema_check.known_rows(request["data"])) is None:
        return False
    steps = schema_check.split_sizes(request["data"], rows)["train"] // request["data"]["batch_size"]
    return bool(len(requests) * steps * request["trainer"]["max_epochs"] < (_MANY if _is_quick(request) else _SOME))


def _is_quick(request: dict[str, Any]) -> bool:
    return bool(card("model", request["model"]["name"]).about.get("quick", False))


def _shared(request: dict[str, Any]) -> str:
    """What runs of one stack must agree in, as text."""
    agreed = {key: request[key] for key in ("task", "data", "model", "trainer", "logger")}
    agreed["data"] = {
        key: value for key, value in request["data"].items() if key != "test_seed"
    }  # as seeds, it may differ
    task, loss = request["task"]["name"], request["loss"]
    agreed |= {"optimizer": request["optimizer"]["name"], "fused": request["fused"]}
    if schema_check.uneven(request["data"]):
        agreed["sizes"] = _sizes(request)
    agreed |= {"heads": compatibility.heads(task, loss), "stateful": "stateful" in compatibility.facts(loss)}
    agreed |= {"alone": _loss_alone(request)}
    return json.dumps(agreed, sort_keys=True)


def _sizes(request: dict[str, Any]) -> Any:
    """The rows of each part of a run's split, as a stack takes those of all its runs at once; the seed where they are not known."""
    try:
        return data.sizes(request["data"], request["seed"], request["task"]["name"])
    except Exception:  # whatever it is, training the run will say it, and record it
        return request["seed"]


def _loss_alone(request: dict[str, Any]) -> str | None:
    """Why a run's loss cannot be stacked; None where it can."""
    task = request["task"]["name"]
    named = [term["name"] for _, term in compatibility.terms(request["loss"])]
    found = [stacking.of(name, space).why_alone for name in named if (space := compatibility.space(task, name))]
    return next(filter(None, found), None)
