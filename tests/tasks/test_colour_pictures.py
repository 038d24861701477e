"""Pictures in three channels: figures of every task, corruptions, the model and stacks take them as they take grey ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from losslab import compose, data, tasks
from losslab.catalogue.corruption_preview import draw, see
from losslab.tasks import Snapshot
from losslab.tasks.figures import draw_confusion, in_colour
from losslab.training.run import run
from support import stacks
from support.picture_files import class_folders, coco, scenes

TASKS = {"multiclass": ("red", "green", "blue"), "binary": ("red", "green")}


def folders(folder: Path, task: str) -> Path:
    return class_folders(folder, 10, classes={name: (200, 30 * place, 9) for place, name in enumerate(TASKS[task])})


@pytest.mark.parametrize("task", TASKS)
def test_runs_with_figures_train_to_the_end(tmp_path: Path, task: str) -> None:
    folder = folders(tmp_path / "p", task)
    words = [f"task={task}", "data=images", f"data.path={folder}", "data.batch_size=4", "model=cnn", "trainer=cpu"]
    record = run(compose(*words, "corruption=input_noise", "trainer.max_epochs=2"), tmp_path / "run", bar=False)
    assert record.status == "done"
    assert record.corruption["rows_hit"]["train"] > 0
    assert b"confusion" in b"".join(file.read_bytes() for file in (tmp_path / "run").glob("events*"))


class Writer:
    def add_image(self, name: str, picture: Any, step: int, dataformats: str = "CHW") -> None:
        self.picture = picture


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_boxes_are_drawn_on_pictures_of_their_colours(channels: int) -> None:
    targets = torch.tensor([[0.1, 0.1, 0.5, 0.5]]).repeat(20, 1)
    pictures = torch.zeros(20, channels, 32, 32)
    pictures[:, -1] = 0.5
    split = {"train": torch.arange(10), "val": torch.arange(10, 15), "test": torch.arange(15, 20)}
    task = tasks.build({"name": "bbox", "coordinates": "corners"}, data.Data(pictures, targets, ("a", "b", "c", "d")))
    seen = Snapshot(pictures, targets, targets, torch.zeros(20).bool(), split, lambda rows: torch.zeros(len(rows), 4))
    writer = Writer()
    task.draw(writer, 0, seen)  # type: ignore[arg-type]
    shown = writer.picture[:, 100, 4].tolist()
    assert shown == {1: [127] * 3, 2: [0] * 3, 3: [0, 0, 127]}[channels]
    assert writer.picture.shape == (3, 2 * 194 + 2, 4 * 194 + 2)


def test_other_numbers_of_channels_show_the_first() -> None:
    pictures = torch.rand(2, 5, 4, 4)
    assert in_colour(pictures).shape == (2, 3, 4, 4)
    assert torch.equal(in_colour(pictures)[:, 2], pictures[:, 0])
    assert in_colour(pictures[:, :3]) is not None
    assert torch.equal(in_colour(pictures[:, :3]), pictures[:, :3])


@pytest.mark.parametrize("count", [3, 200])
def test_a_confusion_matrix_of_many_classes_stays_small(count: int) -> None:
    def drawn(counts: torch.Tensor) -> np.ndarray:
        writer = Writer()
        draw_confusion(writer, 0, counts, [f"class {number}" for number in range(count)])  # type: ignore[arg-type]
        return writer.picture

    one, other = drawn(torch.eye(count)), drawn(4 * torch.eye(count))
    assert max(one.shape) <= 1400
    assert one.std() > 0
    assert (one.shape == other.shape and (one != other).any()) == (count < 30), "counts, where they can be read"
    dark = (one == one.reshape(-1, 3)[one.reshape(-1, 3)[:, 0] == 8][0]).all(-1)
    assert (np.argwhere(dark)[:, 0].max() - np.argwhere(dark)[:, 0].min()) > 100, "the diagonal is shaded"


def test_corrupted_pictures_are_shown_in_colour(tmp_path: Path) -> None:
    folder = folders(tmp_path / "p", "multiclass")
    words = ["task=multiclass", "data=images", f"data.path={folder}", "data.batch_size=4", "model=cnn"]
    seen = see(compose(*words, "corruption=input_noise"))
    into = tmp_path / "noise.png"
    draw(seen, into)
    from PIL import Image

    shown = np.asarray(Image.open(into).convert("RGB")).astype(int)
    assert (shown[..., 0] - shown[..., 2] > 100).mean() > 0.05, "red is red"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multiclass", "binary", "bbox"])
def test_stacked_runs_equal_lone_ones(tmp_path: Path, task: str) -> None:
    if task == "bbox":
        coco(tmp_path / "boxes.json", scenes(tmp_path / "images"))
        own, names = [f"data.path={tmp_path / 'boxes.json'}", "data=boxes"], ("giou", "smoothl1")
    else:
        own = [f"data.path={folders(tmp_path / 'p', task)}", "data=images"]
        names = ("cross_entropy", "focal") if task == "multiclass" else ("bce_with_logits", "focal")
    words = [f"task={task}", *own, "model=cnn", "model.channels=[4]", "model.hidden=4", "data.batch_size=4"]
    more = ["data.side=8", "logger=none", "trainer=cpu", "trainer.max_epochs=2"]
    asked = [compose(*words, *more, f"loss={name}", f"seed={seed}") for name in names for seed in (0, 1)]
    assert stacks.difference(asked) < 1e-9
