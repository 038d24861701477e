"""What an engine is to the command that watches a sweep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WAIT = 15.0  # seconds without a stack after which a worker that an engine has started leaves: the next part of a study may come


class Engine(ABC):
    """Starts workers on a shared folder, and knows how many there are.

    Attributes:
        settings: of the executor.
        root: the folder of the sweep or the study, absolute.
        workers: for how many workers stacks are sized.
        hands: whether somebody else starts workers too, so that none may be there.
    """

    hands = False

    def __init__(self, settings: Mapping[str, Any], root: Path) -> None:
        self.settings, self.root = settings, root
        self.workers = max(1, int(settings.get("workers", 0)))

    def probe(self) -> None:  # noqa: B027 - an engine on this machine has nothing to probe
        """Raises BadRequest where workers would not see the folder, which is there; before a worker is started."""

    @abstractmethod
    def start(self, count: int, tasks: int) -> None:
        """Starts so many workers that train at the same time.

        tasks: into how many shares the work is cut, where the engine takes shares one after another.
        """

    @abstractmethod
    def running(self) -> int:
        """How many workers train, or wait for a place."""

    @abstractmethod
    def close(self) -> None:
        """Ends what would not end with this command."""

    @property
    def gpus(self) -> float:
        """How many GPUs a worker has."""
        return float(self.settings.get("gpus", 0))

    @property
    def share(self) -> float:
        """Seconds of work that one task of the engine takes, 0 where a task is a worker that trains as long as there is work."""
        return 0.0

    def logs(self) -> str:
        """Where what workers say is, in words."""
        return "their output"
