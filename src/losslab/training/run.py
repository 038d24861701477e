"""One run, from a checked request to its record: the file to read first."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from losslab import hardware
from losslab.records import files, provenance
from losslab.records.locks import locked
from losslab.records.record import Record
from losslab.records.run_folder import check_folder, check_writable, clear_folder, write_config
from losslab.records.store import finished_record, outdated, quarantine_truncated
from losslab.safe_points import check
from losslab.schema import check as schema_check
from losslab.schema import devices
from losslab.seeding import globals_restored
from losslab.training import numerics, threads, trainer
from losslab.training.data_parallel import ALONE, Group
from losslab.training.module import RunModule
from losslab.training.prepare import Prepared, prepare
from losslab.training.processes import together
from losslab.training.tensorboard import write_curves_anew


def run(
    request: Mapping[str, Any], folder: Path | str, bar: bool = True, study: Mapping[str, Any] | None = None
) -> Record:
    """Trains what `request` asks for, in `folder`, and returns the record that it leaves there.

    A run that is finished is not repeated: its record is returned. One that was stopped goes on from its last checkpoint, to
    the end it would have had.

    Args:
        request: a composed config, as `losslab.compose("loss=l1", "seed=3")` gives.
        folder: where config.yaml, record.json, events and checkpoints go; made where it is missing.
        bar: whether a terminal shows how far it is.
        study: which part of which study it is, for its record.

    Raises:
        losslab.BadRequest: before anything is written, for a request that cannot be met, as where another process is
            training this run.
        KeyboardInterrupt: after Ctrl-C; the same call goes on from the last finished epoch.
    """
    request, folder = schema_check.check(request), Path(folder)
    check_writable(folder)
    check_folder(folder, request)
    return run_checked(request, folder, bar, study)


def run_checked(
    request: dict[str, Any], folder: Path, bar: bool = True, study: Mapping[str, Any] | None = None
) -> Record:
    """What `run` does for a request and a folder that are checked."""
    with locked([folder]):
        if record := finished_record(folder, request):
            return record
        if old := outdated(folder, request):
            provenance.warn_of_outdated([old])
            clear_folder(folder)
        return train(request, folder, bar, study)


@globals_restored()
def train(
    request: dict[str, Any],
    folder: Path,
    bar: bool = False,
    study: Mapping[str, Any] | None = None,
    most_threads: int | None = None,
) -> Record:
    """What `run` does for a checked request whose run is not finished, and whose folder is locked by this process."""
    hardware.check_count(request)  # refused before anything is written
    quarantine_truncated(folder)
    if (count := devices.count(request)) > 1:
        on_gpus = hardware.of_run(request).type == "cuda"
        most = most_threads or threads.share(count)
        return cast(Record, together(count, on_gpus, _train, request, folder, bar, study, most))
    return cast(Record, _train(ALONE, request, folder, bar, study, most_threads))


def _train(
    group: Group,
    request: dict[str, Any],
    folder: Path,
    bar: bool,
    study: Mapping[str, Any] | None,
    most_threads: int | None,
) -> Record | None:
    """The record; of processes that train together only the first has it."""
    started = time.perf_counter()
    with numerics.as_asked(request):
        parts = prepare(request)
        group.check(parts.model, parts.rows.inputs[: parts.batches.batch_size])
        with threads.using(parts.threads(), most_threads):
            return _fit(parts, folder, bar, study, started, group)


def _fit(
    parts: Prepared, folder: Path, bar: bool, study: Mapping[str, Any] | None, started: float, group: Group
) -> Record | None:
    request = parts.request
    pairing = parts.pairing()
    made_by = provenance.stamp([pairing])

    resumed = group.of_first(lambda: open_folder(folder, request, made_by))
    module = RunModule(
        parts.task,
        parts.model,
        parts.loss,
        parts.rows,
        parts.split,
        request["optimizer"],
        request["penalty"],
        parts.steps,
        trainer.precision(request),
        request["seed"],
        parts.weights,
        group,
    )
    module.origin = made_by
    if not group.leads:
        trainer.fit(trainer.build_follower(request), module, parts.batches, resumed)
        return None
    seen = parts.snapshot(lambda numbers: module.raw(numbers).cpu())
    fitter = trainer.build(request, parts.task, seen, folder, bar)
    ready = time.perf_counter()
    trainer.fit(fitter, module, parts.batches, resumed)
    trained = time.perf_counter()
    fit_seconds = module.fit_seconds

    check()
    metrics = module.evaluate("last")
    last = copy.deepcopy(module.state_dict())
    best = torch.load(folder / "checkpoints" / "best.ckpt", map_location=module.device, weights_only=True)
    module.load_state_dict(best["state_dict"])
    metrics |= module.evaluate("best")
    trainer.draw_figures(fitter, best["global_step"])
    module.load_state_dict(last)
    trainer.draw_figures(fitter, fitter.global_step)
    record = parts.record(
        **outcome(module.diverged_in, parts.epochs),
        best_epoch=best["epoch"] + 1,
        metrics=metrics,
        curves=module.curves,
        pairing=pairing,
        seconds={
            "setup": ready - started,
            "fit": fit_seconds,
            "total": ready - started + fit_seconds + time.perf_counter() - trained,
        },
        device=hardware.describe(module.device, group.size),
        study=study,
    )
    trainer.log_results(fitter, record, folder)
    record.write(folder)
    return record


def open_folder(folder: Path, request: Mapping[str, Any], made_by: Mapping[str, Any]) -> Path | None:
    """Makes the folder of a run, with its config; returns the checkpoint that it is to go on from, if it was stopped before."""
    last = folder / "checkpoints" / "last.ckpt"
    resumed = not request["overwrite"] and _can_go_on(folder, made_by, request["logger"]["name"] == "tensorboard")
    if not resumed:
        clear_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, request)
    return last if resumed else None


def outcome(diverged_in: int | None, epochs: int) -> dict[str, Any]:
    """Status, reason and epochs of a run that trained."""
    if diverged_in:
        reason = f"the loss or a prediction was not finite in epoch {diverged_in}"
        return {"status": "diverged", "reason": reason, "epochs": diverged_in}
    return {"status": "done", "reason": None, "epochs": epochs}


def _can_go_on(folder: Path, made_by: Mapping[str, Any], logs: bool) -> bool:
    """Whether a folder holds the checkpoints of a lone run, `made_by` the same, that has not diverged. All others start anew."""
    checkpoints = folder / "checkpoints"
    last = files.checkpoint(checkpoints / "last.ckpt")
    if last is None or not {"diverged_in", "curves"} <= last.keys() or last["diverged_in"] is not None:
        return False
    if files.checkpoint(checkpoints / "best.ckpt", ("epoch", "state_dict")) is None:
        return False
    if not provenance.is_of(last, made_by, folder):
        return False
    if logs:
        write_curves_anew(folder, last)
    return True
