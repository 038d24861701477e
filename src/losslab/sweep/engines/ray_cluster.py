"""Workers that are tasks of Ray. Ray starts a task again whose node or process has ended; it goes on where its stack stood."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest, first_line, raise_if_ended
from losslab.sweep import shared
from losslab.sweep.engines.base import WAIT, Engine

_PATIENCE = 10.0  # seconds in which an address must answer


def check(settings: Mapping[str, Any]) -> None:
    """Raises BadRequest where Ray is not there, or the address does not answer."""
    if not importlib.util.find_spec("ray"):
        raise BadRequest("executor=ray needs Ray: pip install 'losslab[ray]'.")
    address = settings["address"]
    if address in ("", "auto"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise BadRequest(f"executor.address must be HOST:PORT, such as head:6379, or auto; '{address}' is neither.")
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except OSError as error:
        raise BadRequest(
            f"No Ray cluster answers at {address} within {_PATIENCE:g} seconds ({error.strerror or error}); `ray start --head` "
            "on its first machine prints the address."
        ) from error


def _serve(root: str, wait: float) -> int:
    """What a task does."""
    from losslab.sweep.worker import serve

    return serve(Path(root), wait)


def _reads(path: str) -> bool:
    return Path(path).is_file()


def _says_no(ray: Any, answer: Any) -> bool:
    """Whether a node has answered that it does not see the folder; one that has just left the cluster says nothing."""
    try:
        return not ray.get(answer, timeout=10 * _PATIENCE)
    except ray.exceptions.RayError:
        return False


class RayCluster(Engine):
    """So many tasks as the cluster has places for, unless executor.workers says otherwise."""

    def __init__(self, settings: Mapping[str, Any], root: Path) -> None:
        super().__init__(settings, root)
        self._tasks: list[Any] = []
        if not settings["workers"]:
            self.workers = self._places()

    def probe(self) -> None:
        """Has each node read a file in the folder."""
        ray = self._connected()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        token = self.root / shared.HIDDEN / "probe"
        token.parent.mkdir(parents=True, exist_ok=True)
        token.touch()
        try:
            nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
            reads = ray.remote(num_cpus=0)(_reads)
            places = {node: NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes}
            asked = {
                node: reads.options(scheduling_strategy=place).remote(str(token)) for node, place in places.items()
            }
            blind = [nodes[node] for node, answer in asked.items() if _says_no(ray, answer)]
        finally:
            token.unlink(missing_ok=True)
        if blind:
            raise BadRequest(
                f"The node {blind[0]} of the Ray cluster does not see {self.root}; choose a folder that all nodes share with "
                "hydra.sweep.dir=DIR."
            )

    def start(self, count: int, tasks: int) -> None:
        """Submits so many tasks."""
        ray = self._connected()
        threads = os.environ.get("OMP_NUM_THREADS") or str(self.settings["cpus"])
        serve = ray.remote(
            num_cpus=self.settings["cpus"],
            num_gpus=self.settings["gpus"],
            max_retries=-1,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": threads}},
        )(_serve)
        self._tasks += [serve.remote(str(self.root), WAIT) for _ in range(count)]

    def running(self) -> int:
        """The tasks that have not ended; one that Ray starts again has not."""
        if self._tasks:
            _, self._tasks = self._connected().wait(self._tasks, num_returns=len(self._tasks), timeout=0)
        return len(self._tasks)

    def close(self) -> None:
        """Leaves the cluster, which ends the tasks of this command."""
        if self._tasks or importlib.util.find_spec("ray"):
            import ray

            ray.shutdown()

    def logs(self) -> str:
        """Ray keeps them."""
        return "the logs of Ray (ray logs)"

    def _places(self) -> int:
        """How many tasks fit on the cluster at the same time."""
        if not self.settings["address"]:
            import joblib  # type: ignore[import-untyped]

            return max(1, int(joblib.cpu_count()) // int(self.settings["cpus"]))
        has = self._connected().cluster_resources()
        places = has.get("CPU", 0) // self.settings["cpus"]
        if self.settings["gpus"]:
            places = min(places, has.get("GPU", 0) // self.settings["gpus"])
        return max(1, int(places))

    def _connected(self) -> Any:
        """Ray, connected to the cluster. Raises BadRequest where it cannot be."""
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as later versions do; else it warns
        import ray

        if not ray.is_initialized():
            try:
                ray.init(
                    address=self.settings["address"] or "local",
                    log_to_driver=False,
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                )
            except Exception as error:
                raise_if_ended(error)
                raise BadRequest(f"Ray cannot be used: {first_line(error)}.") from error
        return ray
