"""What makes runs comparable: named streams of randomness, and the hashes that prove that two runs saw the same.

Every draw of a run comes from (seed, stream, step) and from nothing else. So two runs with one seed draw the same split,
corruption, initial weights and batches whatever their losses are, and no draw depends on what ran before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

STREAMS = ("split", "corruption", "init", "order", "loss")


def derive(seed: int, stream: str, step: int = 0) -> int:
    """A 63-bit seed for one stream at one step. Raises KeyError for a stream that is not in STREAMS."""
    if stream not in STREAMS:
        raise KeyError(f"There is no random stream '{stream}'; the streams are: {', '.join(STREAMS)}.")
    digest = hashlib.sha256(f"{seed}/{stream}/{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, stream: str, step: int = 0) -> torch.Generator:
    """A CPU generator for one stream at one step."""
    return torch.Generator().manual_seed(derive(seed, stream, step))


def fingerprint(tensors: Iterable[Tensor]) -> str:
    """A hash of tensors' shapes, types and bytes: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]
