"""The commands. torch is imported only once a request is known to be good."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Table

from losslab import config

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from losslab.jobs import Job
    from losslab.record import Record
    from losslab.request import StudyRequest


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
    catalogue.add_argument("--markdown", action="store_true", help="the tables that the README carries")
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
        status = answers[given.command]()
        sys.stdout.flush()
    except config.BadRequest as error:
        print(f"losslab {given.command}: {error}", file=sys.stderr)
        return 2
    except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
        print(f"losslab {given.command}: Nothing can be written to {error.filename}.", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `losslab losses | head`: who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def train(arguments: list[str]) -> int:
    """`python train.py`: checks the request, then runs it, a sweep through Hydra. Returns the exit status.

    0: done. 1: a lone run failed or diverged, or a run of a sweep failed. 2: the request was wrong. 130: Ctrl-C.
    """
    import hydra
    from hydra._internal.utils import get_args_parser

    from losslab.request import StudyRequest, check_command

    given = get_args_parser().parse_args(arguments)
    if given.config_dir or given.config_name or given.config_path:
        print("train.py: Configs are read from conf/ alone; put your own files there.", file=sys.stderr)
        return 2
    many = given.multirun
    try:
        if not (given.help or given.hydra_help or given.cfg or given.info or given.shell_completion):
            try:
                asked = check_command(given.overrides, given.multirun)
            except config.BadRequest as error:
                print(f"train.py: {error}", file=sys.stderr)
                return 2
            if isinstance(asked, StudyRequest):
                many = True
                return _study(asked)
            if asked:  # composed and checked; Hydra would compose it twice more
                return _run(*asked)
        command = Command()
        sys.argv = ["train.py", *arguments]
        hydra.main(version_base="1.3", config_path=str(config.CONF), config_name="config")(command)()
        return command.status
    except KeyboardInterrupt:
        same = "The same command without overwrite=true" if "overwrite=true" in arguments else "The same command"
        onward = "repeats no run that is over" if many else "goes on from the last checkpoint"
        more = "a stack that was training begins anew" if many else "one is made every two seconds"
        print(f"\nStopped. {same} {onward} ({more}).", file=sys.stderr)
        return 130


class Command:
    """What Hydra calls for a sweep: through losslab's launcher with all jobs at once, through another with one after another."""

    def __init__(self) -> None:
        self.status = 0

    def __call__(self, cfg: DictConfig) -> None:
        """One run of a sweep under another launcher."""
        from hydra.core.hydra_config import HydraConfig

        settings = HydraConfig.get()
        self.status = max(self.status, _run(cfg, Path(settings.runtime.output_dir), settings.job.num))

    def sweep(self, jobs: Sequence[Job]) -> list[float | None]:
        """All jobs of a sweep. Returns the validation metric of each run's best epoch, None where there is none."""
        from losslab.sweep import audit, train_all

        try:
            outcome = train_all(jobs, self._tell)
        except config.BadRequest as error:
            self.refuse(error)
        records = outcome.records
        counts = Counter(record.status for record in records)
        print(f"{len(records)} runs: " + ", ".join(f"{count} {status}" for status, count in counts.most_common()) + ".")
        if outcome.stacked:
            print(f"{outcome.stacked} trained in stacks.")
        for why, count in outcome.alone.most_common():
            print(f"{count} trained alone: {why}.")
        if checked := jobs[0].request["fused"]["audit"]:
            print(audit(jobs, records, checked))
        return [record.metrics.get(f"best/val/{record.selection.get('metric')}") for record in records]

    def refuse(self, error: config.BadRequest) -> NoReturn:
        """Answers a wrong request in one sentence; Hydra would print a traceback."""
        print(f"train.py: {error}", file=sys.stderr)
        raise SystemExit(2)

    def _tell(self, job: Job, record: Record, again: bool) -> None:
        self.status = max(self.status, _tell(record, job.folder, job.number, again))


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
    from losslab.record import read_records
    from losslab.study import report
    from losslab.study.gather import Asked

    try:
        records = read_records(folder) if folder.is_dir() else []
        if not records:
            raise ValueError(
                f"There are no records below {folder}; a sweep leaves them in its folder, hydra.sweep.dir=DIR."
            )
    except ValueError as error:
        raise config.BadRequest(str(error)) from error
    report.make(records, folder, Console(), Asked(metric, epoch, reference, mix))
    return 0


def _study(asked: StudyRequest) -> int:
    """A study from its first trial to its report. Returns the exit status."""
    from losslab.study import report
    from losslab.study.conduct import conduct
    from losslab.study.gather import Asked

    try:
        records = conduct(*asked)
        print()
        report.make(records, asked.folder, Console(), Asked(mix=asked.mix))
    except config.BadRequest as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    return int(any(record.status == "failed" for record in records))


def _run(asked: DictConfig | dict[str, Any], folder: Path, number: int | None = None) -> int:
    """One run, lone or number `number` of a sweep; says what came of it. Returns its exit status."""
    from losslab.record import Record, finished
    from losslab.request import check_folder

    try:
        request = config.check(asked)
        check_folder(folder, request)
        if record := finished(folder, request):
            return _tell(record, folder, number, again=True)
        if request["trainer"]["deterministic"]:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when torch first uses it
        from losslab.run import run

        record = run(request, folder)
    except config.Incompatible as error:
        record = Record.of(config.canonical(asked), "skipped", str(error))
        record.write(folder)
    except config.BadRequest as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        trace = traceback.format_exc()
        folder.mkdir(parents=True, exist_ok=True)
        record = Record.of(config.canonical(asked), "failed", f"{type(error).__name__}: {error}", traceback=trace)
        record.write(folder)
        if number is None:
            print(trace, end="", file=sys.stderr)
    return _tell(record, folder, number)


def _tell(record: Record, folder: Path, number: int | None, again: bool = False) -> int:
    """Says what came of a run, in a line for run `number` of a sweep. Returns its exit status."""
    if number is None:
        _tell_whole(record, folder)
        if again:
            print("This run was over already and was not repeated; overwrite=true trains it again.")
    else:
        names = record.metric_names()
        result = f"best test {names[0]} {_number(record.metrics[f'best/test/{names[0]}'])}" if names else ""
        print(
            f"run {number}: {record.status:8} {folder.name}  {record.reason or result}{'  (was over already)' * again}",
            flush=True,
        )
    return int(record.status == "failed" or (record.status == "diverged" and number is None))


def _tell_whole(record: Record, folder: Path) -> None:
    """What a lone run says at its end."""
    table = Table(title=f"{record.task}, {record.loss}: {record.status}", title_justify="left")
    table.add_column("test metric")
    for column in (f"best epoch ({record.best_epoch})", f"last epoch ({record.epochs})"):
        table.add_column(column, justify="right")
    for name in record.metric_names():
        table.add_row(name, *(_number(record.metrics[f"{which}/test/{name}"]) for which in ("best", "last")))
    if record.metrics:
        Console().print(table)
    if record.reason:
        print(f"{record.status}: {record.reason}")
    print(f"Record:      {folder / 'record.json'}")
    print(f"TensorBoard: tensorboard --logdir {quote(str(folder))}")


def _number(value: Any) -> str:
    return "undefined" if value is None else f"{value:.4g}"
