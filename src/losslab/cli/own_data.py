"""`losslab inspect` and `losslab compare`: a user's file looked at, and the loss for it found."""

from __future__ import annotations

import argparse
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from losslab.errors import BadRequest
from losslab.request import budgets, data_cards, own_data
from losslab.request.own_data import Options, Question
from losslab.study.recipe import last_asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from losslab.study.recipe import Study

_LONG = 600  # seconds of a comparison, from which a way to cut it is named


def add_to(commands: Any) -> None:
    """Adds both commands to a parser."""
    inspect = commands.add_parser(
        "inspect", help="say what a file of yours holds and what would be done; trains nothing"
    )
    compare = commands.add_parser("compare", help="find the loss for a file of yours: tuned, compared, reported")
    for command in (inspect, compare):
        command.add_argument(
            "file",
            type=Path,
            metavar="FILE",
            help="CSV, TSV, Parquet, Feather, npz; a folder of pictures; boxes (COCO, Pascal VOC, YOLO); a data card (.yaml)",
        )
        command.add_argument("--images", default="", metavar="DIR", help="the pictures in which boxes were drawn")
        command.add_argument(
            "--labels", default="", metavar="FILE", help="a table with a label for each picture of a folder"
        )
        command.add_argument("--target", default="", metavar="COLUMN", help="the column that is predicted")
        command.add_argument(
            "--task",
            default="",
            help="regression, quantiles, counts, binary, multiclass, ordinal, multilabel (arrays) or bbox; found where it is clear",
        )
        command.add_argument(
            "--group", default="", metavar="COLUMN", help="rows of one group are never in two parts of a split"
        )
        command.add_argument("--time", default="", metavar="COLUMN", help="test rows are later than training rows")
        command.add_argument("--weight", default="", metavar="COLUMN", help="how much a row counts in the loss")
        command.add_argument("--drop", nargs="+", default=[], metavar="COLUMN", help="columns that are not used")
        command.add_argument(
            "--losses",
            nargs="+",
            default=[],
            metavar="LOSS",
            help="such as mse 'huber(delta=1)'; a short list by default",
        )
        command.add_argument("--model", default="", help="mlp by default, cnn for pictures; yours as FILE.py:NAME")
        command.add_argument("--metric", default="", help="the test metric that is compared")
        command.add_argument(
            "--seeds",
            type=int,
            metavar="N",
            help=f"of the comparison; {own_data.SEEDS} by default, {own_data.PICTURE_SEEDS} for pictures",
        )
        command.add_argument(
            "--trials",
            type=int,
            metavar="N",
            help=f"settings tried for each loss in each of five tunings; {own_data.TRIALS}, {own_data.PICTURE_TRIALS} for pictures",
        )
        command.add_argument("--folds", type=int, metavar="K", help="test on K folds in turn")
        command.add_argument(
            "--budget", default="", metavar="TIME", help="such as 10m: trials, then seeds are cut to it"
        )
        command.add_argument(
            "--out", type=Path, metavar="DIR", help="folder of the records and the report; runs/NAME by default"
        )
    inspect.add_argument(
        "--write", type=Path, nargs="?", const=Path(), metavar="CARD.yaml", help="leave a data card to edit"
    )
    compare.add_argument("--mix", action="store_true", help="also take runs in the folder that another commit made")


def options_of(given: argparse.Namespace, words: Sequence[str]) -> Options:
    """What was typed; `words`: further ones of `losslab train`, such as trainer.max_epochs=50."""
    for key in ("seeds", "trials", "folds"):
        if (value := getattr(given, key)) is not None and value < 2:
            raise BadRequest(f"--{key} must be 2 or more, and {value} is not.")
    setting = re.compile(r"\+?[A-Za-z_][\w./]*=")  # that stands behind an option which takes several values
    words = [*words, *(word for word in (*given.losses, *given.drop) if setting.match(word))]
    losses, drop = ([word for word in those if not setting.match(word)] for those in (given.losses, given.drop))
    if wrong := [word for word in words if "=" not in word or word.startswith("-")]:
        raise BadRequest(
            f"'{wrong[0]}' is no option; --help lists them, and KEY=VALUE sets what `losslab train` takes."
        )
    return Options(
        target=given.target,
        task=given.task,
        group=given.group,
        time=given.time,
        weight=given.weight,
        drop=drop,
        losses=losses,
        model=given.model,
        metric=given.metric,
        seeds=given.seeds or 0,
        trials=given.trials or 0,
        folds=given.folds or 0,
        words=tuple(words),
        images=given.images,
        labels=given.labels,
    )


