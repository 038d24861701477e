"""How the steps of a stack are executed: one operation after another, as a CUDA graph, or compiled. The numbers are the same.

On a GPU a step of small models is some hundred kernels of a few microseconds, and starting each takes the CPU longer than that.
A CUDA graph starts them all at once. Compiling merges most of them, also on a CPU, but takes seconds.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from losslab.errors import describe
from losslab.fused import dropout
from losslab.fused.step import Step
from losslab.safe_points import check

ENGINES = ("auto", "eager", "captured", "compiled")

_LOG = logging.getLogger(__name__)
WARM_UP = 3  # calls before a capture, in which libraries take their memory and load their kernels
# Compiling takes 10 to 20 seconds and saves half of the time of a step: measured on an H200 for stacks of 300 to 3,000 MLPs beside
# captured steps, and on a CPU for 100 beside traced ones
_COMPILING, _SAVED = 20.0, 0.5
_COMPILERS = ("g++", "clang++", "c++")  # one of which torch needs for a CPU


class Engine:
    """Executes the steps of a stack in the way that is asked for; falls back where that fails.

    auto: eager on a CPU, captured on a GPU.
    """

    def __init__(self, step: Step, asked: str) -> None:
        """Args: the step; one of ENGINES."""
        self.step = step
        self.graphs = has_graphs(step.rows.device)
        self.name, self.why = "eager", ""
        self._call: Callable[[], None] = step
        if step.module.masks:
            self._fall_back("eager", "dropout draws its masks on the CPU" if asked in ("captured", "compiled") else "")
        elif asked == "compiled":
            self._compile()
        elif asked == "captured" and not self.graphs:
            self._fall_back("eager", "only a CUDA device has graphs")
        elif asked != "eager" and self.graphs:
            self._capture()

    def described(self) -> str:
        """The engine that executes the steps now and, where it is another than was begun with, why."""
        return f"{self.name} ({self.why})" if self.why else self.name

    def run(self, chunk: Tensor) -> None:
        """Takes a step on each batch of a chunk [S, R, B]."""
        self.step.begin(chunk)
        for _ in range(len(chunk)):
            check()
            self.step.optimizer.begin_step()
            self._call()

    def freeze(self, alive: Tensor) -> None:
        """From now on only runs that are alive [R] move."""
        guarded = self.step.optimizer.guards
        self.step.optimizer.freeze(alive)
        if self.step.optimizer.guards and not guarded and self.name == "captured":
            self._capture()  # another step than that of the graph

    def close(self) -> None:
        """Gives back the memory of the graph; there are no more steps."""
        self._call = self.step

    def _capture(self) -> None:
        self.name = "captured"
        self._call = Replayed(self.step, self._without_graph)

    def _compile(self) -> None:
        self.step.optimizer.guards = True  # costs a compiled step nothing, and spares a second compilation
        self.name = "compiled"
        compiled = torch.compile(self.step, fullgraph=True, dynamic=False)
        self._call = lambda: self._first_compiled(compiled)

    def _first_compiled(self, compiled: Callable[[], None]) -> None:
        """The step in which the compilation happens."""
        before = [tensor.clone() for tensor in self.step.changed()]
        try:
            self.step.trace()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # advice to use TF32, and the compiler's own use of torch
                compiled()
            self._call = Replayed(compiled, self._without_graph) if self.graphs else compiled
        except Exception as error:
            for tensor, old in zip(self.step.changed(), before, strict=True):
                tensor.copy_(old)
            if self.graphs:
                self._capture()
            self._fall_back("captured" if self.graphs else "eager", f"compiling failed: {_in_short(error)}")
            self._call()

    def _without_graph(self, error: Exception) -> None:
        self._fall_back("eager", f"capturing failed: {_in_short(error)}")

    def _fall_back(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        if name == "eager":
            self._call = self.step
        if why:
            _LOG.warning(f"A stack of {self.step.rows.shape[1]} runs trains with the engine {name}: {why}.")


class Replayed:
    """A function of tensors that stay where they are: called a few times, then captured as a CUDA graph and replayed."""

    def __init__(self, function: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """Args: the function; what is told why it cannot be captured, and calls it by itself from then on."""
        self.function, self.failed = function, failed
        self.graph: torch.cuda.CUDAGraph | None = None
        self.calls = 0

    def __call__(self) -> None:
        """Calls the function, or replays it."""
        if self.graph is None and self.calls >= WARM_UP:
            try:
                self.graph = captured(self.function)
            except Exception as error:
                self.failed(error)
                self.function()
                return
        if self.graph is not None:
            self.graph.replay()
            return
        self.calls += 1
        aside(self.function)


def aside(function: Callable[[], None]) -> None:
    """Calls a function on a stream of its own, as is asked of what is captured later."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function()
    torch.cuda.current_stream().wait_stream(stream)


def captured(function: Callable[[], None]) -> torch.cuda.CUDAGraph:
    """The graph of a call, which executes nothing."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph


def pays(model: nn.Module, device: torch.device, seconds: float) -> bool:
    """Whether compiling a stack of such models saves more than it takes, where its steps take so many seconds in all."""
    able = device.type == "cuda" or any(map(shutil.which, _COMPILERS))
    return seconds * _SAVED > _COMPILING and able and not dropout.is_drawn(model)


def has_graphs(device: torch.device) -> bool:
    """Whether steps on a device can be captured."""
    return device.type == "cuda"


def _in_short(error: Exception) -> str:
    """The first line of the first error; those that follow on the way out of a capture say less."""
    while isinstance(error.__context__, Exception):
        error = error.__context__
    return describe(error).splitlines()[0].rstrip(".")[:200]
