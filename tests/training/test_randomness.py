"""Every random number of a run comes from its seed, a user's dropout included, and none is taken from the program around it."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import losslab.training.batches
import losslab.training.callbacks
import losslab.training.module
import losslab.training.trainer
from losslab import compose
from losslab.records.record import Record
from losslab.training.run import run
from support.models import Dropped

SMALL = ["data.rows=300", "trainer=cpu", "logger=none", "trainer.max_epochs=4", "model=own"]


MODELS = ["support.models:Dropped", "support.models:Noisy"]


def outcome(record: Record) -> tuple[object, ...]:
    return record.status, record.metrics, record.curves, record.pairing


def trained(model: str, folder: Path, *more: str) -> tuple[object, ...]:
    return outcome(run(compose(*SMALL, f"model.target={model}", *more), folder, bar=False))


def shared() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


def stir(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_one_seed_gives_one_result_whatever_was_drawn_before(model: str, tmp_path: Path) -> None:
    found = []
    for number in range(3):
        stir(number)
        before = shared()
        found.append(trained(model, tmp_path / str(number)))
        assert shared() == before
    assert found[0] == found[1] == found[2]
    assert trained(model, tmp_path / "other", "seed=1") != found[0]


@pytest.mark.parametrize("model", MODELS)
def test_a_run_that_draws_is_resumed_to_the_same_end(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losslab.training.callbacks, "_SECONDS_BETWEEN_CHECKPOINTS", -1)
    whole = trained(model, tmp_path / "whole")
    original = losslab.training.module.RunModule.on_train_epoch_end

    def cut(self) -> None:
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        original(self)

    with monkeypatch.context() as patched:
        patched.setattr(losslab.training.module.RunModule, "on_train_epoch_end", cut)
        with pytest.raises(KeyboardInterrupt):
            trained(model, tmp_path / "stopped")
    stir(5)
    assert trained(model, tmp_path / "stopped") == whole


def test_steps_draw_differently_from_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []
    model = Dropped
    original = model.forward

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            drawn.append(float(torch.rand(())))
        return original(self, inputs)

    monkeypatch.setattr(model, "forward", forward)
    trained(MODELS[0], tmp_path)
    assert len(set(drawn)) == len(drawn) >= 8
