"""What every loss of the registry must hold; a loss that is added is tested without a new test."""

import inspect
import itertools
import math

import pytest
import torch
from torch import Tensor, tensor

from losslab import BadRequest, losses
from losslab.losses.base import STATES, Loss
from losslab.losses.weighting import OPTIONS
from losslab.schema import cards, compatibility
from losslab.schema.loss_facts import FACTS
from losslab.schema.space_words import of_kind
from support.examples import extremes, made, sample

PLAIN = [name for name in losses.names() if "terms" not in cards.card("loss", name).values]
PAIRS = [(name, space) for name in PLAIN for space in cards.card("loss", name).about["reads"]]
each_pair = pytest.mark.parametrize(("name", "space"), PAIRS)
ORDERED = of_kind("ordered classes")


def declares(name: str, fact: str) -> bool:
    return fact in cards.card("loss", name).about["facts"]


def declared(fact: str, *spaces: str) -> list[tuple[str, str]]:
    return [(name, space) for name, space in PAIRS if declares(name, fact) and (not spaces or space in spaces)]


def total(loss: Loss, pred: Tensor, target: Tensor, keywords: dict) -> Tensor:
    return loss._function(pred, target, **keywords).sum()


def test_functions_and_cards_match() -> None:
    assert set(losses.LOSSES) == set(PLAIN)
    for name, function in losses.LOSSES.items():
        card = cards.card("loss", name)
        keywords = {p.name for p in inspect.signature(function).parameters.values() if p.kind == p.KEYWORD_ONLY}
        state = STATES.get(name)
        kept = {*state.learned, *state.running} if state else set()
        assert keywords == set(card.values) - {"name", *OPTIONS} | kept
        assert declares(name, "stateful") == bool(state)
        assert card.values["name"] == name
        assert set(card.values) - {"name"} == set(card.about.get("ranges", {})), "each hyperparameter states its range"
        assert set(card.about["facts"]) <= set(FACTS)
        assert any(digit.isdigit() for digit in card.about["source"]), "a source names its year"
        assert "l = " in function.__doc__, "a docstring gives the formula"


@each_pair
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gives_one_number_a_sample_and_reduces_by_the_mean(name: str, space: str, dtype: torch.dtype) -> None:
    loss = made(name, space)
    pred, target = sample(space, dtype=dtype)
    each = loss.per_sample(pred, target)
    assert each.shape == (len(pred),)
    assert each.dtype == dtype
    loss.eval()
    torch.testing.assert_close(loss(pred, target), each.mean())


@each_pair
def test_order_of_the_samples_does_not_matter(name: str, space: str) -> None:
    loss = made(name, space)
    pred, target = sample(space)
    order = tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(loss.per_sample(pred[order], target[order]), loss.per_sample(pred, target)[order])


@each_pair
def test_a_sample_depends_on_its_batch_only_if_it_says_so(name: str, space: str) -> None:
    loss = made(name, space)
    pred, target = sample(space)
    changed, moved = pred.clone(), target.clone()
    for row, seed in enumerate((9, 15)):
        changed[row], moved[row] = (part[row] for part in sample(space, seed=seed))
    same = torch.allclose(loss.per_sample(changed, moved)[2:], loss.per_sample(pred, target)[2:])
    assert same != declares(name, "batchwise")


@pytest.mark.parametrize(("name", "space"), [pair for pair in PAIRS if not declares(pair[0], "detached")])
def test_gradient_is_that_of_the_value(name: str, space: str) -> None:
    loss = made(name, space)
    pred, target = sample(space)
    assert torch.autograd.gradcheck(lambda p: loss.per_sample(p, target), pred.requires_grad_())


@each_pair
def test_value_and_gradient_are_finite_at_the_extremes(name: str, space: str) -> None:
    pred, target = extremes(space, 1e30 if declares(name, "bounded_gradient") else 1e18)
    loss = made(name, space)
    pred.requires_grad_()
    each = loss.per_sample(pred, target)
    each.sum().backward()
    assert torch.isfinite(each).all(), each
    assert torch.isfinite(pred.grad).all(), pred.grad
    for learned in loss.parameters():
        assert torch.isfinite(learned.grad).all()


