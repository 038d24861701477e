"""The runs of a sweep: what is finished is recognised, the rest is planned as stacks and trained."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from losslab import errors, hardware
from losslab.errors import halting
from losslab.events import Event, Listener, RunFinished, StackHalved, SweepEnded, SweepPlanned, SweepStarted, ignore
from losslab.hardware import keep_freed_memory
from losslab.records import stacks
from losslab.records.locks import locked, remove_stale
from losslab.records.provenance import warn_of_outdated
from losslab.records.record import Record
from losslab.records.run_folder import check_folder, check_writable, clear_folder
from losslab.records.store import finished_record, outdated, quarantine_truncated
from losslab.safe_points import check
from losslab.schema import canonical, devices
from losslab.schema import check as schema_check
from losslab.seeding import globals_restored
from losslab.sweep import forecast, head
from losslab.sweep.engines import Engine
from losslab.sweep.executors import train_stacks
from losslab.sweep.forecast import Forecast
from losslab.sweep.jobs import Job, Stack
from losslab.sweep.planning import plan
from losslab.sweep.resume import Resumption
from losslab.sweep.training import untrained

_MANY = 1000  # runs above which folders are a burden: 6,000 files, which TensorBoard cannot show


@dataclass(frozen=True)
class Outcome:
    """What came of a sweep.

    Attributes:
        records: in the order of the jobs.
        stacked: how many were trained in stacks.
        alone: why others trained alone.
        finished: which had finished before.
        processes: in how many processes the others were trained.
    """

    records: list[Record]
    stacked: int
    alone: Counter[str]
    finished: Sequence[Record] = ()
    processes: int = 1


@globals_restored()
def train_all(
    jobs: Sequence[Job],
    listen: Listener = ignore,
    spread: bool = False,
    engine: Engine | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Trains every job that is not finished. Each step, and each record, is given to the listener as an event.

    Args:
        jobs: which runs.
        listen: is given the events.
        spread: whether they may be trained in several processes where fused.processes does not say. Python imports the program
            that was started in each of them, so only a command may say yes.
        engine: whose workers train them, below its folder; None: this process does.
        dry_run: whether they are only planned; then the outcome holds no records.

    Raises BadRequest, before anything is trained or removed, where a job is wrong in itself, or its folder cannot be written,
    would hold two runs, or holds one that another process is training; Halted where space or handles end.
    """
    asked: dict[Path, Job] = {}
    for parent in {job.folder.parent: None for job in jobs}:
        stacks.repair(parent)
    for job in jobs:
        other = asked.setdefault(job.folder, job)
        if other is not job and canonical.id_of(other.request) != canonical.id_of(job.request):
            raise errors.BadRequest(f"Two runs would share the folder {job.folder}; leave hydra.sweep.subdir as it is.")
    with stacks.looked_at_once():
        finished = {folder: record for folder, job in asked.items() if (record := finished_record(folder, job.request))}
    finished = {folder: record for folder, record in finished.items() if not _moved(asked[folder], record)}
    left = [job for folder, job in asked.items() if folder not in finished]
    for folder in {job.folder if job.folder.exists() else job.folder.parent: None for job in left}:
        check_writable(folder)
    for job in left:
        check_folder(job.folder, job.request)
        devices.refuse_for_many(job.request)
    misfits = {job.folder: why for job in left if (why := _misfit(job))}
    for request in {tuple(job.request["trainer"].values()): job.request for job in left}.values():
        hardware.of_run(request)
    if engine:
        _check_below(asked, engine.root)
    if dry_run:
        fit = [job for job in left if job.folder not in misfits]
        workers = engine.workers if engine else 0
        listen(SweepPlanned(_forecast(plan(fit, spread, workers, _together(jobs)) if fit else [], engine)))
        return Outcome([], 0, Counter())
    remove_stale(finished)
    with halting():
        if engine is None:
            with locked(job.folder for job in left):
                return _train_all(jobs, finished, misfits, listen, spread)
        head.check_folder(engine)
        resumption = Resumption(jobs, engine.root)
        try:
            with locked([resumption.folder], head.LOCK):  # workers hold the locks on the runs
                return _train_all(jobs, finished, misfits, listen, spread, engine)
        finally:
            resumption.remove_empty()


