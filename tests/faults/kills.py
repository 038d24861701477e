"""Sweeps, single runs and studies that are killed at random moments, and go on by the same command to the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from faults import children
from faults.tally import Tally
from losslab.cli import train
from losslab.records import stacks
from losslab.sweep import writing
from losslab.training import callbacks

_SMALL = ["data.rows=200", "trainer=cpu", "model.hidden=[8]"]
_STUDY = ["study=fair", "study.losses=[mse,huber]", "+study.axes.corruption.fraction=[0,0.2]"]
_STUDY += ["study.seeds=2", "study.tuning.trials=2", "study.tuning.seeds=1", "study.tuning.widen=1"]
COMMANDS = {  # what is disturbed, and what is typed
    "one run": ["loss=huber", "trainer.max_epochs=150", *_SMALL],
    "runs one after another": ["-m", "loss=mse,huber", "fused.size=1", "trainer.max_epochs=40", *_SMALL],
    "stacks": ["-m", "loss=mse,huber", "seed=0,1,2,3", "fused.size=3", "trainer.max_epochs=60", *_SMALL],
    # 200 steps, so that they are traced
    "long stacks": ["-m", "loss=mse,huber,welsch", "seed=0,1", "fused.size=3", "trainer.max_epochs=200", *_SMALL],
    "stacks in a few files": [
        *("-m", "loss=mse,huber", "seed=0,1,2,3", "fused.size=3", "store=stacks", "trainer.max_epochs=60"),
        *_SMALL,
    ],
    "several processes": [
        "-m",
        "loss=mse,huber",
        "seed=0,1",
        "fused.size=1",
        "fused.processes=2",
        "trainer.max_epochs=40",
        *_SMALL,
    ],
    "a study": [*_STUDY, "trainer.max_epochs=10", *_SMALL],
}
LARGE = {  # the same, for what takes minutes
    "10,000 runs in a few files": [
        *("-m", "loss=mse,l1,huber,tukey", "seed=range(0,500)", "corruption.fraction=0,0.1,0.2,0.3,0.4"),
        *("trainer.max_epochs=2", "data.rows=200", "trainer=cpu", "model.hidden=[4]"),
    ],
}
# train.py, but with checkpoints ten times as often, so that more moments fall into the writing of one
_PROGRAM = """
import sys
from losslab.cli import train as cli

def before_torch(trainers):
    before(trainers)
    from losslab.training import callbacks

    callbacks._SECONDS_BETWEEN_CHECKPOINTS = 0.2

before, cli.before_torch = cli.before_torch, before_torch
{more}
sys.exit(cli.train(sys.argv[1:]))
"""
# says so after the first checkpoint, which is that of its first epoch, and waits there until it is let go
_HELD = """
def before_torch(trainers, faster=cli.before_torch):
    faster(trainers)
    from losslab.training import callbacks
    from losslab.training.callbacks import LastCheckpoint

    callbacks._SECONDS_BETWEEN_CHECKPOINTS = -1.0

    def held(self, *given, save=LastCheckpoint.on_train_epoch_end):
        save(self, *given)
        if self.path.exists():
            print("held", flush=True)
            sys.stdin.read()

    LastCheckpoint.on_train_epoch_end = held

