"""One small study gives the same records and the same report, whichever executor trains it."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from cluster import on_slurm
from support.same_reports import left_by

MANY = bool(os.environ.get("LOSSLAB_MANY_KILLS"))  # as in `make test-cluster`; by hand it takes a minute
pytestmark = pytest.mark.slow
_HERE: dict[str, Any] = {}


@pytest.fixture
def here(tmp_path: Path) -> tuple[dict[str, Any], str]:
    """What this process leaves."""
    if not _HERE:
        _HERE["left"] = left_by(tmp_path / "here")
    found: tuple[dict[str, Any], str] = _HERE["left"]
    assert len(found[0]) > 20
    assert "| mse |" in found[1] or "`mse`" in found[1]
    return found


@pytest.mark.skipif(not MANY, reason="tests/sweep/test_by_workers.py has it for a sweep")
def test_workers_give_the_same_report(here: tuple[dict[str, Any], str], tmp_path: Path) -> None:
    assert left_by(tmp_path / "there", "executor=worker", "executor.workers=2") == here


@pytest.mark.skipif(not on_slurm.THERE, reason="needs root, and Debian's packages slurmctld and slurmd")
@pytest.mark.skipif(not importlib.util.find_spec("submitit"), reason="needs submitit")
def test_slurm_gives_the_same_report(here: tuple[dict[str, Any], str], tmp_path: Path) -> None:
    with on_slurm.started(tmp_path / "slurm"):
        words = ["executor=slurm", "executor.partition=low", "executor.workers=2", "executor.minutes=5"]
        assert left_by(tmp_path / "there", *words) == here


@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs Ray")
def test_ray_gives_the_same_report(here: tuple[dict[str, Any], str], tmp_path: Path) -> None:
    assert left_by(tmp_path / "there", "executor=ray", "executor.workers=2") == here
