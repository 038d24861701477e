"""What a CUDA graph does, on a CPU: records the operations of a call, and repeats them on the very same tensors.

Whatever the call read from Python, or found in a tensor that is another one the next time, is fixed by the recording, as it is in
a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    """The operations of a call, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, found))
        return found

    def replay(self) -> None:
        """Repeats them."""
        self.replays += 1
        for func, args, kwargs, found in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(found), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():  # else a view, or changed in place
                    old.copy_(new)


def recorded(function: Callable[[], None], changes: Callable[[], Sequence[Tensor]]) -> Tape:
    """The operations of a call that leaves no trace, as a capture executes nothing; `changes`: the tensors that it changes."""
    before = [tensor.clone() for tensor in changes()]
    with Tape() as tape:
        function()
    for tensor, old in zip(changes(), before, strict=True):
        tensor.copy_(old)
    return tape
