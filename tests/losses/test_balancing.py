"""Losses for wrong labels and rare classes that keep numbers between the steps, hold a part fixed, or refuse a matrix."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, tensor

from losslab import losses
from support.examples import made, sample

LOG3 = float(tensor(3.0).log())  # sigmoid(log 3) = 3/4


def step(loss, pred: Tensor, target: Tensor) -> Tensor:
    """The losses of the samples in one training step."""
    loss.reduction = "none"
    loss.train()
    found: Tensor = loss(pred, target)
    return found


# Truncated GCE


def test_truncated_gce_lets_improbable_samples_go_after_the_start() -> None:
    loss = losses.get("truncated_gce", q=0.5, k=0.25, start=2)
    pred = tensor([[1.0, 15.0], [9.0, 7.0]]).double().log().requires_grad_()  # p = 1/16 and 9/16
    target = tensor([0, 0])
    for values in ([1.5, 0.5], [1.5, 0.5], [1.0, 0.5], [1.0, 0.5]):
        found = step(loss, pred, target)
        torch.testing.assert_close(found, tensor(values).double())
        (slope,) = torch.autograd.grad(found.sum(), pred)
        assert (slope[0] == 0).all() == (values[0] == 1.0)
        assert (slope[1] != 0).all()
    assert loss.steps.item() == 4
    loss.eval()
    loss(pred, target)
    assert loss.steps.item() == 4


# Backward correction


@pytest.mark.parametrize("transition", [[0.3], [0.7, 0.2, 0.1, 0.0, 0.9, 0.1, 0.3, 0.3, 0.4]])
def test_backward_correction_is_unbiased_for_every_prediction(transition: list[float]) -> None:
    pred = 3 * torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = tensor(transition).double().reshape(3, 3) if len(transition) > 1 else 0.15 + 0.55 * torch.eye(3).double()
    loss = losses.get("backward_corrected", transition=transition)
    for clean in range(3):
        seen = torch.stack([loss.per_sample(pred, torch.full((5,), label)) for label in range(3)], -1)
        expected = F.cross_entropy(pred, torch.full((5,), clean), reduction="none")
        torch.testing.assert_close((matrix[clean] * seen).sum(-1), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("transition", [[2 / 3], [0.5, 0.5, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 1.0]])
def test_rates_that_cannot_be_undone_are_refused(transition: list[float]) -> None:
    with pytest.raises(ValueError, match="transition has no inverse"):
        losses.get("backward_corrected", transition=transition)(torch.zeros(2, 3), tensor([0, 1]))


# Seesaw


def test_seesaw_holds_its_compensation_fixed_unless_it_is_told_not_to() -> None:
    pred, target = tensor([[0.0, 2.0, 1.0, -1.0]]).double().requires_grad_(), tensor([0])
    held, full = (made("seesaw", "class_logits", gradient=word) for word in ("held", "full"))
    values = [loss.per_sample(pred, target) for loss in (held, full)]
    torch.testing.assert_close(*values)
    (by_hand,) = torch.autograd.grad(values[0].sum(), pred, retain_graph=True)
    p, factors = pred.detach().softmax(-1), torch.ones(1, 4).double()
    factors[0, 1:] = tensor([30 / 40, 20 / 40, 10 / 40]) ** 0.8 * (p[0, 1:] / p[0, 0]).clamp(min=1) ** 2
    weighted = factors * pred.detach().exp()
    torch.testing.assert_close(by_hand, weighted / weighted.sum() - F.one_hot(target, 4))
    (whole,) = torch.autograd.grad(values[1].sum(), pred)
    assert (whole - by_hand).abs().max() > 0.1
    assert torch.autograd.gradcheck(lambda z: full.per_sample(z, target), pred)


# EQLv2


def test_eqlv2_begins_as_a_binary_cross_entropy_of_each_class() -> None:
    pred, target = sample("class_logits", n=8)
    expected = F.binary_cross_entropy_with_logits(pred, F.one_hot(target, 4).double(), reduction="none").sum(-1)
    torch.testing.assert_close(step(losses.get("eqlv2"), pred, target), expected)


def test_eqlv2_weighs_by_the_gradients_of_the_steps_before() -> None:
    loss = losses.get("eqlv2", gamma=2.0, mu=0.5, alpha=3.0)
    pred, target = tensor([[LOG3, 0.0], [LOG3, 0.0], [0.0, -LOG3]]).double(), tensor([0, 1, 1])
    step(loss, pred, target)
    yes, no = tensor([0.25, 0.5 + 0.75]), tensor([0.75 + 0.5, 0.5])  # sizes of the gradients, class by class
    torch.testing.assert_close(loss.positive, yes)
    torch.testing.assert_close(loss.negative, no)
    other = (2 * (yes / no - 0.5)).sigmoid().double()
    own = 1 + 3 * (1 - other)
    t, p = F.one_hot(target, 2).double(), pred.sigmoid()
    expected = -(own * t * p.log() + other * (1 - t) * (1 - p).log()).sum(-1)
    torch.testing.assert_close(step(loss, pred, target), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(loss.positive.double(), yes + own * yes, rtol=1e-6, atol=0)
    torch.testing.assert_close(loss.negative.double(), no + other * no, rtol=1e-6, atol=0)


def test_what_is_kept_for_each_class_is_saved_and_loaded() -> None:
    pred, target = sample("class_logits", n=8)
    loss, other = losses.get("eqlv2"), losses.get("eqlv2")
    step(loss, pred, target)
    other.load_state_dict(copy.deepcopy(loss.state_dict()))
    torch.testing.assert_close(other.positive, loss.positive)
    torch.testing.assert_close(step(other, pred, target), step(loss, pred, target))


# GHM


def test_ghm_without_momentum_shares_the_weight_of_a_batch_among_its_bins() -> None:
    logits, target = tensor([LOG3, LOG3, LOG3, -LOG3]).double(), tensor([1.0, 1.0, 0.0, 1.0]).double()
    # sizes 1/4, 1/4, 3/4, 3/4 of two bins; then one alone
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    loss = losses.get("ghm", bins=2, momentum=0.0)
    torch.testing.assert_close(step(loss, logits, target), bce)
    target[3] = 0.0
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    weights = tensor([4 / 3, 4 / 3, 4, 4 / 3]).double() / 2
    torch.testing.assert_close(step(loss, logits, target), weights * bce)


def test_ghm_keeps_a_running_share_of_each_bin_that_occurs() -> None:
    loss = losses.get("ghm", bins=3, momentum=0.75)
    logits, target = tensor([LOG3, LOG3, LOG3, -LOG3]).double(), tensor([1.0, 1.0, 1.0, 1.0]).double()
    found = step(loss, logits, target)  # three of size 1/4, in the first bin, and one of 3/4, in the last
    torch.testing.assert_close(loss.density, tensor([0.75 / 4, 0, 0.25 / 4]))
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    torch.testing.assert_close(found, bce / (tensor([3, 3, 3, 1]).double() / 16 * 2))
    step(loss, logits[:2], target[:2])
    torch.testing.assert_close(loss.density, tensor([0.75 * 3 / 16 + 0.25, 0, 1 / 16]))


def test_ghm_of_one_bin_is_binary_cross_entropy() -> None:
    pred, target = sample("binary_logit", n=20)
    found = losses.get("ghm", bins=1, momentum=0.0).per_sample(pred, target)
    torch.testing.assert_close(found, F.binary_cross_entropy_with_logits(pred, target, reduction="none"))
