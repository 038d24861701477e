"""Every loss in every precision: what the true value and gradient are, wherever they fit into the dtype."""

import pytest
import torch
from torch import Tensor, tensor

from examples import made, sample
from losslab import config, losses

HALVES = [torch.float16, torch.bfloat16]
PLAIN = [name for name in losses.names() if "terms" not in config.card("loss", name).values]
PAIRS = [(name, space) for name in PLAIN for space in config.card("loss", name).about["reads"]]
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
