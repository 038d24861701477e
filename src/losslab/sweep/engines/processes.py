"""Workers that are processes of this machine: `losslab worker DIR`, started by the command itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from losslab.safe_points import held_back
from losslab.sweep.engines.base import WAIT, Engine
from losslab.training import threads

COMMAND = "from losslab.cli.main import command; command()"
_EXPECTED = 4  # workers where nobody says how many
_PATIENCE = 30.0  # seconds in which a worker that is asked to end does


class Processes(Engine):
    """So many workers as executor.workers says; whoever likes starts more."""

    hands = True

    def __init__(self, settings: Mapping[str, Any], root: Path) -> None:
        super().__init__(settings, root)
        self.count = int(settings["workers"])
        self.workers = max(int(settings["expect"]), self.count) or _EXPECTED
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, count: int, tasks: int) -> None:
        """Starts processes, which share the CPU's threads."""
        environment = dict(os.environ)
        if not threads.chosen_by_user():
            environment["OMP_NUM_THREADS"] = str(threads.share(max(1, self.count)))
        line = [sys.executable, "-c", COMMAND, "worker", str(self.root), f"--wait={WAIT:g}", "--quiet"]
        with held_back():
            self.started += [
                subprocess.Popen(line, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
                for _ in range(min(count, self.count))
            ]

    def running(self) -> int:
        """Those that have not ended."""
        self.started = [process for process in self.started if process.poll() is None]
        return len(self.started)

    def close(self) -> None:
        """Asks all to end. Each stops where its stack can go on from."""
        for process in self.started:
            process.terminate()
        for process in self.started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
            process.kill()
            process.wait()

    def logs(self) -> str:
        """They say it here."""
        return "what they said above"
