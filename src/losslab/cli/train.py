"""The command `losslab train`, which is `python train.py`: one run, a sweep or a study."""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab import errors
from losslab.cli import card_folders, messages, studies
from losslab.errors import (
    Halted,
    describe,
    first_line,
    halting,
    must_be_written,
    one_line,
    raise_if_ended,
    threads_say_no_more,
)
from losslab.events import (
    Event,
    RunFinished,
    SweepPlanned,
    SweepStarted,
    WorkersAwaited,
    together,
)
from losslab.safe_points import noted
from losslab.schema import canonical, cards, check, executor
from losslab.training import threads

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from losslab.records.record import Record
    from losslab.sweep.jobs import Job


@threads_say_no_more()
def train(arguments: list[str], program: str = "train.py") -> int:
    """`python train.py`: checks the request, then runs it, a sweep through Hydra. Returns the exit status.

    0: done. 1: a lone run failed or diverged, a run of a sweep failed, or the machine had no more to give. 2: the request was
    wrong. 130: Ctrl-C.

    program: the command that was typed, for messages.
    """
    try:
        with noted(), halting(), messages.warnings_shown(), card_folders.used(arguments) as words:
            return _train(words, program)
    except (errors.BadRequest, Halted) as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, Halted) else 2
    except KeyboardInterrupt:
        anew = any(word.lstrip("+").lower() == "overwrite=true" for word in arguments)
        same = "The same command without overwrite=true" if anew else "The same command"
        onward = "repeats no finished run and goes on from the last checkpoint (one is made every two seconds)"
        print(f"\nStopped. {same} {onward}.", file=sys.stderr)
        return 130


def _train(arguments: list[str], program: str) -> int:
    import hydra
    from hydra.errors import HydraException

    from losslab.cli import hydra_flags
    from losslab.request.command import StudyRequest, SweepRequest, check_command, check_shown
    from losslab.request.compose import offer_cards
    from losslab.request.jobs import for_hydra
    from losslab.request.overrides import with_own_data

    threads.wait_shortly()  # a loss of the user's that is named imports torch while the request is checked
    given = hydra_flags.read(arguments)
    given.overrides = with_own_data(given.overrides)
    asked = None
    if not hydra_flags.shows(given):
        asked = check_command(given.overrides, given.multirun)
    elif not (given.hydra_help or given.shell_completion):
        given.overrides = check_shown(given.overrides, given.cfg, given.package, given.resolve)
    if isinstance(asked, StudyRequest):
        study = asked.study
        before_torch(study.request(study.losses[0], setting, 0)["trainer"] for setting in study.settings())
        return studies.train(asked)
    if isinstance(asked, SweepRequest):
        given.overrides = asked.overrides
    elif asked:  # composed and checked; Hydra would compose it twice more
        return _run_checked(*asked, program)
    offer_cards()
    command = Command(program, asked.folder, asked.executor) if asked else Command(program)
    sys.argv = [
        program,
        *for_hydra(hydra_flags.words(given) if hydra_flags.shows(given) else ["-m", *given.overrides]),
    ]
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = (
        "1"  # without, Hydra prints a traceback of what is raised, and here a sentence is owed
    )
    try:
        with hydra_flags.discreet(given), messages.at_once() if hydra_flags.shows(given) else nullcontext():
            hydra.main(version_base="1.3", config_path=str(cards.CONF), config_name="config")(command)()
    except HydraException as error:  # a launcher or sweeper that cannot be built
        raise errors.BadRequest(f"Hydra cannot do this: {first_line(error)}.") from error
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
    return command.end()