@pytest.mark.parametrize(("name", "space"), declared("nonnegative"))
def test_is_never_negative_if_it_says_so(name: str, space: str) -> None:
    pred, target = sample(space, n=200)
    assert (made(name, space).per_sample(pred, target) >= 0).all()


@pytest.mark.parametrize(("name", "space"), declared("zero_at_target"))
def test_is_zero_for_a_perfect_prediction_if_it_says_so(name: str, space: str) -> None:
    target = sample(space, n=50)[1]
    if space == "class_logits":
        perfect, target = 1e3 * torch.eye(4, dtype=torch.float64), torch.arange(4)
    elif space == "binary_logit" or space in ("label_logits", "mask_logits"):
        perfect = 1e3 * (2 * target - 1)
    elif space in ORDERED:
        perfect = 1e3 * (2.0 * (target[:, None] > torch.arange(3)) - 1)
    elif space == "quantiles":
        perfect = target[..., None].expand(*target.shape, 5)
    elif space == "class_probs":
        perfect = target = torch.eye(4, dtype=torch.float64)
    else:
        perfect = target
    assert (made(name, space).per_sample(perfect, target) == 0).all()


@each_pair
def test_stacks_under_vmap_with_hyperparameters_for_each_run(name: str, space: str) -> None:
    loss = made(name, space)
    preds, targets = (torch.stack(part) for part in zip(*(sample(space, seed=seed) for seed in range(3)), strict=True))
    keywords = {
        key: value.detach() if isinstance(value, Tensor) else value for key, value in loss.keywords(preds).items()
    }
    factors = tensor([0.9, 1.0, 1.1], dtype=torch.float64)
    mapped = {key: value * factors for key, value in keywords.items() if isinstance(value, float)}
    shared = {key: value for key, value in keywords.items() if key not in mapped}

    def one(pred: Tensor, target: Tensor, mapped: dict) -> Tensor:
        return total(loss, pred, target, mapped | shared)

    gradients, values = torch.func.vmap(torch.func.grad_and_value(one))(preds, targets, mapped)
    for run in range(3):
        own = {key: float(value[run]) for key, value in mapped.items()}
        gradient, value = torch.func.grad_and_value(one)(preds[run], targets[run], own)
        torch.testing.assert_close(values[run], value)
        torch.testing.assert_close(gradients[run], gradient)


@pytest.mark.slow
@each_pair
def test_compiles_whole(name: str, space: str) -> None:
    loss = made(name, space)
    pred, target = sample(space)
    torch.compiler.reset()
    compiled = torch.compile(loss._function, backend="aot_eager", fullgraph=True)
    pred.requires_grad_()
    found, expected = compiled(pred, target, **loss.keywords(pred)), loss.per_sample(pred, target)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found.sum(), pred)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), pred)[0])


@each_pair
def test_never_waits_for_the_device(name: str, space: str) -> None:
    """On the device `meta` there are no values, so that reading one is an error."""
    loss = made(name, space).to("meta")
    pred, target = (part.to("meta") for part in sample(space))
    pred.requires_grad_()
    each = loss.per_sample(pred, target)
    each.sum().backward()
    assert each.shape == (len(pred),)


@pytest.mark.parametrize(("name", "space"), declared("convex"))
def test_convex_if_it_says_so(name: str, space: str) -> None:
    loss = made(name, space)
    for size in (1.0, 10.0):
        (a, target), (b, _) = sample(space, n=500), sample(space, n=500, seed=1)
        if space in ("values", "class_logits", "binary_logit"):
            a, b = size * a, size * b
        middle = loss.per_sample((a + b) / 2, target)
        ends = (loss.per_sample(a, target) + loss.per_sample(b, target)) / 2
        assert (middle <= ends + 1e-12 * (1 + ends.abs())).all()


def steepest(name: str, space: str) -> Tensor:
    """The largest gradient of mistakes of growing size."""
    found = []
    for size in (1.0, 1e2, 1e4, 1e6):
        pred, target = sample(space, n=200)
        pred = (size * pred).requires_grad_()
        made(name, space).per_sample(pred, target).sum().backward()
        found.append(pred.grad.abs().max())
    return torch.stack(found)


@pytest.mark.parametrize(("name", "space"), [p for p in PAIRS if p[1] in ("values", "class_logits", "binary_logit")])
def test_gradient_is_bounded_if_and_only_if_it_says_so(name: str, space: str) -> None:
    found = steepest(name, space)
    assert bool(found[2:].max() <= 1.01 * found[:2].max()) == declares(name, "bounded_gradient")


