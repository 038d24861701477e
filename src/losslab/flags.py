"""The flags of `train.py`: Hydra's own, those of them that are taken here. Nothing heavy is imported."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from losslab.values import BadRequest

_COMPLETION = ("install=", "uninstall=", "query=")


def read(arguments: Sequence[str]) -> Namespace:
    """The flags and the overrides of a command line, in whatever order they stand. Raises BadRequest for what is not taken."""
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # argparse would print its usage as well
    given = parser.parse_intermixed_args(list(arguments))
    if given.config_dir or given.config_name or given.config_path:
        raise BadRequest("Configs are read from conf/ alone; put your own files there.")
    if given.experimental_rerun:
        raise BadRequest(
            "--experimental-rerun reads a pickle, which may run what is in it; type the request again instead."
        )
    if (given.resolve or given.package) and not given.cfg:
        raise BadRequest("--resolve and --package say how a config is shown; add --cfg job.")
    if sum(map(bool, (given.run, given.multirun, given.cfg, given.info, given.shell_completion))) > 1:
        raise BadRequest(
            "Only one of --run, --multirun, --cfg, --info and --shell-completion can be asked for at a time."
        )
    if given.shell_completion and not (len(given.overrides) == 1 and given.overrides[0].startswith(_COMPLETION)):
        raise BadRequest(
            "--shell-completion takes one of install=bash, uninstall=bash and query=bash, or another shell's name."
        )
    return given


def shows(given: Namespace) -> bool:
    """Whether something is to be shown and nothing to be trained."""
    return bool(given.help or given.hydra_help or given.cfg or given.info or given.shell_completion)


def _refuse(message: str) -> NoReturn:
    raise BadRequest(f"The flags cannot be read: {message}; --help shows what can be typed.")
