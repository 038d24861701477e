"""Random streams and hashes: what makes runs comparable, and proves it.

Every draw of a run comes from (seed, stream, step) and from nothing else. So two runs with one seed draw the same split,
corruption, initial weights and batches whatever their losses are, and no draw depends on what ran before.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

STREAMS = ("split", "corruption", "init", "order", "dropout", "loss")


def derive(seed: int, stream: str, step: int = 0, part: int = 0) -> int:
    """A 63-bit seed for one stream at one step, and for one part of a step that several processes take together.

    Raises KeyError for a stream that is not in STREAMS.
    """
    if stream not in STREAMS:
        raise KeyError(f"There is no random stream '{stream}'; the streams are: {', '.join(STREAMS)}.")
    name = f"{seed}/{stream}/{step}" + (f"/{part}" if part else "")
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, stream: str, step: int = 0) -> torch.Generator:
    """A CPU generator for one stream at one step."""
    return torch.Generator().manual_seed(derive(seed, stream, step))


def seed_globals(seed: int, stream: str, step: int = 0, part: int = 0) -> None:
    """Seeds the generators that a program shares: torch's (CPU and GPU), NumPy's and Python's. A user's dropout draws from them.

    Takes some ten microseconds, and does not wait for the device.
    """
    number = derive(seed, stream, step, part)
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(number)
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002  # the one that is shared is meant


@contextmanager
def globals_restored() -> Iterator[None]:
    """Leaves the generators that a program shares as it found them."""
    own, numpy, python = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        torch.set_rng_state(own)
        np.random.set_state(numpy)  # noqa: NPY002
        random.setstate(python)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda)
        elif torch.cuda.is_initialized():  # since then; torch begins with the seed of the CPU's
            torch.cuda.manual_seed(torch.initial_seed())


def fingerprint(tensors: Iterable[Tensor]) -> str:
    """A hash of tensors' shapes, types and bytes: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]
