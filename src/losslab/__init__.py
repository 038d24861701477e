"""losslab trains small models under different loss functions and says, with evidence, which loss to use.

The names below are loaded on first use, so that `import losslab` does not wait for torch. One run: `from losslab.training.run import run`.
"""

from importlib import import_module
from typing import Any

__all__ = ["BadRequest", "Loss", "Record", "compose", "losses", "read_records", "register"]

_HOMES = {
    "BadRequest": "losslab.errors",
    "Loss": "losslab.losses",
    "Record": "losslab.records.record",
    "compose": "losslab.request.compose",
    "read_records": "losslab.records.store",
}


def __getattr__(name: str) -> Any:
    if name in ("losses", "register"):
        return import_module(f"losslab.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'losslab' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
