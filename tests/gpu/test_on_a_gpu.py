"""What only a GPU can show: `make test-gpu`. `GPU_TESTS_ON=cpu` tries the tests themselves where there is none."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from losslab import hardware
from losslab.fused.module import FusedModule
from losslab.sweep.audit import audit
from losslab.sweep.runner import train_all
from losslab.training import numerics
from losslab.training.run import run
from support.examples import made, sample
from support.on_devices import CPU, READS, TASKS, Place, alike, jobs, kept_weights, small, stop_after_an_epoch

_IN_PLACE = os.environ.get("GPU_TESTS_ON")
pytestmark = pytest.mark.skipif(not (torch.cuda.is_available() or _IN_PLACE), reason="needs a GPU that torch can use")
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="shows what CUDA's own kernels do")
# two epochs apart by rounding alone: a GPU adds in another order
NEAR: dict[str, Any] = {"rel": 1e-3, "abs": 1e-3}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """`trainer=auto` computes on the GPU, until a test takes it away."""
    given = Place(torch.device(_IN_PLACE) if _IN_PLACE else hardware.of_run(small("regression")))
    monkeypatch.setattr("losslab.hardware.of_run", lambda request: given.now)
    return given


def test_auto_takes_the_gpu(tmp_path: Path) -> None:
    where = hardware.of_run(small("regression"))
    assert where.type == (_IN_PLACE or "cuda")
    assert run(small("regression", 1), tmp_path, bar=False).device == hardware.describe(where)


@pytest.mark.parametrize("task", TASKS)
def test_a_lone_run_and_its_checkpoints(
    task: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = small(task) | {"logger": {"name": "tensorboard", "figures": 2}}
    there = run(request, tmp_path / "there", bar=False)
    stop_after_an_epoch(small(task), tmp_path / "begun there", monkeypatch)
    stop_after_an_epoch(small(task), tmp_path / "moved", monkeypatch)
    assert there.device == hardware.describe(place.there)
    alike(run(small(task), tmp_path / "begun there", bar=False), there, **NEAR)
    for name in ("best", "last"):
        assert kept_weights(tmp_path / "there", name)

    place.now = CPU
    alike(run(small(task), tmp_path / "here", bar=False), there, **NEAR)
    alike(run(small(task), tmp_path / "moved", bar=False), there, **NEAR)


@pytest.mark.parametrize("task", TASKS)
def test_a_stack_and_its_audit_over_an_epoch(task: str, place: Place, tmp_path: Path) -> None:
    planned = jobs(task, tmp_path, epochs=1)
    records = train_all(planned, lambda *_: None).records
    assert [(record.status, record.fused) for record in records] == [("done", 4)] * 4
    assert {record.device for record in records} == {hardware.describe(place.there)}
    said = audit(planned, records, 4)
    found = re.search(r"differ in \S+ by at most ([0-9.e+-]+);", said)
    assert found, said
    assert float(found[1]) <= 1e-4, said
    assert "ended otherwise" not in said


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-9), (torch.float32, 1e-5)], ids=["float64", "float32"])
def test_every_loss_and_its_gradient(dtype: torch.dtype, near: float, place: Place) -> None:
    for name, space in READS:
        found = []
        for where in (CPU, place.there):
            pred, target = (part.to(where) for part in sample(space, n=64, dtype=dtype))
            pred.requires_grad_()
            value = made(name, space).to(where)(pred, target)
            value.backward()
            found.append((value.detach().cpu(), pred.grad.cpu()))
        for here, there in zip(*found, strict=True):
            torch.testing.assert_close(
                there, here, rtol=near, atol=near, msg=lambda text, where=f"{name} in {space}": f"{where}: {text}"
            )


@pytest.mark.parametrize("task", TASKS)
def test_deterministic_runs_repeat_bit_for_bit(task: str, place: Place, tmp_path: Path) -> None:
    request = small(task, 2, "trainer.deterministic=true")
    one, other = (run(request, tmp_path / name, bar=False) for name in ("one", "other"))
    assert (one.status, one.metrics, one.curves) == ("done", other.metrics, other.curves)
    for name in ("best", "last"):
        kept = [kept_weights(tmp_path / folder, name) for folder in ("one", "other")]
        assert kept[0].keys() == kept[1].keys()
        assert all(torch.equal(tensor, kept[1][key]) for key, tensor in kept[0].items())


def test_a_stack_whose_memory_ends_goes_on_in_halves(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = FusedModule.training_step

    def step(self: FusedModule, *given: Any) -> None:
        if len(self.runs) > 2:
            torch.empty(2**50, dtype=torch.uint8, device=self.device)  # torch's own error, whatever the device
        begin(self, *given)

    monkeypatch.setattr(FusedModule, "training_step", step)
    records = train_all(jobs("regression", tmp_path), lambda *_: None).records
    assert [(record.status, record.fused) for record in records] == [("done", 2)] * 4


@on_cuda
@pytest.mark.parametrize("precision", ["32-true", "tf32"])
def test_products_are_rounded_only_where_it_is_asked_for(precision: str) -> None:
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this GPU has no TF32")
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.randn(512, 512, generator=draw).cuda() for _ in range(2))
    pictures, kernel = (torch.randn(8, 64, side, side, generator=draw).cuda() for side in (32, 3))
    with numerics.as_asked({"trainer": {"precision": precision, "deterministic": False}}):
        errors = [
            (of(one, two).double() - of(one.double(), two.double())).abs().max().item()
            for of, one, two in ((torch.matmul, left, right), (torch.conv2d, pictures, kernel))
        ]
    assert all((error < 1e-3) == (precision == "32-true") for error in errors), errors
