"""The folder of a run: whether it can be written, which run it holds, and what `overwrite=true` removes. No torch here."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from losslab.errors import BadRequest, raise_if_ended, raise_if_without_handles
from losslab.records import files
from losslab.records.files import write_whole
from losslab.schema import canonical, references

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where PyYAML was built with it, ten times as fast
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# Names that the folder of a run may hold; all that `overwrite=true` removes.
RUN_FILES = (
    "config.yaml",
    "record.json",
    "checkpoints/*.ckpt",
    "checkpoints/*.draft",
    "events.out.tfevents.*",
    "metrics.csv",
)


def check_writable(folder: Path) -> None:
    """Raises BadRequest where `folder` cannot be made or written in, Halted where no file can be opened; leaves nothing behind."""
    try:
        there = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
        with tempfile.TemporaryFile(dir=there):  # has no name, so that nothing stays where this process is killed
            pass
    except OSError as error:
        raise_if_without_handles(error)  # says nothing of the folder
        raise BadRequest(
            f"Nothing can be written to {folder}: {error.strerror}; choose another with hydra.run.dir=DIR, for a sweep hydra.sweep.dir=DIR."
        ) from error


def check_folder(folder: Path, request: Mapping[str, Any]) -> None:
    """Raises BadRequest where `folder` holds another run than this request, unless it is to be overwritten.

    A folder that bears the run's own name can hold no other: a config.yaml that says otherwise is corrupt, and written anew.
    """
    path = folder / "config.yaml"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise_if_ended(error)  # says nothing of the file
        content = b""
    own = canonical.id_of(request)
    try:
        found = yaml.load(content, Loader=_LOADER)
        with references.without_imports():
            same = isinstance(found, dict) and canonical.run_id(found) == own
    except (yaml.YAMLError, ValueError, RecursionError):
        same = False
    if not same and not request["overwrite"]:
        if folder.name != own:
            raise BadRequest(
                f"{folder} holds another run; choose another folder with hydra.run.dir=DIR, or add overwrite=true to replace it."
            )
        files.quarantine(path, "written anew")
        write_config(folder, request)


def write_config(folder: Path, request: Mapping[str, Any]) -> None:
    """Writes the request of a run into its folder."""
    write_whole(folder / "config.yaml", yaml.dump(dict(request), Dumper=_DUMPER, sort_keys=False), lasting=False)


def read_config(folder: Path) -> dict[str, Any] | None:
    """The request in the folder of a run as it was written; None where there is none that losslab has written."""
    try:
        found = yaml.load((folder / "config.yaml").read_bytes(), Loader=_LOADER)
    except (yaml.YAMLError, ValueError, OSError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.keys() >= {"task", "loss", "seed", "overwrite"} else None


def remove_folder(folder: Path) -> bool:
    """Removes what a run left, and its folder where nothing else is in it. Returns whether the folder is gone."""
    clear_folder(folder)
    for path in [path for name in ("*.corrupt", "checkpoints/*.corrupt") for path in folder.glob(name)]:
        path.unlink()
    for empty in (folder / "checkpoints", folder):
        with suppress(OSError):  # other files are in it
            empty.rmdir()
    return not folder.exists()


def clear_folder(folder: Path) -> None:
    """Removes what a run left in `folder`, and nothing else."""
    for pattern in RUN_FILES:
        for path in folder.glob(pattern):
            path.unlink()
