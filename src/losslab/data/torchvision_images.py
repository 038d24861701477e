"""Labelled pictures that torchvision downloads, or reads from a given folder. Sizes and licences: conf/data/<name>.yaml."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from losslab import pictures
from losslab.data import own_boxes
from losslab.data.base import Data, register
from losslab.data.own_pictures import check_memory
from losslab.errors import BadRequest, raise_if_ended

_CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_DIGITS = tuple("0123456789")
_TRAIN = ({"train": True}, {"train": False})
_SPLIT = ({"split": "train"}, {"split": "test"})


@register
def mnist(rows: int, root: str, download: bool) -> Data:
    """Up to 70,000 handwritten digits of 28 x 28 pixels (LeCun et al., 1998)."""
    return _grey(datasets.MNIST, rows, root, download, _DIGITS)


@register
def fashion_mnist(rows: int, root: str, download: bool) -> Data:
    """Up to 70,000 pictures of ten kinds of clothes, 28 x 28 pixels (Xiao et al., 2017)."""
    return _grey(datasets.FashionMNIST, rows, root, download, _CLOTHES)


@register
def kmnist(rows: int, root: str, download: bool) -> Data:
    """Up to 70,000 handwritten characters of old Japanese, ten classes, 28 x 28 pixels (Clanuwat et al., 2018)."""
    return _grey(datasets.KMNIST, rows, root, download, tuple(datasets.KMNIST.classes))


@register
def cifar10(rows: int, root: str, download: bool) -> Data:
    """Up to 60,000 photographs of ten kinds of things, 32 x 32 pixels (Krizhevsky, 2009)."""
    return _cifar(datasets.CIFAR10, rows, root, download)


@register
def cifar100(rows: int, root: str, download: bool) -> Data:
    """Up to 60,000 photographs of 100 kinds of things, 32 x 32 pixels (Krizhevsky, 2009)."""
    return _cifar(datasets.CIFAR100, rows, root, download)


@register
def svhn(rows: int, root: str, download: bool) -> Data:
    """Up to 99,289 digits of house numbers, cut from photographs, 32 x 32 pixels (Netzer et al., 2011)."""
    parts = _read(datasets.SVHN, root, download, _SPLIT)
    found = torch.from_numpy(np.concatenate([part.data for part in parts]))
    labels = torch.from_numpy(np.concatenate([part.labels for part in parts]))
    return _first(rows, root, found, labels, _DIGITS)


@register
def oxford_pets(rows: int, root: str, download: bool, side: int, fit: str) -> Data:
    """Up to 7,349 photographs of 37 breeds of cats and dogs, brought to one size (Parkhi et al., 2012)."""
    parts = _read(datasets.OxfordIIITPet, root, download, ({"split": "trainval"}, {"split": "test"}))
    files = [file for part in parts for file in part._images]
    labels = [label for part in parts for label in part._labels]
    _check_rows(rows, len(files), root)
    check_memory(rows, side, 3)
    pixels = [pictures.fitted(pictures.opened(file, 2 * side), side, fit == "stretch").pixels for file in files[:rows]]
    return Data(torch.from_numpy(pictures.stacked(pixels, "3")), torch.tensor(labels[:rows]), tuple(parts[0].classes))


@register
def voc2012(
    root: str,
    download: bool,
    objects: str,
    margin: float,
    classes: Sequence[str],
    side: int,
    fit: str,
) -> Data:
    """Objects of 20 classes in the 11,540 photographs of Pascal VOC 2012, trainval, each with its box (Everingham et al., 2012)."""
    folder = Path(root, "VOCdevkit", "VOC2012")
    there = (folder / "Annotations").is_dir()  # torchvision would unpack the archive again
    (part,) = _read(datasets.VOCDetection, root, download and not there, ({"year": "2012", "image_set": "trainval"},))
    listed = {Path(file).stem for file in part.images}
    found = pictures.chosen(folder / "Annotations", folder / "JPEGImages", objects, margin, classes, "clip", listed)
    return own_boxes.of_rows(found, "voc2012", "3", side, fit)


def _read(kind: Callable[..., Any], root: str, download: bool, parts: Sequence[dict[str, Any]]) -> list[Any]:
    """The parts of a data set of torchvision's: all of them, as this program draws its own splits."""
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        return [kind(root, download=download, **part) for part in parts]
    except (OSError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise_if_ended(error)
        name = getattr(kind, "__name__", "the set")
        raise BadRequest(f"The files of {name} could not be fetched or read below {root}: {error}") from error


def _grey(kind: type[datasets.MNIST], rows: int, root: str, download: bool, names: tuple[str, ...]) -> Data:
    parts = _read(kind, root, download, _TRAIN)
    found, labels = (torch.cat([getattr(part, of) for part in parts]) for of in ("data", "targets"))
    return _first(rows, root, found[:, None], labels, names)


def _cifar(kind: type[datasets.CIFAR10], rows: int, root: str, download: bool) -> Data:
    parts = _read(kind, root, download, _TRAIN)
    found = torch.from_numpy(np.concatenate([part.data for part in parts])).permute(0, 3, 1, 2)
    return _first(rows, root, found, torch.tensor([t for part in parts for t in part.targets]), tuple(parts[0].classes))


def _first(rows: int, root: str, found: Tensor, labels: Tensor, names: tuple[str, ...]) -> Data:
    """The first rows of pictures [n, channels, height, width] with levels from 0 to 255."""
    _check_rows(rows, len(found), root)
    return Data(found[:rows].contiguous().float() / 255, labels[:rows].long(), names)


def _check_rows(rows: int, there: int, root: str) -> None:
    if rows > there:
        raise BadRequest(f"data.rows={rows} is more than the {there} pictures below {root}.")
