"""Another process that trains, as far as locks tell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults import children


@contextmanager
def another_process_holds(folder: Path, kind: str = "") -> Iterator[int]:
    """A process that holds the claim on a folder until it is killed; its id."""
    code = (
        "import sys; from pathlib import Path; from losslab.records.locks import locked\n"
        "with locked([Path(sys.argv[1])], *sys.argv[2:]): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder), *filter(None, [kind])]
    with children.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        try:
            yield process.pid
        finally:
            process.kill()
