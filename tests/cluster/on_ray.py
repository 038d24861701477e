"""A Ray cluster of two nodes on this machine, one of which is killed again and again, with the tasks on both."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from cluster import patched
from cluster.disturb import Cluster
from faults import children

_HANGS = 120.0  # seconds in which a node joins
_NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}


class OnRay(Cluster):
    """Two tasks, one on each node."""

    def __init__(self, log: Path, cluster: Any) -> None:
        super().__init__(log)
        self.cluster, self.second, self.folder = cluster, cluster.add_node(**_NODE), Path()
        self.words = ("executor=ray", f"executor.address={cluster.address}")

    def tend(self, folder: Path) -> None:
        """Has another node in the place of one that was killed."""
        self.folder = folder
        if self.second is None:
            self.second = self.cluster.add_node(**_NODE)

    def kill_a_worker(self, rng: np.random.Generator) -> bool:
        """Kills the process of a task that trains, or the second node with all that runs there."""
        if rng.random() < 0.5:
            self.cluster.remove_node(self.second, allow_graceful=False)
            self.second = None
            return True
        training = [int(path.stem.rpartition("-")[2]) for path in self.folder.glob(".stacks/*/workers/*.json")]
        training = [number for number in training if _is_task(number)]
        if training:
            os.kill(int(rng.choice(training)), signal.SIGKILL)
        return bool(training)


@contextmanager
def started(log: Path) -> Iterator[OnRay]:
    """The cluster. Its tasks write the epochs that they begin to a file."""
    from ray.cluster_utils import Cluster as Nodes

    os.environ[patched.LOG] = str(log)  # Ray gives its tasks the environment of the nodes
    nodes = Nodes(initialize_head=True, head_node_args=_NODE | {"include_dashboard": False})
    try:
        yield OnRay(log, nodes)
    finally:
        nodes.shutdown()
        del os.environ[patched.LOG]


UNSHARES = bool(shutil.which("unshare")) and os.getuid() == 0  # whether a process may have mounts of its own


@contextmanager
def blind_node(address: str, folder: Path) -> Iterator[None]:
    """A further node of a cluster that sees an empty folder in the place of this one."""
    node = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--num-cpus=1", "--block"]
    node += ["--object-store-memory=80000000", "--disable-usage-stats"]
    script = 'mount -t tmpfs none "$0" && exec "$@"'
    process = children.start(
        ["unshare", "--mount", "sh", "-c", script, str(folder), *node],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ.copy(),
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def nodes_alive(cluster: Any) -> int:
    """How many nodes the cluster has now."""
    import ray

    with ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR):
        return sum(node["Alive"] for node in ray.nodes())


def wait_for_nodes(cluster: Any, count: int) -> None:
    """Waits until the cluster has so many nodes."""
    until = time.monotonic() + _HANGS
    while nodes_alive(cluster) < count:
        assert time.monotonic() < until, "no further node joins"
        time.sleep(0.5)


def _is_task(number: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{number}/cmdline").read_bytes().startswith(b"ray::")
    return False
