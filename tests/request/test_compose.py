"""A request that is put together from cards is the one that Hydra composes from the same words."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from losslab import compose
from losslab.errors import BadRequest
from losslab.request import compose as request_compose
from losslab.request.overrides import axes, single
from losslab.schema import cards

WORDS = [
    "",
    "task=counts",
    "seed=3 loss.delta=2 loss=huber",  # a value before the file that has it
    "task=multiclass loss=focal loss.label_smoothing=0.1 optimizer=sgd optimizer.lr=0.5 data.weight=balanced",
    "task=bbox model=cnn model.channels=[4,6] data.rows=200 trainer=cpu trainer.max_epochs=4 logger=none",
    "task=binary corruption=class_flips penalty.l2=1e-3 fused.engine=eager",
    "task=regression task.log_target=true data=diabetes data.folds=3",
    "overwrite=true model.hidden=[] data.split=random",
]
REFUSED = [
    "los=mse",
    "loss.beta=0.5",
    "penalty=3",
    "seed=a",
    "seed=???",
    "model.hidden={a:1}",
    "loss=nothing",
    "optimizer.lr.x=1",
    "+more=1",
    "task=bbox loss=bce",
]


def by_hydra(words: Sequence[str]) -> dict[str, Any]:
    with request_compose.hydra_at_conf():
        return request_compose.checked(request_compose.composed(single(axes(words))))


@pytest.mark.parametrize("line", WORDS)
def test_it_is_the_request_that_hydra_composes(line: str) -> None:
    expected = by_hydra(line.split())
    found = compose(*line.split())
    assert found == expected
    assert [list(part) for part in found.values() if isinstance(part, dict)] == [
        list(part) for part in expected.values() if isinstance(part, dict)
    ], "the order of keys, too"


@pytest.mark.parametrize("line", REFUSED)
def test_it_refuses_what_hydra_refuses_in_the_same_words(line: str) -> None:
    with pytest.raises(BadRequest) as expected:
        by_hydra(line.split())
    with pytest.raises(BadRequest) as found:
        compose(*line.split())
    assert str(found.value) == str(expected.value)


def test_hydra_composes_a_task_once_and_no_request_changes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    compose("task=counts")
    monkeypatch.setattr(request_compose, "hydra_compose", lambda *_, **__: 1 / 0)
    first = compose("task=counts", "optimizer.lr=0.5", "seed=4")
    first["model"]["hidden"].append(3)
    again = compose("task=counts")
    assert again["optimizer"]["lr"] == cards.card("optimizer", "adam").values["lr"]
    assert (again["seed"], again["model"]["hidden"]) == (0, cards.card("model", "mlp").values["hidden"])


@pytest.mark.parametrize("line", ["seed=${fused.size}", "experiment=shared_vs_tuned", "+study.seeds=3 study=fair"])
def test_what_reaches_further_is_left_to_hydra(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compose("task=regression")
    asked: list[object] = []
    original = request_compose.hydra_compose
    monkeypatch.setattr(request_compose, "hydra_compose", lambda *a, **b: asked.append(a) or original(*a, **b))
    with suppress(BadRequest):  # of what is no lone run
        compose(*line.split())
    assert asked
