"""The runs of a sweep: what is over is recognised, what can be stacked is trained as one, the rest alone."""

from __future__ import annotations

import gc
import json
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from losslab import config, device, numerics, threads, torn, trainer
from losslab.claim import claimed, forget
from losslab.device import keep_freed_memory, to_cpu
from losslab.events import write_events
from losslab.folder import check_folder, check_writable, clear_folder
from losslab.fused import FusedModule, StackedBatches
from losslab.interrupts import check
from losslab.jobs import Job, Stack
from losslab.machine import halting, is_out_of_memory, must_be_written, raise_if_ended
from losslab.origin import is_of, stamp, tell_outdated
from losslab.pace import fastest
from losslab.pairing import globals_restored
from losslab.progress import StackEpochs, SweepBar
from losslab.record import Record, checkpoints, finished, hyperparameters, outdated, set_cut_aside, write_whole
from losslab.resume import Resumption
from losslab.run import Prepared, open_folder, outcome, prepare, train
from losslab.stacked import unflatten_parameters, why_alone
from losslab.stacked_losses import loss_key
from losslab.values import told

Tell = Callable[[Job, Record, bool], None]  # a run is over; True where it was over before
_LEAST = 2  # runs that are worth a stack
_SOME, _MANY = 300, 5000  # steps of all runs from which measuring the fastest stack pays: slow ones, and quick ones


class Unstackable(Exception):
    """Why runs cannot be trained as a stack, in words."""


@dataclass(frozen=True)
class Outcome:
    """What came of a sweep: records in the order of the jobs, how many were stacked, why others trained alone, and what was over."""

    records: list[Record]
    stacked: int
    alone: Counter[str]
    over: Sequence[Record] = ()


