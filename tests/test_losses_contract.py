"""What every loss of the registry must hold; a loss that is added is tested without a new test."""

import inspect
import itertools

import pytest
import torch
from torch import tensor

from examples import extremes, sample
from losslab import BadRequest, config, losses

PAIRS = [(name, space) for name in losses.names() for space in config.card("loss", name).about["reads"]]
FACTS = {"convex", "bounded_gradient", "bounded_loss"}


def declared(fact: str) -> list[tuple[str, str]]:
    return [(name, space) for name, space in PAIRS if fact in config.card("loss", name).about["facts"]]


def test_functions_and_cards_match() -> None:
    assert set(losses.LOSSES) == set(losses.names())
    for name, function in losses.LOSSES.items():
        card = config.card("loss", name)
        keywords = {p.name for p in inspect.signature(function).parameters.values() if p.kind == p.KEYWORD_ONLY}
        assert keywords == set(card.values) - {"name"}
        assert card.values["name"] == name
        assert keywords == set(card.about.get("ranges", {})), "each hyperparameter states its range"
        assert set(card.about["facts"]) <= FACTS
        assert any(digit.isdigit() for digit in card.about["source"]), "a source names its year"
        assert "l = " in function.__doc__, "a docstring gives the formula"


@pytest.mark.parametrize(("name", "space"), PAIRS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gives_one_number_a_sample_and_reduces_by_the_mean(name: str, space: str, dtype: torch.dtype) -> None:
    loss = losses.get(name, space=space)
    pred, target = sample(space, dtype=dtype)
    each = loss.per_sample(pred, target)
    assert each.shape == (len(pred),)
    assert each.dtype == dtype
    torch.testing.assert_close(loss(pred, target), each.mean())


@pytest.mark.parametrize(("name", "space"), PAIRS)
def test_a_sample_neither_leaks_nor_depends_on_its_place(name: str, space: str) -> None:
    loss = losses.get(name, space=space)
    pred, target = sample(space)
    each = loss.per_sample(pred, target)
    order = tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(loss.per_sample(pred[order], target[order]), each[order])
    changed = pred.clone()
    changed[0] = sample(space, seed=9)[0][0]
    torch.testing.assert_close(loss.per_sample(changed, target)[1:], each[1:])


@pytest.mark.parametrize(("name", "space"), PAIRS)
def test_gradient_is_that_of_the_value(name: str, space: str) -> None:
    loss = losses.get(name, space=space)
    pred, target = sample(space)
    assert torch.autograd.gradcheck(lambda p: loss.per_sample(p, target), pred.requires_grad_())


@pytest.mark.parametrize(("name", "space"), PAIRS)
def test_value_and_gradient_are_finite_at_the_extremes(name: str, space: str) -> None:
    pred, target = extremes(space)
    pred.requires_grad_()
    each = losses.get(name, space=space).per_sample(pred, target)
    each.sum().backward()
    assert torch.isfinite(each).all()
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize(("name", "space"), PAIRS)
def test_is_never_negative_and_zero_for_a_perfect_prediction(name: str, space: str) -> None:
    loss = losses.get(name, space=space)
    pred, target = sample(space, n=50)
    assert (loss.per_sample(pred, target) >= 0).all()
    if space == "class_logits":
        perfect, target = 1e3 * torch.eye(4, dtype=torch.float64), torch.arange(4)
    elif space == "binary_logit":
        perfect = 1e3 * (2 * target - 1)
    elif space == "class_probs":
        perfect = target = torch.eye(4, dtype=torch.float64)
    else:
        perfect = target
    assert (loss.per_sample(perfect, target) == 0).all()


@pytest.mark.parametrize(("name", "space"), PAIRS)
def test_stacks_under_vmap_with_a_hyperparameter_for_each_run(name: str, space: str) -> None:
    function = losses.LOSSES[name]
    defaults = {key: value for key, value in config.card("loss", name).values.items() if key != "name"}
    preds, targets = (torch.stack(part) for part in zip(*(sample(space, seed=seed) for seed in range(3)), strict=True))
    params = {key: value * tensor([0.5, 1.0, 2.0], dtype=torch.float64) for key, value in defaults.items()}

    def total(pred, target, params):
        return function(pred, target, **params).sum()

    gradients, values = torch.func.vmap(torch.func.grad_and_value(total))(preds, targets, params)
    for run in range(3):
        own = {key: float(value[run]) for key, value in params.items()}
        gradient, value = torch.func.grad_and_value(total)(preds[run], targets[run], own)
        torch.testing.assert_close(values[run], value)
        torch.testing.assert_close(gradients[run], gradient)


@pytest.mark.parametrize(("name", "space"), declared("convex"))
def test_convex_if_it_says_so(name: str, space: str) -> None:
    loss = losses.get(name, space=space)
    (a, target), (b, _) = sample(space, n=500), sample(space, n=500, seed=1)
    middle = loss.per_sample((a + b) / 2, target)
    assert (middle <= (loss.per_sample(a, target) + loss.per_sample(b, target)) / 2 + 1e-12).all()


def steepest(name: str, space: str) -> torch.Tensor:
    """The largest gradient for growing mistakes."""
    found = []
    for size in (1.0, 1e2, 1e4, 1e6):
        pred, target = sample(space, n=200)
        if space in ("class_probs", "binary_prob"):
            return torch.zeros(2)  # a probability cannot go far
        pred = (size * pred).requires_grad_()
        losses.get(name, space=space).per_sample(pred, target).sum().backward()
        found.append(pred.grad.abs().max())
    return torch.stack(found)


@pytest.mark.parametrize(("name", "space"), [p for p in PAIRS if p[1] in ("values", "class_logits", "binary_logit")])
def test_gradient_is_bounded_if_and_only_if_it_says_so(name: str, space: str) -> None:
    found = steepest(name, space)
    bounded = (name, space) in declared("bounded_gradient")
    assert bool(found[-1] <= 1.01 * found[1]) == bounded


@pytest.mark.parametrize(("name", "space"), declared("bounded_loss"))
def test_bounded_if_it_says_so(name: str, space: str) -> None:
    pred, target = extremes(space)
    assert losses.get(name, space=space).per_sample(pred, target).max() <= 2


@pytest.mark.parametrize(("name", "space"), PAIRS)
def test_refuses_shapes_that_would_be_broadcast(name: str, space: str) -> None:
    pred, target = sample(space)
    for wrong in (pred[:1], pred[..., None], pred[None]):
        with pytest.raises(ValueError, match=r"these are \["):
            losses.get(name, space=space)(wrong, target)


def test_refuses_a_column_against_a_row() -> None:
    with pytest.raises(ValueError, match=r"\[3, 1\] and \[3\].*broadcast"):
        losses.get("mse")(torch.zeros(3, 1), torch.zeros(3))


@pytest.mark.parametrize(
    ("name", "pred", "target", "says"),
    [
        ("bce", tensor([0.5, 0.5]), tensor([0.0, 2.0]), "Target 1, 2.0, lies outside"),
        ("bce_with_logits", tensor([0.5]), tensor([-1.0]), "outside"),
        ("bce", tensor([0.5]), tensor([1]), "floating point"),
        ("cross_entropy", torch.zeros(2, 3), tensor([0, 3]), "Target 1, 3, is no class index below 3"),
        ("cross_entropy", torch.zeros(2, 3), tensor([0, -1]), "no class index"),
        ("cross_entropy", torch.zeros(1, 2), tensor([[0.5, 0.6]]), "no distribution"),
        ("cross_entropy", torch.zeros(1, 2), tensor([0], dtype=torch.int32), "int64"),
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
    for task, name in itertools.product(config.names("task"), losses.names()):
        assert (name in losses.names(task)) == (config.space(task, name) is not None)


def test_no_index_is_let_through_after_the_first_call() -> None:
    loss = losses.get("cross_entropy")
    loss(torch.zeros(2, 3), tensor([0, 1]))
    with pytest.raises(IndexError, match="out of bounds"):
        loss(torch.zeros(2, 3), tensor([0, -100]))


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
