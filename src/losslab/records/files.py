"""Files written whole or not at all, and files that are corrupt."""

from __future__ import annotations

import errno
import logging
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from losslab.errors import is_out_of_memory

_LOG = logging.getLogger(__name__)
_END = 22  # bytes at the end of a zip file, which torch's checkpoints are, that say where its table of contents is


def quarantine(path: Path, onward: str) -> None:
    """Renames a corrupt file to `<name>.corrupt`, replacing an earlier one, and logs it; `onward`: what happens next."""
    name = path.name.replace(".tfevents", "") + ".corrupt"  # TensorBoard reads whatever has that word in its name
    try:
        path.replace(path.with_name(name))
    except FileNotFoundError:  # another process has just done it, and said so
        return
    _LOG.warning(f"{path} is corrupt: it is moved to {name}, and {onward}.")


def checkpoint(path: Path, keys: Iterable[str] = (), onward: str = "its run begins anew") -> dict[str, Any] | None:
    """A checkpoint on the CPU; None where there is none, and where it is corrupt or lacks one of `keys`: then it is set aside.

    Nothing in the file is executed. Raises OSError where it cannot be read at all.
    """
    import torch

    found = None
    try:
        with zipfile.ZipFile(path) as parts:
            whole = parts.testzip() is None  # torch does not look at the sums: a flipped bit would become a weight
        if whole:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception as error:  # reading a corrupt file can raise any exception
        if is_out_of_memory(error):  # says nothing of the file
            raise
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # these come of what the file says
            raise
    if isinstance(found, dict) and found.keys() >= set(keys):
        return found
    quarantine(path, onward)
    return None


def is_cut(path: Path) -> bool:
    """Whether a checkpoint is there that lacks its end, where the table of contents is; all else is not read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _END))
            return file.read(4) != b"PK\5\6"  # not zipfile.is_zipfile, for which what cannot be read is no zip file
    except FileNotFoundError:
        return False


def write_whole(path: Path, content: str | bytes, lasting: bool = True) -> None:
    """Writes a file whole or not at all; if `lasting`, it is forced onto the disk."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())  # some milliseconds
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
