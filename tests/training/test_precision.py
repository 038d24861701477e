"""Runs in half, single, double and mixed precision, and what half precision does to cross-entropy on probabilities."""

import math
from pathlib import Path

import pytest
import torch

from losslab import BadRequest, compose, losses
from losslab.sweep.jobs import Job
from losslab.sweep.planning import plan
from losslab.training.run import run

KEPT = {
    "32-true": torch.float32,
    "64-true": torch.float64,
    "16-true": torch.float16,
    "bf16-true": torch.bfloat16,
    "bf16-mixed": torch.float32,
}
SMALL = ("task=binary", "model=linear", "optimizer=sgd", "trainer=cpu", "trainer.max_epochs=2", "logger=none")


@pytest.mark.slow
def test_a_run_keeps_its_weights_in_the_precision_asked_for_and_is_judged_in_more(tmp_path: Path) -> None:
    records = {}
    for precision, dtype in KEPT.items():
        records[precision] = run(compose(*SMALL, f"trainer.precision={precision}"), tmp_path / precision, bar=False)
        state = torch.load(tmp_path / precision / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
        assert {kept.dtype for kept in state.values()} == {dtype}
    usual = records["32-true"]
    for precision, record in records.items():
        assert record.status == "done"
        assert record.pairing == usual.pairing  # same data, same initial weights, before they are rounded
        tolerance = 1e-5 if precision == "64-true" else 0.03
        assert record.metrics["last/test/nll"] == pytest.approx(usual.metrics["last/test/nll"], rel=tolerance)
        if precision != "32-true":  # each is another computation
            assert record.metrics["last/test/nll"] != usual.metrics["last/test/nll"]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multiclass", "regression", "counts", "bbox"])
def test_every_task_trains_in_half_precision(task: str, tmp_path: Path) -> None:
    asked = [f"task={task}", *SMALL[2:], *(["data.rows=200"] if task == "bbox" else []), "optimizer.lr=0.01"]
    for precision in ("bf16-true", "bf16-mixed"):
        record = run(compose(*asked, f"trainer.precision={precision}"), tmp_path / precision, bar=False)
        assert record.status == "done"
        assert all(math.isfinite(value) for name, value in record.metrics.items() if name.startswith("last"))


def test_other_precisions_train_alone_and_say_why(tmp_path: Path) -> None:
    jobs = [
        Job(compose(*SMALL, f"seed={seed}", "trainer.precision=bf16-true"), tmp_path / str(seed), seed)
        for seed in range(3)
    ]
    stacks = plan(jobs)
    assert [len(stack.jobs) for stack in stacks] == [1, 1, 1]
    assert all("bf16-true" in (stack.why or "") for stack in stacks)


def test_a_precision_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"trainer.precision must be one of: 32-true.*'16-mixed' is not"):
        compose("trainer.precision=16-mixed")


@pytest.mark.slow
def test_bce_dies_in_float16_where_bce_with_logits_lives(tmp_path: Path) -> None:
    asked = [*SMALL, "optimizer.lr=1", "trainer.precision=16-true"]
    with_logits = run(compose(*asked, "loss=bce_with_logits"), tmp_path / "logits", bar=False)
    on_probabilities = run(compose(*asked, "loss=bce"), tmp_path / "probabilities", bar=False)
    assert (with_logits.status, on_probabilities.status) == ("done", "diverged")


def pull(loss: str, logit: float, target: float, dtype: torch.dtype) -> float:
    logits = torch.tensor([logit], dtype=dtype, requires_grad=True)
    pred = logits.sigmoid() if loss == "bce" else logits
    losses.get(loss)(pred, torch.tensor([target], dtype=dtype)).backward()
    assert logits.grad is not None
    return logits.grad.item()


@pytest.mark.parametrize(
    ("dtype", "alive", "dead"), [(torch.bfloat16, 6.0, 6.5), (torch.float32, 16.0, 17.0), (torch.float64, 27.0, 37.0)]
)
def test_a_confident_mistake_pulls_on_logits_and_no_longer_on_probabilities(
    dtype: torch.dtype, alive: float, dead: float
) -> None:
    assert pull("bce", alive, 0.0, dtype) == pytest.approx(1, abs=0.01)
    assert pull("bce", dead, 0.0, dtype) == 0
    assert pull("bce_with_logits", 300.0, 0.0, dtype) == 1


def test_in_float16_a_right_answer_stays_a_number_on_probabilities() -> None:
    assert pull("bce", 9.0, 1.0, torch.float16) == 0
    assert abs(pull("bce_with_logits", 9.0, 1.0, torch.float16)) < 1e-3


def test_a_probability_that_is_no_number_shows_in_bce_and_stops_nothing() -> None:
    pred = torch.tensor([0.5, float("nan"), 0.9], requires_grad=True)
    found = losses.get("bce").per_sample(pred, torch.tensor([1.0, 1.0, 0.0]))
    assert found.isnan().tolist() == [False, True, False]
    assert found[0].item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_in_float16_needs_an_eps_that_float16_holds(optimizer: str) -> None:
    asked = (f"optimizer={optimizer}", "trainer.precision=16-true")
    with pytest.raises(BadRequest, match=r"optimizer=adamw? would diverge under most losses: set optimizer.eps=0.0001"):
        compose(*asked)
    compose(*asked, "optimizer.eps=1e-4")
    compose("optimizer=sgd", "trainer.precision=16-true")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "counts", "regression"])
def test_every_loss_trains_in_float16_with_such_an_eps(task: str, tmp_path: Path) -> None:
    small = {"multiclass": ["data=digits"], "binary": []}.get(task, ["data.rows=300"])
    half = ["trainer.precision=16-true", "optimizer.eps=1e-4", "trainer.max_epochs=2", "trainer=cpu", "logger=none"]
    for loss in losses.names(task):
        if loss != "sum":
            record = run(compose(f"task={task}", *small, f"loss={loss}", *half), tmp_path / loss, bar=False)
            assert (loss, record.status) == (loss, "done")
