"""Stacks on a real Ray cluster of two nodes: tasks, a node and commands killed, and bad requests."""

import importlib.util
import os
from pathlib import Path

import pytest

from cluster import on_ray
from cluster.disturb import Harm, disturbed
from losslab.cli import train
from losslab.sweep.engines import ray_cluster

MANY = bool(os.environ.get("LOSSLAB_MANY_KILLS"))  # as in `make test-cluster`
THERE = importlib.util.find_spec("ray") is not None


@pytest.mark.slow
@pytest.mark.skipif(not THERE, reason="needs Ray")
def test_tasks_a_node_and_their_command_may_be_killed_at_any_time(tmp_path: Path) -> None:
    with on_ray.started(tmp_path / "epochs") as cluster:
        harm = disturbed(cluster, 20 if MANY else 3, 5 if MANY else 1, tmp_path, seed=0)
    assert harm == Harm(harm.workers, harm.heads, harm.runs, repeated=harm.repeated)
    assert harm.repeated <= 1
    assert harm.workers >= 3


@pytest.mark.slow
@pytest.mark.skipif(not THERE, reason="needs Ray")
@pytest.mark.skipif(not on_ray.UNSHARES, reason="needs root, to give a node mounts of its own")
def test_a_node_that_does_not_see_the_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    words = ["-m", "seed=0,1", "trainer=cpu", "trainer.max_epochs=1", f"hydra.sweep.dir={folder}", "executor=ray"]
    with on_ray.started(tmp_path / "epochs") as cluster:
        words += [f"executor.address={cluster.cluster.address}"]
        with on_ray.blind_node(cluster.cluster.address, folder):
            on_ray.wait_for_nodes(cluster.cluster, 3)
            assert train.train(words) == 2
        said = capsys.readouterr().err
        assert f"of the Ray cluster does not see {folder}; choose a folder that all nodes share" in said
        assert said.count("\n") == 1
        assert not list(folder.glob("*/record.json"))


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("head", "executor.address must be HOST:PORT, such as head:6379, or auto; 'head' is neither."),
        (
            "127.0.0.1:1",
            "No Ray cluster answers at 127.0.0.1:1 within 10 seconds (Connection refused); `ray start --head`",
        ),
    ],
)
def test_an_address_that_does_not_answer_is_refused(
    address: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_cluster.importlib.util, "find_spec", lambda name: name)
    assert train.train(["-m", "seed=0,1", "executor=ray", f"executor.address='{address}'"]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
