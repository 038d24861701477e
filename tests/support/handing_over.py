"""Stacks of small runs, and an engine whose worker is this process."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from losslab import compose
from losslab.schema import canonical
from losslab.sweep import head, shared, worker
from losslab.sweep.engines.base import Engine
from losslab.sweep.jobs import Job, Stack

SMALL = ("data.rows=200", "trainer=cpu", "trainer.max_epochs=2", "model.hidden=[8]", "logger=none")


def jobs(folder: Path, count: int = 4, *words: str, **fused: Any) -> list[Job]:
    asked = [compose(*SMALL, *words, f"seed={seed}") for seed in range(count)]
    asked = [request | {"fused": request["fused"] | fused} for request in asked]
    return [Job(request, folder / canonical.run_id(request), number) for number, request in enumerate(asked)]


def handed(folder: Path, *sizes: int) -> list[shared.Handed]:
    """Stacks of these sizes, handed over by this process."""
    left = iter(jobs(folder, sum(sizes)))
    stacks = [Stack([next(left) for _ in range(size)]) for size in sizes]
    shared.hand_over(folder / ".stacks" / "sweep", folder, stacks)
    return [shared.read(path) for path in shared.listed(folder / ".stacks" / "sweep")]


class Here(Engine):
    """An engine whose worker is this process, between two looks of the command that watches."""

    def __init__(self, root: Path, workers: int = 2) -> None:
        super().__init__({"name": "here", "workers": workers}, root)
        self.starts: list[int] = []

    def start(self, count: int, tasks: int) -> None:
        self.starts.append(count)
        worker.serve(self.root, 0)

    def running(self) -> int:
        return 0

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command that watches looks again at once, and what a worker sets in the environment is taken back."""
    monkeypatch.setattr(head, "_SECONDS_BETWEEN_STARTS", 0.0)
    monkeypatch.setattr(head, "_LOOKS", (0.0, 0.01))
    before = os.environ.get("LOSSLAB_CARDS")
    yield
    os.environ.pop("LOSSLAB_CARDS", None)
    if before is not None:
        os.environ["LOSSLAB_CARDS"] = before
