"""A progress bar for a sweep: one line in the terminal. Silent where stderr is no terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from losslab.events import EpochStarted, Event, RunFinished, StackHalved, SweepEnded, SweepStarted


class SweepBar:
    """A listener that shows the runs done, the epoch of those that train, and the time left; counts epochs of single runs."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def __enter__(self) -> SweepBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def __call__(self, event: Event) -> None:
        """Moves the bar."""
        if isinstance(event, SweepStarted) and event.runs:
            self._start(event)
        elif isinstance(event, SweepEnded):
            self._stop()
        elif self._bar and isinstance(event, EpochStarted):
            self._training[event.stack] = event.runs * event.epoch
            self._show(f"{self._done} of {self._runs} runs, {event.runs} at epoch {event.epoch} of {event.epochs}")
        elif self._bar and isinstance(event, StackHalved):
            self._training.pop(event.stack.key, None)
        elif self._bar and isinstance(event, RunFinished):
            self._done += 1
            self._epochs += event.job.request["trainer"]["max_epochs"]
            self._training.pop(event.stack, None)
            self._show(f"{self._done} of {self._runs} runs")

    def _start(self, event: SweepStarted) -> None:
        self._runs, self._done, self._epochs = event.runs, 0, 0
        self._training: dict[str, int] = {}  # the epochs of unfinished runs, by stack
        columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._bar = Progress(
            *columns,
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._bar.add_task(f"0 of {event.runs} runs", total=event.epochs)
        self._bar.start()

    def _show(self, text: str) -> None:
        assert self._bar
        self._bar.update(self._task, completed=self._epochs + sum(self._training.values()), description=text)

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None
