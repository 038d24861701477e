"""Several processes of this machine that do one thing together, as where they train one run (trainer.devices=N)."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from losslab.errors import BadRequest, Halted, describe, halting
from losslab.safe_points import check, held_back
from losslab.training.children import STARTING, attach
from losslab.training.data_parallel import Group

_SECONDS_BETWEEN_LOOKS = 0.1
_PATIENCE = 5.0  # seconds in which the others end, once one has failed or this process is interrupted
_NO_MAIN = (
    "a process ended before it began; a script that starts several must call losslab below `if __name__ == '__main__':`"
)


def together(size: int, on_gpus: bool, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls `function(group, *arguments)` in so many processes at once, and returns what the first of them returns.

    Args:
        size: how many processes.
        on_gpus: whether each has a GPU of its own; else they compute on the CPU.
        function: of a module, as it is sent by its name; and what it takes and returns is pickled.
        arguments: what it takes beside the Group of its process.

    Raises:
        BadRequest, Halted: as the function does, in whichever process.
        RuntimeError: where it raises anything else, and where a process ends. The others end too.
        KeyboardInterrupt: after Ctrl-C.
    """
    with tempfile.TemporaryDirectory(prefix="losslab-") as folder:
        started = [_Child(Group(rank, size), on_gpus, Path(folder), function, arguments) for rank in range(size)]
        try:
            return _outcome(started)
        finally:
            _end(started)


@dataclass(frozen=True)
class _Failed:
    """What a process raised, and when."""

    error: str
    trace: str
    moment: float


@dataclass(frozen=True)
class _Returned:
    value: Any


class _Child:
    """One of the processes, and what it has said last."""

    def __init__(
        self, group: Group, on_gpu: bool, folder: Path, function: Callable[..., Any], arguments: Sequence[Any]
    ) -> None:
        self.group, self.said, self.began = group, None, False
        STARTING.set_forkserver_preload(["losslab.training.run"])
        self.pipe, its_end = STARTING.Pipe()
        environment = dict(os.environ) | (_one_gpu(group.rank) if on_gpu else {})
        given = (its_end, environment, torch.get_num_threads(), group, on_gpu, folder / "meeting", function, arguments)
        self.process = STARTING.Process(target=_begin, args=given, daemon=True)  # type: ignore[attr-defined]
        with held_back():  # this process acts on signals, and ends the others
            self.process.start()
        its_end.close()  # else nobody sees that the process has ended

    said: _Returned | _Failed | BadRequest | Halted | None

    def listen(self) -> None:
        """Takes in what it has sent; hands on what it has logged."""
        with suppress(EOFError, OSError):
            while self.pipe.poll():
                sent = self.pipe.recv()
                if isinstance(sent, logging.LogRecord):
                    logging.getLogger(sent.name).handle(sent)
                elif sent is None:
                    self.began = True
                else:
                    self.said = sent

    @property
    def over(self) -> bool:
        """Whether it has said what came of it, or has ended."""
        return self.said is not None or self.process.exitcode is not None


def _outcome(started: Sequence[_Child]) -> Any:
    failed = float("inf")
    while not all(child.over for child in started):
        connection.wait([child.process.sentinel for child in started if not child.over], _SECONDS_BETWEEN_LOOKS)
        check()
        for child in started:
            child.listen()
        if any(child.over and not isinstance(child.said, _Returned) for child in started):
            failed = min(failed, time.monotonic())  # the others may say why, or fail in turn
            if time.monotonic() - failed > _PATIENCE:
                break
    for child in started:
        child.listen()
    _raise_first(started)
    found = started[0].said
    assert isinstance(found, _Returned)
    return found.value


def _raise_first(started: Sequence[_Child]) -> None:
    """Raises what one of the processes raised. One that fails makes the others fail, so the cause is sought first."""
    for child in started:
        if isinstance(child.said, BadRequest | Halted):
            raise child.said
    for child in started:
        if child.said is None and child.process.exitcode is not None:
            if not child.began:
                raise RuntimeError(_NO_MAIN)
            raise RuntimeError(f"process {_number(child)} ended with {_how(child.process.exitcode)}")
    if failed := [(child.said.moment, child.said, child) for child in started if isinstance(child.said, _Failed)]:
        _, said, child = min(failed, key=lambda one: one[0])
        error = RuntimeError(f"process {_number(child)} failed: {said.error}")
        error.add_note(said.trace)
        raise error
    if waiting := [child for child in started if child.said is None]:
        raise RuntimeError(f"process {_number(waiting[0])} does not end")


def _number(child: _Child) -> str:
    return f"{child.group.rank + 1} of {child.group.size}"


def _how(exitcode: int) -> str:
    return f"signal {-exitcode} (as where memory is short)" if exitcode < 0 else f"status {exitcode}"


def _end(started: Sequence[_Child]) -> None:
    """Ends all processes: each ends where it stands when its pipe is closed."""
    for child in started:
        child.pipe.close()
    until = time.monotonic() + _PATIENCE
    for child in started:
        child.process.join(max(0.0, until - time.monotonic()))
        child.process.kill()
        child.process.join()


def _one_gpu(rank: int) -> dict[str, str]:
    """The environment in which torch sees one of the GPUs that this process sees, as its first."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": seen.split(",")[rank].strip() if seen else str(rank)}


# --- in the processes ---


def _begin(
    parent: Connection,
    environment: Mapping[str, str],
    threads: int,
    group: Group,
    on_gpu: bool,
    meeting: Path,
    function: Callable[..., Any],
    arguments: Sequence[Any],
) -> None:
    """Meets the other processes, and sends what came of the function."""
    os.environ.clear()
    os.environ.update(environment)
    parent.send(None)
    if group.leads:
        attach(parent)
    else:  # what it would say the first says too
        _be_silent(parent)
    torch.set_num_threads(threads)
    said: Any
    try:
        with halting():
            store = dist.FileStore(str(meeting), group.size)  # type: ignore[attr-defined]
            _meet(group, on_gpu, store)
            said = _Returned(function(Group(group.rank, group.size, store), *arguments))
    except (BadRequest, Halted) as error:
        said = type(error)(str(error))
    except BaseException as error:
        said = _Failed(describe(error).splitlines()[0].rstrip("."), traceback.format_exc(), time.time())
    if not group.leads and isinstance(said, _Returned):
        said = _Returned(None)
    parent.send(said)
    with suppress(Exception):
        dist.destroy_process_group()


def _be_silent(parent: Connection) -> None:
    attach(parent)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def _meet(group: Group, on_gpu: bool, store: Any) -> None:
    if sys.platform == "linux":  # all are on this machine, whose own name may lead nowhere
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if on_gpu:
        torch.cuda.set_device(0)
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        store=dist.PrefixStore("meeting", store),  # type: ignore[attr-defined]
        rank=group.rank,
        world_size=group.size,
        device_id=torch.device("cuda", 0) if on_gpu else None,
    )
