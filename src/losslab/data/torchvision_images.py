"""Labelled pictures that torchvision downloads, or reads from a given folder. Sizes and licences: conf/data/<name>.yaml."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision import datasets

from losslab.data.base import Data, register
from losslab.errors import BadRequest, raise_if_ended

_CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


@register
def mnist(rows: int, root: str, download: bool) -> Data:
    """Up to 70,000 handwritten digits of 28 x 28 pixels (LeCun et al., 1998)."""
    return _read(datasets.MNIST, rows, root, download, tuple("0123456789"))


@register
def fashion_mnist(rows: int, root: str, download: bool) -> Data:
    """Up to 70,000 pictures of ten kinds of clothes, 28 x 28 pixels (Xiao et al., 2017)."""
    return _read(datasets.FashionMNIST, rows, root, download, _CLOTHES)


def _read(kind: type[datasets.MNIST], rows: int, root: str, download: bool, names: tuple[str, ...]) -> Data:
    """The first rows of the training and test files together, as this program draws its own splits."""
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        parts = [kind(root, train=train, download=download) for train in (True, False)]
    except (OSError, RuntimeError, ValueError) as error:
        raise_if_ended(error)
        raise BadRequest(f"The files of {kind.__name__} could not be fetched or read below {root}: {error}") from error
    pictures, labels = (torch.cat([getattr(part, of) for part in parts]) for of in ("data", "targets"))
    if rows > len(pictures):
        raise BadRequest(f"data.rows={rows} is more than the {len(pictures)} pictures below {root}.")
    return Data(pictures[:rows, None].float() / 255, labels[:rows].long(), names)