@pytest.mark.parametrize(("name", "space"), declared("redescending", "values"))
def test_pull_fades_if_it_says_so(name: str, space: str) -> None:
    found = steepest(name, space)
    assert found[-1] < 1e-2 * found[0]  # as 1 / e or faster, and the smallest of these errors is some thousands


@pytest.mark.parametrize(("name", "space"), declared("bounded_loss"))
def test_bounded_if_it_says_so(name: str, space: str) -> None:
    pred, target = extremes(space)
    highest = made(name, space).per_sample(pred, target).max()
    if space in ("values", "class_logits", "binary_logit"):
        assert made(name, space).per_sample(1e3 * pred, target).max() <= highest * 1.01
    assert highest <= 1e3


@pytest.mark.parametrize(("name", "space"), declared("symmetric", "class_logits", "binary_logit"))
def test_adds_up_over_the_classes_if_it_says_so(name: str, space: str) -> None:
    loss, (pred, target) = made(name, space), sample(space, n=50)
    classes = [torch.full_like(target, k) for k in (range(4) if space == "class_logits" else range(2))]
    sums = torch.stack([loss.per_sample(3 * pred, k) for k in classes]).sum(0)
    torch.testing.assert_close(sums, sums[:1].expand_as(sums))


@pytest.mark.filterwarnings("ignore:.*shares of the picture")
@pytest.mark.parametrize(("name", "space"), declared("scale_equivariant", "values", "boxes"))
def test_another_unit_is_one_factor_if_it_says_so(name: str, space: str) -> None:
    loss, (pred, target) = made(name, space), sample(space, n=50)
    one, other = loss.per_sample(pred, target), loss.per_sample(7 * pred, 7 * target)
    torch.testing.assert_close(other, other.sum() / one.sum() * one)  # no ratio of each, as a loss may be 0


def beyond(text: str) -> list[float]:
    """Numbers just outside a range."""
    low, high = (float(part) for part in text[1:-1].split(","))
    outside = [low if text[0] == "(" else low - 1, high if text[-1] == ")" else high + 1, math.nan]
    return [number for number in outside if not math.isinf(number)]


RANGES = [(name, key, text) for name in PLAIN for key, text in cards.card("loss", name).about.get("ranges", {}).items()]


@pytest.mark.parametrize(("name", "key", "text"), RANGES)
def test_refuses_a_hyperparameter_outside_its_range(name: str, key: str, text: str) -> None:
    default = cards.card("loss", name).values[key]
    count, _, inside = text.rpartition(" of ")
    wrong = beyond(inside) if inside[0] in "[(" else ["nonsense"]
    for value in wrong:
        value = int(value) if isinstance(default, int) and value == value else value
        with pytest.raises(BadRequest, match=rf"loss\.{key} must be"):
            losses.get(name, **{key: [value] * (int(count) if count.isdigit() else 1) if count else value})


def test_a_word_may_stand_for_a_number() -> None:
    for name in PLAIN:
        for key, words in cards.card("loss", name).about.get("presets", {}).items():
            for word, value in words.items():
                assert losses.get(name, **{key: word}).params[key] == value
            with pytest.raises(BadRequest, match=rf"loss\.{key} must be a number or one of"):
                losses.get(name, **{key: "nonsense"})


@each_pair
def test_refuses_shapes_that_would_be_broadcast(name: str, space: str) -> None:
    pred, target = sample(space)
    for wrong in (pred[:1], pred[..., None], pred[None]):
        with pytest.raises(ValueError, match=r"these are \["):
            made(name, space)(wrong, target)


def test_refuses_a_column_against_a_row() -> None:
    with pytest.raises(ValueError, match=r"\[3, 1\] and \[3\].*broadcast"):
        losses.get("mse")(torch.zeros(3, 1), torch.zeros(3))


