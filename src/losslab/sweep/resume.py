"""Resuming a stopped sweep to the same bits: which runs make which stack, and how far each stack is.

The last bits of a run depend on the stack that it is part of, how large a stack is was measured, and a stopped sweep has fewer
runs left than it began with. So the stacks are written down before the first is trained.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from losslab.records import files
from losslab.records.environment import commit, versions
from losslab.records.files import write_whole
from losslab.schema.canonical import id_of
from losslab.sweep.jobs import Job, Stack, short_hash
from losslab.sweep.shared import HIDDEN

_PLAN = "plan.json"
_TRIES = 20


class Resumption:
    """What a sweep keeps until all its runs are finished: its plan, and the last checkpoint of each stack that is training.

    It lies in a folder of its own, whose name is a hash of the runs that were asked for: another sweep beside the same runs
    has another. A plan of other code, or of other settings such as fused.size, does not apply.
    """

    def __init__(self, jobs: Sequence[Job], root: Path | None = None) -> None:
        """`root`: the folder below which it lies; the one that holds all runs unless given."""
        self.jobs = {job.folder: job for job in jobs}
        self.root = root or Path(os.path.commonpath([folder.parent.absolute() for folder in self.jobs]))
        self.folder = self.root / HIDDEN / short_hash(sorted((self._name(job), id_of(job.request)) for job in jobs))
        requests = [job.request | {"overwrite": False} for job in self.jobs.values()]
        self.made_by = {"commit": commit(), "versions": versions(), "requests": short_hash(requests)}
        self.planned: list[Stack] = []

    def stacks(self, left: Sequence[Job], plan: Callable[[Sequence[Job]], list[Stack]]) -> list[Stack]:
        """The stacks that hold the runs that are left, as they were first planned; what was never planned is planned now."""
        if any(job.request["overwrite"] for job in left):
            self._forget()
        if not left:
            return []
        self.planned = self._read()
        if not self.planned:
            self._forget()  # checkpoints of a plan that does not apply
        known = {job.folder for stack in self.planned for job in stack.jobs}
        missing = [job for job in left if job.folder not in known]
        self.planned += plan(missing) if missing else []
        if missing:
            self._write()
        open_folders = {job.folder for job in left}
        return [stack for stack in self.planned if any(job.folder in open_folders for job in stack.jobs)]

    def note_halves(self, stack: Stack, halves: Sequence[Stack]) -> None:
        """Plans two stacks in the place of one, for which memory did not suffice."""
        self.planned = [kept for kept in self.planned if kept.jobs != stack.jobs] + list(halves)
        self._write()

    def clear(self) -> None:
        """Removes all that was kept; to be called when all runs are finished."""
        for _ in range(_TRIES):
            self._forget()
            if not self.folder.exists():  # a worker may just have said something there
                break
        self.remove_empty()

    def remove_empty(self) -> None:
        """Removes the folder of all sweeps where it is empty."""
        with suppress(OSError):  # another sweep keeps something there
            self.folder.parent.rmdir()

    def _forget(self) -> None:
        # the same sweep, just finished in another process, may do it as well
        shutil.rmtree(self.folder, ignore_errors=True)

    def _name(self, job: Job) -> str:
        return job.folder.absolute().relative_to(self.root).as_posix()

    def _read(self) -> list[Stack]:
        """The plan that applies; no stacks where there is none."""
        jobs = {self._name(job): job for job in self.jobs.values()}
        path = self.folder / _PLAN
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["made_by"] != self.made_by:
                return []
            return [
                Stack(
                    [jobs[name] for name in stack["runs"]],
                    *(stack["why"], stack["threads"], stack.get("processes", 1), stack.get("together", False)),
                    engine=stack.get("engine"),
                )
                for stack in kept["stacks"]
            ]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError):
            files.quarantine(path, "the stacks are planned anew")
            return []

    def _write(self) -> None:
        stacks = [
            {
                "runs": [self._name(job) for job in stack.jobs],
                "why": stack.why,
                "threads": stack.threads,
                "processes": stack.processes,
                "together": stack.together,
                "engine": stack.engine,
            }
            for stack in self.planned
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / _PLAN, json.dumps({"made_by": self.made_by, "stacks": stacks}, indent=1))
