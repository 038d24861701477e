"""The stack size that is found by measuring."""

import pytest
import torch

from losslab import compose, pace
from losslab.run import prepare
from losslab.sweep import stack_size

CPU = torch.device("cpu")


def given(monkeypatch: pytest.MonkeyPatch, lone: float, stacked: dict[int, float]) -> int:
    monkeypatch.setattr(pace, "_lone", lambda run, device: lone)
    monkeypatch.setattr(pace, "_stacked", lambda run, size, device: stacked[size])
    return pace.fastest_size(None, max(stacked), CPU)


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
    def stacked(run: object, size: int, device: torch.device) -> float:
        if size > 4:
            raise torch.OutOfMemoryError
        return 1 / size

    monkeypatch.setattr(pace, "_lone", lambda run, device: 1.0)
    monkeypatch.setattr(pace, "_stacked", stacked)
    assert pace.fastest_size(None, 64, CPU) == 4


def test_measuring_leaves_the_run_as_it_was() -> None:
    run = prepare(compose("data.rows=300", "trainer=cpu"))
    before = run.pairing(), {key: value.clone() for key, value in run.model.state_dict().items()}
    assert pace.fastest_size(run, 8, CPU) in (1, 2, 4, 8)
    assert run.pairing() == before[0]
    assert all(torch.equal(value, before[1][key]) for key, value in run.model.state_dict().items())


def test_large_sweeps_are_measured_and_small_ones_follow_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("losslab.sweep.fastest_size", lambda run, most, device: min(17, most))
    small = compose("data.rows=300", "trainer.max_epochs=2", "trainer=cpu")
    assert stack_size([small] * 10) == (100, None)
    assert stack_size([compose("trainer=cpu", "trainer.max_epochs=30")] * 20) == (17, None)
    monkeypatch.setattr("losslab.sweep.fastest_size", lambda run, most, device: 1)
    size, why = stack_size([compose("trainer=cpu", "trainer.max_epochs=30")] * 20)
    assert size == 1
    assert "longer than one after another" in why
    assert "numbers of its own" in stack_size([compose("loss=barron_adaptive")] * 20)[1]