def plan(jobs: Sequence[Job]) -> list[Stack]:
    """Groups jobs that differ only in what a stack may differ in, and cuts the groups to a size that suits the machine."""
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[_shared(job.request)].append(job)
    stacks = []
    for group in groups.values():
        size, count, why = stack_size([job.request for job in group])
        if size < _LEAST or why:
            stacks += [Stack([job], why) for job in group]
        else:
            number = -(-len(group) // size)  # stacks of nearly one size rather than a small last one
            even = -(-len(group) // number)
            stacks += [Stack(group[start : start + even], threads=count) for start in range(0, len(group), even)]
    return stacks


def stack_size(requests: Sequence[dict[str, Any]]) -> tuple[int, int | None, str | None]:
    """How many of some runs, alike but for what a stack may differ in, train as one; on how many threads; why not more.

    The number of threads is None where it was not measured, and the reason where several are stacked. Measured on a few steps
    where there is enough to train for that to pay. Elsewhere a rule: 100 for fully connected models, which on two cores gain
    up to some 50 and lose nothing at 300, and 8 for others, which gain less.
    """
    request = requests[0]
    asked = int(request["fused"]["size"])
    if asked == 1:
        return 1, None, "fused.size=1"
    if (precision := request["trainer"]["precision"]) not in ("32-true", "tf32"):
        return 1, None, f"a stack is trained in 32 bits, and they are not (trainer.precision={precision})"
    if "stateful" in config.facts(request["loss"]):
        return 1, None, "their loss keeps numbers of its own, which a stack does not carry"
    if len(requests) < _LEAST:
        return 1, None, "no other run shares its data, model, optimizer, batch size and epochs"
    if asked:
        return asked, None, None
    layers = request["model"]["name"] in ("linear", "mlp")
    steps = config.split_sizes(request["data"])["train"] // request["data"]["batch_size"]
    if len(requests) * steps * request["trainer"]["max_epochs"] < (_MANY if layers else _SOME):
        return 100 if layers else 8, None, None
    try:
        run = prepare(config.check(request))
    except Exception:  # whatever it is, training the run will say it, and record it
        return 100, None, None
    if why := why_alone(run.model, run.rows.inputs[:2]):
        return 1, None, why
    where = device.of_run(request)
    with numerics.as_asked(request):
        size, count = fastest(run, min(len(requests), 256 if where.type == "cpu" else 1024), where)
    return size, count, "on this machine a stack of them takes longer than one after another" if size == 1 else None


@globals_restored()
def train_all(jobs: Sequence[Job], tell: Tell) -> Outcome:
    """Trains every job that is not over, and tells of each as it ends.

    Raises BadRequest, before anything is trained or removed, where a job is wrong in itself, or its folder cannot be written,
    would hold two runs, or holds one that another process is training; Halted where space or handles end.
    """
    asked: dict[Path, Job] = {}
    for job in jobs:
        other = asked.setdefault(job.folder, job)
        if other is not job and config.run_id(other.request) != config.run_id(job.request):
            raise config.BadRequest(f"Two runs would share the folder {job.folder}; leave hydra.sweep.subdir as it is.")
    over = {folder: record for folder, job in asked.items() if (record := finished(folder, job.request))}
    over = {folder: record for folder, record in over.items() if not _moved(asked[folder], record)}
    left = [job for folder, job in asked.items() if folder not in over]
    for folder in {job.folder if job.folder.exists() else job.folder.parent: None for job in left}:
        check_writable(folder)
    for job in left:
        check_folder(job.folder, job.request)
    misfits = {job.folder: why for job in left if (why := _misfit(job))}
    for request in {tuple(job.request["trainer"].values()): job.request for job in left}.values():
        device.of_run(request)
    forget(over)
    with halting(), claimed(job.folder for job in left):
        return _train_all(jobs, over, misfits, tell)


def _train_all(jobs: Sequence[Job], over: Mapping[Path, Record], misfits: Mapping[Path, str], tell: Tell) -> Outcome:
    records: dict[Path, Record] = {}
    were_over: list[Record] = []
    open_jobs: list[Job] = []
    old: list[list[str]] = []  # of each open job, which files of the user's have changed since it was over
    seen: set[Path] = set()
    for job in jobs:
        check()
        if job.folder in seen:  # the same run asked for twice
            continue
        seen.add(job.folder)
        if record := over.get(job.folder) or finished(job.folder, job.request):
            if _moved(job, record):
                record = replace(record, study=job.part)
                record.write(job.folder)
            records[job.folder] = record
            were_over.append(record)
            tell(job, record, True)
        elif reason := misfits.get(job.folder):
            records[job.folder] = _record(job, "skipped", reason)
            tell(job, records[job.folder], False)
        else:
            open_jobs.append(job)
            old.append(outdated(job.folder, job.request))
            set_cut_aside(job.folder)
            if job.request["overwrite"] or old[-1]:
                clear_folder(job.folder)  # all at once: if this is stopped, the command without it knows what is left
    tell_outdated(old)
    keep_freed_memory()
    resumption = Resumption(jobs)
    stacked, alone = 0, Counter[str]()
    with SweepBar(len(open_jobs), sum(job.request["trainer"]["max_epochs"] for job in open_jobs)) as bar:
        for stack in resumption.stacks(open_jobs, plan):
            for job, record, why in train_stack(stack, bar, resumption):
                records[job.folder] = record
                stacked, alone = stacked + (why is None), alone + Counter(filter(None, [why]))
                bar.finish(job.request["trainer"]["max_epochs"])
                tell(job, record, False)
    resumption.clear()
    return Outcome([records[job.folder] for job in jobs], stacked, alone, were_over)


def train_stack(stack: Stack, bar: SweepBar, resumption: Resumption) -> Iterator[tuple[Job, Record, str | None]]:
    """Trains one stack and gives its records, and for a run that trained alone the reason.

    Where it cannot be stacked its runs train alone; where memory ends, in halves.
    """
    left = {job.folder: job for job in stack.jobs if job.folder not in stack.over}
    why, short = stack.why, False
    if left and len(stack.jobs) >= _LEAST:
        try:
            for job, record in _train_stack(stack, bar, resumption.checkpoint(stack)):
                del left[job.folder]
                yield job, record, None
        except Unstackable as error:
            why = str(error)
        except Exception as error:
            raise_if_ended(error)
            short = is_out_of_memory(error)
            why = f"its stack failed with {told(error).splitlines()[0]}"
    if short:  # not where the error is caught, as it holds the memory of the stack
        gc.collect()
        over = frozenset(job.folder for job in stack.jobs) - left.keys()
        for half in resumption.halve(replace(stack, over=over), "memory did not hold a second run"):
            yield from train_stack(half, bar, resumption)
        return
    for job in left.values():
        yield job, train_alone(job), why or "one run"


def train_alone(job: Job) -> Record:
    """Trains one job by itself. An error is recorded, with its traceback, and does not stop the sweep."""
    try:
        return train(config.check(job.request), job.folder, study=job.part)
    except Exception as error:
        raise_if_ended(error)
        return _record(job, "failed", told(error), traceback=traceback.format_exc())


def _moved(job: Job, record: Record) -> bool:
    """Whether a run was trained for an earlier form of the study that it is now part of."""
    return bool(job.part) and record.study != job.part


def _misfit(job: Job) -> str | None:
    """Why the parts of a job do not fit one another, or None."""
    try:
        config.check(job.request)
    except config.Incompatible as error:
        return str(error)
    return None


def _record(job: Job, status: str, reason: str, **rest: Any) -> Record:
    """Writes the record of a job that was not trained to an end."""
    record = Record.of(job.request, status, reason, study=job.part, **rest)
    with must_be_written():
        job.folder.mkdir(parents=True, exist_ok=True)
        record.write(job.folder)
    return record


def _shared(request: dict[str, Any]) -> str:
    """What runs of one stack must agree in, as text."""
    agreed = {key: request[key] for key in ("task", "data", "model", "trainer", "logger")}
    task, loss = request["task"]["name"], request["loss"]
    agreed |= {"optimizer": request["optimizer"]["name"], "fused": request["fused"]}
    agreed |= {"heads": config.heads(task, loss), "stateful": "stateful" in config.facts(loss)}
    return json.dumps(agreed, sort_keys=True)


def _train_stack(stack: Stack, bar: SweepBar, checkpoint: Path) -> Iterator[tuple[Job, Record]]:
    started = time.perf_counter()
    pairs = sorted(
        ((prepare(config.check(job.request)), job) for job in stack.jobs), key=lambda pair: loss_key(pair[0])
    )
    runs = [parts for parts, _ in pairs]
    if why := why_alone(runs[0].model, runs[0].rows.inputs[:2]):
        raise Unstackable(why)
    pairings = [parts.pairing() for parts in runs]
    module, batches = FusedModule(runs), StackedBatches(runs)
    module.origin = stamp(pairings)
    with numerics.as_asked(runs[0].request), threads.using(stack.threads or runs[0].threads(len(runs))):
        described = device.describe(device.of_run(runs[0].request))
        fitter = trainer.build_for_stack(runs[0].request, checkpoint, [StackEpochs(bar, len(runs))])
        ready = time.perf_counter()
        kept = torn.checkpoint(checkpoint, onward="its stack begins anew")
        same = kept is not None and is_of(kept, module.origin, f"A stack of {len(runs)} runs")
        del kept  # the weights of a whole stack
        trainer.fit(fitter, module, batches, checkpoint if same else None)
        fit_seconds = module.fit_seconds
        trained = time.perf_counter()
        last, best = module.evaluate(module.flat.detach(), "last"), module.evaluate(module.best, "best")
    seconds = {"setup": ready - started, "fit": fit_seconds}
    seconds["total"] = sum(seconds.values()) + time.perf_counter() - trained
    share = {name: value / len(runs) for name, value in seconds.items()}
    for number, (parts, job) in enumerate(pairs):
        check()
        if job.folder in stack.over:
            continue
        record = parts.record(
            **outcome(module.diverged_in[number], parts.epochs),
            best_epoch=module.best_epoch[number],
            metrics=last[number] | best[number],
            curves=[values for _, values in module.curves[number]],
            pairing=pairings[number],
            fused=len(runs),
            seconds=share,
            device=described,
            study=job.part,
        )
        _write(parts, job.folder, module, number, record)
        yield job, record
    checkpoint.unlink(missing_ok=True)


def _write(parts: Prepared, folder: Path, module: FusedModule, number: int, record: Record) -> None:
    """Leaves what a lone run would have left: config, checkpoints, events, and the record last."""
    open_folder(folder, parts.request | {"overwrite": True}, module.origin)
    steps = parts.batches.steps
    states = ((module.best, module.best_epoch[number]), (module.flat, record.epochs))
    for path, (flat, epoch) in zip(checkpoints(folder), states, strict=True):
        named = unflatten_parameters(parts.model, to_cpu(flat[number].detach()))
        state = {f"task.{key}": value for key, value in parts.task.state_dict().items()}
        state |= {f"model.{key}": value.clone() for key, value in named.items()}
        content = BytesIO()  # to a path torch writes itself, and does not say what went wrong
        torch.save({"epoch": epoch - 1, "global_step": epoch * steps, "state_dict": state}, content)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, content.getvalue(), lasting=False)
    if parts.request["logger"]["name"] == "tensorboard":
        write_events(folder, module.curves[number], *hyperparameters(record))
    record.write(folder)
