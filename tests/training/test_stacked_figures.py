"""TensorBoard events of runs that trained in a stack: their figures are those of lone runs, at the best and the last epoch."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from losslab import compose
from losslab.sweep.jobs import Job
from losslab.sweep.runner import train_all
from support.event_files import curves

SMALL = ("trainer.max_epochs=4", "trainer=cpu", "data.batch_size=16")
LOSSES = {
    "regression": ("mse", "l1"),
    "multiclass": ("cross_entropy", "focal"),
    "binary": ("bce_with_logits", "focal"),
    "bbox": ("giou", "smoothl1"),
}


def trained(folder: Path, task: str, size: int, *more: str) -> dict[str, tuple]:
    """For each run its record and its events, trained in stacks of `size`."""
    requests = [compose(f"task={task}", f"loss={loss}", *SMALL, f"fused.size={size}", *more) for loss in LOSSES[task]]
    jobs = [Job(request, folder / request["loss"]["name"], number) for number, request in enumerate(requests)]
    outcome = train_all(jobs)
    assert {record.fused for record in outcome.records} == {size}
    return {r.loss: (r, curves(job.folder)) for r, job in zip(outcome.records, jobs, strict=True)}


def decoded(event) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(event.encoded_image_string))).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_a_stacked_run_draws_what_a_lone_run_draws(tmp_path: Path, task: str) -> None:
    rows = "data.rows=200" if task == "regression" else "data.batch_size=64"
    stacked, alone = (trained(tmp_path / str(size), task, size, rows, "optimizer.lr=0.03") for size in (2, 1))
    for loss, (record, events) in stacked.items():
        steps = len(events.Scalars("train/loss")) and events.Scalars("train/loss")[0].step
        wanted = list(dict.fromkeys([record.best_epoch * steps, record.epochs * steps]))
        kind = "histograms" if task == "regression" else "images"
        tags = events.Tags()[kind]
        assert tags
        other = alone[loss][1]
        assert sorted(other.Tags()[kind]) == sorted(tags)
        for tag in tags:
            drawn, lone = ((each.Histograms if kind == "histograms" else each.Images)(tag) for each in (events, other))
            assert [event.step for event in drawn] == [event.step for event in lone] == wanted
            for one, two in zip(drawn, lone, strict=True):
                if kind == "images":
                    assert (decoded(one) == decoded(two)).mean() > 0.99
                else:
                    assert one.histogram_value.num == two.histogram_value.num
                    assert one.histogram_value.sum == pytest.approx(two.histogram_value.sum, rel=1e-2, abs=1e-1)


@pytest.mark.slow
def test_boxes_in_the_figures_of_a_stack_can_be_seen(tmp_path: Path) -> None:
    for _, events in trained(tmp_path, "bbox", 2, "data.rows=100").values():
        picture = decoded(events.Images("boxes/true_green_predicted_orange")[-1])
        green = (picture == (0, 255, 0)).all(-1)
        assert 0.005 < green.mean() < 0.2
        thick = green[1:-1] & green[:-2] & green[2:]
        assert thick.any(1).sum() > 10, "horizontal lines of three pixels or more"


def test_a_stack_that_is_to_draw_nothing_draws_nothing(tmp_path: Path) -> None:
    for _, events in trained(tmp_path, "regression", 2, "data.rows=100", "logger.figures=0").values():
        assert not events.Tags()["histograms"]
        assert "train/loss" in events.Tags()["scalars"]
