"""data=images: every mode and size is read right, parts are kept, and what is wrong is one sentence with the file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from losslab import compose
from losslab.data import load
from losslab.errors import BadRequest
from losslab.schema import memory
from losslab.training.run import run
from support.picture_files import COLOURS, class_folders, picture

HALF = np.tile(np.array([[0, 255]], dtype="uint8"), (8, 4))  # black and white columns, 8 x 8


def request(folder: Path, *words: str, task: str = "multiclass") -> dict[str, Any]:
    fixed = ["data=images", f"data.path={folder}", "data.batch_size=2", "trainer=cpu", "trainer.max_epochs=2"]
    return compose(f"task={task}", *fixed, "logger=none", "model=cnn", *words)


def read(folder: Path, *words: str, task: str = "multiclass") -> Any:
    return load(request(folder, *words, task=task)["data"], 0, task)[0]


def two_folders(folder: Path, image: Image.Image, name: str = "x.png", **options: Any) -> Path:
    """A picture in class a, the first row, among pictures of one grey."""
    class_folders(folder, 6, grey=True, classes={"a": (9, 9, 9), "b": (90, 90, 90)})
    image.save(folder / "a" / f"!{name}", **options)
    return folder


def palette() -> Image.Image:
    made = Image.fromarray(HALF // 255).convert("P")
    made.putpalette([255, 0, 0, 0, 0, 255])  # 0 is red, 1 is blue
    return made


@pytest.mark.parametrize(
    ("image", "name", "columns"),
    [
        (Image.fromarray(HALF), "x.png", [[0] * 3, [1] * 3]),
        (Image.fromarray(HALF > 0), "x.png", [[0] * 3, [1] * 3]),
        (Image.fromarray(HALF.astype("uint16") * 100), "x.png", [[0] * 3, [25500 / 65535] * 3]),
        (Image.fromarray(HALF.astype("float32") / 510), "x.tif", [[0] * 3, [0.5] * 3]),
        (palette(), "x.png", [[1, 0, 0], [0, 0, 1]]),
        (palette(), "x.gif", [[1, 0, 0], [0, 0, 1]]),
        (Image.merge("RGB", [Image.fromarray(HALF), *[Image.new("L", (8, 8))] * 2]), "x.bmp", [[0] * 3, [1, 0, 0]]),
        (Image.merge("LA", [Image.new("L", (8, 8)), Image.fromarray(HALF)]), "x.png", [[1] * 3, [0] * 3]),
        (
            Image.merge("RGBA", [Image.fromarray(HALF), *[Image.new("L", (8, 8))] * 2, Image.new("L", (8, 8), 255)]),
            "x.png",
            [[0] * 3, [1, 0, 0]],
        ),
        (Image.new("CMYK", (8, 8), (0, 255, 0, 0)), "x.tif", [[1, 0, 1], [1, 0, 1]]),
    ],
    ids=["L", "1", "I;16", "F", "P", "gif", "RGB", "LA", "RGBA", "CMYK"],
)
def test_every_mode_is_read(tmp_path: Path, image: Image.Image, name: str, columns: list[list[float]]) -> None:
    found = read(two_folders(tmp_path, image, name), "data.channels=3", "data.side=8").inputs
    assert found.dtype == torch.float32
    assert found.shape == (13, 3, 8, 8)
    expected = torch.tensor(columns, dtype=torch.float32)
    torch.testing.assert_close(found[0, :, :, 0], expected[0][:, None].expand(3, 8), atol=0.005, rtol=0)
    torch.testing.assert_close(found[0, :, :, 1], expected[1][:, None].expand(3, 8), atol=0.005, rtol=0)


def test_channels_follow_the_colours_and_not_the_modes(tmp_path: Path) -> None:
    folder = two_folders(tmp_path / "grey", Image.fromarray(HALF).convert("RGB"))
    grey = read(folder, "data.side=8")
    assert grey.inputs.shape == (13, 1, 8, 8)
    np.testing.assert_allclose(grey.inputs[0, 0].numpy(), HALF / 255)
    colour = class_folders(tmp_path / "colour", 4)
    assert read(colour).inputs.shape[1] == 3
    red = read(colour, "data.channels=1", "data.fit=stretch").inputs[8:]
    assert red.shape[1] == 1
    assert abs(float(red.mean()) - (0.299 * 200 + 0.587 * 30 + 0.114 * 30) / 255) < 0.02


def test_the_shape_is_kept_or_stretched_and_orientation_respected(tmp_path: Path) -> None:
    wide = Image.new("L", (40, 20), 255)
    folder = two_folders(tmp_path, wide)
    padded, stretched = (read(folder, "data.side=16", f"data.fit={fit}").inputs[0, 0] for fit in ("pad", "stretch"))
    assert padded[4:12].min() == 1
    assert padded[:4].max() == padded[12:].max() == 0
    assert stretched.min() == 1
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter
    wide.save(folder / "a" / "!x.png", exif=exif)
    turned = read(folder, "data.side=16").inputs[0, 0]
    assert turned[:, 4:12].min() == 1
    assert turned[:, :4].max() == 0


def test_the_side_is_the_median_and_not_above_64(tmp_path: Path) -> None:
    class_folders(tmp_path, 4)
    assert read(tmp_path).inputs.shape[2:] == (12, 12)
    assert read(tmp_path, "data.side=auto").inputs.shape[2:] == (12, 12)
    for file in tmp_path.glob("*/*.png"):
        Image.new("L", (300, 200)).save(file)
    picture((1, 2, 3)).save(tmp_path / "red" / "000.png")
    assert read(tmp_path).inputs.shape[2:] == (64, 64)
    assert read(tmp_path, "data.side=100").inputs.shape[2:] == (100, 100)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp", "ppm", "tiff"])
def test_large_pictures_of_every_format_are_averaged(tmp_path: Path, suffix: str) -> None:
    made = np.zeros((400, 400, 3), dtype="uint8")
    made[:, ::2] = 200
    folder = two_folders(tmp_path, Image.fromarray(made), f"x.{suffix}")
    found = read(folder, "data.side=16", "data.channels=1").inputs[0]
    assert found.mean() == pytest.approx(100 / 255, abs=0.02)
    assert found.std() < 0.06


def test_folders_of_parts_are_given_parts(tmp_path: Path) -> None:
    for part, each in (("train", 6), ("valid", 3), ("test", 4)):
        class_folders(tmp_path / part, each)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    found, split = load(request(tmp_path)["data"], 3, "multiclass")
    assert found.target_names == ("blue", "green", "red")
    assert {part: len(rows) for part, rows in split.items()} == {"train": 18, "val": 9, "test": 12}
    assert found.targets[split["test"]].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for file in (tmp_path / "test" / "blue").iterdir():
        file.unlink()
    (tmp_path / "test" / "blue").rmdir()
    assert len(load(request(tmp_path)["data"], 3, "multiclass")[1]["test"]) == 8


@pytest.mark.slow
def test_a_class_that_the_split_leaves_out_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path, 40, classes={"common": (9, 9, 9)})
    class_folders(tmp_path, 3, classes={"rare": (200, 9, 9)})
    refused = set()
    for seed in range(100):
        try:
            load(request(tmp_path, task="binary")["data"], seed, "binary")
        except BadRequest as error:
            refused.add(str(error))
    assert refused == {
        "No training row has class 'rare', which is rare; data.split=stratified gives each part its share."
    }
    load(request(tmp_path, "data.split=stratified", task="binary")["data"], 0, "binary")


def test_a_part_without_a_folder_is_drawn_from_training(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 20)
    class_folders(tmp_path / "test", 4)
    _, split = load(request(tmp_path)["data"], 3, "multiclass")
    assert {part: len(rows) for part, rows in split.items()} == {"train": 46, "val": 14, "test": 12}


def test_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    class_folders(tmp_path, 6, classes={"train": (9, 9, 9), "test": (200, 9, 9)})
    assert read(tmp_path, task="binary").target_names == ("test", "train")
    found, split = load(request(tmp_path, task="binary")["data"], 0, "binary")
    assert found.given is None
    assert len(split["test"]) == 2


def with_labels(folder: Path, **columns: Any) -> Path:
    class_folders(folder, 4)
    files = sorted(file.relative_to(folder).as_posix() for file in folder.glob("*/*.png"))
    pd.DataFrame({"file": files, "label": [float(n) + 0.5 for n in range(12)]} | columns).to_csv(
        folder / "labels.csv", index=False
    )
    return folder


def test_a_table_gives_numbers_or_classes(tmp_path: Path) -> None:
    folder = with_labels(tmp_path, size=["small", "large", "large"] * 4, again=[0] * 6 + [1] * 6)
    found = read(folder, "data.labels=labels.csv", task="regression")
    assert found.targets.tolist() == [[n + 0.5] for n in range(12)]
    assert found.target_names == ("label",)
    found = read(folder, f"data.labels={folder / 'labels.csv'}", "data.label_column=size")
    assert found.target_names == ("large", "small")
    assert found.targets.tolist() == [1, 0, 0] * 4
    found = read(folder, "data.labels=labels.csv", "data.label_column=again", task="binary")
    assert found.targets.tolist() == [0.0] * 6 + [1.0] * 6


def test_a_table_names_pictures_in_several_ways_and_in_any_order(tmp_path: Path) -> None:
    names = ["one", "two", "three", "four"] * 3
    for number in range(12):
        picture((10 * number, 9, 9)).save(tmp_path / f"{number:02}.png")
    frame = pd.DataFrame({"id": [f"{n:02}" for n in range(12)], "class": names}).iloc[::-1]
    frame.loc[3, "id"], frame.loc[4, "id"] = "03.png", "./04.png"
    table = tmp_path.parent / f"{tmp_path.name}.csv"
    frame.to_csv(table, index=False)
    found = read(tmp_path, f"data.labels={table}", "data.file_column=id", "data.label_column=class")
    assert [found.target_names[target] for target in found.targets] == names
    before = request(tmp_path, f"data.labels={table}", "data.file_column=id", "data.label_column=class")
    first = run(before, tmp_path.parent / f"{tmp_path.name}-run", bar=False)
    assert {"source/data", "source/labels"} <= first.pairing.keys()


@pytest.mark.parametrize(("task", "words"), [("multiclass", []), ("binary", []), ("regression", ["labels.csv"])])
def test_runs_of_every_task_train_to_the_end(tmp_path: Path, task: str, words: list[str]) -> None:
    folder = with_labels(tmp_path / "p") if words else class_folders(tmp_path / "p")
    if task == "binary":
        for file in (folder / "blue").iterdir():
            file.unlink()
        (folder / "blue").rmdir()
    asked = request(folder, *(f"data.labels={word}" for word in words), task=task)
    assert asked["corruption"]["name"] == "none"
    record = run(asked, tmp_path / "run", bar=False)
    assert record.status == "done"
    assert "source/data" in record.pairing


def test_pictures_that_changed_are_read_anew(tmp_path: Path) -> None:
    class_folders(tmp_path / "p")
    asked = request(tmp_path / "p")
    first = run(asked, tmp_path / "run", bar=False)
    (tmp_path / "p" / ".DS_Store").write_bytes(b"what a file manager leaves")
    (tmp_path / "p" / "red" / "Thumbs.db").write_bytes(b"what another leaves")
    assert run(asked, tmp_path / "run", bar=False) == first, "nothing has changed"
    picture((1, 1, 1)).save(tmp_path / "p" / "red" / "000.png")
    again = run(asked, tmp_path / "run", bar=False)
    for key in ("data", "source/data"):
        assert again.pairing[key] != first.pairing[key]


def empty(folder: Path) -> None:
    (folder / "grey").mkdir()


def no_pictures(folder: Path) -> None:
    for file in folder.glob("*/*.png"):
        file.unlink()


def one_class(folder: Path) -> None:
    for name in ("red", "blue"):
        for file in (folder / name).iterdir():
            file.unlink()
        (folder / name).rmdir()


def few(folder: Path) -> None:
    for number in range(1, 12):
        (folder / "red" / f"{number:03}.png").unlink()


def cut_off(folder: Path) -> None:
    whole = io.BytesIO()
    picture((9, 90, 9), 200, 200).save(whole, "png")
    (folder / "red" / "003.png").write_bytes(whole.getvalue()[:2000])


def put(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def table(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "labels.csv").write_text(text) and None


def only_test(folder: Path) -> None:
    class_folders(folder / "p" / "val")
    class_folders(folder / "p" / "test")


def without_a_class(folder: Path) -> None:
    class_folders(folder / "p" / "train", classes={"a": (1, 1, 1), "b": (99, 1, 1)})
    class_folders(folder / "p" / "test", classes={"a": (1, 1, 1), "c": (99, 1, 1)})


LINES = [f"{name}/{number:03}.png,{number}.5\n" for name in COLOURS for number in range(12)]
ROWS = "".join(LINES)


@pytest.mark.parametrize(
    ("harm", "words", "message"),
    [
        (empty, [], r"grey holds no pictures, so class 'grey' has none"),
        (no_pictures, [], r"p holds no pictures\.$"),
        (one_class, [], r"has one class, 'green', so there is nothing to learn"),
        (few, [], r"class 'red' has 1 picture, and each of train, validation and test needs one"),
        (cut_off, [], r"red/003.png cannot be read as a picture: .*truncated"),
        (put("red/004.png", b"no picture at all"), [], r"red/004.png is no picture, or it is damaged"),
        (put("red/004.png", b""), [], r"red/004.png is no picture, or it is damaged"),
        (put("red/notes.pdf", b"x"), [], r"red/notes.pdf is no picture; take it away. What is read: .jpg"),
        (put("labels.csv", b"x"), [], r"labels.csv is no picture; if it holds labels, name it in data.labels"),
        (put("x.png", b"x"), [], r"x.png lies in no folder of a class; a picture of class cat belongs in .*p/cat"),
        (put("red/x.tif", b"II*\0"), [], r"red/x.tif (is no picture|cannot be read as a picture)"),
        (only_test, ["data.path={p}/p"], r"has a folder for validation or test and none for training; add .*p/train"),
        (without_a_class, ["data.path={p}/p"], r"class 'c' has no picture in train"),
        (empty, ["data.path={p}/gone"], "there is no such folder"),
        (empty, ["data.path={p}/green/000.png"], "is a file, and data=images needs a folder"),
        (empty, ["data.path=''"], "data=images needs data.path, a folder of yours"),
        (empty, ["data.labels=lables.csv"], "data.labels=lables.csv: there is no such file"),
        (empty, ["data.channels=2"], "data.channels must be one of: auto, 1, 3"),
        (empty, ["data.side=small"], "data.side must be a number or one of: auto"),
        (empty, ["data.fit=crop"], "data.fit must be one of: pad, stretch"),
        (
            table("file,label\n" + ROWS),
            ["task=binary", "data.labels=labels.csv"],
            "has 12 values, and task=binary needs",
        ),
        (
            table("file,label\n" + "".join(LINES[:-1])),
            ["data.labels=labels.csv"],
            r"blue/011.png has no label in .*labels.csv; 1 of 36",
        ),
        (
            table(f"file,label\n{ROWS}red/999.png,1\n"),
            ["data.labels=labels.csv"],
            r"labels.csv, row 37: there is no picture 'red/999.png'",
        ),
        (
            table(f"file,label\n{ROWS}red/000.png,1\n"),
            ["data.labels=labels.csv"],
            r"row 37: red/000.png has a label in row 1 already",
        ),
        (
            table(f"file,label\n{ROWS}000.png,1\n"),
            ["data.labels=labels.csv"],
            r"row 37: '000.png' may be any of 3 pictures",
        ),
        (
            table("file,label\nred/000.png,x\n" + "".join(LINES[1:])),
            ["task=regression", "data.labels=labels.csv"],
            r"labels.csv: Column 'label', row 1: 'x' is no number",
        ),
        (
            table("picture,label\n" + ROWS),
            ["data.labels=labels.csv"],
            r"there is no column 'file'; name another of its columns, picture, label, in data.file_column",
        ),
        (
            few,
            ["task=regression"],
            r"has folders of classes, and task=regression needs numbers; name a table of them in data.labels",
        ),
        (empty, ["task=bbox"], "The data set 'images' does not fit task 'bbox'"),
    ],
)
def test_bad_pictures_are_refused_before_anything_is_written(
    tmp_path: Path, harm: Callable[[Path], None], words: list[str], message: str
) -> None:
    folder = class_folders(tmp_path / "p")
    harm(folder)
    with pytest.raises(BadRequest, match=message) as said:
        run(request(folder, *(word.format(p=folder) for word in words)), tmp_path / "run", bar=False)
    assert "\n" not in str(said.value)
    assert not (tmp_path / "run").exists()


def test_pictures_that_do_not_fit_into_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path)
    monkeypatch.setattr(memory, "memory", lambda: 10**6)
    read(tmp_path, "data.side=8")
    with pytest.raises(BadRequest, match=r"data.side=64 with 1 channels would take some .* of memory for 36 pictures"):
        read(tmp_path, "data.side=64")
