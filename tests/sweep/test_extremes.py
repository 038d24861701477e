"""Hyperparameters at the ends of their ranges: a stack and a lone run agree, and the audit says where they do not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from losslab import compose, losses
from losslab.errors import BadRequest
from losslab.fused.losses import StackedTerm, is_mapped
from losslab.losses import Loss
from losslab.schema import canonical, cards, compatibility
from losslab.sweep.audit import audit
from losslab.sweep.jobs import Job
from losslab.sweep.runner import train_all
from support.examples import sample

EXTREMES = [1e-300, 1e-50, 1e-39, 1e-30, 1e-18, 1e-8, 1e-4, 0.001, 0.5, 30.0, 1e4, 1e8, 1e15, 1e19, 1e39, 1e300]
NEAR = [whole + sign * by for whole in (0.0, 1.0, 2.0) for by in (1e-12, 1e-9, 1e-7, 1e-5) for sign in (-1, 1)]


def extremes(loss: str, key: str) -> Iterator[float]:
    """Numbers at the ends of a hyperparameter's range, and beside the whole numbers at which losses change their form."""
    for value in [*EXTREMES, *(-value for value in EXTREMES), *NEAR, 0.0, 1.0, 2.0]:
        try:
            canonical.check_hyperparameters(loss, {key: value})
        except BadRequest:
            continue
        yield value


def is_plain(name: str) -> bool:
    return name != "sum" and "stateful" not in compatibility.facts(cards.card("loss", name).values)


def numbers() -> list[tuple[str, str]]:
    """Each loss that a stack may hold, with each of its hyperparameters that is a number."""
    return [
        (name, key)
        for name in filter(is_plain, cards.names("loss"))
        for key, value in cards.card("loss", name).values.items()
        if isinstance(value, float)
    ]


def both(loss: Loss, stacked: StackedTerm) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Value and gradient of the mean loss of one batch, alone and as the second of two runs in a stack."""
    found = []
    pred, target = sample(loss.space, n=16, dtype=torch.float32)
    loss.per_sample(pred, target)  # as before any training, in a stack as well
    for run in (lambda pred: loss(pred, target), lambda pred: stacked(pred.expand(2, *pred.shape), twice(target))[1]):
        given = pred.detach().clone().requires_grad_()
        mean = run(given)
        found.append((mean.detach(), torch.autograd.grad(mean, given)[0]))
    return found


def twice(target: torch.Tensor) -> torch.Tensor:
    return target.expand(2, *target.shape)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:There is a performance drop")  # torch has no vmap of multi_margin's own
@pytest.mark.parametrize(("name", "key"), numbers())
def test_a_stack_computes_what_a_lone_run_computes(name: str, key: str) -> None:
    for value in extremes(name, key):
        usual = cards.card("loss", name).values[key]
        other = usual if is_mapped(usual) and is_mapped(value) else value  # what else may share its call
        one, two = (made(name, key, number) for number in (other, value))
        try:
            (alone, slope), (stacked, its_slope) = both(two, StackedTerm([one, two]))
        except ValueError:  # refused, with a sentence
            continue
        note = f"{name}({key}={value}): {alone.item()} alone, {stacked.item()} in a stack"
        torch.testing.assert_close(stacked, alone, rtol=2e-4, atol=1e-6, equal_nan=True, msg=note)
        if alone.isfinite():
            torch.testing.assert_close(
                its_slope, slope, rtol=2e-3, atol=1e-6, equal_nan=True, msg=f"{note}; its gradient"
            )


def made(name: str, key: str, value: float) -> Loss:
    loss = losses.get(name, **{key: value})
    assert isinstance(loss, Loss)
    if "counts" in loss.params:
        loss.calibrate(sample(loss.space, n=16)[1], 4)
    return loss


@pytest.mark.slow
@pytest.mark.parametrize("value", [1e-50, -1e39, 1e300])
def test_what_32_bits_cannot_compute_with_is_refused_alone_in_a_sweep_and_in_the_library(value: float) -> None:
    for asked in (
        lambda: compose("loss=tukey", f"loss.c={abs(value)}"),
        lambda: compose("loss=epsilon_insensitive", f"loss.epsilon={abs(value)}"),
        lambda: losses.get("poly1", epsilon=abs(value)),
        lambda: compose("loss=sum", f"loss.terms='{abs(value)}*l1 + mse'"),
        lambda: compose("loss=sum", f"loss.terms='l1 + huber(delta={abs(value)})'"),
    ):
        with pytest.raises(BadRequest, match=r"must be (of a size from 1e-18 to 1e|a number that fits into 32 bits)"):
            asked()


def test_a_beta_of_almost_nothing_trains_alike_alone_and_in_a_stack(tmp_path: Path) -> None:
    base = ["data.rows=200", "trainer=cpu", "logger=none", "trainer.max_epochs=2", "loss=smoothl1"]
    asked = [compose(*base, f"loss.beta={beta}") for beta in (1e-18, 1e-9, 0.5, 1e19)]
    found = {}
    for size in (1, 8):
        jobs = [
            Job(
                a | {"fused": {"size": size, "engine": "auto", "processes": 0, "audit": 0}}, tmp_path / f"{size}-{n}", n
            )
            for n, a in enumerate(asked)
        ]
        found[size] = train_all(jobs, lambda *_: None).records
    for alone, stacked in zip(*found.values(), strict=True):
        assert (alone.fused, stacked.fused) == (1, 4)
        assert alone.status == stacked.status == "done"
        assert stacked.metrics == pytest.approx(alone.metrics, rel=1e-4)


def test_the_audit_names_a_run_that_diverged_in_its_stack_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [
        compose("data.rows=200", "trainer=cpu", "logger=none", "trainer.max_epochs=2", f"seed={seed}")
        for seed in (0, 1)
    ]
    jobs = [Job(request, tmp_path / str(number), number) for number, request in enumerate(asked)]
    records = train_all(jobs, lambda *_: None).records
    assert "differ in last/test/mae by at most" in audit(jobs, records, 2)
    assert "ended otherwise" not in audit(jobs, records, 2)
    lost = replace(records[1], status="diverged", epochs=1)
    said = audit(jobs, [records[0], lost], 2)
    assert "1 ended otherwise: 1 (diverged in epoch 1 in its stack, done alone)" in said
    assert audit(jobs, [lost, lost], 2).startswith(
        "Audit: 2 runs trained alone as well, of which none was done in both"
    )
