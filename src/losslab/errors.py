"""The exceptions for refused requests and for a machine without resources; and helpers that word error messages."""

from __future__ import annotations

import difflib
import errno
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class BadRequest(ValueError):
    """A request that cannot be met; its text is one sentence saying what was wrong and what would be right."""


def one_line(error: Exception | str) -> str:
    """What a refusal or a record says, on one line that a terminal can show: no line breaks, no escapes, not more than a screen."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(error))
    return text if len(text) <= 3000 else f"{text[:1500]} ... {text[-1500:]}"


def describe(error: BaseException) -> str:
    """Type and text of an error; the type alone if its text cannot be made, as a user's own error may fail there."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}, whose text cannot be had"


def first_line(error: BaseException) -> str:
    """What an error says first, without its end, or its kind; of our own, without what OmegaConf puts before it."""
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return said.removeprefix("BadRequest raised while resolving interpolation: ").rstrip(".")


def as_text(said: str) -> str:
    """What may hold half a surrogate pair, as names of files do, in letters that every file can hold."""
    return said.encode("utf-8", "backslashreplace").decode()


def nearest(name: str, known: Iterable[str], prefix: str = "", cutoff: float = 0.5) -> str:
    """' (did you mean 'X'?)', or 'X' or 'Y' where two are equally near, or nothing where no known name is near.

    prefix is written before each; cutoff is the least share of letters in common, in [0, 1].
    """
    close = difflib.get_close_matches(name, list(known), n=4, cutoff=cutoff)
    share = [difflib.SequenceMatcher(None, one, name).ratio() for one in close]
    best = [f"'{prefix}{one}'" for one, it in zip(close, share, strict=True) if it == share[0]]
    return f" (did you mean {' or '.join(sorted(best))}?)" if best else ""


class Incompatible(BadRequest):
    """A request whose parts are each valid, but do not fit one another."""


_ENDED = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota on the disk is used up",
    errno.EFBIG: "a file cannot grow any further here",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk does not answer",
    errno.EMFILE: "this process may open no more files",
    errno.ENFILE: "this machine may open no more files",
}

# what torch says of it in a RuntimeError: its allocator for CPUs, the driver, and a library that finds none left for itself
_SAYS_TORCH = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")


class Halted(Exception):
    """Every further run would fail as well; the text is one sentence that says why and what to do."""


@contextmanager
def halting() -> Iterator[None]:
    """Raises Halted in place of an error that would stop every other run as well."""
    try:
        yield
    except BadRequest as error:  # of a folder on a full disk, too: another folder would do
        raise_if_without_handles(error)
        raise
    except Exception as error:
        raise_if_ended(error)
        raise


def raise_if_ended(error: BaseException) -> None:
    """Raises Halted if an error or its cause would stop every other run as well, or if no file can be opened now."""
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause and cause not in seen:  # an error may name itself as its cause
        if isinstance(cause, OSError) and cause.errno in _ENDED:
            raise _halted(_ENDED[cause.errno], cause) from error
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    raise_if_without_handles(error)


def raise_if_without_handles(error: BaseException) -> None:
    """Raises Halted if no file can be opened now: other code, such as a search for plugins, may have hidden that error."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as ended:
        if ended.errno in (errno.EMFILE, errno.ENFILE):
            raise _halted(_ENDED[ended.errno], ended) from error


@contextmanager
def must_be_written() -> Iterator[None]:
    """Raises Halted if a result cannot be written, as in a folder that has become read-only: the next one could not be written either."""
    try:
        yield
    except OSError as error:
        raise_if_ended(error)
        raise _halted(f"nothing can be written: {error.strerror}", error) from error


@contextmanager
def threads_say_no_more() -> Iterator[None]:
    """Prints no traceback of a thread that cannot write: TensorBoard's thread passes its error to the main thread, which reports it."""
    before = threading.excepthook

    def hook(given: threading.ExceptHookArgs) -> None:
        if not isinstance(given.exc_value, OSError):
            before(given)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def _halted(why: str, error: OSError) -> Halted:
    where = f" ({os.fsdecode(error.filename)})" if error.filename else ""
    return Halted(
        f"Stopped, as {why}{where}. Once that is mended the same command, without overwrite=true, goes on; it repeats no finished run."
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short, on a GPU or beside it."""
    import torch

    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        said in describe(error) for said in _SAYS_TORCH
    )
