"""Sets that torchvision downloads, from small files in the layout of each. Their checksums are replaced by those of the small files."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from losslab import compose
from losslab.data import torchvision_images as sets
from losslab.data.base import Data
from losslab.errors import BadRequest
from losslab.training.run import run
from support.picture_files import picture, scenes, voc

DRAW = np.random.default_rng(3)
PIXELS = DRAW.integers(0, 256, (30, 3, 32, 32), dtype="uint8")
PATCH = pytest.MonkeyPatch


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def cifar(root: Path, patch: PATCH, kind: type[datasets.CIFAR10], label: str, names: list[str]) -> list[int]:
    """Thirty pictures in batches as kind has them: rows of 3,072 bytes, the red ones first."""
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    labels = [number % len(names) for number in range(30)]
    files = [name for name, _ in (*kind.train_list, *kind.test_list)]
    for part, rows in zip(files, np.array_split(np.arange(30), len(files)), strict=True):
        content = {"data": PIXELS[rows].reshape(len(rows), -1), label: [labels[row] for row in rows]}
        (folder / part).write_bytes(pickle.dumps(content))
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: names}))
    for attribute in ("train_list", "test_list"):
        patch.setattr(kind, attribute, [[name, md5(folder / name)] for name, _ in getattr(kind, attribute)])
    patch.setattr(kind, "meta", kind.meta | {"md5": md5(folder / kind.meta["filename"])})
    return labels


def cifar10(root: Path, patch: PATCH) -> list[int]:
    return cifar(root, patch, datasets.CIFAR10, "labels", [f"kind {n}" for n in range(10)])


def cifar100(root: Path, patch: PATCH) -> list[int]:
    return cifar(root, patch, datasets.CIFAR100, "fine_labels", [f"kind {n}" for n in range(100)])


def svhn(root: Path, patch: PATCH) -> list[int]:
    """Pictures on the last axis; the digit 0 is written as 10."""
    labels = [number % 10 for number in range(30)]
    new = dict(datasets.SVHN.split_list)
    for part, rows in (("train", slice(20)), ("test", slice(20, 30))):
        url, name, _ = datasets.SVHN.split_list[part]
        written = np.array([label or 10 for label in labels[rows]], dtype="uint8")[:, None]
        savemat(root / name, {"X": PIXELS[rows].transpose(2, 3, 1, 0), "y": written})
        new[part] = [url, name, md5(root / name)]
    patch.setattr(datasets.SVHN, "split_list", new)
    return labels


@pytest.mark.parametrize("files", [cifar10, cifar100, svhn])
def test_colour_sets_are_read_and_train(
    tmp_path: Path, monkeypatch: PATCH, files: Callable[[Path, PATCH], list[int]]
) -> None:
    name = files.__name__
    labels = files(tmp_path, monkeypatch)
    read: Callable[..., Data] = getattr(sets, name)
    found = read(30, str(tmp_path), False)
    assert found.inputs.shape == (30, 3, 32, 32)
    np.testing.assert_allclose(found.inputs.numpy(), PIXELS / np.float32(255), atol=1e-6)
    assert found.targets.tolist() == labels
    assert len(found.target_names) == (100 if name == "cifar100" else 10)
    with pytest.raises(BadRequest, match=r"data\.rows=31 is more than the 30 pictures"):
        read(31, str(tmp_path), False)
    words = [f"data={name}", f"data.root={tmp_path}", "data.rows=30", "data.batch_size=4", "model=cnn", "trainer=cpu"]
    record = run(compose("task=multiclass", *words, "trainer.max_epochs=1"), tmp_path / "run", bar=False)
    assert record.status == "done"
    assert any(key.startswith("source/data/") for key in record.pairing)


@pytest.mark.parametrize("files", [cifar10, svhn])
def test_a_file_that_is_not_torchvisions_is_refused(
    tmp_path: Path, monkeypatch: PATCH, files: Callable[[Path, PATCH], list[int]]
) -> None:
    files(tmp_path, monkeypatch)
    changed = next(file for file in sorted(tmp_path.rglob("*")) if file.is_file() and "meta" not in file.name)
    changed.write_bytes(b"other bytes")
    with pytest.raises(BadRequest, match=r"could not be fetched or read below .*corrupted"):
        getattr(sets, files.__name__)(30, str(tmp_path), False)


@pytest.mark.parametrize("name", ["kmnist", "cifar10", "cifar100", "svhn", "oxford_pets", "voc2012"])
def test_files_that_are_not_there_are_refused_with_the_way_to_fetch_them(tmp_path: Path, name: str) -> None:
    task = "bbox" if name == "voc2012" else "multiclass"
    with pytest.raises(BadRequest, match=f"data={name} needs the file .* data.download=true fetches it"):
        compose(f"task={task}", f"data={name}", f"data.root={tmp_path}")
    compose(f"task={task}", f"data={name}", f"data.root={tmp_path}", "data.download=true")


def test_old_characters_are_read(tmp_path: Path) -> None:
    raw = tmp_path / "KMNIST" / "raw"
    raw.mkdir(parents=True)
    levels, labels = PIXELS[:, 0, :28, :28], np.arange(30, dtype="uint8") % 10
    for part, rows in (("train", slice(20)), ("t10k", slice(20, 30))):
        for kind, magic, array in (("images-idx3", 0x803, levels[rows]), ("labels-idx1", 0x801, labels[rows])):
            header = np.array([magic, *array.shape], ">i4").tobytes()
            (raw / f"{part}-{kind}-ubyte").write_bytes(header + array.tobytes())
    found = sets.kmnist(30, str(tmp_path), False)
    np.testing.assert_allclose(found.inputs[:, 0].numpy(), levels / np.float32(255), atol=1e-6)
    assert found.targets.tolist() == labels.tolist()
    assert found.target_names[:2] == ("o", "ki")


def test_pets_of_any_size_and_mode_are_read_and_train(tmp_path: Path) -> None:
    folder = tmp_path / "oxford-iiit-pet"
    for inner in ("images", "annotations"):
        (folder / inner).mkdir(parents=True)
    lines = []
    for number in range(30):
        breed = ("Abyssinian", "great_pyrenees", "pug")[number % 3]
        image = picture((80 * (number % 3), 90, 200), 40 + number, 60, number)
        (image.convert("CMYK") if number == 4 else image).save(folder / "images" / f"{breed}_{number}.jpg")
        lines.append(f"{breed}_{number} {number % 3 + 1} {1 if number % 3 == 0 else 2} {number}\n")
    (folder / "annotations" / "trainval.txt").write_text("".join(lines[:18]))
    (folder / "annotations" / "test.txt").write_text("".join(lines[18:]))
    found = sets.oxford_pets(30, str(tmp_path), False, 16, "stretch")
    assert found.inputs.shape == (30, 3, 16, 16)
    assert found.target_names == ("Abyssinian", "Great Pyrenees", "Pug")
    torch.testing.assert_close(found.inputs[:, 0].mean((1, 2)), 80 * (found.targets % 3) / 255, atol=0.06, rtol=0)
    words = ["data=oxford_pets", f"data.root={tmp_path}", "data.rows=30", "data.batch_size=4", "data.side=16"]
    asked = compose("task=multiclass", *words, "model=cnn", "trainer=cpu", "logger=none", "trainer.max_epochs=1")
    first = run(asked, tmp_path / "run", bar=False)
    Image.new("RGB", (9, 9)).save(folder / "images" / "pug_5.jpg")
    assert run(asked, tmp_path / "run", bar=False).pairing["data"] != first.pairing["data"]


def test_objects_of_voc_are_read_and_train(tmp_path: Path) -> None:
    folder = tmp_path / "VOCdevkit" / "VOC2012"
    boxes = scenes(folder / "JPEGImages", several=4)
    for file in (folder / "JPEGImages").iterdir():
        Image.open(file).save(file.with_suffix(".jpg"))
        file.unlink()
    voc(folder / "Annotations", {f"{Path(name).stem}.jpg": each for name, each in boxes.items()})
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    listed = folder / "ImageSets" / "Main" / "trainval.txt"
    listed.write_text("".join(f"{number:03}\n" for number in range(18)))
    one = sets.voc2012(str(tmp_path), False, "one", 0.5, (), 20, "stretch")
    assert one.inputs.shape == (14, 3, 20, 20)
    x1, y1, x2, y2 = boxes["004.png"][0]
    torch.testing.assert_close(one.targets[0], torch.tensor([x1 / 40, y1 / 30, x2 / 40, y2 / 30]))
    assert len(sets.voc2012(str(tmp_path), False, "each", 0.5, ("dog",), 20, "pad").targets) == 4
    words = ["data=voc2012", f"data.root={tmp_path}", "data.batch_size=4", "data.objects=each", "data.side=16"]
    record = run(compose("task=bbox", *words, "trainer=cpu", "trainer.max_epochs=1"), tmp_path / "run", bar=False)
    assert record.status == "done"
    assert sum(record.data["rows_in"].values()) == 22
