"""Hydra plugins: a sweeper that does not compose what was checked before, and a launcher that trains many runs as one.

Hydra imports this file at every start, so nothing heavy is imported before a sweep is launched.
"""

import itertools
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

# of a private package, which Hydra loads anew when it looks for plugins: a class that was imported before would be another
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LosslabSweeper(BasicSweeper):
    """Hydra's own sweeper, without composing each job once more: `train.py` has checked the sweep before Hydra saw it."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's own."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.task_function = task_function

    @staticmethod
    def split_arguments(overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:
        """The overrides of each run, in batches; a sweep's values are those that `train.py` has checked."""
        from losslab.request.jobs import for_hydra
        from losslab.request.overrides import axes

        words = [str(override.input_line) for override in overrides]
        runs = [for_hydra(run) for run in itertools.product(*axes(words).values())]
        size = max_batch_size or len(runs)
        return [runs[start : start + size] for start in range(0, len(runs), size)]

    def sweep(self, arguments: list[str]) -> Any:
        """Hydra's own. Raises Halted where space or handles end, or nothing can be written.

        Here it is noted what failed under a launcher of other processes; another sweeper with such a launcher does not say it.
        """
        from losslab.errors import must_be_written

        with must_be_written():
            returned = super().sweep(arguments)
        jobs = [
            job for batch in returned for job in batch if job.hydra_cfg is not None
        ]  # the fused launcher gives none
        self.task_function.note_runs([Path(job.hydra_cfg.hydra.runtime.output_dir) for job in jobs])  # type: ignore[attr-defined]
        return returned

    def validate_batch_is_legal(self, batch: Any) -> None:
        """Checked before."""


class FusedLauncher(Launcher):
    """Hands all jobs of a batch to losslab at once, which trains together what can be stacked and the rest alone."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what Hydra gives."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs; each returns the validation metric of its best epoch, so that a sweeper that searches can use it."""
        from losslab.errors import BadRequest
        from losslab.request.jobs import compose_jobs

        setup_globals()
        try:
            jobs = compose_jobs(self.hydra_context.config_loader, self.config, job_overrides, initial_job_idx)
            values = self.task_function.sweep(jobs)  # type: ignore[attr-defined]  # losslab.cli hands Hydra an object
            if self.task_function.where["dry_run"]:  # type: ignore[attr-defined]
                self._forget()
        except BadRequest:
            self._forget()
            raise
        returns = []
        for overrides, job, value in zip(job_overrides, jobs, values, strict=True):
            done = JobReturn(
                overrides=overrides, working_dir=str(job.folder), task_name="train", status=JobStatus.COMPLETED
            )
            done.return_value = value
            returns.append(done)
        return returns

    def _forget(self) -> None:
        """Removes what Hydra has written for a sweep that trains nothing: one that was refused, or is only planned."""
        from losslab.schema.canonical import RUNS

        folder = Path(str(self.config.hydra.sweep.dir))
        with suppress(OSError):
            if [path.name for path in folder.iterdir()] == ["multirun.yaml"]:  # else it is also another sweep's
                (folder / "multirun.yaml").unlink()
                folder.rmdir()
                if folder.parent == Path(RUNS):
                    folder.parent.rmdir()  # where this sweep would have been the first in it


store = ConfigStore.instance().store
here = "hydra_plugins.losslab_sweeps"
sweeper = {"_target_": f"{here}.LosslabSweeper", "max_batch_size": None, "params": None}
for name in ("losslab", "basic"):  # Hydra's own, too: its ranges would hold other numbers
    store(group="hydra/sweeper", name=name, node=sweeper, provider="losslab")
# its settings belong to the request: fused.size and the others of fused
store(group="hydra/launcher", name="fused", node={"_target_": f"{here}.FusedLauncher"}, provider="losslab")
