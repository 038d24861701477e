"""Each loss against worked examples, torch, torchvision, geometry and its neighbours."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, tensor
from torchvision.ops import generalized_box_iou_loss

from losslab import losses
from support.examples import sample

LOGITS = tensor([[2, 1, 0.1, 0.5], [0.5, 2.5, 0.3, 0.2], [1, 0.2, 0.3, 3]])
CLASSES = tensor([0, 1, 3])
PRED, TARGET = tensor([2.5, 1.8, 3.2]), tensor([2.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("name", "pred", "target", "value"),
    [  # worked by hand for the course that the taught losses come from
        ("cross_entropy", LOGITS, CLASSES, 0.3618058),
        ("cross_entropy", LOGITS, F.one_hot(CLASSES, 4).float(), 0.3618058),
        ("cross_entropy", tensor([[0.1, 0.7, 0.2]]).log(), tensor([1]), -math.log(0.7)),
        ("bce", tensor([0.9, 0.2, 0.8]), tensor([0.0, 1.0, 0.0]), 1.8404869),
        ("bce_with_logits", tensor([2.2, -1.4, 1.4]), tensor([0.0, 1.0, 0.0]), 1.8486394),
        ("l1", PRED, TARGET, 0.3),
        ("mse", PRED, TARGET, 0.11),
        ("smoothl1", PRED, TARGET, 0.055),
    ],
)
def test_worked_example(name: str, pred: Tensor, target: Tensor, value: float) -> None:
    assert losses.get(name)(pred, target).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("beta", [0.1, 0.5, 2.0])
def test_smoothl1_is_quadratic_inside_beta_and_linear_outside(beta: float) -> None:
    error = torch.linspace(-3, 3, 601, dtype=torch.float64)
    d = error.abs()
    expected = torch.where(d < beta, 0.5 * d**2 / beta, d - 0.5 * beta)
    found = losses.get("smoothl1", beta=beta).per_sample(error, torch.zeros_like(error))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("name", "params", "oracle"),
    [
        ("mse", {}, lambda p, t: F.mse_loss(p, t, reduction="none")),
        ("l1", {}, lambda p, t: F.l1_loss(p, t, reduction="none")),
        ("smoothl1", {"beta": 0.7}, lambda p, t: F.smooth_l1_loss(p, t, reduction="none", beta=0.7)),
        ("huber", {"delta": 1.345}, lambda p, t: F.huber_loss(p, t, reduction="none", delta=1.345)),
    ],
)
def test_equals_torch_in_value_and_gradient(name: str, params: dict, oracle) -> None:
    pred, target = sample("values", n=50)
    ours, theirs = (pred.clone().requires_grad_() for _ in range(2))
    found, expected = losses.get(name, **params)(ours, target), oracle(theirs, target).mean()
    torch.testing.assert_close(found, expected)
    found.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_giou_equals_torchvision() -> None:
    pred, target = (2.1 * part for part in sample("boxes", n=200))  # theirs adds 1e-7 to each denominator
    found = losses.get("giou").per_sample(pred, target)
    torch.testing.assert_close(found, generalized_box_iou_loss(pred, target), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("pred", "value"),
    [  # against the unit box; what each should be can be seen by drawing it
        ([0.0, 0.0, 1.0, 1.0], 0.0),  # the same
        ([0.0, 0.0, 0.5, 0.5], 0.75),  # a quarter of it
        ([1.0, 0.0, 2.0, 1.0], 1.0),  # side by side
        ([1.0, 1.0, 2.0, 2.0], 1.5),  # corner to corner
        ([0.5, 0.5, 1.5, 1.5], 1.0793651),  # shifted by a half: 1 - 1/7 + (2.25 - 1.75) / 2.25
        ([1.0, 1.0, 0.0, 0.0], 1.75),  # corners swapped: never a match, and opened: 1 + 1 - (1 / (1 + 1))^2
    ],
)
def test_giou_of_boxes_one_can_draw(pred: list[float], value: float) -> None:
    found = losses.get("giou")(tensor([pred]), tensor([[0.0, 0.0, 1.0, 1.0]]))
    assert found.item() == pytest.approx(value, abs=1e-6)


def test_giou_pulls_boxes_together_that_are_apart() -> None:
    pred = tensor([[0.0, 0.0, 0.1, 0.1]], requires_grad=True)
    losses.get("giou")(pred, tensor([[0.8, 0.8, 0.9, 0.9]])).backward()
    assert (pred.grad[0, 2:] < 0).all()  # its lower right corner is to move towards the target


def test_giou_does_not_depend_on_the_unit() -> None:
    pred, target = sample("boxes")
    giou = losses.get("giou")
    torch.testing.assert_close(giou(640 * pred, 640 * target), giou(pred, target))


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_huber_is_delta_times_smoothl1(scale: float) -> None:
    pred, target = sample("values")
    huber, smooth = losses.get("huber", delta=scale)(pred, target), losses.get("smoothl1", beta=scale)(pred, target)
    torch.testing.assert_close(huber, scale * smooth)


def test_limits_of_smoothl1_and_huber() -> None:
    pred, target = sample("values")
    l1, mse = losses.get("l1")(pred, target), losses.get("mse")(pred, target)
    torch.testing.assert_close(losses.get("smoothl1", beta=1e-9)(pred, target), l1)
    torch.testing.assert_close(losses.get("huber", delta=1e9)(pred, target), mse / 2)


def test_bce_on_probabilities_equals_bce_with_logits_until_it_saturates() -> None:
    logit, target = sample("binary_logit", n=50)
    bce, with_logits = losses.get("bce"), losses.get("bce_with_logits")
    torch.testing.assert_close(bce(logit.sigmoid(), target), with_logits(logit, target))
    far, no = tensor([20.0], requires_grad=True), tensor([0.0])
    (dead,) = torch.autograd.grad(bce(far.sigmoid(), no), far)
    (alive,) = torch.autograd.grad(with_logits(far, no), far)
    assert dead.item() == 0
    assert alive.item() == pytest.approx(1)


def test_cross_entropy_of_two_classes_equals_bce_with_logits() -> None:
    logits, _ = sample("class_logits", n=20)
    target = torch.arange(20) % 2
    found = losses.get("cross_entropy")(logits[:, :2], target)
    expected = losses.get("bce_with_logits")(logits[:, 1] - logits[:, 0], target.double())
    torch.testing.assert_close(found, expected)


def test_cross_entropy_of_soft_targets_is_the_weighted_sum_over_classes() -> None:
    logits, _ = sample("class_logits")
    target = sample("class_probs")[1]
    found = losses.get("cross_entropy").per_sample(logits, target)
    torch.testing.assert_close(found, -(target * logits.log_softmax(-1)).sum(-1))


def test_mse_on_probabilities_is_the_brier_score_over_the_classes() -> None:
    probs, target = sample("class_probs")
    brier = (probs - target).square().sum(-1).mean()
    torch.testing.assert_close(losses.get("mse", space="class_probs")(probs, target), brier / 4)


def minimiser(loss: losses.Loss, data: Tensor, low: float, high: float) -> float:
    """The constant that minimises the mean loss over the data, on a fine grid."""
    grid = torch.linspace(low, high, 4001, dtype=torch.float64)
    means = torch.stack([loss(torch.full_like(data, float(c)), data) for c in grid])
    return float(grid[means.argmin()])


@pytest.mark.slow
def test_what_each_loss_aims_at() -> None:
    data = tensor([0.0, 1.0, 2.0, 3.0, 100.0], dtype=torch.float64)
    assert minimiser(losses.get("mse"), data, -1, 30) == pytest.approx(21.2, abs=0.02)  # the mean
    assert minimiser(losses.get("l1"), data, -1, 30) == pytest.approx(2, abs=0.02)  # the median
    assert minimiser(losses.get("smoothl1"), data, -1, 30) == pytest.approx(2, abs=0.6)  # near it
    labels = tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    assert minimiser(losses.get("bce"), labels, 0.001, 0.999) == pytest.approx(0.25, abs=0.001)  # the frequency
    logit = minimiser(losses.get("bce_with_logits"), labels, -5, 5)
    assert 1 / (1 + math.exp(-logit)) == pytest.approx(0.25, abs=0.001)
