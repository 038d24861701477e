"""Trains a stack and writes the records of its runs; trains them one by one if they cannot be stacked."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Collection, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from losslab import hardware
from losslab.errors import describe, is_out_of_memory, must_be_written, raise_if_ended
from losslab.events import EpochStarted, Listener, RunFinished, StackHalved, ignore
from losslab.fused.batches import StackedBatches
from losslab.fused.functional import filled
from losslab.fused.losses import loss_key
from losslab.fused.module import FusedModule
from losslab.fused.trial import why_alone
from losslab.hardware import to_cpu
from losslab.records import files
from losslab.records.files import write_whole
from losslab.records.provenance import is_of, stamp
from losslab.records.record import Record, hyperparameters
from losslab.records.store import checkpoints, finished_record
from losslab.safe_points import check
from losslab.sweep.jobs import Job, Stack
from losslab.training import numerics, threads, trainer
from losslab.training.module import outputs_in_use
from losslab.training.prepare import Prepared, prepare
from losslab.training.run import open_folder, outcome, train
from losslab.training.tensorboard import Drawn, write_events


class Unstackable(Exception):
    """Why runs cannot be trained as a stack, in words."""


def train_stack(stack: Stack, folder: Path, listen: Listener = ignore) -> list[Record]:
    """Trains the runs of a stack, each of which leaves in its folder what it would have left alone, and returns their records.

    A run that has its record is not repeated. It trains once more with the others, whose last bits depend on it, unless all
    have theirs. Where runs cannot be stacked they train one by one; where memory ends, in halves. Prints nothing, and can be
    sent to another process: a call that was stopped goes on from the stack's checkpoint when it is repeated.

    Args:
        stack: jobs whose requests are checked and whose folders no other process trains in.
        folder: where the stack keeps its checkpoint while it trains.
        listen: is given a RunFinished for each record as it is written, and EpochStarted and StackHalved.

    Raises:
        Halted: where disk space or file handles end.
        KeyboardInterrupt: after Ctrl-C.
    """
    found = {job.folder: record for job in stack.jobs if (record := finished_record(job.folder, job.request))}
    why, short = stack.why, False
    if len(found) < len(stack.jobs) > 1:
        try:
            for job, record in _train_stack(stack, folder / f"{stack.key}.ckpt", found.keys(), listen):
                found[job.folder] = record
                listen(RunFinished(job, record, stack=stack.key))
        except Unstackable as error:
            why = str(error)
        except Exception as error:
            raise_if_ended(error)
            short = is_out_of_memory(error)
            why = f"its stack failed with {describe(error).splitlines()[0].rstrip('.')}"
    if short:  # not where the error is caught, as it holds the memory of the stack
        gc.collect()
        halves = stack.halves("memory did not hold a second run")
        listen(StackHalved(stack, halves))
        return [record for half in halves for record in train_stack(half, folder, listen)]
    for job in stack.jobs:
        if job.folder not in found:
            found[job.folder] = train_alone(job, stack.processes)
            listen(RunFinished(job, found[job.folder], alone=why or "one run"))
    return [found[job.folder] for job in stack.jobs]


def train_alone(job: Job, processes: int = 1) -> Record:
    """Trains one job by itself, in one of so many processes. An error is recorded, with its traceback, and does not stop the sweep."""
    try:
        return train(job.request, job.folder, study=job.part, most_threads=threads.share(processes))
    except Exception as error:
        raise_if_ended(error)
        return untrained(job, "failed", describe(error), traceback=traceback.format_exc())


def untrained(job: Job, status: str, reason: str, **rest: Any) -> Record:
    """Writes the record of a job that was not trained to an end."""
    record = Record.of(job.request, status, reason, study=job.part, **rest)
    with must_be_written():
        job.folder.mkdir(parents=True, exist_ok=True)
        record.write(job.folder)
    return record


class _Epochs(Callback):
    """Gives the beginning of each epoch of a stack to a listener."""

    def __init__(self, stack: Stack, listen: Listener) -> None:
        self.runs, self.key, self.listen = len(stack.jobs), stack.key, listen

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning calls this."""
        self.listen(EpochStarted(self.runs, trainer.current_epoch, trainer.max_epochs or 0, self.key))


def _train_stack(
    stack: Stack, checkpoint: Path, finished: Collection[Path], listen: Listener
) -> Iterator[tuple[Job, Record]]:
    """Trains a stack as one, and gives each record once it is written; but for runs that had theirs before."""
    started, had_records = time.perf_counter(), frozenset(finished)
    pairs = sorted(((prepare(job.request), job) for job in stack.jobs), key=lambda pair: loss_key(pair[0]))
    runs = [parts for parts, _ in pairs]
    if why := why_alone(runs[0].model, runs[0].rows.inputs[:2]):
        raise Unstackable(why)
    if len({tuple(len(rows) for rows in parts.split.values()) for parts in runs}) > 1:
        raise Unstackable("the parts of their splits differ in size")
    pairings = [parts.pairing() for parts in runs]
    module, batches = FusedModule(runs), StackedBatches(runs)
    module.origin = stamp(pairings)
    count = stack.threads or runs[0].threads(len(runs))
    with numerics.as_asked(runs[0].request), threads.using(count, threads.share(stack.processes)):
        described = hardware.describe(hardware.of_run(runs[0].request))
        fitter = trainer.build_for_stack(runs[0].request, checkpoint, [_Epochs(stack, listen)])
        ready = time.perf_counter()
        kept = files.checkpoint(checkpoint, onward="its stack begins anew")
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
        if job.folder in had_records:
            continue
        record = parts.record(
            **outcome(module.diverged_in[number], parts.epochs),
            best_epoch=module.best_epoch[number],
            metrics=last[number] | best[number],
            curves=[values for _, values in module.curves[number]],
            pairing=pairings[number],
            fused=len(runs),
            engine=module.executed,
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
    states = (("best", module.best, module.best_epoch[number]), ("last", module.flat, record.epochs))
    drawn, draws = Drawn(), bool(parts.request["logger"]["figures"])
    for path, (which, flat, epoch) in zip(checkpoints(folder), states, strict=True):
        carried = {name: to_cpu(tensor[number]) for name, tensor in module.carried(which).items()}
        model = filled(parts.model, to_cpu(flat[number].detach()), carried)
        state = {f"task.{key}": value for key, value in parts.task.state_dict().items()}
        state |= {f"model.{key}": value for key, value in model.state_dict().items()}
        content = BytesIO()  # to a path torch writes itself, and does not say what went wrong
        torch.save({"epoch": epoch - 1, "global_step": epoch * steps, "state_dict": state}, content)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, content.getvalue(), lasting=False)
        if draws and (which == "last" or epoch < record.epochs):
            raw = partial(outputs_in_use, model, parts.rows.inputs, seed=record.seed)
            parts.task.draw(drawn, epoch * steps, parts.snapshot(raw))
    if parts.request["logger"]["name"] == "tensorboard":
        write_events(folder, module.curves[number], drawn, *hyperparameters(record))
    record.write(folder)
