"""Trains a stack and writes the records of its runs; trains them one by one if they cannot be stacked."""

from __future__ import annotations

import copy
import gc
import time
import traceback
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from losslab import hardware
from losslab.errors import describe, is_out_of_memory, must_be_written, raise_if_ended
from losslab.events import EpochStarted, Listener, RunFinished, StackHalved, ignore
from losslab.fused.batches import StackedBatches
from losslab.fused.losses import loss_key
from losslab.fused.module import FusedModule
from losslab.fused.trial import why_alone
from losslab.records import files, stacks
from losslab.records.provenance import is_of, stamp
from losslab.records.record import Record
from losslab.records.store import finished_record
from losslab.safe_points import check
from losslab.sweep import writing
from losslab.sweep.jobs import Job, Stack
from losslab.sweep.writing import Trained
from losslab.training import numerics, threads, trainer
from losslab.training.prepare import prepare_all
from losslab.training.run import outcome, train


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
    with stacks.looked_at_once():
        found = {job.folder: record for job in stack.jobs if (record := finished_record(job.folder, job.request))}
    why, short, key = stack.why, False, stack.key
    if len(found) < len(stack.jobs) > 1:
        try:
            for job, record in _train_stack(stack, folder / f"{key}.ckpt", found.keys(), listen):
                found[job.folder] = record
                listen(RunFinished(job, record, stack=key))
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
    prepared = prepare_all([job.request for job in stack.jobs])
    pairs = sorted(zip(prepared, stack.jobs, strict=True), key=lambda pair: loss_key(pair[0]))
    runs = [parts for parts, _ in pairs]
    if why := why_alone(runs[0].model, runs[0].rows.inputs[:2]):
        raise Unstackable(why)
    if len({tuple(len(rows) for rows in parts.split.values()) for parts in runs}) > 1:
        raise Unstackable("the parts of their splits differ in size")
    pairings = [parts.pairing() for parts in runs]
    module, batches = FusedModule(runs, stack.engine), StackedBatches(runs)
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
        ended = time.perf_counter()
        last, best = module.evaluate(module.flat.detach(), "last"), module.evaluate(module.best, "best")
    seconds = {"setup": ready - started, "fit": fit_seconds}
    seconds["total"] = sum(seconds.values()) + time.perf_counter() - ended
    share = {name: value / len(runs) for name, value in seconds.items()}
    left = [number for number, (_, job) in enumerate(pairs) if job.folder not in had_records]
    records = {
        number: pairs[number][0].record(
            **outcome(module.diverged_in[number], module.runs[number].epochs),
            best_epoch=module.best_epoch[number],
            metrics=last[number] | best[number],
            curves=[values for _, values in module.curves[number]],
            pairing=pairings[number],
            fused=len(runs),
            engine=module.executed,
            seconds=share,
            device=described,
            study=pairs[number][1].part,
        )
        for number in left
    }
    trained, model = Trained.of(module), copy.deepcopy(runs[0].model)
    if stack.together:
        writing.write_together(stack.key, {pairs[n][1].folder: (record, n) for n, record in records.items()}, trained)
    for number, record in records.items():
        check()
        parts, job = pairs[number]
        if not stack.together:
            writing.write_folder(job.folder, parts, model, trained.run(number), record)
        yield job, record
    checkpoint.unlink(missing_ok=True)
