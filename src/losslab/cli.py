"""The commands. torch is imported only once a request is known to be good."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from losslab import config, telling, threads
from losslab.interrupts import exit_with, noted
from losslab.machine import Halted, halting, must_be_written, raise_if_ended, threads_say_no_more
from losslab.values import first_line, one_line, told

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from losslab.jobs import Job
    from losslab.record import Record
    from losslab.request import StudyRequest


def command() -> None:
    """The command `losslab` as a process: ends it with the exit status."""
    exit_with(main())


def main(arguments: list[str] | None = None) -> int:
    """The command `losslab`. Returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["train"]:  # all that follows is Hydra's
        return train(arguments[1:])
    parser = argparse.ArgumentParser(
        "losslab", description="Compare loss functions: the same data, the same weights, the same batches."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train", help="train one run, or with -m a sweep; what python train.py does")
    catalogue = commands.add_parser("losses", help="list the losses")
    catalogue.add_argument("--task", choices=config.names("task"), help="only those that serve this task")
    catalogue.add_argument("--markdown", action="store_true", help="the tables of docs/losses.md")
    card = commands.add_parser("show", help="print the card of a loss or a corruption and draw it")
    card.add_argument("name", metavar="NAME", help="a loss; or corruption=NAME, to see what it does to data")
    card.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of what is drawn, such as delta=2")
    card.add_argument("--out", type=Path, metavar="FILE.png", help="the figure; NAME.png unless given")
    gallery = commands.add_parser("gallery", help="write one page with every loss: cards, curves, speed")
    gallery.add_argument("--out", type=Path, default=Path("runs/gallery.html"), metavar="FILE.html")
    report = commands.add_parser("report", help="sum up the records below a folder: a table, a page, Markdown, parquet")
    report.add_argument("folder", type=Path)
    report.add_argument("--metric", default="", help="the test metric that is compared, where not the study's own")
    report.add_argument("--epoch", default="", choices=["best", "last"], help="whose figures are compared")
    report.add_argument("--reference", default="", metavar="LOSS", help="the loss that the others are compared with")
    report.add_argument("--mix", action="store_true", help="take together what belongs to several studies or commits")
    given, more = parser.parse_known_args(arguments)
    if given.command == "show" and not any(word.startswith("-") for word in more):
        given.settings += more  # argparse takes none after an option
    elif more:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    answers = {
        "losses": lambda: list_losses(given.task, given.markdown),
        "show": lambda: show(given.name, given.settings, given.out),
        "gallery": lambda: write_gallery(given.out),
        "report": lambda: report_on(given.folder, given.metric, given.epoch, given.reference, given.mix),
    }
    try:
        with noted():
            status = answers[given.command]()
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except config.BadRequest as error:
        print(f"losslab {given.command}: {one_line(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `losslab losses | head`: who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"losslab {given.command}: {one_line(_unwritten(error))}", file=sys.stderr)
        return 2
    return status


@threads_say_no_more()
def train(arguments: list[str]) -> int:
    """`python train.py`: checks the request, then runs it, a sweep through Hydra. Returns the exit status.

    0: done. 1: a lone run failed or diverged, a run of a sweep failed, or the machine had no more to give. 2: the request was
    wrong. 130: Ctrl-C.
    """
    try:
        with noted(), halting():
            return _train(arguments)
    except (config.BadRequest, Halted) as error:
        print(f"train.py: {one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, Halted) else 2
    except KeyboardInterrupt:
        anew = any(word.lstrip("+").lower() == "overwrite=true" for word in arguments)
        same = "The same command without overwrite=true" if anew else "The same command"
        onward = "repeats no run that is over and goes on from the last checkpoint (one is made every two seconds)"
        print(f"\nStopped. {same} {onward}.", file=sys.stderr)
        return 130


def _train(arguments: list[str]) -> int:
    import hydra
    from hydra.errors import HydraException

    from losslab import flags
    from losslab.jobs import for_hydra
    from losslab.request import StudyRequest, check_command, check_shown

    given = flags.read(arguments)
    asked = None
    if not flags.shows(given):
        asked = check_command(given.overrides, given.multirun)
    elif not (given.hydra_help or given.shell_completion):
        given.overrides = check_shown(given.overrides, given.cfg, given.package, given.resolve)
    if isinstance(asked, StudyRequest):
        return _study(asked)
    if asked:  # composed and checked; Hydra would compose it twice more
        return _run(*asked)
    command = Command()
    sys.argv = ["train.py", *for_hydra(flags.words(given) if flags.shows(given) else ["-m", *given.overrides])]
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = (
        "1"  # without, Hydra prints a traceback of what is raised, and here a sentence is owed
    )
    try:
        with flags.discreet(given), telling.at_once() if flags.shows(given) else nullcontext():
            hydra.main(version_base="1.3", config_path=str(config.CONF), config_name="config")(command)()
    except HydraException as error:  # a launcher or sweeper that cannot be built
        raise config.BadRequest(f"Hydra cannot do this: {first_line(error)}.") from error
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
    telling.failures(list(command.failed))
    return command.status


class Command:
    """What Hydra calls for a sweep: through losslab's launcher with all jobs at once, through another with one after another."""

    def __init__(self) -> None:
        self.status = 0
        self.failed: dict[Path, None] = {}  # folders, in their order

    def __call__(self, cfg: DictConfig) -> None:
        """One run of a sweep under another launcher."""
        from hydra.core.hydra_config import HydraConfig

        settings = HydraConfig.get()
        folder = Path(settings.runtime.output_dir)
        status = _run(cfg, folder, settings.job.num)
        self.failed |= {folder: None} if status == 1 else {}
        self.status = max(self.status, status)

    def over(self, folders: Iterable[Path]) -> None:
        """Notes which runs failed, by their records, under a launcher whose jobs were processes of their own."""
        from losslab.record import whole_records

        for folder in folders:
            records, _ = whole_records(folder)
            failed = any(record.status == "failed" for record in records)
            self.failed |= {folder: None} if failed else {}
            if failed or not records:
                self.status = max(self.status, 1)

    def sweep(self, jobs: Sequence[Job]) -> list[float | None]:
        """All jobs of a sweep. Returns the validation metric of each run's best epoch, None where there is none.

        Raises BadRequest, before anything is trained, for jobs that cannot be.
        """
        before_torch(job.request["trainer"] for job in jobs)
        from losslab.audit import audit
        from losslab.origin import changes
        from losslab.sweep import train_all

        outcome = train_all(jobs, self._tell)
        records = outcome.records
        once = dict(zip((job.folder for job in jobs), records, strict=True))  # a run may be asked for twice
        counts = Counter(record.status for record in once.values())
        say = telling.say
        say(f"{len(once)} runs: " + ", ".join(f"{count} {status}" for status, count in counts.most_common()) + ".")
        if outcome.stacked:
            say(f"{outcome.stacked} trained in stacks.")
        for why, count in outcome.alone.most_common():
            say(f"{count} trained alone: {why}.")
        if checked := jobs[0].request["fused"]["audit"]:
            say(audit(jobs, records, checked))
        for said in changes(outcome.over, once.values()):
            say(said)
        self.failed |= {folder: None for folder, record in once.items() if record.status == "failed"}
        return [record.metrics.get(f"best/val/{record.selection.get('metric')}") for record in records]

    def _tell(self, job: Job, record: Record, again: bool) -> None:
        self.status = max(self.status, telling.told(record, job.folder, job.number, again))


def list_losses(task: str | None, markdown: bool) -> int:
    """Prints the catalogue of losses, or of those that serve a task. Returns the exit status."""
    from losslab.catalogue import cards

    names = config.names("loss") if task is None else config.fitting("loss", task)
    if markdown:
        print(cards.markdown(names))
    else:
        cards.print_list(names, Console(), f"{len(names)} losses" + (f" serve task {task}" if task else ""))
    return 0


def show(what: str, settings: list[str], into: Path | None) -> int:
    """Prints the card of a loss or a corruption and draws it. Returns the exit status; raises BadRequest for what is not there."""
    from losslab.catalogue.show import show

    show(what, settings, into)
    return 0


def write_gallery(into: Path) -> int:
    """Writes the page of all losses. Returns the exit status."""
    from losslab.catalogue.page import write

    print(f"Gallery: {write(config.names('loss'), into)}")
    return 0


def report_on(folder: Path, metric: str = "", epoch: str = "", reference: str = "", mix: bool = False) -> int:
    """Prints the table over all records below `folder` and writes its report. Returns the exit status."""
    from losslab.record import whole_records
    from losslab.study import report
    from losslab.study.gather import Asked

    records, torn = whole_records(folder) if folder.is_dir() else ([], [])
    left_out = (
        f"{len(torn)} torn {'records were' if len(torn) > 1 else 'record was'} left out (first: {torn[0]}); "
        "the command that made the runs sets it aside and trains again what is missing."
        if torn
        else ""
    )
    if not records:
        raise config.BadRequest(
            left_out or f"There are no records below {folder}; a sweep leaves them in its folder, hydra.sweep.dir=DIR."
        )
    report.make(records, folder, Console(), Asked(metric, epoch, reference, mix), [left_out] if torn else [])
    return 0


def _unwritten(error: OSError) -> str:
    """A sentence for what could not be written."""
    return f"Nothing can be written to {error.filename or 'the disk'}: {error.strerror or error}."


def _study(asked: StudyRequest) -> int:
    """A study from its first trial to its report. Returns the exit status."""
    before_torch(
        asked.study.request(asked.study.losses[0], setting, 0)["trainer"] for setting in asked.study.settings()
    )
    with must_be_written():
        from losslab.origin import changes
        from losslab.study import report
        from losslab.study.conduct import conduct
        from losslab.study.gather import Asked

        records, over = conduct(*asked)
        telling.say("")
        report.make(list(records.values()), asked.folder, Console(), Asked(mix=asked.mix))
        for said in changes(over, records.values()):
            telling.say(said)
        failed = [folder for folder, record in records.items() if record.status == "failed"]
        telling.failures(failed)
    return int(bool(failed))


def before_torch(trainers: Iterable[Mapping[str, Any]]) -> None:
    """Sets what must be set before torch is imported, for runs with these trainer settings."""
    threads.wait_shortly()
    if any(trainer["deterministic"] for trainer in trainers):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when torch first uses it


def _run(asked: DictConfig | dict[str, Any], folder: Path, number: int | None = None) -> int:
    """One run, lone or number `number` of a sweep; says what came of it. Returns its exit status."""
    from losslab.claim import claimed, forget
    from losslab.folder import check_folder
    from losslab.record import Record, finished

    try:
        request = config.check(asked)
        check_folder(folder, request)
        if record := finished(folder, request):
            forget([folder])
            return telling.told(record, folder, number, again=True)
        before_torch([request["trainer"]])
        from losslab.run import run

        record = run(request, folder)
    except config.Incompatible as error:
        record = Record.of(config.canonical(asked), "skipped", str(error))
        record.write(folder)
    except config.BadRequest as error:
        print(f"train.py: {one_line(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        trace = traceback.format_exc()
        try:
            raise_if_ended(error)
            plain = config.canonical(asked)
            record = Record.of(plain, "failed", told(error), traceback=trace)
            # the run's own claim is over, and another process may have trained it since
            with must_be_written(), claimed([folder]):
                folder.mkdir(parents=True, exist_ok=True)
                if finished(folder, plain) is None:
                    record.write(folder)
        except (config.BadRequest, Halted) as halted:
            print(f"train.py: {one_line(halted)}", file=sys.stderr)
            if number is not None and isinstance(halted, Halted):  # the next run of a sweep would fare no better
                raise SystemExit(1) from None
            return 2 if isinstance(halted, config.BadRequest) else 1
        if number is None:
            print(trace, end="", file=sys.stderr)
    return telling.told(record, folder, number)
