"""The stack size and the number of threads that are found by measuring."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from losslab import compose
from losslab.fused import sizing
from losslab.sweep.planning import stack_size
from losslab.training import threads
from losslab.training.prepare import prepare

CPU = torch.device("cpu")
RUN: Any = SimpleNamespace(model=None, rows=SimpleNamespace(inputs=[]), batches=SimpleNamespace(batch_size=1), steps=1)
RUN.request = {"fused": {"engine": "auto"}}


def given(monkeypatch: pytest.MonkeyPatch, lone: float, stacked: dict[int, float]) -> int:
    monkeypatch.setattr(sizing, "lone_pace", lambda run, device: lone)
    monkeypatch.setattr(threads, "worth", lambda *_: 1)
    monkeypatch.setattr(sizing, "stacked_pace", lambda run, size, device, count: stacked[size])
    return sizing.fastest(RUN, max(stacked), CPU)[0]


def test_the_fastest_size_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, 1.0, {2: 0.8, 4: 0.5, 8: 0.4, 16: 0.9}) == 8
    assert given(monkeypatch, 1.0, {2: 1.2, 4: 1.4}) == 1
    assert given(monkeypatch, 1.0, {2: 0.8, 4: 0.79, 6: 0.78}) == 6, (
        "of equals the largest, and never more than there are"
    )


def test_a_short_step_that_gains_nothing_says_little(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, 1e-3, {2: 2e-3, 4: 1.1e-3, 8: 6e-4}) == 8
    assert given(monkeypatch, 1.0, {2: 2.0, 4: 1.1, 8: 0.6}) == 1, "a long step is more than overhead"


def test_memory_that_ends_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def stacked(run: object, size: int, device: torch.device, count: int) -> float:
        if size > 4:
            raise torch.OutOfMemoryError
        return 1 / size

    monkeypatch.setattr(sizing, "lone_pace", lambda run, device: 1.0)
    monkeypatch.setattr(sizing, "stacked_pace", stacked)
    assert sizing.fastest(RUN, 64, CPU)[0] == 4


@pytest.mark.parametrize(
    ("seconds", "fastest"),
    [({8: 1, 4: 2, 2: 3, 1: 4}, 8), ({8: 1, 4: 0.9, 2: 0.8, 1: 4}, 2), ({8: 1, 4: 1, 2: 1, 1: 1}, 1)],
)
def test_the_threads_are_measured_with_the_size(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float], fastest: int
) -> None:
    monkeypatch.setattr(threads, "worth", lambda *_: 1)
    monkeypatch.setattr(threads, "most", lambda: 8)
    monkeypatch.setattr(threads, "chosen_by_user", lambda: False)
    monkeypatch.setattr(sizing, "lone_pace", lambda run, device: 10.0)
    monkeypatch.setattr(sizing, "stacked_pace", lambda run, size, device, count: seconds[count])
    assert sizing.fastest(RUN, 4, CPU)[:2] == (4, fastest)
    monkeypatch.setattr(threads, "chosen_by_user", lambda: True)
    assert sizing.fastest(RUN, 4, CPU)[:2] == (4, 8), "a user's number stays"


def test_measuring_leaves_the_run_as_it_was() -> None:
    run = prepare(compose("data.rows=300", "trainer=cpu"))
    before = run.pairing(), {key: value.clone() for key, value in run.model.state_dict().items()}
    assert sizing.fastest(run, 8, CPU)[0] in (1, 2, 4, 8)
    assert run.pairing() == before[0]
    assert all(torch.equal(value, before[1][key]) for key, value in run.model.state_dict().items())


def test_large_sweeps_are_measured_and_small_ones_follow_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("losslab.sweep.planning.fastest", lambda run, most, device: sizing.Size(min(17, most), 3))
    small = compose("data.rows=300", "trainer.max_epochs=2", "trainer=cpu")
    assert stack_size([small] * 10) == ((100, None, None), None)
    assert stack_size([compose("trainer=cpu", "trainer.max_epochs=30")] * 20) == ((17, 3, None), None)
    monkeypatch.setattr("losslab.sweep.planning.fastest", lambda run, most, device: sizing.Size(1, 3))
    size, why = stack_size([compose("trainer=cpu", "trainer.max_epochs=30")] * 20)
    assert size.runs == 1
    assert "longer than one after another" in why
    assert "numbers of its own" in stack_size([compose("loss=barron_adaptive")] * 20)[1]


def test_a_long_training_is_compiled_where_the_engine_is_losslabs_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "lone_pace", lambda run, device: 1.0)
    monkeypatch.setattr(sizing, "stacked_pace", lambda run, size, device, count: 0.5)
    monkeypatch.setattr(sizing, "pays", lambda model, device, seconds: seconds >= 100 * 4 * 0.5)
    run = SimpleNamespace(**vars(RUN) | {"steps": 100})
    assert sizing.fastest(run, 4, CPU).engine == "compiled"
    assert sizing.fastest(SimpleNamespace(**vars(run) | {"steps": 99}), 4, CPU).engine is None
    run.request = {"fused": {"engine": "eager"}}
    assert sizing.fastest(run, 4, CPU).engine is None
