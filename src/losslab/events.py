"""TensorBoard events of a run written at once: no thread and no open file for each of hundreds of runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import hparams

Curve = Sequence[tuple[int, Mapping[str, float]]]  # (step, tag -> value)


def write_events(folder: Path, curve: Curve, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    """Writes curves, hyperparameters and final metrics of one run into one event file in `folder`."""
    now, last = time.time(), curve[-1][0] if curve else 0
    events = [Event(wall_time=now, file_version="brain.Event:2")]
    events += [Event(wall_time=now, step=step, summary=_scalars(values)) for step, values in curve]
    events += [Event(wall_time=now, summary=summary) for summary in session(settings, metrics)]
    events.append(Event(wall_time=now, step=last, summary=_scalars(metrics)))
    with (folder / f"events.out.tfevents.{int(now)}.fused").open("wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())


def session(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> list[Summary]:
    """What TensorBoard's HParams tab reads of a run: its settings, and that it is over.

    torch would also list the columns of the tab, and TensorBoard would then show those of one run for all.
    """
    _, *summaries = cast(tuple[Summary, ...], hparams(dict(settings), dict(metrics)))
    return summaries


def _scalars(values: Mapping[str, float]) -> Summary:
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
