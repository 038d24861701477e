"""The engines that start workers on the stacks of a sweep: processes of this machine, SLURM, Ray. None of them sees a stack.

Which stack is whose, what is done and what has failed is settled in the shared folder; see `losslab.sweep.shared`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest
from losslab.schema.cards import of_this_process
from losslab.sweep.engines.base import Engine as Engine


def check(settings: Mapping[str, Any]) -> None:
    """Raises BadRequest where the engine that an executor names is not there. Starts nothing, and imports no torch."""
    name = settings["name"]
    if name != "local" and of_this_process():
        raise BadRequest(
            f"executor={name} trains in other processes, which know no function that was registered in this one; put it into a file, "
            "and name it as in loss=my_losses.py:NAME."
        )
    if name == "slurm":
        from losslab.sweep.engines import slurm

        slurm.check(settings)
    elif name == "ray":
        from losslab.sweep.engines import ray_cluster

        ray_cluster.check(settings)


@contextmanager
def opened(settings: Mapping[str, Any], root: Path) -> Iterator[Engine | None]:
    """The engine that an executor names, for the sweeps below a folder; None where this process trains them itself.

    Raises BadRequest where it is not there, and where its workers would not see the folder.
    """
    if settings["name"] == "local":
        yield None
        return
    check(settings)
    engine = _build(settings, root.absolute())
    try:
        yield engine
    finally:
        engine.close()


def _build(settings: Mapping[str, Any], root: Path) -> Engine:
    if settings["name"] == "slurm":
        from losslab.sweep.engines.slurm import Slurm

        return Slurm(settings, root)
    if settings["name"] == "ray":
        from losslab.sweep.engines.ray_cluster import RayCluster

        return RayCluster(settings, root)
    from losslab.sweep.engines.processes import Processes

    return Processes(settings, root)