def inspect(given: argparse.Namespace, words: Sequence[str]) -> int:
    """Prints what a file holds and what would be done. Returns the exit status."""
    question = own_data.ask(given.file, options_of(given, words))
    study = own_data.study_of(question, question.name, "")
    budgets.seconds(given.budget or "1s")  # refused before anything is printed
    console = Console(soft_wrap=False)
    if question.columns:
        _print_columns(question, console)
    _print_plan(question, console)
    from losslab.training.prepare import prepare

    for loss in study.losses:
        prepare(study.request(loss, {}, study.fresh_seeds[0]))
    if given.budget:
        study, said = budgets.within(study, budgets.seconds(given.budget))
        question = budgets.asked(question, study)
        _row(console, "Budget", said)
    _print_cost(study, bool(given.budget), console)
    if given.write is not None:
        into = given.write if given.write.suffix else Path(f"{question.name}.yaml")
        if into.exists():
            raise BadRequest(f"{into} is there already; name another with --write CARD.yaml.")
        into.write_text(data_cards.written(question), encoding="utf-8")
        console.print(f"\nCard: {into}  (edit it, then: losslab compare {into})", soft_wrap=True)
    console.print(f"\nThe same in Hydra's words:\n{question.command}", soft_wrap=True, markup=False, highlight=False)
    return 0


def compare(given: argparse.Namespace, words: Sequence[str], command: str) -> int:
    """Tunes and compares losses on a file, and prints the answer. Returns the exit status."""
    question = own_data.ask(given.file, options_of(given, words))
    console = Console()
    _print_plan(question, console)
    study, notes = own_data.study_of(question, question.name, ""), []
    if given.budget:
        study, said = budgets.within(study, budgets.seconds(given.budget))
        question, notes = budgets.asked(question, study), [said]
        _row(console, "Budget", said)
    _print_cost(study, bool(given.budget), console)
    console.print()
    from losslab import api
    from losslab.cli.studies import print_plan
    from losslab.cli.studies import report as report_study
    from losslab.report import build
    from losslab.report.collect import ReportOptions

    where = own_data.executor_of(question)
    folder = (given.out or _own_folder(question, console)).absolute()
    if where["dry_run"]:
        print_plan(study, folder, where)
        return 0
    found = api.answer(question, folder, command=command, mix=given.mix, listen=report_study, spread=True)
    console.print()
    build.make(list(found.records), folder, console, ReportOptions(mix=given.mix), notes)
    if any(record.status == "done" for record in found.records if record.study and record.study["phase"] == "confirm"):
        which = "the best loss" if found.decided else "the loss with the best mean, which is not shown to be better"
        console.print(f"\nIn your own training loop, with {which}, [bold]{escape(found.best.loss)}[/bold]:\n")
        console.print(textwrap.indent(found.snippet, "    "), markup=False, highlight=False, soft_wrap=True)
    return int(any(record.status == "failed" for record in found.records))


def _own_folder(question: Question, console: Console) -> Path:
    """runs/NAME; runs/NAME-2 and so on where that holds another comparison, whose report would be lost."""
    study = own_data.study_of(question, question.name, "")
    first = folder = Path("runs", question.name)
    number = 1
    while (there := last_asked(folder)) and _kind(there) != _kind(study):
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    if folder != first:
        console.print(f"{first} holds another comparison; this one goes into {folder}.\n", soft_wrap=True)
    return folder


def _kind(study: Study) -> tuple[list[str], str, dict[str, Any]]:
    """What makes two comparisons one: more seeds or trials only go on with it."""
    return study.losses, study.metric, study.mark()["base"]


def _print_columns(question: Question, console: Console) -> None:
    table = Table(
        title=f"{question.path.name}: {question.rows:,} rows, {len(question.columns)} columns", title_justify="left"
    )
    for name, justify in (
        ("column", "left"),
        ("holds", "left"),
        ("missing", "right"),
        ("distinct", "right"),
        ("used as", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for column in question.columns:
        style = {"target": "bold", "unused": "dim"}.get(column.used_as, "")
        cells = (
            column.name,
            column.kind,
            f"{column.missing:,}" if column.missing else "",
            f"{column.distinct:,}",
            column.used_as,
        )
        table.add_row(*map(escape, cells), style=style)
    console.print(table)


def _print_cost(study: Study, cut: bool, console: Console) -> None:
    """How many runs, and about how long they take. `cut`: whether a budget was given."""
    tuning, compared = budgets.runs(study)
    cost = budgets.cost(study)
    shorter = "; --budget 10m cuts it to ten minutes" if cost > _LONG and not cut else ""
    _row(
        console,
        "Cost",
        f"about {tuning} runs to tune and {compared} to compare, {study.base['trainer']['max_epochs']} epochs each: "
        f"{budgets.shown(cost)} to {budgets.shown(2 * cost)} on this machine{shorter}",
    )


def _print_plan(question: Question, console: Console) -> None:
    names = (
        f": {', '.join(question.names[:8])}{' ...' if len(question.names) > 8 else ''}"
        if len(question.names) > 1
        else ""
    )
    for label, text in question.seen:
        _row(console, label, text)
    _row(console, "Task", f"{question.task}{names} ({question.why})")
    _row(console, "Split", question.split)
    for number, (loss, why) in enumerate(question.losses.items()):
        _row(console, "" if number else "Losses", f"{loss}: {why}")
    _row(console, "Metric", question.metric)
    for number, doubt in enumerate(question.doubts):
        _row(console, "" if number else "Look at", doubt)


def _row(console: Console, label: str, text: str) -> None:
    width = min(console.width, 100)
    lines = textwrap.wrap(text, width - 9) or [""]
    console.print(f"{label:<9}{lines[0]}", markup=False, highlight=False)
    for line in lines[1:]:
        console.print(f"{'':9}{line}", markup=False, highlight=False)
