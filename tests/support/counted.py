"""Work as the number of calls that it makes: the same on every machine, however fast and however busy."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable


def calls(work: Callable[[], object]) -> int:
    """The calls of functions, of Python and of C, that some work makes."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return int(vars(pstats.Stats(profile))["total_calls"])
