"""Losses, each a pure function of (pred, target) that gives one number a sample. `get` makes one ready for use."""

from importlib import import_module
from pkgutil import iter_modules

from losslab.losses.base import LOSSES as LOSSES
from losslab.losses.base import Loss as Loss
from losslab.losses.base import Sum as Sum
from losslab.losses.lookup import for_task as for_task
from losslab.losses.lookup import get as get
from losslab.losses.lookup import names as names

for _module in iter_modules(__path__):  # every file here may register losses
    import_module(f"{__name__}.{_module.name}")
