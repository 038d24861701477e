"""What the processes of a test do that trains runs by several of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from losslab import BadRequest
from losslab.records.record import Record
from losslab.training import run
from losslab.training.data_parallel import Group

MODEL = """
import os, signal
from pathlib import Path
import torch
import torch.distributed as dist
from losslab.training import callbacks

callbacks._SECONDS_BETWEEN_CHECKPOINTS = -1.0  # after each epoch
HERE = Path(__file__).parent


class Net(torch.nn.Module):
    def __init__(self, shape, outputs):
        super().__init__()
        self.linear = torch.nn.Linear(shape[0], outputs)

    def forward(self, x):
        second = dist.is_initialized() and dist.get_rank() == 1
        if self.training and torch.is_grad_enabled() and second:
            with (HERE / "steps").open("a") as file:
                file.write(".")
            if (HERE / "kill").exists() and len((HERE / "steps").read_text()) > 12:
                (HERE / "kill").unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return self.linear(x)
"""


def runs(group: Group, requests: Sequence[dict[str, Any]], folder: Path) -> list[Record | None]:
    """Trains runs one after another, each by all processes."""
    return [
        run._train(
            replace(group, store=group.store and dist.PrefixStore(str(number), group.store)),
            *(request, folder / str(number), False, None, 1),
        )
        for number, request in enumerate(requests)
    ]


def fails(group: Group, how: str) -> str:
    """Fails in the second process while the first waits for it."""
    if group.rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise {"refused": BadRequest, "raised": KeyError}[how]("of a sudden")
    dist.all_reduce(torch.ones(1))
    return "done"


def averages(group: Group) -> list[float]:
    """The gradient of a weight, and of a part of what is gathered, in a group of two."""
    weight = torch.nn.Parameter(torch.ones(1))
    rows = torch.tensor([1.0, 2.0, 4.0])
    whole = group.whole(weight * group.part(rows), len(rows))
    (whole.prod() + 10 * weight).backward()
    group.average([weight])
    return [*whole.tolist(), float(weight.grad), float(len(group.part(rows)))]
