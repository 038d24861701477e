"""What `train.py` answers to a command line, up to the point where it would train: in this process, without torch."""

from __future__ import annotations

import contextlib
import io
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from hydra.core.global_hydra import GlobalHydra

from losslab.cli import studies, train


@dataclass(frozen=True)
class Answer:
    """status: the exit status. starts: a run, a sweep or a study would have started. crash: a traceback. stray: files left behind."""

    status: int
    starts: str
    out: str
    err: str
    crash: str
    stray: list[str]
    seconds: float

    @property
    def fault(self) -> str:
        """What is wrong with the answer; "" where it is as it should be."""
        if self.crash:
            return self.crash
        if "Traceback" in self.out + self.err:
            return "a traceback was printed"
        if self.stray:
            return f"left {self.stray}"
        if self.status == 2:
            said = self.err
            whole = (
                said.startswith(("train.py: ", "losslab ")) and said.count("\n") == 1 and said.rstrip().endswith(".")
            )
            return "" if whole and not self.out else f"not one sentence: {said!r} {self.out!r}"
        return (
            ""
            if self.status == 0 and (self.starts or self.out)
            else f"status {self.status} without a run: {self.err!r}"
        )


def answer(words: Sequence[str], folder: Path) -> Answer:
    """What `python train.py WORDS` says in an empty folder, which is empty again afterwards."""
    starts: list[str] = []

    def starting(what: str) -> Callable[..., int]:
        return lambda *_: starts.append(what) or 0

    def sweep(_: object, jobs: Sequence[object]) -> list[None]:
        starts.append("sweep")
        return [None] * len(jobs)

    with (
        mock.patch.object(train, "_run_checked", starting("run")),
        mock.patch.object(studies, "train", starting("study")),
        mock.patch.object(train.Command, "sweep", sweep),
    ):
        given = watched(lambda: train.train(list(words)), folder)
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    if starts and files <= {"multirun.yaml"}:  # Hydra's own, in the folder that the runs would have filled
        given = replace(given, stray=[])
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return replace(given, starts=starts[0] if starts else "")


def watched(call: Callable[[], int], folder: Path) -> Answer:
    """What a command says and leaves when it is called in a folder."""
    out, err = io.StringIO(), io.StringIO()
    crash, status, began = "", 0, time.perf_counter()
    before = set(folder.iterdir())
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch("sys.argv", ["train.py"]),
    ):
        GlobalHydra.instance().clear()
        try:
            status = call()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            crash = traceback.format_exc()
    stray = [path.name for path in folder.iterdir() if path not in before]
    return Answer(status, "", out.getvalue(), err.getvalue(), crash, stray, time.perf_counter() - began)
