"""On a GPU a stack ends alike however its steps are executed. `GPU_TESTS_ON=cpu` tries the tests themselves where there is none."""

import copy
import os
from pathlib import Path

import pytest
import torch

from losslab import compose
from losslab.fused.module import FusedModule
from losslab.schema import canonical
from losslab.schema import cards as schema_cards
from losslab.sweep.jobs import Job
from losslab.sweep.runner import train_all
from support.stacks import fused, requests, stackable

_IN_PLACE = os.environ.get("GPU_TESTS_ON")
pytestmark = pytest.mark.skipif(not (torch.cuda.is_available() or _IN_PLACE), reason="needs a GPU that torch can use")
WHERE = _IN_PLACE or "cuda"
CASES = [
    ("multiclass", "cnn", "sgd"),
    ("binary", "linear", "adamw"),
    ("regression", "mlp", "adam"),
    ("counts", "own", "sgd"),
    ("bbox", "cnn", "adamw"),
]
NORMED = [
    compose("model=support.stateful:normed", "data.rows=300", "trainer=auto", "trainer.max_epochs=3", f"seed={seed}")
    for seed in range(2)
]


def trained(asked: list[dict], engine: str) -> FusedModule:
    """The stack in double precision; that the engine is the one asked for is checked."""
    module = fused(asked, engine=engine, accelerator=WHERE)
    assert module.engine is not None
    assert _IN_PLACE or module.engine.described() == engine
    return module


def alike(one: FusedModule, other: FusedModule, near: float = 1e-9) -> None:
    assert (one.diverged_in, one.best_epoch) == (other.diverged_in, other.best_epoch)
    torch.testing.assert_close(one.flat, other.flat, rtol=near, atol=near * 1e-3, equal_nan=True)
    for which in ("last", "best"):
        for name, tensor in one.carried(which).items():
            torch.testing.assert_close(tensor, other.carried(which)[name], rtol=near, atol=near * 1e-3, equal_nan=True)
    for curve, expected in zip(one.curves, other.curves, strict=True):
        assert [step for step, _ in curve] == [step for step, _ in expected]
        for (_, found), (_, values) in zip(curve, expected, strict=True):
            assert found == pytest.approx(values, rel=near, abs=near, nan_ok=True)


@pytest.mark.parametrize(("task", "model", "optimizer"), CASES)
def test_a_captured_stack_equals_an_eager_one_and_one_on_the_cpu(task: str, model: str, optimizer: str) -> None:
    asked = requests(task, model, optimizer)
    eager = trained(asked, "eager")
    alike(trained(asked, "captured"), eager)
    alike(fused(asked), eager, 1e-7)


@pytest.mark.parametrize("task", schema_cards.names("task"))
def test_a_captured_stack_of_every_loss_equals_an_eager_one(task: str) -> None:
    asked = requests(task, "mlp" if task == "bbox" else "linear", names=stackable(task))
    alike(trained(asked, "captured"), trained(asked, "eager"))


@pytest.mark.parametrize(("task", "model", "optimizer"), [CASES[0], CASES[2]])
def test_a_compiled_stack_equals_an_eager_one(task: str, model: str, optimizer: str) -> None:
    asked = requests(task, model, optimizer)
    alike(trained(asked, "compiled"), trained(asked, "eager"))


@pytest.mark.parametrize("engine", ["captured", "compiled"])
def test_a_run_that_diverges_and_buffers_that_change(engine: str) -> None:
    asked = copy.deepcopy(NORMED)
    for request in asked:
        request["data"]["batch_size"] = 16
    asked[1]["optimizer"]["lr"] = 1e300
    found, eager = trained(asked, engine), trained(asked, "eager")
    alike(found, eager)
    assert found.diverged_in == [None, 1]
    assert int(found.carried()["1.num_batches_tracked"][1]) == 11


@pytest.mark.parametrize("engine", ["eager", "captured", "compiled", "auto"])
def test_records_say_the_engine(engine: str, tmp_path: Path) -> None:
    asked = [
        compose("data.rows=300", "data.batch_size=16", "trainer.max_epochs=3", f"seed={n}", f"fused.engine={engine}")
        for n in range(4)
    ]
    jobs = [Job(request, tmp_path / canonical.run_id(request), number) for number, request in enumerate(asked)]
    records = train_all(jobs).records
    assert {record.status for record in records} == {"done"}
    said = {"auto": "captured"}.get(engine, engine)
    assert _IN_PLACE or {record.engine for record in records} == {said}