cli.before_torch = before_torch
"""
_HANGS = 600  # seconds in which any machine, however busy, ends a process that was asked to
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")


class Disturbance(Protocol):
    """One kind of fault, with what it must know of the command that it disturbs."""

    def undisturbed(self, asked: list[str], folder: Path) -> None:
        """Runs the command to its end, and learns from that where it may be disturbed."""

    def __call__(self, asked: list[str], folder: Path) -> tuple[bool, str]:
        """Runs the command and disturbs it; whether it came to its end all the same, and what it said on stderr."""


def inject(count: int, seed: int, folder: Path) -> list[Tally]:
    """Kills processes at `count` random moments in all, and cuts each command at half as many random changes of files.

    A process is killed with SIGKILL, stopped with Ctrl-C or asked to end with SIGTERM. A change of a file is the making, writing,
    renaming or removing of one; there, in a process of our own, the power goes.
    """
    rng = np.random.default_rng(seed)
    each = -(-count // len(COMMANDS))
    found = []
    for kind, asked in COMMANDS.items():
        place = folder / kind.replace(" ", "_")
        found.append(disturbed(f"{kind}, killed at a random moment", asked, each, place / "killed", Killer(rng)))
        found.append(disturbed(f"{kind}, cut at a change of a file", asked, -(-count // 2), place / "cut", Cutter(rng)))
    for kind, asked in LARGE.items():
        found.append(
            disturbed(f"{kind}, killed at a random moment", asked, -(-each // 4), folder / "large", Killer(rng))
        )
    return found


class Killer:
    """Starts the command as a process and kills it, at a moment drawn from the time that it takes undisturbed."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.ready, self.whole = rng, 0.0, 0.0

    def undisturbed(self, asked: list[str], folder: Path) -> None:
        """Runs the command to its end and takes the times until its first file and its end."""
        started = time.perf_counter()
        process = start(asked)
        while process.poll() is None and not folder.exists():
            time.sleep(0.02)
        self.ready = time.perf_counter() - started
        _, said = process.communicate()
        self.whole = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(said)

    def faster(self, started: float) -> None:
        """Notes that a command came to its end before it could be disturbed: the first was slow, as its files were not in memory."""
        share = min(1.0, (time.perf_counter() - started) / self.whole)
        self.ready, self.whole = self.ready * share, self.whole * share

    def __call__(self, asked: list[str], folder: Path) -> tuple[bool, str]:
        """One kill; one in eight comes while the process is still importing."""
        early = self.rng.random() < 1 / 8
        moment = self.rng.uniform(0, self.ready) if early else self.rng.uniform(self.ready, self.whole)
        how = self.rng.choice(_SIGNALS)
        started, process = time.perf_counter(), start(asked)
        try:
            _, said = process.communicate(timeout=moment)
            self.faster(started)
            return True, said
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, int(how))
        try:
            _, said = process.communicate(timeout=_HANGS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            _, said = process.communicate()
            said += "\nTraceback: it did not end"
        return process.returncode == 0, said


class PowerCut(BaseException):
    """Nothing may catch it."""


class Cutter:
    """Runs the command in this process, where from a change of a file on, drawn from all that it makes, none succeeds."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.changes = rng, 0

    def undisturbed(self, asked: list[str], folder: Path) -> None:
        """Runs the command to its end and counts its changes of files."""
        with power(folder.parent, None) as counter, _frequent_checkpoints():
            status, said = _train(asked)
        self.changes = counter.seen
        if status:
            raise RuntimeError(said)

    def __call__(self, asked: list[str], folder: Path) -> tuple[bool, str]:
        """One cut."""
        try:
            with power(folder.parent, int(self.rng.integers(1, self.changes + 1))), _frequent_checkpoints():
                return True, _train(asked)[1]
        except PowerCut:
            return False, ""


class Power:
    """Counts the changes of files below a folder; from number `left` on they fail."""

    def __init__(self) -> None:
        self.folder, self.left, self.seen = "", None, 0
        self._watched = False

    def watch(self) -> None:
        """Asks Python to tell of files; there is no way to ask it to stop."""
        if not self._watched:
            sys.addaudithook(self._tell)
            self._watched = True

    def _tell(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.folder or not (event == "open" or event in _CHANGES):
            return
        if threading.current_thread() is not threading.main_thread():
            return  # TensorBoard's thread: who waits for it would wait for ever
        if event == "open":
            _, mode, flags = given
            if not (set(mode or "") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                return
        if isinstance(given[0], int) or not os.fsdecode(given[0]).startswith(self.folder):
            return
        self.seen += 1
        if self.left is not None and self.seen >= self.left:
            raise PowerCut


_POWER = Power()


@contextmanager
def power(folder: Path, left: int | None) -> Iterator[Power]:
    """Power that goes at the change `left` of a file below `folder`, from 1; None: it stays."""
    _POWER.watch()
    _POWER.folder, _POWER.left, _POWER.seen = str(folder), left, 0
    try:
        yield _POWER
    finally:
        _POWER.folder = ""


def left_by(folder: Path) -> dict[str, Any]:
    """What the runs below a folder left, by the folder of the run: record without seconds, weights, optimizer, curves."""
    left = {}
    for path in sorted(folder.rglob("record.json")):
        kept = [
            torch.load(path.parent / f"checkpoints/{name}.ckpt", map_location="cpu", weights_only=True)
            for name in ("best", "last")
        ]
        parts = [
            {key: one.get(key) for key in ("epoch", "global_step", "state_dict", "optimizer_states")} for one in kept
        ]
        left[str(path.parent.relative_to(folder))] = _as_text(json.loads(path.read_text()), parts)
    read = cache(writing.read_together)
    for run, record in stacks.records_below(folder)[0].items():
        kept = read(stacks.weights_beside(stacks.file_of(run)))[run.name]
        left[str(run.relative_to(folder))] = _as_text(vars(record), vars(kept))
    return left


def _as_text(record: Mapping[str, Any], parts: Any) -> str:
    return json.dumps(
        [{key: value for key, value in record.items() if key != "seconds"}, _plain(parts)], sort_keys=True
    )


def disturbed(what: str, asked: list[str], count: int, folder: Path, disturb: Disturbance) -> Tally:
    """Disturbs a command `count` times in all, beginning in a new folder where it came to its end, and compares what is left."""
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "whole" / "runs"
    disturb.undisturbed(_into(asked, whole), whole)
    expected = left_by(whole)
    lost = doubled = tracebacks = stray = swept = tried = 0
    while tried < count:
        swept += 1
        into, ended = folder / str(swept) / "runs", False
        while not ended:
            before = _stamps(into)
            if tried < count:
                ended, said = disturb(_into(asked, into), into)
                tried += not ended
            else:
                status, said = _train(_into(asked, into))
                ended, lost = True, lost + (status != 0)
            tracebacks += said.count("Traceback")
            after = _stamps(into)
            doubled += sum(after.get(path) != stamp for path, stamp in before.items())
        found = left_by(into)
        lost += sum(found.get(name) != left for name, left in expected.items())
        stray += len(_names(into.parent) - _names(whole.parent))
    return Tally(what, tried, len(expected) * swept, lost, doubled, tracebacks, stray, time.perf_counter() - started)


def _into(asked: Sequence[str], folder: Path) -> list[str]:
    many = asked[0] == "-m" or asked[0].startswith("study=")
    return [*asked, f"hydra.{'sweep' if many else 'run'}.dir={folder}"]


def until(process: subprocess.Popen[str], there: Callable[[], object]) -> None:
    """Waits until something is there that a process makes, which must not end before."""
    while not there():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def ended(process: int) -> None:
    """Kills a process between two runs: waits until it must have ended the first, and until its pool must know."""
    time.sleep(0.5)
    os.kill(process, signal.SIGKILL)
    time.sleep(0.5)


def start(asked: Sequence[str]) -> subprocess.Popen[str]:
    """The command as a process, in a group of its own."""
    command = [sys.executable, "-c", _PROGRAM.format(more=""), *asked]
    return children.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def start_held(asked: Sequence[str]) -> subprocess.Popen[str]:
    """The command as a process that has made its first checkpoint, and waits until its stdin is closed."""
    command = [sys.executable, "-c", _PROGRAM.format(more=_HELD), *asked]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = children.start(command, start_new_session=True, **pipes)
    assert process.stdout
    if process.stdout.readline() != "held\n":
        raise RuntimeError(process.communicate()[1])
    return process


def _train(asked: list[str]) -> tuple[int, str]:
    """The command in this process: its exit status, and what it said on stderr."""
    said = StringIO()
    with redirect_stderr(said), redirect_stdout(StringIO()):
        status = train.train(asked)
    return status, said.getvalue()


@contextmanager
def _frequent_checkpoints() -> Iterator[None]:
    before = callbacks._SECONDS_BETWEEN_CHECKPOINTS
    callbacks._SECONDS_BETWEEN_CHECKPOINTS = -1.0
    try:
        yield
    finally:
        callbacks._SECONDS_BETWEEN_CHECKPOINTS = before


def _plain(kept: Any) -> Any:
    """Tensors as lists, at any depth."""
    if isinstance(kept, torch.Tensor):
        return kept.tolist()
    if isinstance(kept, dict):
        return {str(key): _plain(value) for key, value in kept.items()}
    return [_plain(value) for value in kept] if isinstance(kept, list | tuple) else kept


def _stamps(folder: Path) -> dict[Path, tuple[int, str]]:
    """When each record was written, and what it says."""
    files = [*folder.rglob("record.json"), *folder.rglob(f"{stacks.FOLDER}/*.jsonl")]
    return {path: (path.stat().st_mtime_ns, path.read_text()) for path in files}


def _names(folder: Path) -> set[str]:
    """All files and folders but TensorBoard's, of which a run that was stopped leaves several, corrupt ones set aside."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.startswith("events.out.")}