def _check_below(folders: Iterable[Path], root: Path) -> None:
    """Raises BadRequest where workers, who are given the folder of a sweep, would not find one of its runs."""
    for folder in folders:
        if not Path(os.path.normpath(folder.absolute())).is_relative_to(root):
            raise errors.BadRequest(
                f"The run {folder} would lie outside {root}, which is all that workers share; leave hydra.sweep.subdir as it is."
            )


def _forecast(planned: Sequence[Stack], engine: Engine | None) -> Forecast:
    if engine:
        return forecast.of(planned, engine.workers, engine.gpus, engine.share)
    processes = min([len(planned), *(stack.processes for stack in planned)])
    on_gpu = any(hardware.of_run(stack.jobs[0].request).type != "cpu" for stack in planned)
    return forecast.of(planned, processes, float(on_gpu))


def _train_all(
    jobs: Sequence[Job],
    finished: Mapping[Path, Record],
    misfits: Mapping[Path, str],
    listen: Listener,
    spread: bool,
    engine: Engine | None = None,
) -> Outcome:
    records: dict[Path, Record] = {}
    had_records: list[Record] = []
    open_jobs: list[Job] = []
    old: list[list[str]] = []  # of each open job, which files of the user's have changed since it finished
    anew: list[Path] = []
    seen: set[Path] = set()
    with stacks.looked_at_once():  # once more, as no other process can train them now
        missing = [job for job in jobs if job.folder not in finished]
        finished = dict(finished) | {
            job.folder: record for job in missing if (record := finished_record(job.folder, job.request))
        }
    for job in jobs:
        check()
        if job.folder in seen:  # the same run asked for twice
            continue
        seen.add(job.folder)
        if record := finished.get(job.folder):
            if _moved(job, record):
                record = replace(record, study=job.part)
                record.write(job.folder)
            records[job.folder] = record
            had_records.append(record)
            listen(RunFinished(job, record, again=True))
        elif reason := misfits.get(job.folder):
            records[job.folder] = untrained(job, "skipped", reason)
            listen(RunFinished(job, records[job.folder]))
        else:
            open_jobs.append(job)
            old.append(outdated(job.folder, job.request))
            quarantine_truncated(job.folder)
            if job.request["overwrite"] or old[-1]:
                anew.append(job.folder)
    with locked(anew) if engine else nullcontext():  # else this process holds the locks already
        for folder in anew:
            clear_folder(folder)  # all at once: if this is stopped, the command without it knows what is left
        stacks.remove(anew)
    warn_of_outdated(old)
    keep_freed_memory()
    resumption = Resumption(jobs, engine.root if engine else None)
    workers = engine.workers if engine else 0
    stacked, alone = 0, Counter[str]()

    def note(event: Event) -> None:
        nonlocal stacked
        if isinstance(event, StackHalved):
            resumption.note_halves(event.stack, event.halves)
        if isinstance(event, RunFinished):
            if event.job.folder in records:  # its process ended after it had said so
                return
            records[event.job.folder] = event.record
            stacked += event.alone is None
            alone.update(filter(None, [event.alone]))
        listen(event)

    listen(SweepStarted(len(open_jobs), sum(job.request["trainer"]["max_epochs"] for job in open_jobs)))
    planned = resumption.stacks(open_jobs, partial(plan, spread=spread, workers=workers, together=_together(jobs)))
    if engine and planned:
        planned = forecast.largest_first(planned)
        expected = _forecast(planned, engine)
        listen(SweepPlanned(expected))
        count = head.train_by_workers(planned, resumption.folder, engine, expected, note)
    else:
        count = train_stacks(planned, resumption.folder, note)
    listen(SweepEnded())
    resumption.clear()
    return Outcome([records[job.folder] for job in jobs], stacked, alone, had_records, count)


def _together(jobs: Sequence[Job]) -> bool:
    """Whether stacks leave a few files for all their runs."""
    asked = {job.request["store"] for job in jobs}
    return "stacks" in asked or ("auto" in asked and len(jobs) > _MANY)


def _moved(job: Job, record: Record) -> bool:
    """Whether a run was trained for an earlier form of the study that it is now part of."""
    return bool(job.part) and record.study != job.part


def _misfit(job: Job) -> str | None:
    """Why the parts of a job do not fit one another, or None."""
    try:
        schema_check.check_parts(job.request)
    except errors.Incompatible as error:
        return str(error)
    return None
