"""Everything that a run touches lies on its device: tried on one that mixes tensors as strictly as a GPU, without a GPU.

Started by test_on_fake_gpu.py.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from losslab import losses
from losslab.fused import sizing
from losslab.sweep.audit import audit
from losslab.sweep.runner import train_all
from losslab.training.prepare import Prepared, prepare
from losslab.training.run import run
from support import fake_gpu
from support.examples import made, sample
from support.on_devices import (
    CPU,
    READS,
    STATEFUL,
    TASKS,
    Place,
    alike,
    jobs,
    kept_weights,
    small,
    stop_after_an_epoch,
    under,
)


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """A machine with a GPU."""
    given = Place(fake_gpu.install())
    monkeypatch.setattr("losslab.hardware.of_run", lambda request: given.now)
    monkeypatch.setattr(torch, "load", fake_gpu.open_file)
    monkeypatch.setattr(
        "losslab.fused.functional._WORTH_TRACING", 10**9
    )  # a trace keeps the numbers, and not where they lie
    return given


def tensors(parts: Prepared) -> list[Tensor]:
    """What a prepared run holds in modules. torch.equal fails where one of them has moved."""
    return [t for part in (parts.model, parts.task, parts.loss) for t in part.state_dict().values()]


def test_the_device_mixes_tensors_as_strictly_as_a_gpu(place: Place) -> None:
    here, there = torch.ones(3), torch.ones(3).to(place.there)
    for mixed in (lambda: here + there, lambda: torch.where(there > 0, there, here), lambda: here[there.long()]):
        with pytest.raises(RuntimeError, match=r"device|cpu"):
            mixed()
    assert (there * torch.tensor(2.0)).device == there[torch.tensor([0])].device == place.there


@pytest.mark.parametrize("task", TASKS)
def test_a_lone_run_its_figures_and_its_checkpoints(
    task: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = small(task) | {"logger": {"name": "tensorboard", "figures": 2}}
    there = run(request, tmp_path / "there", bar=False)
    assert there.device.startswith(fake_gpu.NAME)
    stop_after_an_epoch(small(task), tmp_path / "begun there", monkeypatch)

    place.now = CPU
    here = run(small(task), tmp_path / "here", bar=False)
    alike(there, here)
    alike(run(small(task), tmp_path / "begun there", bar=False), here)
    stop_after_an_epoch(small(task), tmp_path / "begun here", monkeypatch)
    for name in ("best", "last"):
        assert kept_weights(tmp_path / "there", name)

    place.now = place.there
    alike(run(small(task), tmp_path / "begun here", bar=False), here)


@pytest.mark.parametrize("task", TASKS)
def test_a_stack_its_figures_and_its_audit(task: str, place: Place, tmp_path: Path) -> None:
    logs = {"logger": {"name": "tensorboard", "figures": 1}}
    planned = [replace(job, request=job.request | logs) for job in jobs(task, tmp_path / "there")]
    stacked = train_all(planned, lambda *_: None).records
    assert [record.fused for record in stacked] == [4] * 4
    assert all(record.device.startswith(fake_gpu.NAME) for record in stacked)
    assert "1 runs trained alone as well differ in" in audit(planned, stacked, 1)
    place.now = CPU
    for there, here in zip(stacked, train_all(jobs(task, tmp_path / "here"), lambda *_: None).records, strict=True):
        alike(there, here)


@pytest.mark.parametrize("task", TASKS)
def test_measuring_takes_copies_to_the_device(task: str, place: Place) -> None:
    parts = prepare(small(task))
    before = [tensor.clone() for tensor in tensors(parts)]
    assert sizing.fastest(parts, 4, place.there)[0] in (1, 2, 4)
    assert all(torch.equal(*pair) for pair in zip(tensors(parts), before, strict=True))


@pytest.mark.parametrize("loss", STATEFUL)
def test_what_a_loss_learns(loss: str, place: Place, tmp_path: Path) -> None:
    task = next(task for task in TASKS if loss in losses.names(task))
    parts = prepare(under(task, loss))
    before = [tensor.clone() for tensor in tensors(parts)]
    sizing.fastest(parts, 1, place.there)
    assert all(torch.equal(*pair) for pair in zip(tensors(parts), before, strict=True))
    there = run(under(task, loss), tmp_path / "there", bar=False)
    place.now = CPU
    alike(there, run(under(task, loss), tmp_path / "here", bar=False))


@pytest.mark.parametrize("moved", [False, True], ids=["as made", "moved"])
def test_every_loss_gives_there_what_it_gives_here(moved: bool, place: Place) -> None:
    """A user of the library may leave the loss itself where it was made, as one does with functions."""
    for name, space in READS:
        found = []
        for where in (CPU, place.there):
            pred, target = (part.to(where) for part in sample(space))
            pred.requires_grad_()
            loss = made(name, space)
            value = (loss.to(where) if moved else loss)(pred, target)
            value.backward()
            assert value.device == pred.grad.device == where, (name, space)
            found.append((value.detach().cpu(), pred.grad.cpu()))
        for here, there in zip(*found, strict=True):
            torch.testing.assert_close(there, here, rtol=1e-12, atol=1e-14, msg=f"{name} in {space}")
