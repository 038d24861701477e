"""TensorBoard events of a run written at once: no thread and no open file for each of hundreds of runs."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import google_crc32c
import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard.summary import custom_scalars, histogram, hparams, image

_POSITIVE = 1e-12 * 1.1 ** np.arange(774)
_BINS = [*-_POSITIVE[::-1], 0.0, *_POSITIVE]  # ends of the bins of a histogram, as SummaryWriter has them
Curve = Sequence[tuple[int, Mapping[str, float]]]  # (step, tag -> value)


class Drawn:
    """What a task draws, kept until the events of the run are written. A task takes it for a SummaryWriter."""

    def __init__(self) -> None:
        self.summaries: list[tuple[int, Summary]] = []

    def add_image(self, tag: str, picture: Any, step: int, dataformats: str = "CHW") -> None:
        """Keeps a picture."""
        self.summaries.append((step, image(tag, picture, dataformats=dataformats)))

    def add_histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Keeps a histogram."""
        self.summaries.append((step, histogram(tag, values.cpu().numpy(), _BINS)))


def write_events(
    folder: Path, curve: Curve, drawn: Drawn, settings: Mapping[str, Any], metrics: Mapping[str, float]
) -> None:
    """Writes curves, figures, hyperparameters and final metrics of one run into one event file in `folder`."""
    last = curve[-1][0] if curve else 0
    scalars = [(step, _scalars(values)) for step, values in curve]
    _write(folder, "fused", [*scalars, *drawn.summaries, *_results(settings, metrics, last)])


def write_results(folder: Path, settings: Mapping[str, Any], metrics: Mapping[str, float], step: int) -> None:
    """Writes hyperparameters and final metrics of one run, after its last step, into an event file of their own."""
    _write(folder, "results", _results(settings, metrics, step))


def write_curves_anew(folder: Path, checkpoint: Mapping[str, Any]) -> None:
    """Replaces the event files of a stopped run by one with the curves that its checkpoint holds.

    So what was logged after the checkpoint, or was cut off, needs no repair. Pictures that were drawn before the stop are lost.
    """
    for path in folder.glob("events.out.tfevents.*"):
        path.unlink()
    curves = checkpoint["curves"]
    steps = checkpoint["global_step"] // max(1, len(curves))  # of an epoch
    _write(folder, "resumed", [(steps * epoch, _scalars(values)) for epoch, values in enumerate(curves, 1)])


class Band(NamedTuple):
    """A mean curve and the band around it, epoch by epoch."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def write_bands(folder: Path, bands: Mapping[str, Band]) -> None:
    """Writes mean curves under their own names, and their bands for TensorBoard's tab Custom Scalars; a step is an epoch.

    Replaces what an earlier call has written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("events.out.tfevents.*"):
        path.unlink()
    tags = {name: [name, f"band/{name}/low", f"band/{name}/high"] for name in bands}
    layout = {"mean and band": {name: ["Margin", parts] for name, parts in tags.items()}}
    epochs = max((len(band.mean) for band in bands.values()), default=0)
    each = [
        {
            tag: float(values[epoch])
            for name, band in bands.items()
            for tag, values in zip(tags[name], band, strict=True)
            if epoch < len(values)
        }
        for epoch in range(epochs)
    ]
    scalars = [(epoch, _scalars(values)) for epoch, values in enumerate(each, 1)]
    _write(folder, "summary", [(0, custom_scalars(layout)), *scalars])


def _results(settings: Mapping[str, Any], metrics: Mapping[str, float], step: int) -> list[tuple[int, Summary]]:
    """What TensorBoard's HParams tab reads of a run, its settings and that it is finished; and its final metrics.

    torch would also list the columns of the tab, and TensorBoard would then show those of one run for all.
    """
    _, *session = cast(tuple[Summary, ...], hparams(dict(settings), dict(metrics)))
    return [*((0, summary) for summary in session), (step, _scalars(metrics))]


def _write(folder: Path, kind: str, summaries: Iterable[tuple[int, Summary]]) -> None:
    now = time.time()
    events = [Event(wall_time=now, file_version="brain.Event:2")]
    events += [Event(wall_time=now, step=step, summary=summary) for step, summary in summaries]
    content = b"".join(_framed(event.SerializeToString()) for event in events)
    (folder / f"events.out.tfevents.{int(now)}.{kind}").write_bytes(content)


def _framed(event: bytes) -> bytes:
    """An event as event files hold it: its length and its bytes, each with its sum. TensorBoard's own takes 60 ns a byte for these."""
    length = struct.pack("<Q", len(event))
    return length + _sum(length) + event + _sum(event)


def _sum(content: bytes) -> bytes:
    """The CRC-32C of some bytes, rotated by 15 bits and shifted, as the format has it."""
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _scalars(values: Mapping[str, float]) -> Summary:
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
