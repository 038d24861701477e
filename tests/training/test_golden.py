"""Twenty steps of each task under each family of losses give the numbers that they gave before.

The curves lie in golden_curves.json. Where a change is meant to alter what training gives, write them anew, look at what
differs, and say in the commit why:

    PYTHONPATH=src:tests python tests/training/test_golden.py
"""

import json
from pathlib import Path

import pytest
import torch

from losslab import compose
from losslab.losses.base import LOSSES
from losslab.schema import cards, compatibility
from losslab.training.module import RunModule
from losslab.training.prepare import prepare
from support.stacks import SMALL, doubled

GOLDEN = Path(__file__).with_name("golden_curves.json")
STEPS = 20
OF_EACH = 1  # losses of a family


def cases() -> list[tuple[str, str]]:
    """Each task with the first losses of each file of losses that serve it, and a sum."""
    found = []
    for task in cards.names("task"):
        families: dict[str, list[str]] = {}
        for loss in compatibility.fitting("loss", task):
            family = LOSSES[loss].__module__ if loss in LOSSES else "sums"
            families.setdefault(family, []).append(loss)
        found += [(task, loss) for names in families.values() for loss in names[:OF_EACH]]
    return found


def curve(task: str, loss: str) -> list[float]:
    """The training loss at each of twenty steps in float64, then the task's metrics on the validation split."""
    model = ["model.channels=[4,6]", "model.hidden=8"] if task == "bbox" else ["model.hidden=[8]"]
    settings = ["optimizer.schedule=cosine", "optimizer.lr=0.01", "penalty.l2=0.001", "trainer=cpu", "logger=none"]
    request = compose(f"task={task}", f"loss={loss}", *SMALL[task], *model, *settings)
    parts = doubled([prepare(request)])[0]
    module = RunModule(
        parts.task, parts.model, parts.loss, parts.rows, parts.split, request["optimizer"], request["penalty"], STEPS
    )
    [optimizer], [schedule] = module.configure_optimizers()
    module.optimizers, module.lr_schedulers = lambda: optimizer, lambda: schedule
    batches, epoch = [], 0
    while len(batches) < STEPS:
        batches += [part for chunk in (parts.batches.set_epoch(epoch) or parts.batches) for part in chunk]
        epoch += 1
    for rows in batches[:STEPS]:
        module.training_step((rows,), 0)
    metrics = parts.task.evaluate(module.raw(parts.split["val"]), parts.rows.targets[parts.split["val"]])
    return [float(value) for value in module._losses] + list(metrics.values())


SLOW = ("bbox", "binary", "counts")  # whose data take longer to make than twenty steps do
TASKS = [pytest.param(task, marks=[pytest.mark.slow] * (task in SLOW)) for task in cards.names("task")]


@pytest.mark.parametrize("task", TASKS)
def test_twenty_steps_give_what_they_gave_before(task: str) -> None:
    kept = json.loads(GOLDEN.read_text())
    for name, loss in cases():
        if name == task:
            found = torch.tensor(curve(task, loss), dtype=torch.float64)
            before = torch.tensor(kept[f"{task} {loss}"], dtype=torch.float64)
            torch.testing.assert_close(found, before, rtol=1e-6, atol=1e-9, msg=lambda said, at=loss: f"{at}: {said}")


def test_every_case_has_its_curve() -> None:
    assert set(json.loads(GOLDEN.read_text())) == {f"{task} {loss}" for task, loss in cases()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    lines = (f"  {json.dumps(f'{task} {loss}')}: {json.dumps(curve(task, loss))}" for task, loss in cases())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
