"""What a test gives hangs neither on how the tests were started nor on how fast the machine is."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faults import children

TOLD = (
    "import os, shutil, signal, sys; "
    "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "
    "signal.pthread_sigmask(signal.SIG_BLOCK, []) == set(), shutil.get_terminal_size().columns, "
    "'FORCE_COLOR' in os.environ, repr(sys.stdin.read()))"
)


def test_children_are_as_from_a_terminal_whoever_starts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COLUMNS": "40", "FORCE_COLOR": "1", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    numbers = [signal.SIGINT, signal.SIGTERM]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        with children.start([sys.executable, "-c", TOLD], stdout=subprocess.PIPE) as process:
            said, _ = process.communicate()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "what was there is put back"
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) >= set(numbers)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert said.split() == ["True", "True", "True", "80", "False", "''"]


def test_no_test_reads_the_clock_or_sleeps() -> None:
    clock = re.compile(r"^\s*(import|from) time\b", re.MULTILINE)
    tests = Path(__file__).parents[1].rglob("test_*.py")
    found = [path.name for path in tests if clock.search(path.read_text(encoding="utf-8"))]
    assert found == [], "tests wait for events, and count calls where seconds would tell of the machine"
