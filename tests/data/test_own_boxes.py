"""data=boxes: three formats give the same boxes, which fit what is seen, and what is wrong is one sentence with the object."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from losslab import compose
from losslab.data import load
from losslab.errors import BadRequest
from losslab.training.run import run
from support.picture_files import coco, scenes, voc, with_square, yolo

FORMS = ("COCO", "VOC", "YOLO")


def request(path: Path, *words: str) -> dict[str, Any]:
    fixed = ["data=boxes", f"data.path={path}", "data.batch_size=4", "trainer=cpu", "trainer.max_epochs=2"]
    return compose("task=bbox", *fixed, "model.hidden=8", *words)


def read(path: Path, *words: str) -> Any:
    return load(request(path, *words)["data"], 0, "bbox")[0]


def written(folder: Path, form: str, several: int = 0) -> Path:
    """Twenty pictures, with boxes in a format."""
    boxes = scenes(folder / ("JPEGImages" if form == "VOC" else "images"), several)
    if form == "COCO":
        coco(folder / "instances.json", boxes)
        return folder / "instances.json"
    (voc if form == "VOC" else yolo)(folder / ("Annotations" if form == "VOC" else "labels"), boxes)
    return folder / ("Annotations" if form == "VOC" else "labels")


def bright(picture: torch.Tensor) -> torch.Tensor:
    """The corners of what is bright, in shares of the picture."""
    rows, columns = (picture[0] > 0.5).nonzero(as_tuple=True)
    ends = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return torch.stack(ends) / picture.shape[-1]


@pytest.mark.parametrize("fit", ["pad", "stretch"])
@pytest.mark.parametrize("form", FORMS)
def test_boxes_fit_what_is_seen(tmp_path: Path, form: str, fit: str) -> None:
    found = read(written(tmp_path, form), f"data.fit={fit}", "data.side=40")
    assert found.inputs.shape == (20, 3, 40, 40)
    assert found.groups is None
    for picture, box in zip(found.inputs, found.targets, strict=True):
        torch.testing.assert_close(bright(picture), box, atol=1.2 / 40, rtol=0)
    if fit == "pad":
        assert found.inputs[:, :, :5].max() == 0, "black above"
        top = (found.targets[0, 1] * 40 - 5) / 30
        stretched = read(tmp_path / found_path(form), "data.fit=stretch").targets
        assert float(top) == pytest.approx(float(stretched[0, 1]), abs=1e-6)


def found_path(form: str) -> str:
    return {"COCO": "instances.json", "VOC": "Annotations", "YOLO": "labels"}[form]


def test_three_formats_give_the_same_rows(tmp_path: Path) -> None:
    all_of = [read(written(tmp_path / form, form, 4), "data.objects=each", "data.side=16") for form in FORMS]
    for other in all_of[1:]:
        assert torch.equal(all_of[0].inputs, other.inputs)
        torch.testing.assert_close(all_of[0].targets, other.targets)


def test_one_takes_whole_pictures_and_each_takes_every_object(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "COCO", 4)
    assert len(read(path).targets) == 16, "most pictures have one object"
    assert (
        "16 of 20 pictures have exactly one object and are used; 0 with none and 4 with several are left out"
        in caplog.text
    )
    data, split = load(request(path, "data.objects=each")["data"], 0, "bbox")
    assert len(data.targets) == 24
    assert data.groups is not None
    parts = {part: set(data.groups[rows].tolist()) for part, rows in split.items()}
    assert not parts["train"] & parts["test"]
    assert sum(map(len, parts.values())) == 20
    many = written(tmp_path / "many", "COCO", 11)
    assert len(read(many).targets) == 31
    assert len(read(many, "data.classes=[cat]").targets) == 20
    assert len(read(many, "data.classes=[dog]", "data.batch_size=2").targets) == 11


def test_parts_around_objects_vary_and_do_not_depend_on_anything_else(tmp_path: Path) -> None:
    path = written(tmp_path, "COCO", 4)
    words = ["data.objects=each", "data.fit=stretch", "data.side=40"]
    found = read(path, *words)
    for picture, box in zip(found.inputs[8:], found.targets[8:], strict=True):
        torch.testing.assert_close(bright(picture), box, atol=0.13, rtol=0)
    sizes = found.targets[:, 2:] - found.targets[:, :2]
    centres = (found.targets[:, 2:] + found.targets[:, :2]) / 2
    assert sizes.std(0).min() > 0.05
    assert centres.std(0).min() > 0.03
    cats = read(path, *words, "data.classes=[cat]")
    torch.testing.assert_close(cats.targets, found.targets[[0, 2, 4, 6, *range(8, 24)]])
    other = load(request(path, *words, "seed=5")["data"], 5, "bbox")[0]
    assert torch.equal(other.targets, found.targets), "the seed of the run draws the split alone"
    tight = read(path, *words, "data.margin=0").targets
    assert torch.equal(tight, torch.tensor([[0.0, 0, 1, 1]]).expand(24, 4))


def test_orientation_is_that_in_which_boxes_were_drawn(tmp_path: Path) -> None:
    boxes = scenes(tmp_path / "images")
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter: what is stored has 40 x 30 pixels, what is shown 30 x 40
    for number, name in enumerate(boxes):
        with_square(boxes[name][0], seed=number).save(tmp_path / "images" / name, exif=exif)
    coco(tmp_path / "stored.json", boxes)
    shown = {name: [(30 - y2, x1, 30 - y1, x2)] for name, [(x1, y1, x2, y2)] in boxes.items()}
    coco(tmp_path / "shown.json", shown, 30, 40)
    for name in ("stored", "shown"):
        found = read(tmp_path / f"{name}.json", "data.side=40")
        for picture, box in zip(found.inputs, found.targets, strict=True):
            torch.testing.assert_close(bright(picture), box, atol=1.2 / 40, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_run_with_figures_trains_to_the_end(tmp_path: Path, form: str) -> None:
    path = written(tmp_path / "d", form)
    asked = request(path, "corruption=loose_boxes")
    assert request(path)["corruption"]["name"] == "none"
    record = run(asked, tmp_path / "run", bar=False)
    assert record.status == "done"
    assert {"source/data", "source/images"} <= record.pairing.keys()
    events = b"".join(file.read_bytes() for file in (tmp_path / "run").glob("events*"))
    assert b"boxes/true_green_predicted_orange" in events


@pytest.mark.slow
def test_a_changed_picture_or_box_is_another_run(tmp_path: Path) -> None:
    path = written(tmp_path / "d", "COCO")
    first = run(request(path), tmp_path / "run", bar=False)
    assert run(request(path), tmp_path / "run", bar=False) == first
    with_square((1, 1, 9, 9)).save(tmp_path / "d" / "images" / "000.png")
    second = run(request(path), tmp_path / "run", bar=False)
    assert second.pairing["data"] != first.pairing["data"]
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [1, 1, 8, 8]
    path.write_text(json.dumps(content))
    assert run(request(path), tmp_path / "run", bar=False).pairing["data"] != second.pairing["data"]


def changed(*keys: Any, to: Any) -> Callable[[Path], None]:
    """A COCO file with one value replaced."""

    def harm(path: Path) -> None:
        content = json.loads(path.read_text())
        inner = content
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = to
        path.write_text(json.dumps(content))

    return harm


FIRST = ("annotations", 3, "bbox")


@pytest.mark.parametrize(
    ("harm", "words", "message"),
    [
        (
            changed(*FIRST, to=[-3, 1, 9, 9]),
            [],
            r"annotation 300: the box of 'cat' sticks out of .*003.png by 3 pixels; data.outside=clip",
        ),
        (changed(*FIRST, to=[30, 25, 9, 9]), [], r"sticks out of .*003.png by 4 pixels"),
        (
            changed(*FIRST, to=[50, 1, 9, 9]),
            ["data.outside=clip"],
            r"annotation 300: the box of 'cat' lies outside .*003.png",
        ),
        (changed(*FIRST, to=[5, 5, 0, 9]), [], r"annotation 300: the box of 'cat' in .*003.png has no area"),
        (
            changed(*FIRST, to=[5, 5, 4]),
            [],
            r"annotation 300: its bbox must hold four numbers, and it holds \[5, 5, 4\]",
        ),
        (changed(*FIRST, to=[5, 5, 4, float("nan")]), [], r"annotation 300: its bbox must hold four numbers"),
        (
            changed("annotations", 3, "image_id", to=77),
            [],
            r"annotation 300: its image_id 77 is in no entry of 'images'",
        ),
        (
            changed("annotations", 3, "category_id", to=77),
            [],
            r"annotation 300: its category_id 77 is in no entry of 'categories'",
        ),
        (
            changed("images", 3, "file_name", to="03.jpg"),
            [],
            r"annotation 300: there is no picture .*03.jpg",
        ),
        (changed("images", 3, "file_name", to="002.png"), [], r"002.png is annotated twice"),
        (changed("images", 3, "id", to=2), [], r"image 3: the id 2 is another image's already"),
        (changed("images", 3, "width", to=80), [], r"003.png has 40 x 30 pixels, and its annotation says 80 x 30"),
        (changed("annotations", to=[]), [], "has no object, so there is nothing to learn"),
        (changed("images", to={}), [], "must hold the lists 'images', 'annotations' and 'categories'"),
        (lambda path: path.write_text('{"images": [\n1,,]}'), [], r"instances.json, line 2, column 3 is no JSON"),
        (lambda path: path.write_text("[1]"), [], r"is no COCO file of boxes"),
        (
            lambda path: (path.parent / "images" / "004.png").write_bytes(b"x"),
            [],
            r"004.png is no picture, or it is damaged",
        ),
        (
            lambda path: None,
            ["data.classes=[cats]"],
            r"data.classes names 'cats', .* has no such class \(did you mean 'cat'\?\)",
        ),
        (lambda path: None, ["data.images=gone"], "data.images=gone: there is no such folder"),
        (lambda path: None, ["data.path=gone.json"], "data.path=gone.json: there is no such file or folder"),
        (lambda path: None, ["data.margin=-1"], "data.margin must be at least 0"),
        (lambda path: None, ["data.objects=some"], "data.objects must be one of: auto, one, each"),
    ],
)
def test_wrong_boxes_are_refused_before_anything_is_written(
    tmp_path: Path, harm: Callable[[Path], Any], words: list[str], message: str
) -> None:
    path = written(tmp_path, "COCO")
    harm(path)
    with pytest.raises(BadRequest, match=message) as said:
        run(request(path, *words), tmp_path / "run", bar=False)
    assert "\n" not in str(said.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        ("VOC", "<annotation>\n<object>", r"003.xml, line 2 is no XML"),
        ("VOC", "<html></html>", r"003.xml is no Pascal VOC file: it must begin with <annotation>"),
        (
            "VOC",
            "<annotation><object><name>cat</name></object></annotation>",
            r"003.xml, object 1: its <bndbox> must hold four",
        ),
        ("VOC", "<annotation><object></object></annotation>", r"003.xml, object 1 has no <name>"),
        (
            "YOLO",
            "0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1",
            r"003.txt, line 2 must hold a class and four numbers, .* '0 0.5 0.5 0.1'",
        ),
        ("YOLO", "7 0.5 0.5 0.1 0.1", r"003.txt, line 1: there is no class 7; 2 are listed, from 0 on"),
        ("YOLO", "0 0.5 0.5 0.1 wide", r"003.txt, line 1: its box must hold four numbers"),
        ("YOLO", "0 0.9 0.5 0.4 0.1", r"003.txt, line 1: the box of 'cat' sticks out of .*003.png by 4 pixels"),
    ],
)
def test_wrong_files_are_refused_with_their_line(tmp_path: Path, form: str, text: str, message: str) -> None:
    path = written(tmp_path, form)
    (path / f"003.{'xml' if form == 'VOC' else 'txt'}").write_text(text)
    with pytest.raises(BadRequest, match=message):
        read(path)


def test_what_sticks_out_by_a_pixel_or_on_demand_is_clipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "COCO")
    changed(*FIRST, to=[-1, 2, 41, 10])(path)
    found = read(path, "data.fit=stretch").targets[3]
    torch.testing.assert_close(found, torch.tensor([0, 2 / 30, 1, 12 / 30]))
    assert "clipped" not in caplog.text
    changed(*FIRST, to=[-5, 2, 60, 10])(path)
    torch.testing.assert_close(read(path, "data.fit=stretch", "data.outside=clip").targets[3], found)
    assert "1 boxes stuck out of their pictures and were clipped" in caplog.text


def test_crowds_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "COCO", 4)
    changed("annotations", 1, "iscrowd", to=1)(path)
    assert len(read(path).targets) == 17
    assert "1 annotations of crowds are left out" in caplog.text


def test_a_folder_without_boxes_is_refused(tmp_path: Path) -> None:
    scenes(tmp_path)
    with pytest.raises(BadRequest, match=r"holds no boxes; it must be a COCO file \(.json\), or a folder"):
        read(tmp_path)


def test_shares_in_the_place_of_pixels_are_asked_about(tmp_path: Path) -> None:
    path = written(tmp_path, "COCO")
    content = json.loads(path.read_text())
    for each in content["annotations"]:
        each["bbox"] = [each["bbox"][0] / 40, each["bbox"][1] / 30, each["bbox"][2] / 40, each["bbox"][3] / 30]
    path.write_text(json.dumps(content))
    with pytest.raises(BadRequest, match="COCO counts in pixels; are they shares of the picture"):
        read(path)