@pytest.mark.parametrize(
    ("name", "pred", "target", "says"),
    [
        ("bce", tensor([0.5, 0.5]), tensor([0.0, 2.0]), "Target 1, 2.0, lies outside"),
        ("bce_with_logits", tensor([0.5]), tensor([-1.0]), "outside"),
        ("bce", tensor([1]), tensor([1]), "floating point"),
        ("bce", tensor([1.5]), tensor([1.0]), "Prediction 0, 1.5, is no probability"),
        ("msle", tensor([-2.0]), tensor([1.0]), "Prediction 0, -2.0, is negative"),
        ("cross_entropy", torch.zeros(2, 3), tensor([0, 3]), "Target 1, 3, is no class index below 3"),
        ("cross_entropy", torch.zeros(2, 3), tensor([0, -1]), "no class index"),
        ("cross_entropy", torch.zeros(1, 2), tensor([[0.5, 0.6]]), "no distribution"),
        ("cross_entropy", torch.zeros(1, 2), tensor([0.0]), r"target.long\(\)"),
        ("cross_entropy", torch.zeros(1, 2), tensor([True]), r"target.long\(\)"),
        ("cross_entropy", torch.zeros(2, 3), tensor([[0], [1]]), r"target.squeeze\(-1\)"),
        ("focal", torch.zeros(2), tensor([0.0, 1.0]), "space='binary_logit'"),
        ("focal", torch.zeros(2, 1), tensor([[0.0], [1.0]]), "space='binary_logit'"),
        ("cross_entropy", torch.zeros(2, 1), tensor([0, 0]), "two or more|two classes or more"),
        ("mse", tensor([0.0]), tensor([float("nan")]), "not a finite number"),
        ("giou", torch.zeros(1, 4), tensor([[0.5, 0.1, 0.4, 0.9]]), "corners swapped"),
        ("giou", torch.zeros(1, 4), tensor([[0.5, 0.1, 0.5, 0.9]]), "no area"),
        ("giou", torch.zeros(1, 3), torch.zeros(1, 3), "corners x1 y1 x2 y2"),
        ("mse", tensor(0.0), tensor(0.0), "first axis"),
        ("cross_entropy", torch.zeros(2, 3), tensor([0, -100]), "no class index"),
    ],
)
def test_refuses_a_target_outside_its_domain(name: str, pred: torch.Tensor, target: torch.Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        losses.get(name)(pred, target)


def test_get_refuses_what_is_not_there() -> None:
    with pytest.raises(BadRequest, match=r"did you mean 'huber'"):
        losses.get("hubber")
    with pytest.raises(BadRequest, match=r"loss.delta must be above 0"):
        losses.get("huber", delta=0.0)
    with pytest.raises(BadRequest, match=r"did you mean 'loss.delta'"):
        losses.get("huber", deltaa=1.0)
    with pytest.raises(BadRequest, match=r"does not read 'boxes'"):
        losses.get("bce", space="boxes")


def test_names_of_a_task_are_those_that_share_a_space_with_it() -> None:
    assert set(losses.names("bbox")) >= {"giou", "huber", "l1", "mse", "smoothl1"}
    assert set(losses.names("regression")) >= {"huber", "l1", "mse", "smoothl1"}
    assert not {"giou", "bce"} & set(losses.names("regression"))
    for task, name in itertools.product(cards.names("task"), PLAIN):
        assert (name in losses.names(task)) == (compatibility.space(task, name) is not None)


def test_giou_in_half_precision() -> None:
    giou = losses.get("giou")
    small = tensor([[0.5, 0.5, 0.505, 0.505]], dtype=torch.float16)
    assert giou(small, small).item() == 0
    pixels = tensor([[0.0, 0.0, 640.0, 480.0]], dtype=torch.float16)
    assert giou(pixels, pixels).item() == 0


def test_a_card_without_a_function_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(losses.LOSSES, "huber")
    with pytest.raises(BadRequest, match=r"'huber' has a card.*but no function"):
        losses.get("huber")


@pytest.mark.parametrize(("name", "space"), [pair for pair in PAIRS if pair[1] not in ORDERED])
def test_a_target_of_fewer_digits_costs_no_digits(name: str, space: str) -> None:
    """A target in float32 beside a prediction in float64, as data often come: its numbers count as they are."""
    pred, target = sample(space, n=8)
    if space == "class_logits":
        target = pred.roll(1, 0).softmax(-1)
    loss = made(name, space)
    short = target.float()
    torch.testing.assert_close(loss.per_sample(pred, short), loss.per_sample(pred, short.double()), rtol=0, atol=0)
