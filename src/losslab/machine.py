"""What of the machine, rather than of a run, has come to an end: space, handles, memory."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

_ENDED = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota on the disk is used up",
    errno.EFBIG: "a file cannot grow any further here",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk does not answer",
    errno.EMFILE: "this process may open no more files",
    errno.ENFILE: "this machine may open no more files",
}
_SAYS_TORCH = "can't allocate memory"  # a RuntimeError of its allocator for CPUs


class Halted(Exception):
    """Whatever is trained next would fail as well; the text is one sentence that says why and what to do."""


@contextmanager
def halting() -> Iterator[None]:
    """Raises Halted in the place of an error that says that no other run would fare better."""
    try:
        yield
    except OSError as error:
        raise_if_ended(error)
        raise


def raise_if_ended(error: BaseException) -> None:
    """Raises Halted where an error, or what led to it, says that no other run would fare better."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.errno in _ENDED:
            where = f" ({cause.filename})" if cause.filename else ""
            raise Halted(
                f"Stopped, as {_ENDED[cause.errno]}{where}. Once that is mended the same command goes on; it repeats no run that is over."
            ) from error
        cause = cause.__cause__ or cause.__context__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short, on a GPU or beside it."""
    import torch

    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or _SAYS_TORCH in str(error)
