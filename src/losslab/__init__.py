"""losslab trains small models under different loss functions and says, with evidence, which loss to use.

`compare` finds the loss for your data, `train` trains one run, `losses.get` gives a loss for a training loop of your own.
The names below are loaded on first use, so that `import losslab` does not wait for torch.
"""

from importlib import import_module
from typing import Any

__all__ = [
    "BadRequest",
    "Comparison",
    "Loss",
    "LossClassifier",
    "LossRegressor",
    "Record",
    "compare",
    "compose",
    "losses",
    "read_records",
    "register",
    "train",
]

_HOMES = {
    "BadRequest": "losslab.errors",
    "Comparison": "losslab.api",
    "Loss": "losslab.losses",
    "LossClassifier": "losslab.estimators",
    "LossRegressor": "losslab.estimators",
    "Record": "losslab.records.record",
    "compare": "losslab.api",
    "compose": "losslab.request.compose",
    "read_records": "losslab.records.store",
    "train": "losslab.api",
}


def __getattr__(name: str) -> Any:
    if name in ("losses", "register"):
        return import_module(f"losslab.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'losslab' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
