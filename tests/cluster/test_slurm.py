"""Stacks on a real SLURM cluster of two nodes: tasks killed, preempted and queued again, and bad requests."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import on_slurm
from cluster.disturb import Harm, disturbed
from losslab.cli import train

MANY = bool(os.environ.get("LOSSLAB_MANY_KILLS"))  # as in `make test-cluster`
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not on_slurm.THERE, reason="needs root, and Debian's packages slurmctld and slurmd"),
    pytest.mark.skipif(not importlib.util.find_spec("submitit"), reason="needs submitit"),
]


@pytest.fixture(scope="module", autouse=True)
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with on_slurm.started(tmp_path_factory.mktemp("slurm")):
        yield


def test_tasks_and_their_command_may_be_killed_or_preempted_at_any_time(tmp_path: Path) -> None:
    cluster = on_slurm.OnSlurm(tmp_path / "epochs")
    harm = disturbed(cluster, 20 if MANY else 3, 5 if MANY else 1, tmp_path, seed=0)
    assert harm == Harm(harm.workers, harm.heads, harm.runs, repeated=harm.repeated)
    assert harm.repeated <= 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["executor.partition=lwo"], "The cluster has no partition 'lwo' (did you mean 'low'?). It has: low, high."),
        (["executor.options='qos=low'"], "'qos=low' is no option"),
        (["executor.options='--reservation=none'"], "SLURM does not take the jobs: sbatch: error: "),
        (["executor.memory=900G"], "SLURM does not take the jobs: sbatch: error: "),
    ],
)
def test_what_slurm_cannot_do_is_refused(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "-m",
        "seed=0,1",
        "trainer.max_epochs=1",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
        "executor=slurm",
        *words,
    ]
    assert train.train(asked) == 2
    assert says in capsys.readouterr().err


def test_a_cluster_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    assert train.train(["-m", "seed=0,1", f"hydra.sweep.dir={tmp_path / 'sweep'}", "executor=slurm"]) == 2
    assert "SLURM does not answer: sinfo " in capsys.readouterr().err
