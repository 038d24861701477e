"""How many CPU threads torch computes with: no more than the work is worth, and what a user has set stays as it is.

Threads wait for one another at the end of every operation. Where another program has the core of one of them, all the others
wait, and OpenMP lets them wait at full speed: so two programs on one machine can each take ten times as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from losslab.errors import raise_if_ended

if TYPE_CHECKING:
    from torch import Tensor, nn

# How long a thread waits at full speed before it sleeps: turns of a loop (GNU), milliseconds (LLVM and Intel). GNU's own number
# is 300,000. With 5,000 a quiet machine loses nothing, and a busy one little (experiments/speed).
_SHORT_WAIT = {"GOMP_SPINCOUNT": "5000", "KMP_BLOCKTIME": "1"}
_OF_USER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # with one of them a user has chosen
_WORTH_A_THREAD = (
    50e6  # floating-point operations of a forward; with fewer, waiting costs more than a second thread gains
)


def wait_shortly() -> None:
    """Lets threads sleep soon where they wait, unless the environment says how they wait. To be called before torch is imported."""
    if not os.environ.keys() & {"OMP_WAIT_POLICY", *_SHORT_WAIT}:
        os.environ.update(_SHORT_WAIT)


def most() -> int:
    """How many threads there may be: what torch is set to, and no more than the CPUs that this process may use."""
    import joblib  # type: ignore[import-untyped]
    import torch

    return torch.get_num_threads() if chosen_by_user() else min(torch.get_num_threads(), joblib.cpu_count())


def chosen_by_user() -> bool:
    """Whether the environment says how many threads there are to be."""
    return any(os.environ.get(name) for name in _OF_USER)


def worth(model: nn.Module, batch: Tensor, runs: int = 1) -> int:
    """How many threads a training step is worth, by the size of one forward: the same number each time on the same machine.

    Args:
        model: the model of a run; stays as it is.
        batch: its inputs [n, ...].
        runs: how many such runs take the step together.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    limit = most()
    if chosen_by_user() or limit == 1:
        return limit
    trains, counted = model.training, 0
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), FlopCounterMode(display=False) as counter:
            model.eval()(batch)
        counted = int(counter.get_total_flops())
    except Exception as error:  # of the counter: what the model itself raises, it has raised before
        raise_if_ended(error)
    finally:
        model.train(trains)
    # what the counter does not know counts as nothing, and yet uses each weight once a sample
    weights = sum(weight.numel() for weight in model.parameters())
    operations = runs * max(counted, 2 * weights * len(batch))
    return max(1, min(limit, round(operations / _WORTH_A_THREAD)))


def share(processes: int) -> int:
    """How many threads each of so many processes may use at the same time."""
    return most() if chosen_by_user() else max(1, most() // processes)


@contextmanager
def using(count: int, most: int | None = None) -> Iterator[None]:
    """Sets the number of threads, no more than `most`, and puts back what was there."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(min(count, most or count))
    try:
        yield
    finally:
        torch.set_num_threads(before)