class Command:
    """What Hydra calls for a sweep: losslab's launcher with all jobs at once, another launcher with one job at a time."""

    def __init__(self, program: str, folder: Path = Path(), where: Mapping[str, Any] = executor.LOCAL) -> None:
        self.program, self.folder, self.status, self.started = program, folder, 0, time.perf_counter()
        self.where = where  # its stacks are trained
        self.runs: dict[Path, Record] = {}  # by folder, in their order: a sweep may come in several batches
        self.again = 0  # runs that had finished before
        self.notes: list[str] = []

    def __call__(self, cfg: DictConfig) -> None:
        """One run of a sweep under another launcher."""
        from hydra.core.hydra_config import HydraConfig

        settings = HydraConfig.get()
        folder = Path(settings.runtime.output_dir)
        self.status = max(self.status, _run(cfg, folder, settings.job.num, self.program))
        self.note_runs([folder])

    def note_runs(self, folders: Iterable[Path]) -> None:
        """Notes what became of runs, from their records, under a launcher that may have started a process for each job."""
        from losslab.records.store import whole_records

        for folder in folders:
            records, _ = whole_records(folder)
            self.runs |= dict.fromkeys([folder], records[0]) if records else {}
            if not records or any(record.status == "failed" for record in records):
                self.status = max(self.status, 1)

    def sweep(self, jobs: Sequence[Job]) -> list[float | None]:
        """All jobs of a sweep. Returns the validation metric of each run's best epoch, None where there is none.

        Raises BadRequest, before anything is trained, for jobs that cannot be.
        """
        before_torch(job.request["trainer"] for job in jobs)
        from losslab.records.provenance import changes
        from losslab.report import mean_curves
        from losslab.sweep import engines
        from losslab.sweep.audit import audit
        from losslab.sweep.progress import SweepBar
        from losslab.sweep.runner import train_all

        dry_run = self.where["dry_run"]
        with engines.opened(self.where, self.folder) as engine, SweepBar() as bar:
            outcome = train_all(jobs, together(bar, self._report), spread=True, engine=engine, dry_run=dry_run)
        if dry_run:
            return [None] * len(jobs)
        records = outcome.records
        once = dict(zip((job.folder for job in jobs), records, strict=True))  # a run may be asked for twice
        self.runs |= once
        self.again += len(outcome.finished)
        self.notes += [f"{outcome.stacked} trained in stacks."] if outcome.stacked else []
        self.notes += [f"{count} trained alone: {why}." for why, count in outcome.alone.most_common()]
        self.notes += [f"Trained in {outcome.processes} processes."] if outcome.processes > 1 else []
        if checked := jobs[0].request["fused"]["audit"]:
            self.notes.append(audit(jobs, records, checked))
        self.notes += changes(outcome.finished, once.values())
        mean_curves.write(once)
        return [record.metrics.get(f"best/val/{record.selection.get('metric')}") for record in records]

    def end(self) -> int:
        """Prints what came of the sweep. Returns the exit status."""
        if self.runs:
            seconds = time.perf_counter() - self.started
            messages.report_sweep(self.runs, self.again, self.notes, self.folder, seconds)
        messages.report_failures([folder for folder, record in self.runs.items() if record.status == "failed"])
        return self.status

    def _report(self, event: Event) -> None:
        """Says at once where runs are trained, and of the first failure what it is: the others may fail as well."""
        if isinstance(event, SweepStarted) and event.runs:
            messages.print_line(f"Training {event.runs} {'run' if event.runs == 1 else 'runs'} in {self.folder}.")
        elif isinstance(event, SweepPlanned | WorkersAwaited):
            studies.report(event)
        elif isinstance(event, RunFinished) and event.record.status == "failed" and not self.status:
            self.status = 1
            studies.report(event)


def before_torch(trainers: Iterable[Mapping[str, Any]]) -> None:
    """Sets what must be set before torch is imported, for runs with these trainer settings."""
    threads.wait_shortly()
    if any(trainer["deterministic"] for trainer in trainers):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when torch first uses it
    if "torch" not in sys.modules and gc.isenabled():
        _import_torch()


def _import_torch() -> None:
    """Imports what trains. No garbage is looked for meanwhile: of the million objects that are made all stay."""
    gc.disable()
    try:
        import losslab.training.run  # noqa: F401
    finally:
        gc.enable()


def _run(config: DictConfig, folder: Path, number: int, program: str) -> int:
    """Run `number` of a sweep under another launcher; prints its outcome. Returns its exit status."""
    from losslab.records.record import Record
    from losslab.records.run_folder import check_folder

    try:
        request = check.check(config)
        check_folder(folder, request)
    except errors.Incompatible as error:
        record = Record.of(canonical.canonical(config), "skipped", str(error))
        record.write(folder)
        return messages.report_run(record, folder, number)
    except errors.BadRequest as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        return 2
    return _run_checked(request, folder, program, number)


def _run_checked(request: dict[str, Any], folder: Path, program: str, number: int | None = None) -> int:
    """One run, alone or as number `number` of a sweep; prints its outcome. Returns its exit status."""
    from losslab.records.locks import locked, remove_stale
    from losslab.records.record import Record
    from losslab.records.store import finished_record

    if record := finished_record(folder, request):
        remove_stale([folder])
        return messages.report_run(record, folder, number, again=True)
    try:
        before_torch([request["trainer"]])
        from losslab.training.run import run_checked

        record = run_checked(request, folder)
    except errors.BadRequest as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        trace = traceback.format_exc()
        try:
            raise_if_ended(error)
            record = Record.of(request, "failed", describe(error), traceback=trace)
            # the run's own lock is released, and another process may have trained it since
            with must_be_written(), locked([folder]):
                folder.mkdir(parents=True, exist_ok=True)
                if finished_record(folder, request) is None:
                    record.write(folder)
        except (errors.BadRequest, Halted) as halted:
            print(f"{program}: {one_line(halted)}", file=sys.stderr)
            if number is not None and isinstance(halted, Halted):  # the next run of a sweep would fare no better
                raise SystemExit(1) from None
            return 2 if isinstance(halted, errors.BadRequest) else 1
        if number is None:
            print(trace, end="", file=sys.stderr)
    return messages.report_run(record, folder, number)
