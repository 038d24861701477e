"""The code at the end of a comparison runs as it stands, for every loss that is compared where none is named."""

from typing import Any

import pytest
import torch

from losslab.report.snippet import snippet
from losslab.request.command import StudyRequest, check_command
from losslab.schema import cards
from losslab.study.recipe import Study, loss_setting

CLASSES = ("low", "middle", "high")


def short_list(task: str) -> list[str]:
    about = cards.card("task", task).about
    return [*about["short_list"], *(loss for more in about.get("more", {}).values() for loss in more)]


def study_on(task: str, *words: str) -> Study:
    losses = [f"'{loss}'" for loss in short_list(task)]
    found = check_command(["study=fair", f"task={task}", f"study.losses=[{','.join(losses)}]", *words], multirun=False)
    assert isinstance(found, StudyRequest)
    return found.study


def batch(task: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows, and targets of which most are 0 where they are numbers."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(60, 4, generator=generator)
    number = rows.sum(1).clamp(min=0).round()
    corners = torch.rand(60, 2, generator=generator) / 2
    targets = {
        "regression": (number * (torch.rand(60, generator=generator) < 0.4))[:, None],
        "counts": number[:, None],
        "binary": (number > 2).float()[:, None],
        "multiclass": number.long().clamp(max=2),
        "bbox": torch.cat([corners, corners + 0.3], 1),
        "quantiles": number[:, None],
        "ordinal": number.long().clamp(max=2),
        "multilabel": (torch.rand(60, 3, generator=generator) < 0.4).float(),
        "segmentation": (torch.rand(60, 3, 3, generator=generator) < 0.4).float(),
    }
    return rows, targets[task]


@pytest.mark.parametrize(("task", "loss"), [(task, loss) for task in cards.names("task") for loss in short_list(task)])
def test_it_trains(task: str, loss: str) -> None:
    study = study_on(task)
    params = {key: value for key, value in loss_setting(loss).items() if key != "name"}
    names = {"multiclass": CLASSES, "binary": CLASSES[:2], "ordinal": CLASSES}.get(task, ())
    code = snippet(study, loss, params, 0.01, names, "; validation was best after 7")
    rows, targets = batch(task)
    outputs = {"multiclass": 3, "bbox": 4, "quantiles": 5, "ordinal": 2, "multilabel": 3, "segmentation": 9}.get(
        task, 1
    )
    last = [torch.nn.Unflatten(1, (3, 3))] if task == "segmentation" else []
    given: dict[str, Any] = {
        "model": torch.nn.Sequential(torch.nn.Linear(4, outputs), *last),
        "batches": [(rows, targets)] * 2,
        "train_targets": targets,
    }
    exec(compile(code, "snippet", "exec"), given)
    assert torch.isfinite(given["loss"])
    assert "validation was best after 7" in code
    assert all(f"{number} {name}" in code for number, name in enumerate(names))


def test_weights_of_rows_are_named() -> None:
    assert "the rows were weighted" in snippet(study_on("binary", "data.weight=balanced"), "focal", {"gamma": 2.0}, 0.1)
    assert "weighted" not in snippet(study_on("binary"), "focal", {"gamma": 2.0}, 0.1)
