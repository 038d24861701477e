"""The command `losslab`. torch is imported only once a request is known to be good."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from shlex import quote

from rich.console import Console

from losslab import errors
from losslab.cli import card_folders, completion, messages, own_data, runs, worker
from losslab.cli.report import report_on
from losslab.cli.train import train
from losslab.errors import one_line
from losslab.safe_points import exit_with, noted
from losslab.schema import cards as schema_cards
from losslab.schema import compatibility


def command() -> None:
    """The command `losslab` as a process: ends it with the exit status."""
    exit_with(main())


def main(arguments: list[str] | None = None) -> int:
    """The command `losslab`. Returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["train"]:  # all that follows is Hydra's
        return train(arguments[1:], "losslab train")
    try:
        schema_cards.refresh()
        with card_folders.used(arguments) as words:
            return _main(words)
    except errors.BadRequest as error:
        print(f"losslab: {one_line(error)}", file=sys.stderr)
        return 2


def _main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "losslab", description="Compare loss functions: the same data, the same weights, the same batches."
    )
    parser.add_argument(
        "--config-dir", type=Path, metavar="DIR", help="a folder with cards of yours, such as DIR/loss/NAME.yaml"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    own_data.add_to(commands)
    train_words = commands.add_parser("train", help="train one run, or with -m a sweep; what python train.py does")
    words = train_words.add_argument("words", nargs="*", metavar="KEY=VALUE")  # here for the tab key alone
    words.completer = completion.request_words  # type: ignore[attr-defined]
    catalogue = commands.add_parser("losses", help="list the losses")
    catalogue.add_argument("--task", choices=schema_cards.names("task"), help="only those that serve this task")
    catalogue.add_argument("--markdown", action="store_true", help="the tables of docs/losses.md")
    card = commands.add_parser("show", help="print and draw a loss, several losses, or a corruption")
    drawn = card.add_argument("name", metavar="NAME", help="a loss; or corruption=NAME, to see what it does to data")
    drawn.completer = completion.what_is_drawn  # type: ignore[attr-defined]
    more_drawn = card.add_argument(
        "settings", nargs="*", metavar="WORD", help="settings of the loss before them, such as delta=2; further losses"
    )
    more_drawn.completer = completion.losses  # type: ignore[attr-defined]
    card.add_argument("--out", type=Path, metavar="FILE.png", help="the figure; NAME.png unless given")
    checked = commands.add_parser("check", help="say what is wrong with a loss, such as one of yours")
    tried = checked.add_argument("name", metavar="NAME", help="a loss, FILE.py:NAME, or such as torch.nn.HuberLoss")
    tried.completer = completion.losses  # type: ignore[attr-defined]
    checked.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="hyperparameters other than the defaults")
    checked.add_argument("--task", choices=schema_cards.names("task"), help="the task that gives it pred and target")
    checked.add_argument("--half", action="store_true", help="check bfloat16 and float16 too")
    advice = commands.add_parser("advise", help="say what to try and why, from what goes wrong in a training")
    advice.add_argument("words", nargs="*", metavar="WORD", help="what you see, such as nan, outlier; or its number")
    advice.add_argument("--markdown", action="store_true", help="all of it, as docs/advice.md has it")
    gallery = commands.add_parser("gallery", help="write one page with every loss: cards, curves, speed")
    gallery.add_argument("--out", type=Path, default=Path("runs/gallery.html"), metavar="FILE.html")
    report = commands.add_parser("report", help="sum up the records below folders: a table, a page, Markdown, parquet")
    report.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="of runs; of several, one report")
    report.add_argument("--out", type=Path, metavar="DIR", help="where the report goes; the first folder unless given")
    report.add_argument("--metric", default="", help="the test metric that is compared, where not the study's own")
    report.add_argument("--epoch", default="", choices=["best", "last"], help="whose figures are compared")
    report.add_argument(
        "--margin", default="", metavar="SIZE", help="the smallest difference that matters, such as 0.05 or 5%%"
    )
    report.add_argument("--reference", default="", metavar="LOSS", help="the loss that the others are compared with")
    report.add_argument("--mix", action="store_true", help="take together what belongs to several studies or commits")
    runs.add_to(commands)
    worker.add_to(commands)
    board = commands.add_parser("tensorboard", help="show the curves of the runs below a folder in a browser")
    board.add_argument("folder", type=Path)
    completion.offer(parser)
    given, more = parser.parse_known_args(arguments)
    if given.command in ("show", "check") and not any(word.startswith("-") for word in more):
        given.settings += more  # argparse takes none after an option
    elif more and given.command not in ("inspect", "compare", "tensorboard"):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    answers = {
        "inspect": lambda: own_data.inspect(given, more),
        "compare": lambda: own_data.compare(given, more, " ".join(["losslab", *map(quote, arguments)])),
        "losses": lambda: list_losses(given.task, given.markdown),
        "show": lambda: show(given.name, given.settings, given.out),
        "check": lambda: check_loss(given.name, given.task, given.settings, given.half),
        "advise": lambda: advise(given.words, given.markdown),
        "gallery": lambda: write_gallery(given.out),
        "report": lambda: report_on(
            given.folders, given.out, given.metric, given.epoch, given.reference, given.mix, given.margin
        ),
        "runs": lambda: runs.answer(given),
        "worker": lambda: worker.answer(given),
        "tensorboard": lambda: tensorboard(given.folder, more),
    }
    try:
        with noted(), messages.warnings_shown():
            status = answers[given.command]()
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except (errors.BadRequest, errors.Halted) as error:
        print(f"losslab {given.command}: {one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, errors.Halted) else 2
    except BrokenPipeError:  # `losslab losses | head`: who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"losslab {given.command}: {one_line(_unwritten(error))}", file=sys.stderr)
        return 2
    return status


def list_losses(task: str | None, markdown: bool) -> int:
    """Prints the catalogue of losses, or of those that serve a task. Returns the exit status."""
    from losslab.catalogue import listing

    names = schema_cards.names("loss") if task is None else compatibility.fitting("loss", task)
    if markdown:
        print(listing.markdown(names))
    else:
        listing.print_list(names, Console(), f"{len(names)} losses" + (f" serve task {task}" if task else ""))
    return 0


def show(what: str, settings: list[str], into: Path | None) -> int:
    """Prints and draws a loss, several losses or a corruption. Returns the exit status; raises BadRequest for what is not there."""
    from losslab.cli.show import show

    show(what, settings, into)
    return 0


def check_loss(name: str, task: str | None, settings: list[str], half: bool) -> int:
    """Prints what is right and wrong with a loss. Returns the exit status: 0 where nothing is wrong, else 1."""
    from losslab.cli.check import check

    return check(name, task, settings, half, Console())


def advise(words: list[str], markdown: bool) -> int:
    """Prints the symptoms, or the advice on the one that words describe. Returns the exit status; raises BadRequest for unknown words."""
    from losslab.catalogue import advice
    from losslab.cli.advise import advise

    if markdown:
        print(advice.markdown())
    else:
        advise(words, Console())
    return 0


def write_gallery(into: Path) -> int:
    """Writes the page of all losses. Returns the exit status."""
    from losslab.catalogue.gallery import write

    print(f"Gallery: {write(schema_cards.names('loss'), into)}")
    return 0


def tensorboard(folder: Path, more: list[str]) -> int:
    """Starts TensorBoard on the runs below `folder`; `more`: options of its own, such as --port 6007. Returns its exit status."""
    if not folder.is_dir():
        raise errors.BadRequest(f"There is no folder {folder}.")
    if next(folder.rglob("events.out.tfevents.*"), None) is None:
        raise errors.BadRequest(f"There are no TensorBoard files below {folder}; runs with logger=none leave none.")
    return subprocess.run([sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), *more]).returncode


def _unwritten(error: OSError) -> str:
    """The message for a file that could not be written."""
    return f"Nothing can be written to {error.filename or 'the disk'}: {error.strerror or error}."
