"""How torch computes while a run trains: TF32 and algorithms as the request says, and afterwards as they were."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from losslab import BadRequest, compose, hardware
from losslab.fused import sizing
from losslab.fused.module import FusedModule
from losslab.schema import check
from losslab.sweep.audit import audit
from losslab.sweep.planning import stack_size
from losslab.sweep.runner import train_all
from losslab.training import numerics
from losslab.training.module import RunModule
from losslab.training.run import run
from support.on_devices import CPU, jobs, small


def flags() -> tuple[Any, ...]:
    """What torch may compute with: its newer settings, and what its older ones say of it."""
    return (
        [backend.fp32_precision for backend in numerics._BACKENDS],
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
    )


EXACT = (["ieee"] * 6, False, False, "highest", False, False)
ROUNDED = (["tf32"] * 6, True, True, "high", False, False)


@pytest.fixture(autouse=True)
def left_as_found() -> Iterator[None]:
    """No test may change how the next one computes; this is also what the last lines of each would say."""
    with numerics.as_asked({"trainer": {"precision": "32-true", "deterministic": False}}):
        yield


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The flags at each chunk of steps of a lone run or a stack, and at each measuring of pace."""
    found: list[tuple[Any, ...]] = []

    def noting(kind: Any, name: str) -> None:
        inner = getattr(kind, name)

        def outer(*given: Any, **named: Any) -> Any:
            found.append(flags())
            return inner(*given, **named)

        monkeypatch.setattr(kind, name, outer)

    for kind in (RunModule, FusedModule):
        noting(kind, "training_step")
        noting(kind, "evaluate")
    noting(sizing, "_fastest")
    return found


def user_allows_tf32() -> tuple[Any, ...]:
    """A process that had set everything otherwise before it called losslab."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    for backend in numerics._BACKENDS:
        backend.fp32_precision = "tf32"
    torch.backends.cudnn.benchmark = True
    return flags()


def test_a_lone_run_uses_no_tf32_and_leaves_the_settings_alone(seen: list[Any], tmp_path: Path) -> None:
    before = user_allows_tf32()
    run(small("bbox"), tmp_path, bar=False)
    assert len(seen) > 2
    assert all(found == EXACT for found in seen)
    assert flags() == before


def test_a_stack_its_audit_and_its_pace_use_no_tf32(
    seen: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = user_allows_tf32()
    planned = jobs("bbox", tmp_path)
    records = train_all(planned, lambda *_: None).records
    assert [record.fused for record in records] == [4] * 4
    stacked = len(seen)
    audit(planned, records, 1)
    audited = len(seen)
    monkeypatch.setattr("losslab.sweep.planning._SOME", 0)
    monkeypatch.setattr("losslab.sweep.planning._MANY", 0)
    stack_size([job.request for job in planned])
    assert 0 < stacked < audited < len(seen)
    assert all(found == EXACT for found in seen)
    assert flags() == before


def test_tf32_where_it_is_asked_for(seen: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "has_gpu", lambda: True)
    monkeypatch.setattr(hardware, "of_run", lambda request: CPU)
    request = small("bbox", 1, "trainer.precision=tf32")
    run(request, tmp_path / "alone", bar=False)
    two = [
        job.__class__(job.request | {"trainer": request["trainer"]}, job.folder, job.number)
        for job in jobs("bbox", tmp_path, 1)
    ]
    assert [record.fused for record in train_all(two, lambda *_: None).records] == [4] * 4
    assert all(found == ROUNDED for found in seen)
    assert flags() == EXACT


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_settings_alone(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = user_allows_tf32()

    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(RunModule, "training_step", fails)
    monkeypatch.setattr(FusedModule, "training_step", fails)
    with pytest.raises(error):
        run(
            small("regression") | {"trainer": small("regression")["trainer"] | {"deterministic": True}},
            tmp_path / "a",
            bar=False,
        )
    assert flags() == before
    with suppress(KeyboardInterrupt):
        train_all(jobs("regression", tmp_path / "b"), lambda *_: None)
    assert flags() == before


@pytest.mark.parametrize(
    "setting",
    [
        lambda: setattr(torch.backends.cudnn.conv, "fp32_precision", "tf32"),
        lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
        lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
        lambda: torch.set_float32_matmul_precision("high"),
    ],
)
def test_settings_of_either_kind_come_back_when_only_one_was_used(setting: Any) -> None:
    setting()
    before = [backend.fp32_precision for backend in numerics._BACKENDS]
    with numerics.as_asked(small("regression")):
        assert flags() == EXACT
    assert [backend.fp32_precision for backend in numerics._BACKENDS] == before


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_tf32_is_refused_where_it_does_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "has_gpu", lambda: name == "cpu")
    with pytest.raises(BadRequest, match=r"trainer.precision=tf32 needs an NVIDIA GPU .*32-true runs everywhere"):
        check.check(compose(f"trainer={name}", "trainer.precision=tf32"))


def test_a_gpu_that_torch_cannot_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(BadRequest, match="cannot use the GPU of this machine"):
        hardware.of_run({"trainer": {"name": "gpu", "precision": "32-true"}})
    assert hardware.of_run({"trainer": {"name": "auto", "precision": "32-true"}}) == CPU
