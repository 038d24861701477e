"""The flags of `train.py`: Hydra's own, those of them that are taken here. Nothing heavy is imported."""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from io import StringIO
from typing import NoReturn

from losslab.errors import BadRequest
from losslab.hydra_internals import get_args_parser


def read(arguments: Sequence[str]) -> Namespace:
    """The flags and the overrides of a command line, in whatever order they stand. Raises BadRequest for what is not taken."""
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # argparse would print its usage as well
    given = parser.parse_intermixed_args(list(arguments))
    if given.config_name or given.config_path:
        raise BadRequest("The config cannot be replaced; --config-dir=DIR adds cards and recipes of yours to it.")
    if given.experimental_rerun:
        raise BadRequest(
            "--experimental-rerun reads a pickle, which may run what is in it; type the request again instead."
        )
    if (given.resolve or given.package) and not given.cfg:
        raise BadRequest("--resolve and --package say how a config is shown; add --cfg job.")
    if given.resolve and given.cfg == "hydra":
        raise BadRequest(
            "Hydra's own settings refer to the others, so they are resolved together: --cfg all --resolve."
        )
    if sum(map(bool, (given.run, given.multirun, given.cfg, given.info, given.shell_completion))) > 1:
        raise BadRequest(
            "Only one of --run, --multirun, --cfg, --info and --shell-completion can be asked for at a time."
        )
    asked = " ".join(given.overrides)
    if given.shell_completion and not re.fullmatch("(install|uninstall|query)=(bash|zsh|fish)", asked):
        raise BadRequest(
            f"--shell-completion takes one of install=bash, uninstall=bash and query=bash, or zsh or fish for bash, not '{asked}'."
        )
    if _completes(given) and "COMP_LINE" not in os.environ:
        raise BadRequest(
            "--shell-completion query=SHELL is what a shell itself asks, with the line typed so far in COMP_LINE; "
            "install=SHELL prints what to run so that it does."
        )
    return given


def shows(given: Namespace) -> bool:
    """Whether something is to be shown and nothing to be trained."""
    return bool(given.help or given.hydra_help or given.cfg or given.info or given.shell_completion)


def words(given: Namespace) -> list[str]:
    """The same command line in the one order that Hydra can read: its own parser takes no overrides on both sides of a flag."""
    switches = ("help", "hydra_help", "resolve", "run", "multirun", "shell_completion")
    valued = ("cfg", "info", "package")
    found = [f"--{name.replace('_', '-')}" for name in switches if getattr(given, name)]
    found += [f"--{name}={value}" for name in valued if (value := getattr(given, name))]
    return found if given.hydra_help else [*given.overrides, *found]  # of Hydra's own help, no setting changes a word


@contextmanager
def discreet(given: Namespace) -> Iterator[None]:
    """Where a shell asks how a line may go on, nothing is said of one that cannot: it would stand in the midst of what is typed."""
    if _completes(given):
        with redirect_stderr(StringIO()), suppress(Exception, SystemExit):
            yield
    else:
        yield


def _completes(given: Namespace) -> bool:
    return bool(given.shell_completion and given.overrides[0].startswith("query="))


def _refuse(message: str) -> NoReturn:
    raise BadRequest(f"The flags cannot be read: {message}; --help shows what can be typed.")
