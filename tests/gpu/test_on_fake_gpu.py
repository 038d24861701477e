"""Everything that a run touches lies on its device: tests/gpu/cases_on_fake_gpu.py, in a process of their own.

torch's autograd counts the devices at the first backward of a process, so the fake one must be known before any other test.
"""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_task_and_loss_on_a_device_that_is_not_the_cpu() -> None:
    here = Path(__file__).parent
    cases = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:benchmark",  # where that plugin is installed, it warns of the one that is left out
        str(here / "cases_on_fake_gpu.py"),
    ]
    ended = subprocess.run(cases, cwd=here.parents[1], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout
    assert "skipped" not in ended.stdout
