"""Losses on quantiles, ordered classes, several labels at once, and masks: by hand, by their neighbours, by what they aim at."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, tensor

from losslab import BadRequest, losses
from losslab.losses.lookup import for_task
from losslab.tasks.ordinal import cumulative, log_probabilities
from support.examples import made, sample

LOG3 = math.log(3)  # sigmoid(log 3) = 3/4


def each(name: str, pred: Tensor, target: Tensor, **params) -> Tensor:
    return losses.get(name, **params).per_sample(pred, target)


def same(found: Tensor, expected: Tensor, **tolerance: float) -> None:
    torch.testing.assert_close(found, expected, **tolerance)


# Quantiles


def test_quantiles_by_hand_and_as_the_mean_of_single_ones() -> None:
    pred, target = tensor([[[1.0, 2.0, 5.0]]]).double(), tensor([[3.0]]).double()
    levels = [0.1, 0.5, 0.8]
    same(each("quantiles", pred, target, levels=levels), tensor([(0.2 + 0.5 + 0.4) / 3]).double())
    pred, target = sample("quantiles", n=20)
    levels = [0.1, 0.3, 0.5, 0.8, 0.9]
    for several, one, more in (("quantiles", "quantile", {}), ("smooth_quantiles", "smooth_quantile", {"kappa": 0.4})):
        alone = [each(one, pred[..., k], target, tau=tau, **more) for k, tau in enumerate(levels)]
        same(each(several, pred, target, levels=levels, **more), torch.stack(alone).mean(0))
    same(each("smooth_quantiles", pred, target, kappa=1e-9), each("quantiles", pred, target))


def test_the_number_of_levels_must_be_that_of_the_quantiles() -> None:
    with pytest.raises(ValueError, match="one number for each of 5 quantiles; it holds 2"):
        losses.get("quantiles", levels=[0.1, 0.9])(*sample("quantiles"))


def test_levels_follow_the_task_and_may_not_differ_from_it() -> None:
    task = {"name": "quantiles", "levels": [0.2, 0.8]}
    loss = {"name": "quantiles", "levels": [0.05, 0.25, 0.5, 0.75, 0.95]}
    assert for_task("quantiles", loss, task).each()[0].params["levels"] == [0.2, 0.8]
    with pytest.raises(BadRequest, match=r"loss.levels=\[0.3\] differs from task.levels=\[0.2, 0.8\]; set task.levels"):
        for_task("quantiles", loss | {"levels": [0.3]}, task)


# Ordered classes


def test_coral_and_corn_by_hand() -> None:
    pred, target = tensor([[LOG3, 0.0, -LOG3]]).double().expand(4, 3), torch.arange(4)
    same(
        each("coral", pred, target),
        tensor(
            [math.log(4 * 2 * 4 / 3), math.log(4 / 3 * 2 * 4 / 3), math.log(4 / 3 * 2 * 4 / 3), math.log(4 / 3 * 2 * 4)]
        ).double(),
    )
    terms = tensor([math.log(4), math.log(4 / 3 * 2), math.log(4 / 3 * 2 * 4 / 3), math.log(4 / 3 * 2 * 4)]).double()
    same(each("corn", pred, target, divisor="samples"), terms)
    same(each("corn", pred, target), terms * 4 / (1 + 2 + 3 + 3))
    assert losses.get("corn")(pred, target).item() == pytest.approx(terms.sum().item() / 9)


def test_corn_is_the_likelihood_of_the_classes() -> None:
    pred, target = sample("conditional_logits", n=20)
    found = each("corn", 5 * pred, target, divisor="samples")
    same(found, F.cross_entropy(log_probabilities(5 * pred), target, reduction="none"))


def test_probabilities_of_ordered_classes_add_up_and_their_cumulative_logits_fall() -> None:
    raw = 4 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = log_probabilities(raw).exp()
    same(p.sum(-1), torch.ones(50).double())
    above = p.flip(-1).cumsum(-1).flip(-1)
    same((above[:, 1:] / above[:, :-1]).logit(), raw, rtol=1e-6, atol=1e-6)
    same(cumulative(p.log()).sigmoid(), above[:, 1:])
    assert (cumulative(p.log()).diff(dim=-1) < 0).all()
    far = cumulative(log_probabilities(tensor([[500.0, -500.0, 500.0], [-500.0, 0.0, 500.0]])))
    assert far.isfinite().all()


@pytest.mark.parametrize("space", ["cumulative_logits", "conditional_logits"])
def test_ordered_classes_are_refused_where_they_are_none(space: str) -> None:
    name = {"cumulative_logits": "coral", "conditional_logits": "corn"}[space]
    pred = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"Target 1, 4, is no class index below 4"):
        losses.get(name)(pred, tensor([0, 4]))
    assert losses.get(name)(pred, tensor([0, 3])).isfinite()
    with pytest.raises(ValueError, match=r"target.long\(\)"):
        losses.get(name)(pred, tensor([0.0, 3.0]))
    with pytest.raises(ValueError, match=r"a logit between each class and the next"):
        losses.get(name)(pred, torch.zeros(2, 3, dtype=torch.long))


# Several labels at once


def test_zlpr_by_hand_and_of_one_label() -> None:
    pred, target = tensor([[LOG3, LOG3, 0.0], [LOG3, 0.0, 0.0]]).double(), tensor([[1.0, 0, 0], [0, 0, 0]]).double()
    same(each("zlpr", pred, target), tensor([math.log(4 / 3) + math.log(1 + 3 + 1), math.log(1 + 3 + 2)]).double())
    pred, target = sample("binary_logit", n=20)
    same(each("zlpr", pred[:, None], target[:, None]), each("bce_with_logits", pred, target))


def test_two_way_by_hand() -> None:
    pred, target = tensor([[1.0, 2.0, 0.0], [0.5, -1.0, 3.0]]).double(), tensor([[1.0, 0, 1], [0, 0, 0]]).double()
    first = 2 + 2 * math.log(math.exp(-0.5) + 1)  # of the first sample; the second has no label
    ways = [0.5 - 1.0, 3.0 - 0.0]  # of the labels 0 and 2, over the samples
    expected = 2 * math.log1p(math.exp(first)) * tensor([1.0, 0.0]).double()
    expected = expected + 0.7 * sum(math.log1p(math.exp(way)) for way in ways) / 2
    same(each("two_way", pred, target, temperature=2.0, classwise=0.7), expected)
    nothing = torch.zeros(2, 3).double()
    pred.requires_grad_()
    found = each("two_way", pred, nothing)
    (slope,) = torch.autograd.grad(found.sum(), pred)
    assert (found == 0).all()
    assert (slope == 0).all()


def test_distribution_balanced_by_hand_and_as_plain_binary_cross_entropy() -> None:
    pred, target = tensor([[0.0, LOG3]]).double(), tensor([[1.0, 1.0]]).double()
    params = {"shares": [0.25, 0.5], "alpha": 0.1, "beta": 3.0, "mu": 1 / 3}
    weights = [0.1 + 1 / (1 + math.exp(-1)), 0.1 + 0.5]  # r = 4 / 6 and 2 / 6
    value = (weights[0] * math.log(2) + weights[1] * math.log(4 / 3)) / 2
    same(each("distribution_balanced", pred, target, kappa=0.0, scale=9.0, **params), tensor([value]).double())
    moved = math.log1p(math.exp(0.5 * math.log(3)))  # by 0.5 log(1 / 0.25 - 1), for a label that holds
    value = (weights[0] * moved + weights[1] * math.log(4 / 3)) / 2
    same(each("distribution_balanced", pred, target, kappa=0.5, scale=9.0, **params), tensor([value]).double())
    pred, target = sample("label_logits", n=20)
    plain = {"shares": [0.5] * 4, "alpha": 0.5, "beta": 1e-9, "kappa": 0.3, "scale": 1.0}
    kept = target.any(-1)  # without labels the weight is the largest
    same(
        each("distribution_balanced", pred, target, **plain)[kept],
        F.binary_cross_entropy_with_logits(pred, target, reduction="none").mean(-1)[kept],
    )


def test_the_shares_of_labels_come_from_the_training_targets() -> None:
    target = tensor([[1.0, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0]])
    loss = losses.get("distribution_balanced")
    with pytest.raises(ValueError, match="needs the shares of each class"):
        loss(torch.zeros(4, 3), target)
    loss.calibrate(target, 3)
    assert loss.params["shares"] == [0.75, 0, 0.5]
    assert loss(torch.zeros(4, 3), target).isfinite()


# Masks


def masks(*rows: list[float]) -> Tensor:
    return tensor([list(rows)]).double()


HALVES = masks([1e3, 0.0], [0.0, -1e3])  # p = 1, 1/2, 1/2, 0


@pytest.mark.parametrize(
    ("name", "params", "target", "value"),
    [
        ("dice", {"smooth": 1.0}, masks([1, 1], [0, 0]), 1 - (2 * 1.5 + 1) / (2 + 2 + 1)),
        ("dice", {"smooth": 1.0, "power": 2.0}, masks([1, 1], [0, 0]), 1 - (2 * 1.5 + 1) / (1.5 + 2 + 1)),
        ("dice", {"smooth": 0.5}, masks([0, 0], [0, 0]), 1 - 0.5 / 2.5),
        ("tversky", {"alpha": 0.2, "beta": 0.6, "smooth": 1.0}, masks([1, 1], [0, 0]), 1 - 2.5 / (2.5 + 0.1 + 0.3)),
        ("focal_tversky", {"alpha": 0.2, "beta": 0.6, "gamma": 2.0}, masks([1, 1], [0, 0]), (0.4 / 2.9) ** 0.5),
        (
            "lovasz",
            {},
            masks([1, 1], [0, 0]),
            1 / 2 + 1 / 2 * 1 / 3,
        ),  # errors 0, 1, 1, 0: 1 missed of 2, then 1 of 3 right
        ("boundary", {}, masks([1, 0], [0, 0]), (0 * 1 + 1 * 0.5 + 1 * 0.5 + 2**0.5 * 0) / 4),
        ("boundary", {}, masks([0, 0], [0, 0]), 0.0),
        ("boundary", {}, masks([1, 1], [1, 1]), 0.0),
    ],
)
def test_of_masks_by_hand(name: str, params: dict, target: Tensor, value: float) -> None:
    assert each(name, HALVES, target, **params).item() == pytest.approx(value, abs=1e-12)


def test_relatives_of_dice() -> None:
    pred, target = sample("mask_logits", n=20)
    half = {"alpha": 0.5, "beta": 0.5}
    same(each("dice", pred, target, smooth=2.0), each("tversky", pred, target, smooth=1.0, **half))
    same(each("focal_tversky", pred, target, gamma=1.0), each("tversky", pred, target))
    p = pred.sigmoid()
    both, whole = (p * target).sum((1, 2)), (p + target - p * target).sum((1, 2))
    same(each("tversky", pred, target, alpha=1.0, beta=1.0, smooth=1e-9), 1 - both / whole)


def test_lovasz_is_the_jaccard_loss_of_masks_that_are_certain() -> None:
    draw = torch.Generator().manual_seed(3)
    target = (torch.rand(50, 4, 4, generator=draw) < 0.4).double()
    guess = (torch.rand(50, 4, 4, generator=draw) < 0.4).double()
    # errors of 0 where right, and of 2 where wrong
    both, either = (target * guess).sum((1, 2)), (target + guess).clamp(max=1).sum((1, 2))
    jaccard = 1 - both / either
    same(each("lovasz", 2 * guess - 1, target), 2 * jaccard)


def test_boundary_pulls_pixels_in_and_pushes_far_ones_out_harder() -> None:
    target = torch.zeros(1, 9, 9).double()
    target[0, 3:6, 3:6] = 1
    pred = torch.zeros(1, 9, 9).double().requires_grad_()
    each("boundary", pred, target).sum().backward()
    slope = pred.grad[0] * 4 * 81  # of sigmoid, and of the mean
    assert slope[4, 4].item() == pytest.approx(-1)  # two from the nearest outside, less 1
    assert slope[3, 4].item() == pytest.approx(0, abs=1e-12)
    assert slope[0, 4].item() == pytest.approx(3)
    assert slope[0, 0].item() == pytest.approx(18**0.5)


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky", "lovasz"])
def test_a_better_mask_costs_less(name: str) -> None:
    target = torch.zeros(1, 6, 6)
    target[0, 1:4, 1:4] = 1
    found = [made(name, "mask_logits").per_sample(size * (2 * target - 1), target).item() for size in (-1.0, 0.0, 0.5)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[0] / 1.3
