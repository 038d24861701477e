"""Workers on a SLURM cluster: one job array, submitted by submitit. Each task takes stacks from the shared folder."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest, first_line, nearest, raise_if_ended
from losslab.sweep import shared
from losslab.sweep.engines.base import WAIT, Engine
from losslab.sweep.jobs import short_hash

_PATIENCE = 10.0  # seconds in which SLURM must answer, and in which it may find a place for a probe
_SECONDS_BETWEEN_QUESTIONS = 5.0  # to the controller of the cluster
_WARNING = 90  # seconds before the time limit at which a task is told
_MOST_REQUEUES = 10_000  # of one task
_LOGS = "slurm"


def check(settings: Mapping[str, Any]) -> None:
    """Raises BadRequest where submitit, sbatch or the partition is not there, or SLURM does not answer."""
    if not importlib.util.find_spec("submitit"):
        raise BadRequest("executor=slurm needs submitit: pip install 'losslab[slurm]'.")
    if not shutil.which("sbatch"):
        raise BadRequest(
            "executor=slurm submits jobs with sbatch, which is not on this machine; type the command on a login node of the cluster."
        )
    partitions = _ask(["sinfo", "-h", "-o", "%R"]).split()
    if (wanted := settings["partition"]) and wanted not in partitions:
        known = ", ".join(dict.fromkeys(partitions))
        raise BadRequest(f"The cluster has no partition '{wanted}'{nearest(wanted, partitions)}. It has: {known}.")


def _ask(command: Sequence[str]) -> str:
    """What a command of SLURM prints. Raises BadRequest where it fails or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise BadRequest(f"SLURM does not answer: {command[0]} took more than {_PATIENCE:g} seconds.") from None
    if done.returncode:
        raise BadRequest(f"SLURM does not answer: {command[0]} says {_last(done.stderr)}.")
    return done.stdout


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["nothing"])[-1].rstrip(".")


class Task:
    """What a task of the array does; submitit pickles it, and calls `checkpoint` where the task is to be queued again."""

    def __init__(self, root: Path, most: float) -> None:
        self.root, self.most = root, most

    def __call__(self) -> int:
        """Trains stacks until none is left, or for so long."""
        from losslab.sweep.worker import serve

        return serve(self.root, WAIT, self.most)

    def checkpoint(self) -> Any:
        """The same once more: the stack goes on from its last checkpoint, whoever takes it then."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Slurm(Engine):
    """Tasks of a job array, which bear the name of the folder: a command that is started again finds them."""

    def __init__(self, settings: Mapping[str, Any], root: Path) -> None:
        super().__init__(settings, root)
        self.name = f"losslab-{short_hash([str(root)])}"
        self._seen, self._asked = 0, float("-inf")

    @property
    def share(self) -> float:
        """So long a task takes further stacks."""
        return 60.0 * float(self.settings["bundle"])

    @property
    def options(self) -> list[str]:
        """The further options of sbatch. Raises BadRequest for what is none."""
        found = shlex.split(self.settings["options"])
        if wrong := [word for word in found if not word.startswith("--")]:
            raise BadRequest(
                f"executor.options must be such as '--qos=low --constraint=a100', and '{wrong[0]}' is no option."
            )
        return found

    @property
    def folder(self) -> Path:
        """Of what submitit writes, the logs of the tasks among it."""
        return self.root / shared.HIDDEN / _LOGS

    def probe(self) -> None:
        """Has a node read a file in the folder. Where all are busy for some seconds, the tasks will see for themselves."""
        if self.running():
            return
        token = self.folder / "probe"
        token.parent.mkdir(parents=True, exist_ok=True)
        token.write_text(self.name)
        command = [
            "srun",
            f"--immediate={_PATIENCE:g}",
            "--time=1",
            "--ntasks=1",
            "--job-name=losslab-probe",
            "--quiet",
        ]
        command += [f"--{key}={value}" for key in ("partition", "account") if (value := self.settings[key])]
        try:
            done = subprocess.run(
                [*command, *self.options, "cat", str(token)],
                capture_output=True,
                text=True,
                timeout=2 * _PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return
        if self.name not in done.stdout and "cat:" in done.stderr:
            raise BadRequest(
                f"The nodes of the cluster do not see {self.root} ({_last(done.stderr)}); choose a folder that they share with "
                "hydra.sweep.dir=DIR."
            )

    def start(self, count: int, tasks: int) -> None:
        """Submits one job array of so many tasks, of which `count` run at a time."""
        import submitit

        self.folder.mkdir(parents=True, exist_ok=True)
        asked = self.settings
        optional = {"partition": asked["partition"], "account": asked["account"], "mem": asked["memory"]}
        further = dict(option.lstrip("-").partition("=")[::2] for option in self.options)
        try:
            executor = submitit.SlurmExecutor(folder=self.folder, max_num_timeout=_MOST_REQUEUES)
            executor.update_parameters(
                job_name=self.name,
                time=asked["minutes"],
                cpus_per_task=asked["cpus"],
                gpus_per_node=asked["gpus"] or None,
                array_parallelism=count,
                signal_delay_s=_WARNING,
                stderr_to_stdout=True,
                setup=[f"export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{asked['cpus']}}}", *asked["setup"]],
                additional_parameters={"requeue": True, **{key: value or True for key, value in further.items()}},
                **{key: value for key, value in optional.items() if value},
            )
            with executor.batch(allow_implicit_submissions=True):
                for _ in range(tasks):
                    executor.submit(Task(self.root, self.share))
        except Exception as error:
            raise_if_ended(error)
            raise BadRequest(f"SLURM does not take the jobs: {_last(str(error)) or first_line(error)}.") from error
        self._asked = float("-inf")

    def running(self) -> int:
        """The tasks that run or wait for a place."""
        if time.monotonic() - self._asked > _SECONDS_BETWEEN_QUESTIONS:
            states = _ask(["squeue", "-h", "-r", "-o", "%T", "-n", self.name]).split()
            self._seen, self._asked = sum(state != "COMPLETING" for state in states), time.monotonic()
        return self._seen

    def close(self) -> None:
        """Ends tasks that wait for further stacks, and removes their logs; where stacks are left, they go on without this command."""
        if not any(shared.listed(folder) for folder in shared.sweeps(self.root)):
            subprocess.run(["scancel", "-n", self.name], capture_output=True, timeout=_PATIENCE)
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # a sweep keeps something there
                self.folder.parent.rmdir()

    def logs(self) -> str:
        """In files of submitit."""
        return f"{self.folder}/*.out"
