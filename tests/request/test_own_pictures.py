"""From pictures and boxes to a study: what was read, what is decided, and the same study by every way to ask for it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import losslab
from losslab.cli.main import main
from losslab.errors import BadRequest
from losslab.request import data_cards
from losslab.request.command import StudyRequest, check_command
from losslab.request.own_data import Options, Question, ask, study_of
from support.picture_files import class_folders, coco, picture, scenes, voc, yolo

SMALL = ["trainer.max_epochs=1", "trainer=cpu", "data.side=8", "model.hidden=8", "model.channels=[4]"]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    class_folders(tmp_path / "flowers", 10)
    boxes = scenes(tmp_path / "photos", 4)
    coco(tmp_path / "boxes.json", boxes)
    return tmp_path


def seen(question: Question) -> dict[str, str]:
    return dict(question.seen)


def test_folders_of_classes_ask_for_the_task_of_their_number(there: Path) -> None:
    found = ask(Path("flowers"), Options())
    assert (found.task, found.names, found.metric) == ("multiclass", ("blue", "green", "red"), "accuracy")
    assert seen(found)["Pictures"] == "30 in 3 classes: blue 10, green 10, red 10"
    assert "10 x 12 to 12 x 12 pixels; brought to 12 x 12, with their shape kept" in seen(found)["Sizes"]
    assert seen(found)["Modes"] == "RGB 30"
    assert found.split.endswith("with the same shares of the classes in each part, anew for each seed")
    assert "model=cnn" in found.words
    assert "data.split=stratified" in found.words
    for file in (there / "flowers" / "red").iterdir():
        file.unlink()
    (there / "flowers" / "red").rmdir()
    assert ask(Path("flowers"), Options()).task == "binary"
    for number in range(9):
        (there / "flowers" / "green" / f"{number:03}.png").unlink()
    with pytest.raises(BadRequest, match="class 'green' has 1 picture"):
        ask(Path("flowers"), Options())


def test_rare_classes_bring_losses_and_folders_of_parts_the_split(there: Path) -> None:
    class_folders(there / "parts" / "train", 40, classes={"a": (1, 1, 1)})
    class_folders(there / "parts" / "train", 5, classes={"b": (99, 1, 1)})
    class_folders(there / "parts" / "test", 3, classes={"a": (1, 1, 1), "b": (99, 1, 1)})
    found = ask(there / "parts", Options())
    assert found.split == "as the folders say: 45 train, 6 test; validation drawn from train for each seed"
    assert found.metric == "auroc"
    assert "asymmetric" in found.losses
    assert any("imbalanced" in doubt for doubt in found.doubts)


def test_copies_of_a_picture_are_doubted(there: Path) -> None:
    picture((5, 5, 5)).save(there / "flowers" / "red" / "copy.png")
    picture((5, 5, 5)).save(there / "flowers" / "blue" / "copy.png")
    doubt, few = ask(Path("flowers"), Options()).doubts
    assert "of the rarest class are tested on" in few
    assert doubt.startswith(
        "1 pictures are copies of others, such as flowers/blue/copy.png and flowers/red/copy.png with dif"
    )


def test_a_table_of_labels_asks_for_the_task_of_its_column(there: Path) -> None:
    files = sorted(file.relative_to(there / "flowers").as_posix() for file in (there / "flowers").glob("*/*.png"))
    pd.DataFrame({"file": files, "height": [n + 0.25 for n in range(30)], "rating": [1, 2, 3] * 10}).to_csv(
        "labels.csv", index=False
    )
    options = {"labels": "labels.csv", "target": "height"}
    found = ask(Path("flowers"), Options(**options))  # type: ignore[arg-type]
    assert found.task == "regression"
    assert "huber" in found.losses
    assert "data.label_column=height" in found.words
    with pytest.raises(BadRequest, match="Add --task multiclass or --task ordinal or --task regression"):
        ask(Path("flowers"), Options(labels="labels.csv", target="rating"))
    assert ask(Path("flowers"), Options(labels="labels.csv", target="rating", task="ordinal")).names == ("1", "2", "3")
    with pytest.raises(BadRequest, match="no column 'label'; add --target with one of file, height, rating"):
        ask(Path("flowers"), Options(labels="labels.csv"))
    with pytest.raises(BadRequest, match=r"data.labels=label.csv: there is no such file \(did you mean 'labels.csv'"):
        ask(Path("flowers"), Options(labels="label.csv"))


@pytest.mark.parametrize("form", ["COCO", "Pascal VOC", "YOLO"])
def test_boxes_of_every_format_are_recognised(there: Path, form: str) -> None:
    boxes = scenes(there / "d" / ("JPEGImages" if form == "Pascal VOC" else "images"), 15)
    if form == "COCO":
        coco(there / "d" / "boxes.json", boxes)
    else:
        (voc if form == "Pascal VOC" else yolo)(
            there / "d" / ("Annotations" if form == "Pascal VOC" else "labels"), boxes
        )
    found = ask(there / "d" / "boxes.json" if form == "COCO" else there / "d", Options())
    assert (found.task, found.metric, found.rows) == ("bbox", "mean_iou", 35)
    assert seen(found)["Pictures"] == f"20 with annotations in {form} format"
    assert seen(found)["Objects"] == "35 are used, each in a part of its picture: cat 20, dog 15"
    assert "by picture: all objects of a picture are in one part" in found.split
    one = ask(
        found.path, Options(words=("data.objects=one",), images=str(there / "d" / "images") if form == "COCO" else "")
    )
    assert one.rows == 5
    assert any("5 of 20 pictures have exactly one object" in doubt for doubt in one.doubts)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("flowers", {"group": "who"}, "--group names a column of a table, and flowers holds pictures"),
        ("flowers", {"target": "price"}, "--target names a column of a table of labels; add --labels FILE"),
        ("flowers", {"task": "bbox"}, "flowers holds no boxes"),
        (
            "flowers",
            {"task": "regresion"},
            r"Task 'regresion' does not fit pictures with labels \(did you mean 'regression'\?\)",
        ),
        ("flowers", {"task": "regression"}, "has folders of classes, and task=regression needs numbers"),
        ("boxes.json", {"images": "photo"}, r"data.images=photo: there is no such folder \(did you mean 'photos'\?\)"),
        ("boxes.json", {"target": "price"}, "what is predicted for boxes.json are its boxes"),
        ("boxes.json", {"images": "photos", "task": "multiclass"}, "does not fit boxes in pictures. Valid: bbox"),
        ("gone", {"images": "photos"}, "there is no such file or folder"),
    ],
)
def test_what_cannot_be_asked_is_refused(there: Path, path: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        ask(Path(path), Options(**options))


@pytest.mark.slow
@pytest.mark.parametrize("path", ["flowers", "boxes.json"])
def test_words_and_card_ask_for_the_same_study(there: Path, path: str) -> None:
    options = Options(images="photos" if path == "boxes.json" else "", words=("data.side=16", "trainer.max_epochs=3"))
    found = ask(Path(path), options)
    asked = check_command(shlex.split(found.command)[2:], multirun=False)
    assert isinstance(asked, StudyRequest)
    mine, theirs = study_of(found, "study", "").mark(), asked.study.mark()
    assert {k: v for k, v in mine.items() if k != "command"} == {k: v for k, v in theirs.items() if k != "command"}
    (there / "card.yaml").write_text(data_cards.written(found))
    again = ask(Path("card.yaml"), Options(words=("trainer.max_epochs=3",)))
    assert study_of(again, "s", "").mark() == study_of(found, "s", "").mark()
    (there / "card.yaml").write_text(data_cards.written(found).replace("side:", "sides:"))
    with pytest.raises(BadRequest, match=r"sets 'sides', which .* not have \(did you mean 'side'\?\)"):
        ask(Path("card.yaml"), Options())


def test_paths_of_a_card_are_found_beside_it(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there / "card.yaml").write_text(data_cards.written(ask(Path("boxes.json"), Options(images="photos"))))
    (there / "elsewhere").mkdir()
    monkeypatch.chdir(there / "elsewhere")
    found = ask(Path("../card.yaml"), Options())
    assert found.rows == 16
    assert "data.images='../photos'" in found.words


@pytest.mark.parametrize("typed", [["flowers"], ["boxes.json", "--images", "photos"]], ids=["images", "boxes"])
def test_inspect_says_what_it_read_and_will_do(
    there: Path, capsys: pytest.CaptureFixture[str], typed: list[str]
) -> None:
    before = sorted(there.rglob("*"))
    assert main(["inspect", *typed, *SMALL]) == 0
    said = capsys.readouterr().out
    for expected in (
        "Pictures",
        "Sizes",
        "Modes",
        "Task",
        "Split",
        "Losses",
        "runs to tune",
        "losslab train study=fair",
    ):
        assert expected in said, expected
    assert all(len(line) <= 80 for line in said.splitlines() if "study.losses" not in line)
    assert sorted(there.rglob("*")) == before, "nothing is written"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "losses"),
    [(["flowers"], ["cross_entropy", "focal"]), (["boxes.json", "--images", "photos"], ["giou", "smoothl1"])],
    ids=["images", "boxes"],
)
def test_compare_ends_in_an_answer(
    there: Path, capsys: pytest.CaptureFixture[str], typed: list[str], losses: list[str]
) -> None:
    words = ["compare", *typed, "--losses", *losses, *SMALL, "data.batch_size=4", "--seeds", "6", "--trials", "2"]
    assert main(words) == 0
    assert "In your own training loop" in capsys.readouterr().out
    folder = there / "runs" / Path(typed[0]).stem
    assert (folder / "report.html").exists()


@pytest.mark.slow
def test_the_library_compares_pictures(there: Path) -> None:
    options = [*SMALL, "data.batch_size=4"]
    found = losslab.compare(
        "flowers", losses=["cross_entropy", "focal"], seeds=2, trials=2, options=options, progress=False
    )
    assert len(found.records) > 4
    assert {record.status for record in found.records} == {"done"}
    with pytest.raises(BadRequest, match="lies in the folder of the data"):
        losslab.compare("flowers", losses=["cross_entropy", "focal"], store="flowers/runs", options=options)
