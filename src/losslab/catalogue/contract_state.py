"""What a loss could change outside of itself: names of its module, attributes of its function or class, settings of torch and NumPy."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch

from losslab.catalogue.contract_subject import Subject

State = dict[str, object]
_SIMPLE = (bool, int, float, str, bytes, type(None), list, dict, set, tuple, torch.Tensor, np.ndarray)


def settings_of_torch() -> State:
    """What holds for all code of the process, by its name in words."""
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "whether torch keeps gradients": torch.is_grad_enabled(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "NumPy's error handling": str(np.geterr()),
    }


def set_back(before: State) -> None:
    """Sets what holds for all code of the process to what it was."""
    torch.set_default_dtype(before["torch's default dtype"])  # type: ignore[arg-type]
    torch.set_grad_enabled(bool(before["whether torch keeps gradients"]))


def state_of(subject: Subject) -> State:
    """All that a loss could change and that can be compared with later, by its name in words."""
    found = settings_of_torch()
    if subject.card.shipped:
        return found
    function = getattr(subject.function, "made_by", inspect.unwrap(subject.function))
    module = sys.modules.get(function.__module__)
    if module is not None and not function.__module__.startswith("torch."):
        found |= {f"'{name}' of its module": value for name, value in _values(module).items()}
    found |= {f"its attribute '{name}'": value for name, value in _values(function).items()}
    return found


def changed_state(subject: Subject, before: State) -> str:
    """The first thing that has changed, in words; "" where nothing has."""
    now = state_of(subject)
    changed = [
        name for name in [*before, *(new for new in now if new not in before)] if before.get(name) != now.get(name)
    ]
    return changed[0] if changed else ""


def _values(of: Any) -> dict[str, str]:
    """The plain values among the names of a module, function or class, as text."""
    return {
        name: f"{id(value)} {value!r}" if isinstance(value, torch.Tensor) else repr(value)
        for name, value in vars(of).items()
        if isinstance(value, _SIMPLE) and not (name.startswith("__") or isinstance(value, ModuleType))
    }
