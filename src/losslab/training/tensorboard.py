"""TensorBoard events of a run written at once: no thread and no open file for each of hundreds of runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub import errors
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import hparams

from losslab.records import files as records_files

Curve = Sequence[tuple[int, Mapping[str, float]]]  # (step, tag -> value)


def write_events(folder: Path, curve: Curve, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    """Writes curves, hyperparameters and final metrics of one run into one event file in `folder`."""
    last = curve[-1][0] if curve else 0
    summaries = [(step, _scalars(values)) for step, values in curve]
    summaries += [(0, summary) for summary in session(settings, metrics)]
    _write(folder, "fused", [*summaries, (last, _scalars(metrics))])


def mend_events(folder: Path, checkpoint: Mapping[str, Any]) -> None:
    """Where event files of a stopped run are corrupt, or lack an epoch before its checkpoint, all are set aside.

    The curves up to the checkpoint are then written anew; pictures stay in the files that were set aside.
    """
    files = sorted(folder.glob("events.out.tfevents.*"))
    curves = checkpoint["curves"]
    steps = checkpoint["global_step"] // max(1, len(curves))  # of an epoch
    logged: set[int] = set()
    whole = True
    for path in files:
        found = _logged(path)
        whole, logged = whole and found is not None, logged | (found or set())
    if not files or (whole and {steps * epoch for epoch, _ in enumerate(curves, 1)} <= logged):
        return
    for path in files:
        records_files.quarantine(path, "the run's curves are written anew")
    _write(folder, "mended", [(steps * epoch, _scalars(values)) for epoch, values in enumerate(curves, 1)])


def session(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> list[Summary]:
    """What TensorBoard's HParams tab reads of a run: its settings, and that it is finished.

    torch would also list the columns of the tab, and TensorBoard would then show those of one run for all.
    """
    _, *summaries = cast(tuple[Summary, ...], hparams(dict(settings), dict(metrics)))
    return summaries


def _logged(path: Path) -> set[int] | None:
    """The steps of the training losses in an event file; None where it is corrupt."""
    reader, steps = PyRecordReader_New(str(path)), set()
    try:
        while True:
            reader.GetNext()
            event = Event.FromString(reader.record())
            if any(value.tag == "train/loss" for value in event.summary.value):
                steps.add(int(event.step))
    except errors.OutOfRangeError:  # the end
        return steps
    except errors.DataLossError:
        return None


def _write(folder: Path, kind: str, summaries: Iterable[tuple[int, Summary]]) -> None:
    now = time.time()
    with (folder / f"events.out.tfevents.{int(now)}.{kind}").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        for step, summary in summaries:
            writer.write(Event(wall_time=now, step=step, summary=summary).SerializeToString())


def _scalars(values: Mapping[str, float]) -> Summary:
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
