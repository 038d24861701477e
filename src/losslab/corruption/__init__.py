"""Corruptions of data, each a pure function of (inputs, targets, draw). `corrupt` applies the one of a config."""

from importlib import import_module
from pkgutil import iter_modules

from losslab.corruption.base import CORRUPTIONS as CORRUPTIONS
from losslab.corruption.base import Corrupted as Corrupted
from losslab.corruption.base import Hit as Hit
from losslab.corruption.base import choose_rows as choose_rows
from losslab.corruption.base import corrupt as corrupt
from losslab.corruption.base import register as register

for _module in iter_modules(__path__):  # every file here may register corruptions
    import_module(f"{__name__}.{_module.name}")
