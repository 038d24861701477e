"""Every loss in every precision: what the true value and gradient are, wherever they fit into the dtype."""

import math

import pytest
import torch
from torch import Tensor, tensor

from losslab import losses
from losslab.schema import cards
from losslab.schema.space_words import of_kind
from support.examples import made, sample

HALVES = [torch.float16, torch.bfloat16]
PLAIN = [name for name in losses.names() if "terms" not in cards.card("loss", name).values]
PAIRS = [(name, space) for name in PLAIN for space in cards.card("loss", name).about["reads"]]
# jumps in the weight at the edge of a bin, and in the gradient where two errors change places; one far sample in the loss of all
LEFT_OUT = {"ghm", "lovasz", "two_way"}
each_pair = pytest.mark.parametrize(("name", "space"), PAIRS)
each_half = pytest.mark.parametrize("dtype", HALVES)


@each_half
@each_pair
def test_half_precision_is_single_precision_rounded_once(name: str, space: str, dtype: torch.dtype) -> None:
    def found(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        pred = pred.clone().requires_grad_()
        loss = made(name, space)
        loss.checks_values = False  # rounded to half precision, shares of classes are no longer 1 in sum
        each = loss.per_sample(pred, target)
        return each.detach(), torch.autograd.grad(each.sum(), pred)[0]

    pred, target = sample(space, n=20)
    half = target.to(dtype) if target.is_floating_point() else target
    value, gradient = found(pred.to(dtype), half)
    assert value.dtype == gradient.dtype == dtype
    single = half.float() if target.is_floating_point() else target
    expected, slope = found(pred.to(dtype).float(), single)
    torch.testing.assert_close(value, expected.to(dtype), rtol=0, atol=0)
    torch.testing.assert_close(gradient, slope.to(dtype), rtol=0, atol=0)


@each_half
@each_pair
def test_mixed_precision_gives_what_the_prediction_has(name: str, space: str, dtype: torch.dtype) -> None:
    """Under autocast a model gives half precision, and the targets are in single."""
    pred, target = sample(space, dtype=torch.float32)
    loss = made(name, space)
    assert loss(pred.to(dtype), target).dtype == loss.per_sample(pred.to(dtype), target).dtype == dtype


@each_half
def test_a_mean_that_fits_is_finite_though_one_sample_is_not(dtype: torch.dtype) -> None:
    far = torch.zeros(100, dtype=dtype)
    far[0] = 300.0 if dtype == torch.float16 else 2e19  # 300^2 is above 65504, (2e19)^2 above 3.4e38
    pred = far.clone().requires_grad_()
    mean = losses.get("mse")(pred, torch.zeros_like(far))
    mean.backward()
    expected = far.double().square().mean()
    if dtype == torch.float16:
        assert mean.item() == pytest.approx(expected.item(), rel=1e-3)
    assert pred.grad[0].item() == pytest.approx(0.02 * far[0].item(), rel=1e-2)


@pytest.mark.parametrize(("name", "counts"), [("logit_adjusted", [6e4, 6e3]), ("logit_adjusted", [3e6, 6e3])])
@each_half
def test_counts_beyond_half_precision(name: str, counts: list[float], dtype: torch.dtype) -> None:
    pred = tensor([[0.5, 1.0], [-1.0, 2.0]], dtype=dtype)
    found = losses.get(name, counts=counts).per_sample(pred, tensor([0, 1]))
    expected = losses.get(name, counts=counts).per_sample(pred.double(), tensor([0, 1]))
    torch.testing.assert_close(found, expected.to(dtype))


# ---- wherever the true value fits, the loss gives it

SIZES = [0.0, 1e-30, 1e-12, 1e-6, 1e-3, 0.13, 0.57, 1.3, 2.7, 5.6, 11.5, 16.7, 88.0, 89.0, 256.0, 300.0]
SIZES += [1e3, 1e4, 6e4, 1e6, 1e9, 1e12, 1e15, 1e18, 2e19, 1e25, 1e30, 1e37]
LOG_SCALES = [-89.0, -60.0, -45.0, -20.0, -5.0, -1.0, 0.0, 1.0, 5.0, 20.0, 45.0, 89.0]
BOXES = [
    *(
        [0.4, 0.4, 0.6, 0.6],
        [0.0, 0.0, 1e-4, 1e-4],
        [0.45, 0.45, 0.55, 0.55],
        [0.3, 0.3, 0.5, 0.5],
        [0.61, 0.4, 0.8, 0.6],
    ),
    *([0.5, 0.2, 0.5, 0.8], [0.6, 0.62, 0.4, 0.41], [-1e3, -1e3, 1e3, 1e3], [0.0, 0.0, 640.0, 480.0]),
]


def far_and_wide(space: str) -> tuple[Tensor, Tensor]:
    """Predictions over all magnitudes with targets of each kind, in float64."""
    both = tensor([*SIZES, *(-size for size in SIZES[1:])], dtype=torch.float64)
    if space == "class_logits":
        rows = torch.stack([both, torch.zeros_like(both), -both / 2, both / 3], 1)
        near = torch.stack([both, both + 1.2, both - 3.1, torch.zeros_like(both)], 1)
        every = torch.cat([rows, near])
        return every.repeat(4, 1), torch.arange(4).repeat_interleave(len(every))
    if space == "class_probs":
        shares = tensor([0.0, 1e-12, 1e-3, 0.13, 0.25, 0.75], dtype=torch.float64)
        rows = torch.stack([shares, 1 - shares, torch.zeros_like(shares)], 1)
        return rows.repeat(2, 1), torch.eye(3, dtype=torch.float64)[:2].repeat_interleave(len(rows), 0)
    if space == "binary_logit":
        return both.repeat(3), tensor([0.0, 1.0, 0.25], dtype=torch.float64).repeat_interleave(len(both))
    if space == "binary_prob":
        shares = tensor([0.0, 1e-12, 1e-6, 1e-3, 0.13, 0.57, 0.9, 0.999, 1.0], dtype=torch.float64)
        return shares.repeat(2), tensor([0.0, 1.0], dtype=torch.float64).repeat_interleave(len(shares))
    if space == "values":
        return both[:, None], torch.zeros(len(both), 1, dtype=torch.float64)
    if space == "values_and_scale":
        both = both[both.abs() <= 1e30]  # beyond, the slope of the scale has no room on the way
        pairs = torch.cartesian_prod(both, tensor(LOG_SCALES, dtype=torch.float64))
        return pairs[:, None], torch.zeros(len(pairs), 1, dtype=torch.float64)
    if space in ("rate", "log_rate"):
        counts = tensor([0.0, 1.0, 3.0, 100.0, 6e4, 1e6], dtype=torch.float64)
        logs = [-100.0, -50.0, -10.0, -1.0, 0.0, 1.0, 10.0, 50.0, 80.0]
        pairs = torch.cartesian_prod(
            tensor(logs, dtype=torch.float64) if space == "log_rate" else both[both >= 0], counts
        )
        return pairs[:, :1], pairs[:, 1:]
    if space == "quantiles":
        return both[:, None, None].expand(-1, 1, 5), torch.zeros(len(both), 1, dtype=torch.float64)
    if space in of_kind("ordered classes"):
        rows = torch.stack([both, torch.zeros_like(both), -both / 2], 1)
        return rows.repeat(4, 1), torch.arange(4).repeat_interleave(len(rows))
    if space in ("label_logits", "mask_logits"):
        rows = torch.stack([both, torch.zeros_like(both), -both / 2, both / 3], 1)
        target = tensor([[1, 0, 0, 1], [0, 0, 1, 0]], dtype=torch.float64).repeat_interleave(len(rows), 0)
        rows = rows.repeat(2, 1)
        return (rows, target) if space == "label_logits" else (rows.reshape(-1, 2, 2), target.reshape(-1, 2, 2))
    assert space == "boxes"
    targets = tensor([[0.4, 0.4, 0.6, 0.6], [12.0, 22.0, 310.0, 390.0]], dtype=torch.float64)
    return tensor(BOXES, dtype=torch.float64).repeat(2, 1), targets.repeat_interleave(len(BOXES), 0)


def of_each(name: str, space: str, pred: Tensor, target: Tensor, **params: object) -> tuple[Tensor, Tensor]:
    loss = made(name, space, **params).to(pred.dtype).eval()
    loss.checks_values = False
    pred = pred.clone().requires_grad_()
    value = loss.per_sample(pred, target)
    return value.detach().double(), torch.autograd.grad(value.sum(), pred)[0].double()


@pytest.mark.filterwarnings("ignore:.*outside")  # boxes in pixels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("name", "space"), [pair for pair in PAIRS if pair[0] not in LEFT_OUT])
def test_what_fits_is_given_to_the_precision_of_its_type(name: str, space: str, dtype: torch.dtype) -> None:
    """Held to the same loss of the same rounded numbers in float64; a factor of 16 to the largest number is left for the way."""
    pred, target = far_and_wide(space)
    pred, target = pred.to(dtype), target.to(dtype) if target.is_floating_point() else target
    rows = torch.isfinite(pred).flatten(1).all(1) if pred.ndim > 1 else torch.isfinite(pred)
    pred, target = pred[rows], target[rows]
    limits = torch.finfo(dtype)
    value, slope = of_each(name, space, pred, target)
    true, true_slope = of_each(name, space, pred.double(), target.double() if target.is_floating_point() else target)
    each = torch.cat([value[:, None], slope.reshape(len(value), -1)], 1)
    expected = torch.cat([true[:, None], true_slope.reshape(len(value), -1)], 1)
    fits = (expected.abs() < limits.max / 16).all(1)
    assert fits.float().mean() > 0.3
    allowed = (
        2 * limits.eps * expected.abs() + 3e-5 * expected.abs().clamp(min=1) + (6e-8 if dtype == torch.float16 else 0)
    )
    wrong = fits & ~((each - expected).abs() <= allowed).all(1)
    first = int(wrong.nonzero()[0]) if wrong.any() else 0
    assert not wrong.any(), (
        f"{int(wrong.sum())} of {len(wrong)}: {pred[first]}, {target[first]}: {each[first]} for {expected[first]}"
    )


NAMED = [  # loss, space, hyperparameters, dtype, pred, target, value, gradient
    ("log_cosh", "values", {}, "float16", [10.0], [0.0], 9.307, [1.0]),
    ("log_cosh", "values", {}, "float16", [-5.625], [0.0], 4.932, [-1.0]),
    ("exponential", "binary_logit", {}, "float16", 11.5, 1.0, 1.013e-5, -1.013e-5),
    ("expectile", "values", {"tau": 0.25}, "float16", [256.0], [0.0], 49152.0, [384.0]),
    ("square", "class_logits", {}, "float16", [250.0, 0.0, 0.0, 0.0], 0, 15500.25, [124.5, 0.0, 0.0, 0.0]),
    ("square", "class_logits", {}, "float32", [1.0, 0.0, 0.0, 2e19], 0, 1e38, [0.0, 0.0, 0.0, 1e19]),
    ("gaussian_nll", "values_and_scale", {}, "float32", [[0.0, -89.0]], [0.0], -89.0, [[0.0, 1.0]]),
    ("beta_nll", "values_and_scale", {}, "float32", [[0.0, -89.0]], [0.0], 0.0, [[0.0, 0.0]]),
    ("laplace_nll", "values_and_scale", {}, "float32", [[0.0, -89.0]], [0.0], -89.0, [[0.0, 1.0]]),
    ("student_t_nll", "values_and_scale", {}, "float32", [[0.0, -89.0]], [0.0], -89.0, [[0.0, 1.0]]),
    ("student_t_nll", "values_and_scale", {"df": 4.0}, "float16", [[300.0, 0.0]], [0.0], 25.05, [[0.01667, -4.0]]),
    ("student_t_nll", "values_and_scale", {"df": 4.0}, "float32", [[1.0, -45.0]], [0.0], 176.534, [[5.0, -4.0]]),
    ("cauchy", "values", {"c": 1.0}, "float16", [300.0], [0.0], 5.7038, [0.003333]),
    ("geman_mcclure", "values", {"c": 1.0}, "float16", [300.0], [0.0], 0.5, [0.0]),
    ("barron", "values", {"alpha": 0.0, "c": 1.0}, "float16", [300.0], [0.0], math.log1p(45000), [0.00667]),
    ("multi_margin", "class_logits", {}, "bfloat16", [1.0, 0.5, 2.0, -3.0], 0, 0.625, [-0.5, 0.25, 0.25, 0.0]),
    ("logit_adjusted", "class_logits", {"counts": [6e4, 6e3]}, "float16", [0.5, 1.0], 1, 1.9552, [0.8585, -0.8585]),
]


@pytest.mark.parametrize(("name", "space", "params", "dtype", "pred", "target", "value", "slope"), NAMED)
def test_values_that_were_none(
    name: str, space: str, params: dict, dtype: str, pred: object, target: object, value: float, slope: object
) -> None:
    kind = getattr(torch, dtype)
    given = tensor([target]) if isinstance(target, int) else tensor([target], dtype=kind)
    found, gradient = of_each(name, space, tensor([pred], dtype=kind), given, **params)
    tolerance = 1e-4 if dtype == "float32" else 0.005
    assert found.item() == pytest.approx(value, rel=tolerance, abs=1e-6)
    torch.testing.assert_close(gradient, tensor([slope], dtype=torch.float64), rtol=2 * tolerance, atol=1e-5)
