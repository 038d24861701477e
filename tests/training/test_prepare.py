"""Runs that are prepared together share what is the same for them, and are what they would be by themselves."""

import itertools

import pytest
import torch

from losslab import compose, errors
from losslab.training import prepare as prepared
from losslab.training.prepare import prepare, prepare_all

WORDS = ["data.rows=200", "trainer=cpu", "trainer.max_epochs=2", "model.hidden=[8]"]
ASKED = [
    compose(*WORDS, f"loss={loss}", f"seed={seed}", f"corruption.fraction={fraction}")
    for loss, seed, fraction in itertools.product(("mse", "huber"), (0, 1), (0.1, 0.3))
]


def test_runs_are_what_they_would_be_by_themselves() -> None:
    for run, request in zip(prepare_all(ASKED), ASKED, strict=True):
        alone = prepare(request)
        assert run.pairing() == alone.pairing()
        assert run.request == request
        assert [term.name for term in run.loss.each()] == [request["loss"]["name"]]
        assert torch.equal(run.rows.targets, alone.rows.targets)
        states = [one.model.state_dict() for one in (run, alone)]
        assert all(torch.equal(states[0][name], value) for name, value in states[1].items())
        records = [vars(one.record(status="done", metrics={})) for one in (run, alone)]
        assert records[0] == records[1]


def test_runs_share_rows_and_weights_where_these_are_the_same() -> None:
    runs = prepare_all(ASKED)
    first, other_fraction, other_seed, *_, other_loss = (runs[number] for number in (0, 1, 2, 4))
    assert other_loss.rows is first.rows
    assert other_fraction.rows is not first.rows
    assert other_fraction.model is first.model
    assert other_seed.model is not first.model
    record = first.record(status="done", metrics={"best/test/mae": 1.0})
    record.data["rows_in"]["train"] = 0
    assert other_loss.record(status="done", metrics={}).data["rows_in"]["train"] > 0
    assert "best/test/mae" not in other_loss.record(status="done", metrics={}).metrics


def test_a_loss_with_a_scale_has_a_model_of_its_own() -> None:
    one, other = prepare_all([compose(*WORDS, "loss=mse"), compose(*WORDS, "loss=gaussian_nll")])
    assert one.model is not other.model
    assert one.init == other.init


def test_each_loss_is_tried_once_on_what_task_and_model_give(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(prepared, "_try", lambda run: tried.append(run.request["loss"]["name"]))
    prepare_all(ASKED)
    assert tried == ["mse", "huber"]


def test_a_loss_that_cannot_be_used_is_refused_among_others() -> None:
    words = ["task=multiclass", "trainer=cpu", "model=linear"]
    good = compose(*words, "loss=cross_entropy")
    bad = compose(*words, "loss=cross_entropy", "loss.class_weights=[1.0,2.0]")
    with pytest.raises(errors.BadRequest, match="cannot be used here"):
        prepare_all([good, good | {"seed": 1}, bad])
