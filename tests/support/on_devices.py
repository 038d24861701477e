"""Small runs of every task, losses of every task, and what two records must share: for the tests of devices."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from losslab import compose, losses
from losslab.records.record import Record
from losslab.schema import cards as schema_cards
from losslab.schema import compatibility
from losslab.sweep.jobs import Job
from losslab.training.module import RunModule
from losslab.training.run import run

CPU = torch.device("cpu")
TASKS = schema_cards.names("task")
STATEFUL = [
    name for name in losses.names() if "stateful" in compatibility.facts(schema_cards.card("loss", name).values)
]
READS = [
    (name, space)
    for name in losses.names()
    for space in compatibility.reads({"name": name} | schema_cards.card("loss", name).values)
]
_SMALL = {
    "multiclass": ["data=digits", "data.batch_size=512", "model.hidden=[8]"],
    "binary": ["data=breast_cancer", "data.batch_size=128", "model.hidden=[8]"],
    "regression": ["data.rows=300", "data.batch_size=64"],
    "counts": ["data.rows=300", "data.batch_size=64"],
    "quantiles": ["data.rows=300"],
    "ordinal": ["data.rows=300"],
    "multilabel": ["data.rows=300"],
    "segmentation": ["data.rows=300", "data.side=8"],
    "bbox": ["data.rows=120", "data.batch_size=32", "model.channels=[4,8,8]", "model.hidden=16"],
}


class Place:
    """Where `trainer=auto` computes: `there`, or on the CPU of a machine that has no such device."""

    def __init__(self, there: torch.device) -> None:
        self.there = self.now = there


@cache
def small(task: str, epochs: int = 2, *more: str) -> dict[str, Any]:
    """A request of a task, small; a task that is new here needs no line above if its own defaults are."""
    return compose(
        f"task={task}", *_SMALL.get(task, []), f"trainer.max_epochs={epochs}", "logger=none", "penalty.l1=1e-4", *more
    )


def under(task: str, loss: str, seed: int = 0, epochs: int = 2) -> dict[str, Any]:
    """The small request of a task under another loss."""
    values = {key: value for key, value in schema_cards.card("loss", loss).values.items() if key != "name"}
    return small(task, epochs) | {"loss": {"name": loss} | values, "seed": seed}


def jobs(task: str, folder: Path, epochs: int = 2) -> list[Job]:
    """Two losses, those with the most hyperparameters that a stack takes, and two seeds."""
    cards = {name: schema_cards.card("loss", name).values for name in losses.names(task)}
    plain = [
        n for n, c in cards.items() if "stateful" not in compatibility.facts(c) and compatibility.heads(task, c) == 1
    ]
    pair = sorted(plain, key=lambda name: -sum(isinstance(value, float) for value in cards[name].values()))[:2]
    requests = [under(task, loss, seed, epochs) for loss in pair for seed in (0, 1)]
    return [Job(request, folder / str(number), number) for number, request in enumerate(requests)]


def alike(one: Record, other: Record, rel: float = 1e-5, abs: float = 1e-6) -> None:
    """Both are done, on the same rows, with the same numbers up to rounding."""
    assert (one.status, one.reason) == (other.status, other.reason) == ("done", None)
    assert one.pairing == other.pairing
    assert one.metrics == pytest.approx(other.metrics, rel=rel, abs=abs, nan_ok=True)
    assert one.curves.keys() == other.curves.keys()
    for name, curve in one.curves.items():
        assert curve == pytest.approx(other.curves[name], rel=rel, abs=abs, nan_ok=True)


def stop_after_an_epoch(request: dict[str, Any], folder: Path, kept: pytest.MonkeyPatch) -> None:
    """A run that somebody stops with Ctrl-C in its second epoch."""
    begin = RunModule.training_step

    def step(self: RunModule, *given: Any) -> None:
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        begin(self, *given)

    with kept.context() as patch:
        patch.setattr(RunModule, "training_step", step)
        patch.setattr("losslab.training.callbacks._SECONDS_BETWEEN_CHECKPOINTS", -1.0)
        with pytest.raises(KeyboardInterrupt):
            run(request, folder, bar=False)


def kept_weights(folder: Path, name: str) -> dict[str, Any]:
    """The weights of a checkpoint, opened by someone who knows of no device: no `map_location`."""
    kept = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    assert {tensor.device for tensor in kept["state_dict"].values()} == {CPU}
    return dict(kept["state_dict"])
