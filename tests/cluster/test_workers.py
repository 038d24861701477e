"""Workers that are started by hand, and the commands that hand over to them, killed in the middle of sweeps."""

import os
from pathlib import Path

import pytest

from cluster.disturb import ByHand, Harm, disturbed

MANY = bool(os.environ.get("LOSSLAB_MANY_KILLS"))  # as in `make test-cluster`


@pytest.mark.slow
def test_three_workers_and_their_command_may_be_killed_at_any_time(tmp_path: Path) -> None:
    harm = disturbed(ByHand(tmp_path / "epochs"), 20 if MANY else 4, 5 if MANY else 1, tmp_path, seed=0)
    assert harm == Harm(harm.workers, harm.heads, harm.runs, repeated=harm.repeated)
    assert harm.repeated <= 1
    assert harm.workers >= 4
