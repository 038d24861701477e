"""What losslab uses of Hydra 1.3 beyond its documented interface, in one place, as a later Hydra may change it.

The flags are Hydra's own, and Hydra gives no public parser of them. A choice among values is taken apart as Hydra itself does it.
Hydra's sweeper, which is private as well, is extended in hydra_plugins/losslab_sweeps.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hydra._internal.utils import get_args_parser as get_args_parser
from hydra.core.override_parser.types import ChoiceSweep, Override

CORE_PLUGINS = "hydra._internal.core_plugins."  # where Hydra's own sweepers and launchers lie


def as_text(value: Any) -> str:
    """A value of an override as it is typed."""
    return Override._get_value_element_as_str(value)


def unshuffled(sweep: Override) -> tuple[Override, bool]:
    """A sweep in the order in which its values were typed, and whether they were to be shuffled."""
    choice = sweep._value
    if not isinstance(choice, ChoiceSweep) or not choice.shuffle:
        return sweep, False
    return replace(sweep, _value=replace(choice, shuffle=False)), True
