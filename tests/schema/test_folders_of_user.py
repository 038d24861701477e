"""Folders of the user's: a hash of all that counts in them, and where the pictures of annotations are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from losslab.errors import BadRequest
from losslab.schema.requirements import beside_path, files_of_user, pictures_of
from losslab.schema.source_hashes import files_below, of_file, of_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/1.png", "a/2.png", "b/c/3.png", ".git/x", "b/Thumbs.db", "__MACOSX/a/1.png", "b/.DS_Store"):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text(name)
    return tmp_path / "d"


def test_what_file_managers_leave_does_not_count(folder: Path) -> None:
    assert [file.relative_to(folder).as_posix() for file in files_below(folder)] == ["a/1.png", "a/2.png", "b/c/3.png"]
    before = of_path(folder)
    (folder / "b" / ".DS_Store").write_text("other")
    assert of_path(folder) == before


def test_the_hash_of_a_folder_is_that_of_its_names_and_contents(folder: Path) -> None:
    known = {of_path(folder)}
    (folder / "a" / "1.png").write_text("other")
    known.add(of_path(folder))
    (folder / "a" / "1.png").rename(folder / "a" / "4.png")
    known.add(of_path(folder))
    (folder / "a" / "2.png").unlink()
    known.add(of_path(folder))
    assert len(known) == 4
    moved = folder.rename(folder.with_name("elsewhere"))
    assert of_path(moved) in known, "where it lies does not matter"
    assert of_path(moved / "a" / "4.png") == of_file(moved / "a" / "4.png")


def test_links_are_followed_and_not_in_circles(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "5.png").write_text("5")
    (folder / "linked").symlink_to(tmp_path / "more")
    (folder / "a" / "up").symlink_to(folder)
    assert [file.name for file in files_below(folder)] == ["1.png", "2.png", "3.png", "5.png"]
    (folder / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(BadRequest, match=r"gone.png cannot be read: No such file"):
        of_path(folder)


@pytest.mark.parametrize(
    ("there", "path", "images"),
    [
        (["VOC/JPEGImages", "VOC/Annotations"], "VOC/Annotations", "VOC/JPEGImages"),
        (["y/images", "y/labels"], "y/labels", "y/images"),
        (["y/images/train", "y/labels/train"], "y/labels/train", "y/images/train"),
        (["c/images"], "c/boxes.json", "c/images"),
        (["c/annotations", "c/images"], "c/annotations/boxes.json", "c/images"),
        (["c"], "c/boxes.json", "c"),
        (["y"], "y", "y"),
    ],
)
def test_pictures_are_found_where_each_format_has_them(
    tmp_path: Path, there: list[str], path: str, images: str
) -> None:
    for each in there:
        (tmp_path / each).mkdir(parents=True)
    if path.endswith(".json"):
        (tmp_path / path).write_text("{}")
    assert pictures_of(tmp_path / path, "") == tmp_path / images
    assert pictures_of(tmp_path / path, "mine") == Path("mine")
    about = {"path": "file or folder", "more_paths": {"images": "folder"}}
    found = files_of_user({"path": str(tmp_path / path), "images": ""}, about)
    assert found == {"data": tmp_path / path, "images": tmp_path / images}


def test_a_path_may_lie_in_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    (folder / "labels.csv").write_text("x")
    assert beside_path({"path": "d", "labels": "labels.csv"}, "labels") == Path("d/labels.csv")
    Path("labels.csv").write_text("y")
    assert beside_path({"path": "d", "labels": "labels.csv"}, "labels") == Path("labels.csv")
    assert beside_path({"path": "d", "labels": "gone.csv"}, "labels") == Path("gone.csv")
