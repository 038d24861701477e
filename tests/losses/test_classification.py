"""Multi-class and binary losses against torch, torchvision, published figures, hand-worked numbers and one another."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, tensor
from torchvision.ops import sigmoid_focal_loss

from losslab import losses
from losslab.losses.bi_tempered import log_tempered_softmax
from losslab.schema import cards
from losslab.schema.search_space import of_loss
from support.examples import COUNTS, extremes, made, sample

MULTI = [
    *(
        "cross_entropy",
        "poly1",
        "taylor_ce",
        "brier",
        "square",
        "focal",
        "asymmetric_single_label",
        "mae",
        "reverse_ce",
    ),
    *("symmetric_ce", "generalized_ce", "normalized_ce", "normalized_focal", "nce_rce", "nce_mae", "forward_corrected"),
    *("bootstrapped_soft", "bootstrapped_hard", "class_balanced", "logit_adjusted", "ldam", "hinge", "multi_margin"),
    *(
        "bi_tempered",
        "double_softmax",
        "agce",
        "aue",
        "ael",
        "jal",
        "normalized_gce",
        "anl",
        "phuber_ce",
        "truncated_gce",
    ),
    *("backward_corrected", "seesaw", "eqlv2", "squentropy"),
]
BOTH = [name for name in MULTI if "binary_logit" in cards.card("loss", name).about["reads"]]
BINARY = [
    *("bce_with_logits", "asymmetric", "squared_hinge", "modified_huber", "exponential", "soft_margin", "ramp"),
    *("sigmoid", "savage", "unhinged"),
]
DISTANCES = ("brier", "bi_tempered")  # 0 where a soft target is met; the others mix the losses of its labels


def each(name: str, pred: Tensor, target: Tensor, space: str = "class_logits", **params) -> Tensor:
    return made(name, space, **params).per_sample(pred, target)


def binary(name: str, pred: Tensor, target: Tensor, **params) -> Tensor:
    return each(name, pred, target, "binary_logit", **params)


def soft(n: int = 6) -> tuple[Tensor, Tensor]:
    return sample("class_logits", n=n)[0], sample("class_probs", n=n)[1]


def same(found: Tensor, expected: Tensor, **tolerance: float) -> None:
    torch.testing.assert_close(found, expected, **tolerance)


# Targets of each kind


@pytest.mark.parametrize("name", MULTI)
def test_an_index_is_a_one_hot_distribution(name: str) -> None:
    pred, target = sample("class_logits", n=20)
    same(each(name, pred, target), each(name, pred, F.one_hot(target, 4).double()))


@pytest.mark.parametrize("name", [name for name in MULTI if name not in DISTANCES])
def test_a_soft_target_mixes_the_losses_of_its_labels(name: str) -> None:
    pred, target = soft(20)
    labels = torch.stack([each(name, pred, torch.full((20,), k)) for k in range(4)], -1)
    same(each(name, pred, target), (target * labels).sum(-1))


@pytest.mark.parametrize("name", DISTANCES)
def test_a_distance_is_zero_where_a_soft_target_is_met(name: str) -> None:
    target = sample("class_probs")[1]
    pred = target.log()
    params = {"t1": 1.0, "t2": 1.0} if name == "bi_tempered" else {}
    same(each(name, pred, target, **params), torch.zeros(6).double())
    assert (each(name, pred.flip(-1), target, **params) > 1e-3).all()


@pytest.mark.parametrize("name", BOTH)
def test_a_binary_logit_is_two_logits(name: str) -> None:
    pred, target = sample("binary_logit", n=20)[0], torch.linspace(0, 1, 20).double()
    two, shares = torch.stack([torch.zeros(20), pred], -1).double(), torch.stack([1 - target, target], -1)
    same(binary(name, pred, target), each(name, two, shares))


@pytest.mark.parametrize("name", [name for name in (*BINARY, *BOTH) if name not in DISTANCES])
def test_a_soft_binary_target_mixes_yes_and_no(name: str) -> None:
    pred, target = sample("binary_logit", n=20)[0], torch.linspace(0, 1, 20).double()
    yes, no = (binary(name, pred, torch.full_like(pred, label)) for label in (1.0, 0.0))
    same(binary(name, pred, target), target * yes + (1 - target) * no)


@pytest.mark.parametrize("name", MULTI)
def test_soft_targets_have_true_finite_gradients_and_stack(name: str) -> None:
    pred, target = soft()
    whole = {"gradient": "full"} if "gradient" in cards.card("loss", name).values else {}
    loss = made(name, "class_logits", **whole)
    assert torch.autograd.gradcheck(lambda p: loss.per_sample(p, target), pred.clone().requires_grad_())
    far = extremes("class_logits")[0].requires_grad_()
    found = loss.per_sample(far, tensor([[0.0, 1.0, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]]))
    found.sum().backward()
    assert found.isfinite().all()
    assert far.grad.isfinite().all()
    keywords = loss.keywords(pred)
    mapped = {key: tensor([value, value]).double() for key, value in keywords.items() if isinstance(value, float)}
    shared = {key: value for key, value in keywords.items() if key not in mapped}

    def one(mapped: dict) -> Tensor:
        return loss._function(pred, target, **mapped, **shared)

    if mapped:
        same(torch.vmap(one)(mapped)[1], loss.per_sample(pred, target))


# torch and torchvision


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weights", [[1.0], [0.5, 2.0, 1.0, 3.0]])
def test_cross_entropy_equals_torch(smoothing: float, weights: list[float]) -> None:
    given = None if len(weights) == 1 else tensor(weights).double()
    for pred, target in (sample("class_logits", n=20), soft(20)):
        expected = F.cross_entropy(pred, target, weight=given, label_smoothing=smoothing, reduction="none")
        loss = losses.get("cross_entropy", class_weights=weights, label_smoothing=smoothing)
        same(loss.per_sample(pred, target), expected)
        same(loss(pred, target), F.cross_entropy(pred, target, weight=given, label_smoothing=smoothing))


def test_lists_of_the_wrong_length_are_refused() -> None:
    pred, target = sample("class_logits")
    with pytest.raises(ValueError, match=r"one number, or one for each of 4 classes; it holds 3"):
        losses.get("cross_entropy", class_weights=[1.0, 2.0, 3.0])(pred, target)
    with pytest.raises(ValueError, match=r"of 2 classes; it holds 3"):
        losses.get("focal", space="binary_logit", class_weights=[1.0, 2.0, 3.0])(*sample("binary_logit"))
    with pytest.raises(ValueError, match=r"4 \* 4 numbers row by row; it holds 3"):
        losses.get("forward_corrected", transition=[0.1, 0.2, 0.3])(pred, target)
    for name in COUNTING:
        with pytest.raises(ValueError, match=r"each of 4 classes; it holds 3"):
            losses.get(name, counts=[1.0, 2.0, 3.0])(pred, target)
        with pytest.raises(ValueError, match="samples of each class"):
            losses.get(name)(pred, target)


def test_double_softmax_is_cross_entropy_given_probabilities_and_is_never_sure() -> None:
    for pred, target in (sample("class_logits", n=20), soft(20)):
        same(each("double_softmax", pred, target), F.cross_entropy(pred.softmax(-1), target, reduction="none"))
    sure = 1e4 * torch.eye(10).double()  # row k is sure of class k
    least = math.log(math.e + 9) - 1
    same(each("double_softmax", sure, torch.arange(10)), torch.full((10,), least).double())
    same(each("double_softmax", sure, torch.arange(10).roll(1)), torch.full((10,), least + 1).double())


@pytest.mark.parametrize(("weight", "smoothing"), [(1.0, 0.0), (3.0, 0.0), (0.5, 0.2)])
def test_bce_with_logits_equals_torch(weight: float, smoothing: float) -> None:
    pred, target = sample("binary_logit", n=20)
    smoothed = target * (1 - smoothing) + smoothing / 2
    expected = F.binary_cross_entropy_with_logits(pred, smoothed, pos_weight=tensor(weight).double(), reduction="none")
    same(binary("bce_with_logits", pred, target, pos_weight=weight, label_smoothing=smoothing), expected)


@pytest.mark.parametrize("margin", [0.3, 1.0])
@pytest.mark.parametrize("power", [1, 2])
def test_multi_margin_equals_torch_in_a_stack_too(margin: float, power: int) -> None:
    pred, target = sample("class_logits", n=20)
    expected = F.multi_margin_loss(pred, target, p=power, margin=margin, reduction="none")
    loss = losses.get("multi_margin", margin=margin, power=power)
    same(loss.per_sample(pred, target), expected)
    same(loss._function(pred, target, margin=tensor(margin).double(), power=power), expected)


def test_soft_margin_equals_torch_where_that_does_not_overflow() -> None:
    pred, target = sample("binary_logit", n=20)
    same(binary("soft_margin", pred, target), F.soft_margin_loss(pred, 2 * target - 1, reduction="none"))
    assert F.soft_margin_loss(tensor([-100.0]), tensor([1.0])).isinf()
    assert binary("soft_margin", tensor([-100.0]), tensor([1.0])).item() == 100


@pytest.mark.parametrize("alpha", [-1.0, 0.25, 0.75])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_binary_focal_equals_torchvision(alpha: float, gamma: float) -> None:
    pred, target = sample("binary_logit", n=20)
    weights = [1.0] if alpha < 0 else [1 - alpha, alpha]
    found = binary("focal", pred, target, gamma=gamma, class_weights=weights)
    same(found, sigmoid_focal_loss(pred, target, alpha=alpha, gamma=gamma))


def test_focal_stays_a_number_where_the_plain_power_does_not() -> None:
    plain, ours = (tensor([200.0], requires_grad=True) for _ in range(2))
    sigmoid_focal_loss(plain, tensor([1.0]), alpha=-1, gamma=0.5).sum().backward()
    binary("focal", ours, tensor([1.0]), gamma=0.5).sum().backward()
    assert plain.grad.isnan()
    assert ours.grad.item() == 0


# Published figures


@pytest.mark.parametrize(
    ("params", "onehot", "expected", "within"),
    [  # google/bi-tempered-loss, tensorflow/loss_test.py; its bisection for t2 < 1 stops at about 1e-6
        ({"t1": 0.5, "t2": 1.5}, False, [0.02301914, 0.18972909, 0.93874922], 1e-7),
        ({"t1": 0.5, "t2": 0.8}, False, [0.21646356, 0.41836615, 1.33997854], 2e-6),
        ({"t1": 0.5, "t2": 1.5, "smoothing": 0.1}, True, [0.76652711, 0.08627685, 1.35443510], 1e-7),
    ],
)
def test_bi_tempered_gives_the_authors_figures(params: dict, onehot: bool, expected: list, within: float) -> None:
    logits = tensor([[-0.5, 0.1, 2.0], [0.1, 1.5, -5.0], [4.0, -3.0, -6.0]]).double()
    target = tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.2, 0.8, 0.0]]).double()
    found = each("bi_tempered", logits, torch.arange(3) if onehot else target, **params)
    same(found, tensor(expected).double(), atol=within, rtol=0)


@pytest.mark.parametrize("t", [0.5, 0.8, 1.0, 1.2, 2.0, 4.0])
@pytest.mark.parametrize("spread", [0.0, 1.0, 100.0, 1e4])
def test_tempered_softmax_adds_up_to_one_and_ignores_a_shift(t: float, spread: float) -> None:
    logits = spread * sample("class_logits", n=50)[0]
    found = log_tempered_softmax(logits, t, 5).exp()
    same(found.sum(-1), torch.ones(50).double(), atol=1e-12, rtol=0)
    same(log_tempered_softmax(logits + 100, t, 5).exp(), found, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("name", "params", "pred", "label", "value"),
    [  # worked by hand; p = 0.2, 0.3, 0.5 for logits log 2, log 3, log 5
        ("poly1", {"epsilon": 2.0}, [2, 3, 5], 2, math.log(2) + 1),
        ("taylor_ce", {"order": 3}, [2, 3, 5], 2, 0.5 + 0.125 + 0.125 / 3),
        ("brier", {}, [2, 3, 5], 2, 0.04 + 0.09 + 0.25),
        ("mae", {}, [2, 3, 5], 0, 1.6),
        ("reverse_ce", {"log_zero": -4.0}, [2, 3, 5], 0, 3.2),
        ("symmetric_ce", {"alpha": 2.0, "beta": 3.0, "log_zero": -4.0}, [2, 3, 5], 2, 2 * math.log(2) + 6),
        ("generalized_ce", {"q": 0.5}, [1, 1, 2], 0, 1.0),
        ("focal", {"class_weights": [1.0, 1.0, 3.0]}, [2, 3, 5], 2, 0.75 * math.log(2)),
        ("normalized_ce", {}, [1, 1, 2], 2, math.log(2) / (2 * math.log(4) + math.log(2))),
        ("normalized_focal", {"gamma": 1.0}, [1, 1, 2], 2, 0.5 / (2 * 0.75 * 2 + 0.5)),
        ("nce_rce", {"alpha": 5.0, "beta": 0.5, "log_zero": -4.0}, [1, 1, 2], 2, 1 + 1),
        ("nce_mae", {"alpha": 5.0, "beta": 0.5}, [1, 1, 2], 2, 1 + 0.5),
        ("forward_corrected", {"transition": [0.4]}, [2, 3, 5], 2, -math.log(0.3 + 0.5 * 0.2)),
        ("forward_corrected", {"transition": [1, 0, 0, 0.5, 0.5, 0, 0, 0, 1.0]}, [2, 3, 5], 0, -math.log(0.35)),
        ("bootstrapped_hard", {"beta": 0.5}, [2, 3, 5], 0, 0.5 * math.log(5) + 0.5 * math.log(2)),
        ("bootstrapped_soft", {"beta": 0.5}, [1, 1, 2], 0, 0.5 * math.log(4) + 0.5 * 1.5 * math.log(2)),
        ("asymmetric_single_label", {"gamma_pos": 1.0, "gamma_neg": 2.0, "smoothing": 0.3}, [1, 1, 2], 2,
         0.8 * 0.5 * math.log(2) + 2 * 0.1 * math.log(4) / 16),
        ("class_balanced", {"counts": [1, 1, 2], "beta": 0.5}, [1, 1, 2], 2, 3 / 4 * math.log(2)),
        ("logit_adjusted", {"counts": [2, 2, 4]}, [1, 1, 2], 2, -math.log(4 / 6)),
        ("agce", {"a": 1.0, "q": 2.0}, [2, 3, 5], 2, (4 - 2.25) / 2),
        ("aue", {"a": 2.0, "q": 2.0}, [2, 3, 5], 2, (2.25 - 1) / 2),
        ("ael", {"a": 0.5}, [2, 3, 5], 2, 1 / math.e),
        ("jal", {"alpha": 2.0, "beta": 3.0, "a": 2.0}, [1, 1, 2], 2, 2 / 5 + 1 / 16 + 1 / 16 + 1.5**2),
        ("jal", {"beta": 0.0, "gamma": 1.0}, [1, 1, 2], 2, 0.5 / (2 * 0.75 * 2 + 0.5)),
        ("normalized_gce", {"q": 0.5}, [1, 1, 2], 0, 0.5 / (2 - math.sqrt(0.5))),
        ("anl", {"alpha": 0.0, "beta": 1.0, "least": 2.0**-14}, [1, 1, 2], 2, 1 - 13 / (12 + 12 + 13)),
        ("anl", {"alpha": 5.0, "beta": 1.0, "least": 2.0**-14}, [1, 1, 2], 2, 1 + 1 - 13 / (12 + 12 + 13)),
        ("phuber_ce", {"tau": 4.0}, [2, 3, 5], 2, math.log(2)),
        ("phuber_ce", {"tau": 4.0}, [2, 3, 5], 0, math.log(4) + 1 - 0.8),
        ("truncated_gce", {"q": 0.5, "k": 0.25, "start": 0}, [1, 15, 0], 0, 1.0),
        ("truncated_gce", {"q": 0.5, "k": 0.25, "start": 1}, [1, 15, 0], 0, 1.5),
        ("backward_corrected", {"transition": [0.4]}, [2, 3, 5], 2, 2 * math.log(2) + 0.5 * math.log(0.06)),
        ("backward_corrected", {"transition": [1, 0, 0, 0.5, 0.5, 0, 0, 0, 1.0]}, [2, 3, 5], 1,
         math.log(0.2) - 2 * math.log(0.3)),
        ("seesaw", {"counts": [1, 4, 16], "p": 0.5, "q": 0.0}, [2, 3, 5], 1, -math.log(3 / (2 / 2 + 3 + 5))),
        ("seesaw", {"counts": [1, 1, 1], "q": 2.0}, [2, 3, 5], 1, -math.log(3 / (2 + 3 + 5 * 25 / 9))),
        ("seesaw", {"counts": [1, 1, 1], "q": 1.0, "least": 0.4}, [2, 3, 5], 1, -math.log(3 / (2 + 3 + 5 * 5 / 4))),
        ("ldam", {"counts": [1, 1, 16], "max_margin": 2 * math.log(2)}, [1, 1, 2], 2, math.log(3)),
        ("ldam", {"counts": [1, 1, 16], "max_margin": 2 * math.log(2), "scale": 2.0}, [1, 1, 2], 2, math.log(3)),
    ],
)  # fmt: skip
def test_of_probabilities_worked_by_hand(name: str, params: dict, pred: list, label: int, value: float) -> None:
    params = {key: [float(x) for x in v] if isinstance(v, list) else v for key, v in params.items()}
    found = each(name, tensor([pred]).double().log() + 1.7, tensor([label]), **params)
    assert found.item() == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "params", "label", "value"),
    [  # logits 2, 1.5, -1
        ("hinge", {}, 0, 0.5),
        ("hinge", {}, 2, 4.0),
        ("hinge", {"margin": 0.4}, 0, 0.0),
        ("multi_margin", {}, 1, (1.5 + 0) / 3),
        ("multi_margin", {"power": 2}, 2, (16 + 12.25) / 3),
        ("square", {}, 0, (1 + 2.25 + 1) / 3),
        ("squentropy", {}, 0, math.log(1 + math.exp(-0.5) + math.exp(-3)) + (2.25 + 1) / 2),
        ("square", {"weight": 3.0, "height": 4.0}, 0, (12 + 2.25 + 1) / 3),
    ],
)
def test_of_logits_worked_by_hand(name: str, params: dict, label: int, value: float) -> None:
    assert each(name, tensor([[2.0, 1.5, -1.0]]), tensor([label]), **params).item() == pytest.approx(value)


LOG3 = math.log(3)  # p = 3/4


@pytest.mark.parametrize(
    ("name", "params", "pred", "target", "value"),
    [
        ("hinge", {}, [0.25, 0.25, 2.0], [1, 0, 1], [0.75, 1.25, 0]),
        ("squared_hinge", {}, [0.5, 0.5, 2.0], [1, 0, 1], [0.25, 2.25, 0]),
        ("squared_hinge", {"margin": 3.0}, [2.0], [1], [1]),
        ("modified_huber", {}, [0.5, -1.0, -3.0, 3.0, 2.0], [1, 1, 1, 0, 1], [0.25, 4, 12, 12, 0]),
        ("exponential", {}, [LOG3, LOG3], [1, 0], [1 / 3, 3]),
        ("exponential", {"limit": 2.0}, [-5.0], [1], [math.exp(2) * 4]),
        ("soft_margin", {}, [LOG3, LOG3], [1, 0], [math.log(4 / 3), math.log(4)]),
        ("ramp", {}, [0.5, -0.5, -7.0, 2.0], [1, 1, 1, 1], [0.5, 1.5, 2, 0]),
        ("ramp", {"ceiling": 1.0}, [-0.5], [1], [1]),
        ("sigmoid", {}, [LOG3, LOG3], [1, 0], [0.25, 0.75]),
        ("savage", {}, [LOG3, LOG3], [1, 0], [1 / 16, 9 / 16]),
        ("unhinged", {}, [2.0, 2.0], [1, 0], [-1, 3]),
        ("mae", {}, [LOG3, LOG3], [1, 0], [0.5, 1.5]),
        ("brier", {}, [LOG3, LOG3], [1, 0.5], [2 / 16, 2 / 16]),
        ("focal", {}, [LOG3, LOG3], [1, 0], [math.log(4 / 3) / 16, math.log(4) * 9 / 16]),
        ("generalized_ce", {"q": 0.5}, [LOG3], [0], [1.0]),
        ("taylor_ce", {}, [LOG3], [0], [0.75 + 9 / 32]),
        ("asymmetric", {"gamma_pos": 1.0, "gamma_neg": 2.0, "clip": 0.25}, [LOG3, LOG3, -LOG3], [1, 0, 0],
         [math.log(4 / 3) / 4, math.log(2) / 4, 0]),
        ("quality_focal", {}, [LOG3, LOG3, LOG3], [1, 0, 0.75], [math.log(4 / 3) / 16, math.log(4) * 9 / 16, 0]),
        ("quality_focal", {"beta": 1.0}, [LOG3], [0.25], [0.5 * (math.log(4) - 0.25 * LOG3)]),
        ("varifocal", {"alpha": 0.5, "gamma": 1.0}, [LOG3, LOG3, LOG3], [1, 0, 0.5],
         [math.log(4 / 3), 0.375 * math.log(4), 0.5 * (math.log(4) - 0.5 * LOG3)]),
        ("asymmetric", {"gamma_neg": 0.0, "clip": 0.5}, [-LOG3, LOG3], [0, 0], [0, -math.log(3 / 4)]),
    ],
)  # fmt: skip
def test_binary_worked_by_hand(name: str, params: dict, pred: list, target: list, value: list) -> None:
    found = binary(name, tensor(pred).double(), tensor(target).double(), **params)
    same(found, tensor(value).double(), atol=1e-7, rtol=1e-6)


# Identities and limits


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("focal", {"gamma": 0.0}),
        ("poly1", {"epsilon": 0.0}),
        ("taylor_ce", {"order": 500}),
        ("generalized_ce", {"q": 1e-9}),
        ("truncated_gce", {"q": 1e-9, "k": 0.0, "start": 0}),
        ("phuber_ce", {"tau": 1e9}),
        ("backward_corrected", {"transition": [0.0]}),
        ("backward_corrected", {"transition": torch.eye(4).flatten().tolist()}),
        ("seesaw", {"p": 0.0, "q": 0.0}),
        ("symmetric_ce", {"alpha": 1.0, "beta": 0.0}),
        ("bi_tempered", {"t1": 1.0, "t2": 1.0}),
        ("bi_tempered", {"t1": 1 - 1e-9, "t2": 1 + 1e-9}),
        ("asymmetric_single_label", {"gamma_pos": 0.0, "smoothing": 0.0}),
        ("forward_corrected", {"transition": [0.0]}),
        ("forward_corrected", {"transition": torch.eye(4).flatten().tolist()}),
        ("bootstrapped_soft", {"beta": 1.0}),
        ("bootstrapped_hard", {"beta": 1.0}),
        ("class_balanced", {"counts": [7.0] * 4}),
        ("class_balanced", {"beta": 0.0}),
        ("logit_adjusted", {"counts": [7.0] * 4}),
        ("logit_adjusted", {"tau": 0.0}),
        ("ldam", {"max_margin": 0.0}),
    ],
)
def test_is_cross_entropy_at(name: str, params: dict) -> None:
    pred, target = sample("class_logits", n=20)
    pred.requires_grad_()
    found, expected = each(name, pred, target, **params), F.cross_entropy(pred, target, reduction="none")
    same(found, expected, atol=1e-7, rtol=1e-6)
    gradients = [torch.autograd.grad(value.sum(), pred)[0] for value in (found, expected)]
    same(*gradients, atol=1e-7, rtol=1e-6)
    if "binary_logit" in cards.card("loss", name).about["reads"]:
        pred, target = sample("binary_logit", n=20)
        same(binary(name, pred, target, **params), binary("bce_with_logits", pred, target), atol=1e-7, rtol=1e-6)


def test_cross_entropy_of_tempers_one_is_short_of_the_entropy_of_a_soft_target() -> None:
    pred, target = soft()
    found = each("bi_tempered", pred, target, t1=1.0, t2=1.0)
    same(found, each("cross_entropy", pred, target) + (target * target.log()).sum(-1))


def test_smoothing_of_the_single_label_asymmetric_loss_and_of_bi_tempered_is_that_of_cross_entropy() -> None:
    pred, target = sample("class_logits")
    smoothed = each("cross_entropy", pred, target, label_smoothing=0.2)
    same(each("asymmetric_single_label", pred, target, gamma_pos=0.0, gamma_neg=0.0, smoothing=0.2), smoothed)
    t = F.one_hot(target, 4) * 0.8 + 0.05
    entropy = -(t * t.log()).sum(-1)
    same(each("bi_tempered", pred, target, t1=1.0, t2=1.0, smoothing=0.15) + entropy, smoothed)


def test_bi_tempered_with_a_plain_softmax_is_generalized_ce_and_a_correction() -> None:
    pred, target = sample("class_logits")
    powers = pred.softmax(-1).pow(1.4).sum(-1)
    expected = each("generalized_ce", pred, target, q=0.4) - (1 - powers) / 1.4
    same(each("bi_tempered", pred, target, t1=0.6, t2=1.0), expected)


@pytest.mark.parametrize("space", ["class_logits", "binary_logit"])
def test_relatives_of_mae(space: str) -> None:
    pred, target = sample(space, n=20)
    mae = each("mae", pred, target, space)
    same(each("reverse_ce", pred, target, space, log_zero=-4.0), 2 * mae)
    same(each("generalized_ce", pred, target, space, q=1.0), mae / 2)
    same(each("taylor_ce", pred, target, space, order=1), mae / 2)
    for name, params in (("agce", {"q": 1.0}), ("aue", {"q": 1.0}), ("phuber_ce", {"tau": 1.0})):
        same(each(name, pred, target, space, **params), mae / 2)
    same(
        each("agce", pred, target, space, a=0.001, q=0.7),
        each("generalized_ce", pred, target, space),
        atol=0.05,
        rtol=0,
    )
    far = each("ael", pred, target, space, a=1e5)
    same(1e5 * (far - math.exp(-1e-5)), mae / 2, rtol=1e-4, atol=0)
    same(each("symmetric_ce", pred, target, space, alpha=0.0, beta=1.0, log_zero=-2.0), mae)
    if space == "class_logits":
        onehot = F.one_hot(target, 4).double()
        same(4 * each("l1", pred.softmax(-1), onehot, "class_probs"), mae)
        same(4 * each("mse", pred.softmax(-1), onehot, "class_probs"), each("brier", pred, target))
    else:
        same(2 * binary("sigmoid", pred, target), mae)
        same(2 * binary("savage", pred, target), binary("brier", pred, target))


def test_relatives_of_the_sums() -> None:
    pred, target = sample("class_logits", n=20)
    nce, ce = each("normalized_ce", pred, target), each("cross_entropy", pred, target)
    rce, mae = each("reverse_ce", pred, target), each("mae", pred, target)
    same(each("nce_rce", pred, target, alpha=2.0, beta=3.0), 2 * nce + 3 * rce)
    same(each("nce_mae", pred, target, alpha=2.0, beta=3.0), 2 * nce + 3 * mae)
    same(each("symmetric_ce", pred, target, alpha=2.0, beta=3.0), 2 * ce + 3 * rce)
    same(each("normalized_focal", pred, target, gamma=0.0), nce)
    same(each("normalized_gce", pred, target, q=1e-9), nce)
    same(each("normalized_gce", pred, target, q=1.0), mae / 6)
    same(each("jal", pred, target, alpha=2.0, beta=4.0, a=1.0), 2 * nce + each("brier", pred, target))
    for gamma in (0.0, 0.5):
        active = each("normalized_focal", pred, target, gamma=gamma)
        same(each("anl", pred, target, alpha=3.0, beta=0.0, gamma=gamma), 3 * active)
        same(each("jal", pred, target, alpha=3.0, beta=0.0, gamma=gamma), 3 * active)


@pytest.mark.parametrize("name", ["normalized_ce", "normalized_focal", "normalized_gce"])
def test_normalized_losses_add_up_to_one_over_the_labels(name: str) -> None:
    pred = 3 * sample("class_logits", n=20)[0]
    labels = torch.stack([each(name, pred, torch.full((20,), k)) for k in range(4)])
    same(labels.sum(0), torch.ones(20).double())


def test_relatives_of_hinge() -> None:
    pred, target = sample("class_logits", n=20)
    two = target % 2
    same(each("multi_margin", pred[:, :2], two, margin=0.7), each("hinge", pred[:, :2], two, margin=0.7) / 2)
    z, t = 3 * sample("binary_logit", n=20)[0], sample("binary_logit", n=20)[1]
    hinge = (1 - (2 * t - 1) * z).relu()
    same(binary("hinge", z, t), hinge)
    same(binary("ramp", z, t, ceiling=1e9), hinge)
    same(binary("squared_hinge", z, t), hinge.square())
    same(binary("modified_huber", z, t), torch.where((2 * t - 1) * z >= -1, hinge.square(), 4 * hinge - 4))


def test_asymmetric_with_equal_focusing_and_no_clip_is_focal() -> None:
    pred, target = sample("binary_logit", n=20)
    found = binary("asymmetric", pred, target, gamma_pos=2.0, gamma_neg=2.0, clip=0.0)
    same(found, binary("focal", pred, target))
    far = tensor([1e4, -1e4]).requires_grad_()
    binary("asymmetric", far, tensor([0.0, 1.0]), gamma_neg=0.5, clip=0.0).sum().backward()
    assert far.grad.tolist() == [1, -1]


@pytest.mark.parametrize(
    ("name", "space", "params"),
    [
        ("asymmetric", "binary_logit", {"gamma_pos": 1.0, "gamma_neg": 2.0, "clip": 0.1}),
        ("normalized_focal", "class_logits", {"gamma": 2.0}),
        ("anl", "class_logits", {"gamma": 2.0, "least": 1e-4}),
        ("jal", "class_logits", {"gamma": 2.0, "a": 2.0}),
    ],
)
def test_the_factor_of_focal_losses_can_be_held_fixed(name: str, space: str, params: dict) -> None:
    """The value is the same; the gradient is that of the logarithms, with the factors as numbers."""
    pred, target = sample(space, n=20)
    pred.requires_grad_()
    full, held = (made(name, space, gradient=word, **params).per_sample(pred, target) for word in ("full", "held"))
    same(held, full)
    slopes = [torch.autograd.grad(value.sum(), pred)[0] for value in (full, held)]
    assert (slopes[0] - slopes[1]).abs().max() > 1e-3
    if name == "asymmetric":
        p = pred.detach().sigmoid()
        q = (p - 0.1).clamp(min=0)
        by_hand = -target * (1 - p) * (1 - p) + (1 - target) * q**2 / (1 - q) * p * (1 - p)
    else:
        log_p = pred.log_softmax(-1)
        factor, floor = (1 - log_p.detach().exp()).square(), torch.full_like(log_p[:, :1], 1e-4).log()
        each_class = -factor * log_p
        value = each_class.gather(1, target[:, None])[:, 0] / each_class.sum(1)
        if name == "anl":
            room = -((1 - floor.exp()) ** 2) * floor - each_class
            value = 5 * value + 5 * (1 - room.gather(1, target[:, None])[:, 0] / room.sum(1))
        if name == "jal":
            value = value + (2 * F.one_hot(target, 4) - log_p.exp()).square().mean(1)
        by_hand = torch.autograd.grad(value.sum(), pred)[0]
    same(slopes[1], by_hand)


def test_ldam_asks_more_of_the_rare_class() -> None:
    pred = torch.zeros(4, 4, dtype=torch.float64)
    found = each("ldam", pred, torch.arange(4))
    margins = 0.5 * (10 / tensor(COUNTS).double()) ** 0.25
    same(found, margins + (3 + (-margins).exp()).log())


def test_counts_come_from_the_training_targets() -> None:
    target = tensor([0, 0, 0, 1, 1, 3])
    pred = sample("class_logits")[0]
    for name in COUNTING:
        loss = losses.get(name)
        loss.calibrate(target, 4)
        assert loss.params["counts"] == [3, 2, 0, 1]
        same(loss.per_sample(pred, target), each(name, pred, target, counts=[3.0, 2.0, 0.0, 1.0]))


def weights_of_classes(counts: list[float], **params) -> Tensor:
    """What class_balanced multiplies cross-entropy with, class by class."""
    pred, target = torch.zeros(len(counts), len(counts), dtype=torch.float64), torch.arange(len(counts))
    return each("class_balanced", pred, target, counts=counts, **params) / math.log(len(counts))


def test_class_balanced_gives_a_class_without_samples_no_weight() -> None:
    found = weights_of_classes([310, 2489, 114, 17, 0, 725], beta=0.999)
    same(found, tensor([0.249, 0.072, 0.616, 3.935, 0, 0.129]).double(), atol=6e-4, rtol=0)
    same(found[[0, 1, 2, 3, 5]], weights_of_classes([310, 2489, 114, 17, 725], beta=0.999))


COUNTING = [name for name in losses.names() if "counts" in cards.card("loss", name).values]


@pytest.mark.parametrize("name", COUNTING)
def test_a_class_without_samples_takes_nothing_from_the_others(name: str) -> None:
    """The losses of the others are those under the counts without it, or with one sample in its place."""
    counts, target = [310.0, 2489.0, 114.0, 17.0, 725.0], tensor([0, 1, 2, 3, 4])
    pred = sample("class_logits", n=5)[0]
    pred = torch.cat([pred, pred[:, :1]], -1)
    empty = torch.cat([pred, torch.full((5, 1), -60.0, dtype=torch.float64)], -1)  # a class that nothing speaks for
    without, beside = each(name, pred, target, counts=counts), each(name, empty, target, counts=[*counts, 0.0])
    same(beside, without, rtol=1e-9, atol=0)
    one = torch.full((1, 6), 0.0, dtype=torch.float64)
    assert torch.isfinite(each(name, one, tensor([5]), counts=[*counts, 0.0])).all()


@pytest.mark.parametrize("name", COUNTING)
def test_counts_of_no_sample_at_all_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="needs the samples of each class"):
        losses.get(name, counts=[0.0] * 4)(*sample("class_logits"))


def test_weights_and_smoothing_together_move_the_optimum_as_the_docstrings_say() -> None:
    logits = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    loss = losses.get("cross_entropy", class_weights=[1.0, 1.0, 9.0], label_smoothing=0.1)
    best = minimised(loss, logits, tensor([0])).softmax(-1)[0]
    expected = tensor([0.9 + 0.1 / 3, 0.1 / 3, 9 * 0.1 / 3]).double()
    same(best, expected / expected.sum(), rtol=1e-4, atol=0)
    logit = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    best = minimised(
        losses.get("bce_with_logits", pos_weight=10.0, label_smoothing=0.1), logit, tensor([0.0])
    ).sigmoid()
    assert best.item() == pytest.approx(10 * 0.05 / (10 * 0.05 + 0.95), rel=1e-4)


def minimised(loss, logits: Tensor, target: Tensor) -> Tensor:
    """Logits at which a loss is least."""
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(logits, target.to(logits.dtype) if logits.ndim == 1 else target)
        value.backward()
        return value

    optimizer.step(closure)
    return logits.detach()


def test_class_balanced_keeps_its_digits_in_float32() -> None:
    pred, target = torch.zeros(2, 2), tensor([0, 1])
    found = each("class_balanced", pred, target, counts=[1.0, 1e6], beta=0.999999)
    effective = tensor([1.0, (1 - 0.999999**1e6) / 1e-6]).double()
    same(found.double(), 2 * math.log(2) / effective / (1 / effective).sum(), rtol=1e-5, atol=0)


# What they aim at


def aimed(name: str, shares: list[float], **params) -> Tensor:
    """Softmax of the logits that minimise the expected loss under labels of these shares."""
    logits = torch.zeros(1, len(shares), dtype=torch.float64, requires_grad=True)
    loss, target = made(name, "class_logits", **params), tensor([shares]).double()
    solver = torch.optim.LBFGS([logits], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss(logits, target)
        value.backward()
        return value

    solver.step(closure)
    return logits.detach()[0].softmax(-1)


def test_proper_losses_aim_at_the_frequencies() -> None:
    shares = tensor([0.5, 0.3, 0.2]).double()
    for name, params in (("cross_entropy", {}), ("brier", {}), ("bi_tempered", {"t2": 1.0})):
        same(aimed(name, shares.tolist(), **params), shares, atol=1e-4, rtol=0)
    focal = aimed("focal", shares.tolist())
    assert focal[0] < 0.49  # pulled towards even: not proper


def test_corrections_aim_at_what_they_correct() -> None:
    clean = tensor([0.6, 0.3, 0.1]).double()
    seen = clean * 0.8 + (1 - clean) * 0.1
    same(aimed("forward_corrected", seen.tolist(), transition=[0.2]), clean, atol=1e-4, rtol=0)
    same(aimed("backward_corrected", seen.tolist(), transition=[0.2]), clean, atol=1e-4, rtol=0)
    adjusted = aimed("logit_adjusted", clean.tolist(), counts=[60.0, 30.0, 10.0])
    same(adjusted, torch.full((3,), 1 / 3).double(), atol=1e-4, rtol=0)


def test_savage_aims_at_the_frequency() -> None:
    grid = torch.linspace(-4, 4, 8001).double()
    found = grid[binary("savage", grid, torch.full_like(grid, 0.3)).argmin()].sigmoid()
    assert found.item() == pytest.approx(0.3, abs=1e-3)


# Extremes beyond those of the contract


@pytest.mark.parametrize("z", [50.0, 104.0, 1e4])
def test_confident_mistakes_and_right_answers_stay_finite_in_float32(z: float) -> None:
    for name in MULTI:
        for params in ({"gamma": 0.3} if "focal" in name else {}, {"q": 1e-6} if name == "generalized_ce" else {}):
            pred = tensor([[z, 0.0, 0.0, -z], [0.0, z, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], requires_grad=True)
            found = each(name, pred, tensor([3, 1, 0]), **params)
            found.sum().backward()
            assert found.isfinite().all(), name
            assert pred.grad.isfinite().all(), name
    for name in (*BINARY, *BOTH):
        pred = tensor([z, -z, z, -z, z], requires_grad=True)
        found = binary(name, pred, tensor([1.0, 1.0, 0.0, 0.0, 0.3]))
        found.sum().backward()
        assert found.isfinite().all(), name
        assert pred.grad.isfinite().all(), name


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "poly1", "symmetric_ce", "forward_corrected"])
def test_a_confident_mistake_still_pulls(name: str) -> None:
    pred = tensor([[1e4, 0.0, 0.0]], requires_grad=True)
    params = {"transition": [0.0]} if name == "forward_corrected" else {}
    each(name, pred, tensor([1]), **params).sum().backward()
    weight = cards.card("loss", name).values.get("alpha", 1.0)
    same(pred.grad, weight * tensor([[1.0, -1.0, 0.0]]))


def test_exponential_is_continued_by_its_tangent() -> None:
    pred = tensor([-20.0, -21.0, -1e4], requires_grad=True)
    found = binary("exponential", pred, torch.ones(3))
    found.sum().backward()
    same(found[1] - found[0], tensor(math.exp(20)), rtol=1e-5, atol=0)
    same(pred.grad, torch.full((3,), -math.exp(20)))


@pytest.mark.parametrize(
    ("name", "space", "lists"),
    [
        ("forward_corrected", "class_logits", {"transition": [[0.1], [0.3]]}),
        ("class_balanced", "class_logits", {"counts": [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]]}),
        ("logit_adjusted", "class_logits", {"counts": [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]]}),
        ("ldam", "class_logits", {"counts": [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]]}),
        ("seesaw", "class_logits", {"counts": [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]]}),
        ("backward_corrected", "class_logits", {"transition": [[0.1], [0.3]]}),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lists_and_targets_may_differ_between_the_runs_of_a_stack(
    name: str, space: str, lists: dict, dtype: torch.dtype
) -> None:
    both = [sample(space, seed=seed, dtype=dtype) for seed in (0, 1)]
    preds, targets = (torch.stack(part) for part in zip(*both, strict=True))
    loss = made(name, space)
    floats = {key: value for key, value in loss.keywords(preds).items() if isinstance(value, float)}
    words = {key: value for key, value in loss.plain.items() if isinstance(value, str)}
    mapped = {key: tensor(value).to(dtype) for key, value in lists.items()}
    mapped |= {key: torch.full((2,), value, dtype=dtype) for key, value in floats.items()}

    def one(pred: Tensor, target: Tensor, mapped: dict) -> Tensor:
        return loss._function(pred, target, **mapped, **words)

    found = torch.vmap(one)(preds, targets, mapped)
    assert found.dtype == dtype
    for run, (pred, target) in enumerate(both):
        same(found[run], each(name, pred, target, space, **{key: value[run] for key, value in lists.items()}))


@pytest.mark.parametrize(
    ("name", "key", "other", "ratio"),
    [  # of the authors' own settings, for which see the cards
        ("symmetric_ce", "alpha", "beta", 6 / 0.1),  # CIFAR-100
        ("symmetric_ce", "alpha", "beta", 0.01),  # MNIST
        ("nce_rce", "beta", "alpha", 0.1 / 10),  # CIFAR-100
        ("nce_rce", "beta", "alpha", 10),  # MNIST
    ],
)
def test_the_authors_settings_can_be_found_by_tuning(name: str, key: str, other: str, ratio: float) -> None:
    """The shape of these losses is a ratio; the one weight is tuned, the other stays."""
    [dimension] = [one for one in of_loss(name) if one.key == key]
    assert dimension.low <= ratio * cards.card("loss", name).values[other] <= dimension.high


def test_bi_tempered_is_bounded_as_its_card_says() -> None:
    pred, target = tensor([[1e6, 0.0, 0.0]], dtype=torch.float64), tensor([1])
    for t1 in (0.0, 0.5, 0.8):
        assert each("bi_tempered", pred, target, t1=t1).item() == pytest.approx(1 / (1 - t1), rel=1e-3)
    assert each("bi_tempered", pred, target, t1=1.0).item() > 50
