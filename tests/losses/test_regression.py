"""Losses on errors, on a value with its scale, and on counts: against independent formulas, their neighbours and their aims."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import integrate, special, stats
from sklearn.metrics import mean_tweedie_deviance
from torch import Tensor, tensor

from losslab import losses
from losslab.losses.adaptive import log_partition
from losslab.losses.robust import general
from losslab.schema import cards
from support.examples import sample

ERRORS = [-60.0, -9.0, -6.0, -3.7, -2.0, -1.0, -0.3, 0.0, 1e-3, 0.5, 1.0, 1.5, 2.5, 4.0, 7.0, 12.0, 200.0]


def loss_of(name: str, error: Tensor, **params: Any) -> Tensor:
    """The loss of each error e = pred - target, of one output."""
    return losses.get(name, **params).per_sample(error, torch.zeros_like(error))


def pull(name: str, error: Tensor, **params: Any) -> Tensor:
    """The derivative of the loss at each error."""
    error = error.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss_of(name, error, **params).sum(), error)
    return found


def hampel_norm(e: float, a: float, b: float, c: float) -> float:
    """Hampel's norm by its four pieces, as statsmodels' documentation of robust.norms.Hampel states them."""
    x = abs(e)
    if x <= a:
        return x**2 / 2
    if x <= b:
        return a * x - a**2 / 2
    if x <= c:
        return a * b - a**2 / 2 + a * (c - b) / 2 * (1 - ((c - x) / (c - b)) ** 2)
    return a * (b - a + c) / 2


# Each written from its published formula, one error at a time.
FORMULAS: list[tuple[str, dict[str, float], Callable[[float], float]]] = [
    ("log_cosh", {"scale": 1.0}, lambda e: float(np.logaddexp(e, -e)) - math.log(2)),
    ("log_cosh", {"scale": 0.4}, lambda e: 0.16 * (float(np.logaddexp(e / 0.4, -e / 0.4)) - math.log(2))),
    ("charbonnier", {"c": 1.7}, lambda e: float(special.pseudo_huber(1.7, e))),
    ("huber", {"delta": 1.3}, lambda e: float(special.huber(1.3, e))),
    ("quantile", {"tau": 0.9}, lambda e: 0.9 * -e if e < 0 else 0.1 * e),  # e < 0 is predicted too low
    ("expectile", {"tau": 0.9}, lambda e: (0.9 if e < 0 else 0.1) * e**2),
    (
        "smooth_quantile",
        {"tau": 0.2, "kappa": 0.7},
        lambda e: (0.2 if e < 0 else 0.8) * float(special.huber(0.7, e)) / 0.7,
    ),
    ("epsilon_insensitive", {"epsilon": 0.4}, lambda e: max(0.0, abs(e) - 0.4)),
    ("squared_epsilon_insensitive", {"epsilon": 0.4}, lambda e: max(0.0, abs(e) - 0.4) ** 2),
    # scipy.optimize.least_squares states rho(z) of z = (e / f_scale)^2 for cauchy: log(1 + z), half of which it adds up
    ("cauchy", {"c": 2.3}, lambda e: 2.3**2 * math.log(1 + (e / 2.3) ** 2) / 2),
    ("geman_mcclure", {"c": 2.3}, lambda e: e**2 / 2 / (1 + (e / 2.3) ** 2)),
    ("welsch", {"c": 2.3}, lambda e: 2.3**2 / 2 * (1 - math.exp(-((e / 2.3) ** 2)))),
    ("tukey", {"c": 4.685}, lambda e: 4.685**2 / 6 * (1 - max(0.0, 1 - (e / 4.685) ** 2) ** 3)),
    ("hampel", {"a": 2.0, "b": 4.0, "c": 8.0}, lambda e: hampel_norm(e, 2, 4, 8)),
    ("andrews_wave", {"c": 1.4}, lambda e: 1.96 * (1 - math.cos(min(abs(e) / 1.4, math.pi)))),
    ("ramsay", {"a": 0.3}, lambda e: (1 - (1 + 0.3 * abs(e)) * math.exp(-0.3 * abs(e))) / 0.09),
    ("barron", {"alpha": 1.5, "c": 2.0}, lambda e: 4 * (0.5 / 1.5) * (((e / 2) ** 2 / 0.5 + 1) ** 0.75 - 1)),
    ("barron", {"alpha": -3.0, "c": 0.5}, lambda e: 0.25 * (5 / -3) * (((e / 0.5) ** 2 / 5 + 1) ** -1.5 - 1)),
]


@pytest.mark.parametrize(("name", "params", "formula"), FORMULAS)
def test_equals_its_published_formula(name: str, params: dict, formula: Callable[[float], float]) -> None:
    expected = tensor([formula(e) for e in ERRORS], dtype=torch.float64)
    torch.testing.assert_close(loss_of(name, tensor(ERRORS, dtype=torch.float64), **params), expected)


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [  # psi at an error of 3, by hand
        ("cauchy", {"c": 3.0}, 1.5),  # 3 / (1 + 1)
        ("geman_mcclure", {"c": 3.0}, 0.75),  # 3 / (1 + 1)^2
        ("welsch", {"c": 3.0}, 3 / math.e),
        ("tukey", {"c": 5.0}, 3 * 0.64**2),
        ("hampel", {"a": 1.0, "b": 2.0, "c": 4.0}, 0.5),  # halfway down
        ("andrews_wave", {"c": 6 / math.pi}, 6 / math.pi),  # at the top of the arch
        ("andrews_wave", {"c": 3 / (2 * math.pi)}, 0.0),
        ("ramsay", {"a": 1 / 3}, 3 / math.e),
        ("charbonnier", {"c": 4.0}, 2.4),  # 3 / sqrt(1 + 9 / 16)
        ("log_cosh", {"scale": 2.0}, 2 * math.tanh(1.5)),
        ("barron", {"alpha": 1.5, "c": 1.0}, 3 * 19**-0.25),  # 3 (9 / 0.5 + 1)^(1.5 / 2 - 1)
    ],
)
def test_pull_worked_by_hand(name: str, params: dict, expected: float) -> None:
    found = pull(name, tensor([3.0, -3.0], dtype=torch.float64), **params)
    torch.testing.assert_close(found, tensor([expected, -expected], dtype=torch.float64))


# --- How good each is where least squares is best


NORMAL = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
WEIGHT = torch.exp(-NORMAL.square() / 2) / math.sqrt(2 * math.pi) * (NORMAL[1] - NORMAL[0])


def efficiency(psi: Tensor) -> float:
    """(E psi')^2 / E psi^2 at the standard normal, where E psi' = E x psi by Stein's identity."""
    return float((psi * NORMAL * WEIGHT).sum().square() / (psi.square() * WEIGHT).sum())


ROBUST = [
    *("huber", "smoothl1", "log_cosh", "charbonnier", "cauchy", "geman_mcclure", "welsch", "tukey", "hampel"),
    *("andrews_wave", "ramsay"),
]


@pytest.mark.parametrize("name", ROBUST)
def test_efficient95_is_95_per_cent_efficient_under_normal_errors(name: str) -> None:
    words = dict.fromkeys(cards.card("loss", name).about["presets"], "efficient95")
    assert efficiency(pull(name, NORMAL, **words)) == pytest.approx(0.95, abs=1e-3)
    narrower = 1 / 0.7 if name == "ramsay" else 0.7  # its a is one over a scale
    assert (
        efficiency(pull(name, NORMAL, **{key: narrower * losses.get(name, **words).params[key] for key in words}))
        < 0.945
    )


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [  # by quadrature with other code than ours, for the notes on which the catalogue rests; l1 is 2 / pi
        ("l1", {}, 2 / math.pi),
        ("huber", {"delta": 1.0}, 0.9031),
        ("charbonnier", {"c": 1.0}, 0.9268),
        ("log_cosh", {"scale": 1.0}, 0.9305),
        ("cauchy", {"c": 1.0}, 0.7615),
        ("cauchy", {"c": math.sqrt(2)}, 0.8571),
        ("geman_mcclure", {"c": 1.0}, 0.4436),
        ("geman_mcclure", {"c": 2.0}, 0.7822),
        ("welsch", {"c": 1.0}, 0.4141),
        ("andrews_wave", {"c": 1.339}, 0.9500),
        ("ramsay", {"a": 0.3}, 0.9638),
        ("barron", {"alpha": 0.5, "c": 1.0}, 0.8882),
        ("barron", {"alpha": 1.5, "c": 1.0}, 0.9706),
    ],
)
def test_efficiency_under_normal_errors(name: str, params: dict, expected: float) -> None:
    assert efficiency(pull(name, NORMAL, **params)) == pytest.approx(expected, abs=1e-4)


def t_pulls(df: float, log_scale: float) -> tuple[Tensor, Tensor]:
    """What student_t_nll pulls on the value and on the log of the scale, over the standard normal."""
    pred = torch.stack([NORMAL, torch.full_like(NORMAL, log_scale)], -1).requires_grad_()
    loss = losses.get("student_t_nll", df=df).per_sample(pred, torch.zeros_like(NORMAL))
    return torch.autograd.grad(loss.sum(), pred)[0].unbind(-1)


def test_student_t_is_95_per_cent_efficient_once_it_has_learned_the_scale() -> None:
    df = losses.get("student_t_nll", df="efficient95").params["df"]
    low, high = -3.0, 3.0
    for _ in range(50):  # the scale on which it settles: where the mean pull on it is 0
        middle = (low + high) / 2
        below = (t_pulls(df, middle)[1] * WEIGHT).sum() < 0
        low, high = (middle, high) if below else (low, middle)
    assert efficiency(t_pulls(df, middle)[0]) == pytest.approx(0.95, abs=1e-3)
    assert efficiency(t_pulls(4.0, math.log(1.1925))[0]) == pytest.approx(0.95, abs=1e-3)  # at a fixed scale


# --- Near zero, far away, and in between


@pytest.mark.parametrize("name", [*(name for name in ROBUST if name != "ramsay"), "barron"])
@pytest.mark.parametrize("size", [1e-6, 1e-4, 1e-3])
def test_a_small_error_keeps_its_digits_in_float32(name: str, size: float) -> None:
    error = tensor([size, -size], requires_grad=True)
    each = loss_of(name, error)
    (gradient,) = torch.autograd.grad(each.sum(), error)
    unit = losses.get(name).params.get("beta", 1.0)  # only smoothl1 divides
    torch.testing.assert_close(each, error.detach().square() / 2 / unit, rtol=2e-6, atol=0)
    torch.testing.assert_close(gradient, error.detach() / unit, rtol=2e-6, atol=0)


def test_the_pull_of_a_small_error_keeps_its_digits_in_a_stack() -> None:
    error = tensor([1e-4, -1e-4])
    for name, key in (("huber", "delta"), ("smoothl1", "beta"), ("log_cosh", "scale"), ("charbonnier", "c")):
        function, scales = losses.LOSSES[name], tensor([1.0, 2.0])
        gradient = torch.func.grad(lambda e, s, f=function, k=key: f(e, torch.zeros_like(e), **{k: s}).sum())
        found = torch.func.vmap(gradient, in_dims=(None, 0))(error, scales)
        expected = error / (scales if name == "smoothl1" else torch.ones(2))[:, None]
        torch.testing.assert_close(found, expected, rtol=2e-6, atol=0)


@pytest.mark.parametrize("alpha", [-1e6, -2.0, -1e-4, 0.0, 1e-6, 1e-3, 0.5, 1.0, 1.999, 2 - 1e-6, 2.0])
def test_barron_keeps_the_digits_of_a_small_error_at_every_alpha(alpha: float) -> None:
    for error in (tensor([1e-4]), tensor([1e-4], dtype=torch.float64)):
        torch.testing.assert_close(loss_of("barron", error, alpha=alpha), error.square() / 2, rtol=1e-5, atol=0)


@pytest.mark.parametrize("c", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", ["charbonnier", "cauchy", "geman_mcclure", "welsch", "tukey", "andrews_wave"])
def test_a_wide_scale_gives_half_the_squared_error(name: str, c: float) -> None:
    error = c * torch.linspace(-1, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(loss_of(name, error, c=1e5 * c), error.square() / 2, rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("cauchy", {"c": 2.0}, 2 * math.log1p(2.5e59)),
        ("geman_mcclure", {"c": 2.0}, 2.0),
        ("welsch", {"c": 2.0}, 2.0),
        ("tukey", {"c": 3.0}, 1.5),
        ("andrews_wave", {"c": 3.0}, 18.0),
        ("ramsay", {"a": 0.5}, 4.0),
        ("hampel", {"a": 1.0, "b": 2.0, "c": 4.0}, 2.5),
        ("charbonnier", {"c": 2.0}, 2e30),
        ("log_cosh", {"scale": 2.0}, 2e30),
        ("barron", {"alpha": 1.0, "c": 2.0}, 2e30),
        ("barron", {"alpha": 0.0, "c": 2.0}, 4 * math.log1p(0.125e60)),
        ("barron", {"alpha": -2.0, "c": 2.0}, 8.0),
        ("barron", {"alpha": -1e6, "c": 2.0}, 4.0),
    ],
)
def test_an_error_of_1e30_costs_what_it_should_in_float32(name: str, params: dict, expected: float) -> None:
    far = tensor([1e30, -1e30])
    torch.testing.assert_close(loss_of(name, far, **params), tensor([expected, expected]), rtol=2e-5, atol=0)
    assert torch.isfinite(pull(name, far, **params)).all()


def test_ramsay_keeps_the_digits_of_a_small_error_in_float32() -> None:
    for size in (1e-6, 1e-3, 0.1):
        found = loss_of("ramsay", tensor([size]))
        series = size**2 * (1 / 2 - 0.3 * size / 3 + (0.3 * size) ** 2 / 8 - (0.3 * size) ** 3 / 30)
        torch.testing.assert_close(found, tensor([series]), rtol=2e-6, atol=0)


@pytest.mark.parametrize("name", ["geman_mcclure", "welsch", "cauchy"])
def test_the_pull_fades_in_float32_as_in_float64(name: str) -> None:
    far = torch.logspace(0.5, 5, 200)
    torch.testing.assert_close(pull(name, far), pull(name, far.double()).float(), rtol=1e-5, atol=2e-6)


def test_the_pull_at_a_seam_is_that_on_both_sides() -> None:
    for size in (2.0, 4.0):
        assert pull("hampel", tensor([size, -size])).tolist() == [2.0, -2.0]
    assert pull("hampel", tensor([8.0])).item() == 0
    for scale in (1.0, tensor(1.0)):
        error = tensor([1.0, -1.0], requires_grad=True)
        losses.LOSSES["huber"](error, torch.zeros(2), delta=scale).sum().backward()
        assert error.grad.tolist() == [1.0, -1.0]


def test_no_pull_at_all_beyond_c_and_within_epsilon() -> None:
    beyond = tensor([4.69, 8.01, 1e3, 1e30, -4.69, -9.0])
    assert (pull("tukey", beyond) == 0).all()
    assert (pull("andrews_wave", beyond, c=4.6 / math.pi) == 0).all()
    assert (pull("andrews_wave", tensor([4.5, -4.5]), c=4.6 / math.pi) != 0).all()
    assert (pull("hampel", beyond[1:4]) == 0).all()
    assert (pull("tukey", tensor([4.6, -4.6])) != 0).all()
    assert (pull("hampel", tensor([7.9, -7.9])) != 0).all()
    within = tensor([0.0, 0.09, -0.09])
    for name in ("epsilon_insensitive", "squared_epsilon_insensitive"):
        assert (pull(name, within) == 0).all()
        assert (pull(name, 2 * within[1:]) != 0).all()


@pytest.mark.parametrize("name", [*ROBUST, "barron", "expectile", "smooth_quantile", "quantile", "l1"])
def test_no_pull_at_zero(name: str) -> None:
    assert (pull(name, torch.zeros(3)) == 0).all()


def test_hampel_with_corners_out_of_order() -> None:
    error = tensor(ERRORS, dtype=torch.float64)
    torch.testing.assert_close(
        loss_of("hampel", error, a=2.0, b=1.0, c=8.0), loss_of("hampel", error, a=2.0, b=2.0, c=8.0)
    )
    skipped = torch.where(error.abs() < 4, loss_of("huber", error, delta=2.0), 6.0)
    torch.testing.assert_close(loss_of("hampel", error, a=2.0, b=4.0, c=1.0), skipped)
    assert torch.isfinite(pull("hampel", error, a=2.0, b=4.0, c=4.0)).all()


# --- Kin


SAMPLE = sample("values", n=50)


def each(name: str, **params: Any) -> Tensor:
    pred, target = SAMPLE
    return losses.get(name, **params).per_sample(5 * pred, 5 * target)


@pytest.mark.parametrize("size", [0.1, 1.0, 3.0])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda s: each("huber", delta=s), lambda s: s * each("smoothl1", beta=s)),
        (lambda s: each("barron", alpha=2.0, c=s), lambda s: each("mse") / 2),
        (lambda s: each("barron", alpha=1.0, c=s), lambda s: each("charbonnier", c=s)),
        (lambda s: each("barron", alpha=0.0, c=s), lambda s: each("cauchy", c=math.sqrt(2) * s)),
        (lambda s: each("barron", alpha=-2.0, c=s), lambda s: each("geman_mcclure", c=2 * s)),
        (lambda s: each("smooth_quantile", tau=0.5, kappa=s), lambda s: each("smoothl1", beta=s) / 2),
        (lambda s: each("hampel", a=s, b=1e3, c=2e3), lambda s: each("huber", delta=s)),
        (lambda s: each("quantile", tau=0.5), lambda s: each("l1") / 2),
        (lambda s: each("expectile", tau=0.5), lambda s: each("mse") / 2),
        (lambda s: each("epsilon_insensitive", epsilon=0.0), lambda s: each("l1")),
        (lambda s: each("squared_epsilon_insensitive", epsilon=0.0), lambda s: each("mse")),
        (lambda s: each("trimmed", trim=0.0), lambda s: each("mse")),
    ],
)
def test_is_the_same_as_its_neighbour(one, other, size: float) -> None:
    torch.testing.assert_close(one(size), other(size))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: each("barron", alpha=-1e6, c=1.0), lambda: each("welsch", c=math.sqrt(2))),
        (lambda: each("smooth_quantile", tau=0.3, kappa=1e-7), lambda: each("quantile", tau=0.3)),
        (lambda: each("log_cosh", scale=1e-7) / 1e-7, lambda: each("l1")),
        (lambda: each("charbonnier", c=1e-7) / 1e-7, lambda: each("l1")),
        (lambda: each("log_cosh", scale=1e4), lambda: each("mse") / 2),
    ],
)
def test_tends_to_its_neighbour(one, other) -> None:
    torch.testing.assert_close(one(), other(), rtol=1e-5, atol=1e-5)


def test_predicting_too_low_costs_tau_a_unit() -> None:
    low, high = loss_of("quantile", tensor([-1.0, 1.0]), tau=0.9)
    assert (low.item(), high.item()) == pytest.approx((0.9, 0.1))


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.8])
def test_quantile_and_expectile_mirror(tau: float) -> None:
    pred, target = SAMPLE
    for name in ("quantile", "expectile", "smooth_quantile"):
        mirrored = losses.get(name, tau=1 - tau)(-pred, -target)
        torch.testing.assert_close(losses.get(name, tau=tau)(pred, target), mirrored)


@pytest.mark.parametrize(
    ("name", "value", "params"), [("huber", 0.7, "delta"), ("huber", 1.345, "delta"), ("smoothl1", 0.7, "beta")]
)
def test_a_tensor_gives_what_a_number_gives(name: str, value: float, params: str) -> None:
    """torch's own serves a number, ours a stack of runs: one value, one gradient."""
    oracle = {"huber": F.huber_loss, "smoothl1": F.smooth_l1_loss}[name]
    function = losses.LOSSES[name]
    error = torch.linspace(-3, 3, 601, dtype=torch.float64)
    for given in (value, tensor(value, dtype=torch.float64)):
        ours, theirs = error.clone().requires_grad_(), error.clone().requires_grad_()
        found = function(ours, torch.zeros_like(error), **{params: given})
        expected = oracle(theirs, torch.zeros_like(error), reduction="none", **{params: value})
        torch.testing.assert_close(found, expected)
        found.sum().backward()
        expected.sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad)


# --- Barron's family


def test_barron_by_way_of_alpha_meets_no_seam() -> None:
    """At and beside 0 and 2, against the quadrature of its derivative, which needs no limit there."""
    for alpha in (-1e-3, -1e-7, -1e-12, 0.0, 1e-15, 1e-9, 1e-4, 1.9, 1.9999, 2 - 1e-9, 2 - 1e-14, 2.0):
        for e in (1e-3, 0.5, 3.0, 50.0):
            width = max(2 - alpha, 1e-300)
            # psi(e) = e (1 + e^2 / |alpha - 2|)^(alpha / 2 - 1)

            def psi(x: float, alpha: float = alpha, width: float = width) -> float:
                return x * math.exp((alpha / 2 - 1) * math.log1p(x * x / width))

            expected = integrate.quad(psi, 0, e, epsabs=0, epsrel=1e-12, points=[e / 100])[0]
            found = float(loss_of("barron", tensor([e], dtype=torch.float64), alpha=alpha, c=1.0))
            assert found == pytest.approx(expected, rel=1e-9)
            single = float(loss_of("barron", tensor([e]), alpha=alpha, c=1.0))
            assert single == pytest.approx(expected, rel=2e-5)


def test_barron_takes_a_different_alpha_for_each_run() -> None:
    alphas = tensor([-1e6, -2.0, 0.0, 1e-8, 1.0, 2.0])
    error = torch.linspace(-20, 20, 101)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):

        def one(alpha: Tensor, error: Tensor) -> Tensor:
            return losses.LOSSES["barron"](error, torch.zeros_like(error), alpha=alpha, c=1.5)

        given = error.to(dtype)
        values = torch.func.vmap(one, in_dims=(0, None))(alphas.to(dtype), given)
        expected = torch.stack([one(float(alpha), given) for alpha in alphas])
        torch.testing.assert_close(values, expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("alpha", [1.9, 1.999, 2 - 1e-6, 2.0])
def test_barron_does_not_overflow_before_the_squared_error(alpha: float) -> None:
    far = tensor([1e18], requires_grad=True)
    value = loss_of("barron", far, alpha=alpha)
    (gradient,) = torch.autograd.grad(value.sum(), far)
    assert 1e33 < value.item() <= 0.5001e36
    assert 0 < gradient.item() <= 1.0001e18


def test_general_has_the_derivative_in_alpha() -> None:
    """For a shape that is learned."""
    size = torch.linspace(0, 30, 31, dtype=torch.float64)
    for alpha in (0.01, 0.5, 1.0, 1.7, 1.99):
        shape = tensor(alpha, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda shape: general(size, shape), shape)


def partition(alpha: float) -> float:
    """The integral of exp(-rho(x, alpha)) by scipy, rho from Barron's formula."""

    def density(x: float) -> float:
        if alpha in (0, 2):
            return 1 / (1 + x * x / 2) if alpha == 0 else math.exp(-x * x / 2)
        width = 2 - alpha
        return math.exp(-(width / alpha) * ((x * x / width + 1) ** (alpha / 2) - 1))

    parts = [(0, 0.1), (0.1, 1), (1, 10), (10, 100), (100, math.inf)]
    return 2 * sum(integrate.quad(density, *part, epsabs=1e-13, epsrel=1e-12, limit=500)[0] for part in parts)


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.1, 0.5, 1.0, 1.3, 1.7, 1.95, 1.99, 2.0])
def test_partition_function_equals_a_quadrature_by_scipy(alpha: float) -> None:
    assert float(log_partition(tensor(alpha, dtype=torch.float64))) == pytest.approx(
        math.log(partition(alpha)), abs=1e-8
    )
    assert float(log_partition(tensor(alpha))) == pytest.approx(math.log(partition(alpha)), abs=1e-6)


def test_partition_function_where_it_is_known() -> None:
    found = log_partition(tensor(0.0, dtype=torch.float64))
    assert found.exp().item() == pytest.approx(math.pi * math.sqrt(2), rel=1e-12)
    assert log_partition(tensor(2.0, dtype=torch.float64)).exp().item() == pytest.approx(math.sqrt(2 * math.pi))
    # the integral of exp(1 - sqrt(1 + x^2)) is 2 e K_1(1)
    known = 2 * math.e * float(special.k1(1.0))
    assert log_partition(tensor(1.0, dtype=torch.float64)).exp().item() == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 1.5, 1.9])
def test_partition_function_has_its_derivative(alpha: float) -> None:
    shape = tensor(alpha, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(log_partition(shape), shape)
    near = [math.log(partition(alpha + step)) for step in (-1e-4, 1e-4)]
    assert found.item() == pytest.approx((near[1] - near[0]) / 2e-4, abs=1e-5)


def test_barron_adaptive_is_a_density_at_every_shape_and_scale() -> None:
    function = losses.LOSSES["barron_adaptive"]
    t = torch.linspace(-30, 30, 20001, dtype=torch.float64)
    x = t.sinh()
    for alpha_logit in (-3.0, 0.0, 3.0):
        for log_scale in (-2.0, 0.0, 1.5):
            state = {"alpha_logit": tensor(alpha_logit), "log_scale": tensor(log_scale)}
            nll = function(x, torch.zeros_like(x), **{key: value.double() for key, value in state.items()})
            mass = ((-nll).exp() * t.cosh()).sum() * (t[1] - t[0])
            assert mass.item() == pytest.approx(1, abs=1e-6)


def learned(errors: Tensor) -> tuple[float, float]:
    """alpha and scale that barron_adaptive finds for given errors."""
    loss = losses.get("barron_adaptive")
    fitter = torch.optim.LBFGS(loss.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        fitter.zero_grad()
        value = loss(errors, torch.zeros_like(errors))
        value.backward()
        return value

    for _ in range(5):
        fitter.step(closure)
    return 2 * loss.alpha_logit.sigmoid().item(), loss.log_scale.exp().item()


def test_barron_adaptive_learns_the_shape_and_scale_of_the_errors() -> None:
    levels = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    alpha, scale = learned(3 * torch.special.ndtri(levels))  # normal errors of spread 3
    assert alpha > 1.9
    assert scale == pytest.approx(3, rel=0.03)
    alpha, scale = learned(2 * (math.pi * (levels - 0.5)).tan())  # Cauchy errors of width 2
    assert alpha < 0.1
    assert scale == pytest.approx(math.sqrt(2), rel=0.05)


# --- Trimmed


def test_trimmed_is_the_mean_of_the_smallest() -> None:
    pred, target = sample("values", n=64)
    squares = (pred - target).square().mean(1)
    for trim, kept in ((0.0, 64), (0.1, 58), (0.25, 48), (0.5, 32)):
        found = losses.get("trimmed", trim=trim)
        torch.testing.assert_close(found(pred, target), squares.sort().values[:kept].mean())
        assert int((found.per_sample(pred, target) == 0).sum()) == 64 - kept


@pytest.mark.parametrize("trim", [0.1, 0.2, 0.29, 0.35, 0.5])
@pytest.mark.parametrize("count", [10, 20, 60, 100])
def test_trimmed_leaves_out_the_same_in_a_stack(trim: float, count: int) -> None:
    """A share that a stack holds in float32 must not lose a sample to rounding."""
    error = torch.arange(1.0, count + 1)
    alone = loss_of("trimmed", error, trim=trim)
    assert int((alone == 0).sum()) == round(trim * count * 1000) // 1000
    stacked = torch.func.vmap(lambda t: losses.LOSSES["trimmed"](error, torch.zeros_like(error), trim=t))(
        tensor([trim])
    )
    torch.testing.assert_close(stacked[0], alone)


def test_trimmed_leaves_out_no_more_than_it_says_among_equals() -> None:
    assert int((loss_of("trimmed", torch.ones(10), trim=0.2) == 0).sum()) == 2


def test_what_is_trimmed_does_not_pull() -> None:
    error = tensor([1.0, -2.0, 100.0, 3.0, -50.0])
    torch.testing.assert_close(pull("trimmed", error, trim=0.4), tensor([2.0, -4.0, 0.0, 6.0, 0.0]) * 5 / 3)


# --- What each aims at


SKEWED = tensor([0.0, 0.4, 0.7, 1.0, 1.9, 3.0, 3.1, 4.0, 7.0, 21.0, 30.0], dtype=torch.float64)


def aim(name: str, data: Tensor = SKEWED, **params: Any) -> float:
    """The constant that minimises the mean loss over the data, on a fine grid."""
    loss = losses.get(name, **params)
    grid = torch.linspace(-2, 32, 3401, dtype=torch.float64)
    return float(grid[torch.stack([loss(c.expand_as(data), data) for c in grid]).argmin()])


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.1, 0.25, 0.5, 0.7, 0.95])
def test_quantile_aims_at_the_quantile(tau: float) -> None:
    inverted = SKEWED.sort().values[math.ceil(tau * len(SKEWED)) - 1]  # the first below which a share tau lies
    assert aim("quantile", tau=tau) == pytest.approx(float(inverted), abs=0.011)


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.1, 0.5, 0.7, 0.95])
def test_expectile_aims_at_the_expectile(tau: float) -> None:
    assert aim("expectile", tau=tau) == pytest.approx(float(stats.expectile(SKEWED.numpy(), tau)), abs=0.011)


@pytest.mark.slow
def test_smooth_quantile_aims_between_the_quantile_and_the_expectile() -> None:
    quantile, expectile = aim("quantile", tau=0.8), aim("expectile", tau=0.8)
    found = [aim("smooth_quantile", tau=0.8, kappa=kappa) for kappa in (0.01, 3.0, 1e3)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(quantile, abs=0.02)
    assert found[2] == pytest.approx(expectile, abs=0.02)


@pytest.mark.slow
def test_what_the_others_aim_at() -> None:
    assert aim("mse") == pytest.approx(SKEWED.mean().item(), abs=0.011)
    assert aim("l1") == pytest.approx(SKEWED.median().item(), abs=0.011)
    assert aim("squared_epsilon_insensitive", epsilon=0.0) == pytest.approx(SKEWED.mean().item(), abs=0.011)
    counts = SKEWED.floor()
    loss = losses.get("msle")
    grid = torch.linspace(0, 10, 2001, dtype=torch.float64)
    best = grid[torch.stack([loss(c.expand_as(counts), counts) for c in grid]).argmin()]
    assert best.item() == pytest.approx(counts.log1p().mean().expm1().item(), abs=0.006)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cauchy", "geman_mcclure", "welsch", "tukey", "hampel", "trimmed", "andrews_wave"])
def test_one_outlier_in_ten_hardly_moves_what_a_robust_loss_aims_at(name: str) -> None:
    data = torch.cat([torch.linspace(-1, 1, 9, dtype=torch.float64), tensor([30.0], dtype=torch.float64)])
    assert abs(aim(name, data)) < 0.12
    assert aim("mse", data) > 2.9


def test_trimmed_aims_at_the_mean_of_its_best_half() -> None:
    data = tensor([0.0, 1.0, 2.0, 3.0, 30.0, 31.0, 20.0], dtype=torch.float64)
    assert aim("trimmed", data, trim=0.45) == pytest.approx(1.5, abs=0.011)  # of 0, 1, 2 and 3


# --- A value and its scale


def with_scale(n: int = 40) -> tuple[Tensor, Tensor]:
    return sample("values_and_scale", n=n)


def constant(name: str, oracle: Callable[[Tensor, Tensor, Tensor], Tensor], **params: Any) -> Tensor:
    """An oracle of (value, scale, target), less our loss: one output at a time."""
    pred, target = with_scale()
    ours = losses.get(name, **params).per_sample(pred, target)
    return oracle(pred[..., 0], pred[..., 1].exp(), target).mean(-1) - ours


@pytest.mark.parametrize(
    ("name", "params", "oracle", "left_out"),
    [
        (
            "gaussian_nll",
            {},
            lambda value, scale, t: F.gaussian_nll_loss(value, t, scale**2, full=False, reduction="none"),
            0.0,
        ),
        (
            "gaussian_nll",
            {},
            lambda value, scale, t: -torch.distributions.Normal(value, scale).log_prob(t),
            math.log(2 * math.pi) / 2,
        ),
        (
            "laplace_nll",
            {},
            lambda value, scale, t: -torch.distributions.Laplace(value, scale).log_prob(t),
            math.log(2),
        ),
        (
            "student_t_nll",
            {"df": 4.0},
            lambda value, scale, t: -torch.distributions.StudentT(4.0, value, scale).log_prob(t),
            float(-stats.t.logpdf(0, 4)),
        ),
        (
            "student_t_nll",
            {"df": 1.0},
            lambda value, scale, t: -torch.distributions.Cauchy(value, scale).log_prob(t),
            math.log(math.pi),
        ),
    ],
)
def test_equals_a_distribution_up_to_a_constant(name: str, params: dict, oracle, left_out: float) -> None:
    found = constant(name, oracle, **params)
    torch.testing.assert_close(found, torch.full_like(found, left_out))


def test_equals_gaussian_nll_of_torch_in_gradient() -> None:
    pred, target = with_scale()
    ours, theirs = pred.clone().requires_grad_(), pred.clone().requires_grad_()
    losses.get("gaussian_nll")(ours, target).backward()
    F.gaussian_nll_loss(theirs[..., 0], target, (2 * theirs[..., 1]).exp()).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_at_scale_one_the_likelihoods_are_the_losses_of_values() -> None:
    pred, target = with_scale()
    pred[..., 1] = 0
    value = pred[..., 0]
    torch.testing.assert_close(
        losses.get("gaussian_nll").per_sample(pred, target), losses.get("mse").per_sample(value, target) / 2
    )
    torch.testing.assert_close(
        losses.get("laplace_nll").per_sample(pred, target), losses.get("l1").per_sample(value, target)
    )
    torch.testing.assert_close(  # at 3 degrees of freedom (df + 1) / 2 log(1 + e^2 / df) is 4/3 of Cauchy's at sqrt(3)
        losses.get("student_t_nll", df=3.0).per_sample(pred, target),
        losses.get("cauchy", c=math.sqrt(3)).per_sample(value, target) * 4 / 3,
    )


def test_student_t_of_many_degrees_is_gaussian() -> None:
    pred, target = with_scale()
    found = losses.get("student_t_nll", df=1e9).per_sample(pred, target)
    torch.testing.assert_close(found, losses.get("gaussian_nll").per_sample(pred, target), rtol=1e-6, atol=1e-5)


def test_beta_nll_weighs_by_the_variance_and_holds_the_weight_fixed() -> None:
    pred, target = with_scale()
    gradients = {}
    for beta in (0.0, 0.5, 1.0):
        given = pred.clone().requires_grad_()
        losses.get("beta_nll", beta=beta)(given, target).backward()
        gradients[beta] = given.grad
    given = pred.clone().requires_grad_()
    losses.get("gaussian_nll")(given, target).backward()
    torch.testing.assert_close(gradients[0.0], given.grad)
    sigma = pred[..., 1:].exp()
    torch.testing.assert_close(gradients[0.5], given.grad * sigma)  # beta as in the paper: sigma^(2 beta)
    torch.testing.assert_close(gradients[1.0], given.grad * sigma**2)
    error = pred[..., 0] - target
    torch.testing.assert_close(gradients[1.0][..., 0], error / error.numel())  # that of mse / 2


@pytest.mark.parametrize("name", ["gaussian_nll", "beta_nll", "laplace_nll", "student_t_nll"])
@pytest.mark.parametrize("log_scale", [-12.0, 0.0, 12.0])
@pytest.mark.parametrize("error", [0.0, 1e-4, 1.0, -1e4, 1e4])
def test_float32_agrees_with_float64_at_every_scale(name: str, log_scale: float, error: float) -> None:
    loss, found = losses.get(name), {}
    for dtype in (torch.float64, torch.float32):
        pred = tensor([[[error, log_scale]]], dtype=dtype, requires_grad=True)
        value = loss(pred, torch.zeros(1, 1, dtype=dtype))
        value.backward()
        found[dtype] = torch.cat([value.detach()[None], pred.grad.flatten()]).double()
        assert torch.isfinite(found[dtype]).all()
    torch.testing.assert_close(found[torch.float32], found[torch.float64], rtol=1e-4, atol=1e-30)


def test_the_pull_of_student_t_on_the_value_fades_and_on_the_scale_is_bounded() -> None:
    value = torch.logspace(0, 8, 50, dtype=torch.float64)
    pred = torch.stack([value, torch.zeros_like(value)], -1).requires_grad_()
    losses.get("student_t_nll", df=4.0).per_sample(pred, torch.zeros_like(value)).sum().backward()
    on_value, on_scale = pred.grad.unbind(-1)
    assert on_value[-1] < 1e-6 * on_value[0]
    assert (on_scale >= -4 - 1e-9).all()  # -df, the limit
    assert on_scale[-1].item() == pytest.approx(-4)


@pytest.mark.parametrize(
    ("name", "value", "scale"),
    [
        ("gaussian_nll", SKEWED.mean().item(), SKEWED.std(correction=0).item()),
        ("laplace_nll", SKEWED.median().item(), (SKEWED - SKEWED.median()).abs().mean().item()),
    ],
)
def test_what_a_value_and_its_scale_aim_at(name: str, value: float, scale: float) -> None:
    def mean_loss(value: float, scale: float) -> float:
        pred = tensor([value, math.log(scale)], dtype=torch.float64).expand(len(SKEWED), 2)
        return losses.get(name)(pred, SKEWED).item()

    best = mean_loss(value, scale)
    for there in ((value + 0.1, scale), (value - 0.1, scale), (value, 1.02 * scale), (value, 0.98 * scale)):
        assert mean_loss(*there) > best


# --- Counts


def test_counts_by_hand() -> None:
    rate, counts = tensor([[0.0], [3.0], [7.0]]), tensor([[0.0], [0.0], [3.0]])
    found = losses.get("msle").per_sample(rate, counts)
    torch.testing.assert_close(found, tensor([0.0, math.log(4) ** 2, math.log(2) ** 2]))


def test_poisson_nll_equals_torch_and_scipy() -> None:
    pred, target = sample("log_rate", n=40)
    found = losses.get("poisson_nll").per_sample(pred, target)
    torch.testing.assert_close(found, F.poisson_nll_loss(pred, target, reduction="none").mean(-1))
    full = -stats.poisson.logpmf(target.numpy(), pred.exp().numpy()) - special.gammaln(target.numpy() + 1)
    torch.testing.assert_close(found, torch.from_numpy(full).mean(-1))


COUNTS = tensor([0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 5.0, 9.0, 30.0]).double()


def of_rates(name: str, **params: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Logs of the mean, counts, and the losses of one output each."""
    pred, target = (part.flatten() for part in sample("log_rate", n=40))
    return pred, target, losses.get(name, **params).per_sample(pred, target)


def test_negative_binomial_nll_equals_scipy_up_to_what_depends_on_the_count() -> None:
    for dispersion in (0.05, 0.5, 4.0):
        pred, target, found = of_rates("negative_binomial_nll", dispersion=dispersion)
        r, mean, t = 1 / dispersion, pred.exp().numpy(), target.numpy()
        full = -stats.nbinom.logpmf(t, r, r / (r + mean))
        alone = special.gammaln(r) + special.gammaln(t + 1) - special.gammaln(t + r) - t * math.log(dispersion)
        torch.testing.assert_close(found, torch.from_numpy(full - alone))


def test_gamma_nll_equals_scipy_up_to_what_depends_on_the_cost() -> None:
    pred, target, _ = of_rates("gamma_nll")
    cost = target + 0.5
    found = losses.get("gamma_nll").per_sample(pred, cost)
    full = -stats.gamma.logpdf(cost.numpy(), 1.0, scale=pred.exp().numpy())  # of shape 1
    torch.testing.assert_close(found, torch.from_numpy(full))


def test_tweedie_is_half_the_deviance_up_to_what_depends_on_the_cost() -> None:
    for power in (1.1, 1.5, 1.9):
        pred, target, found = of_rates("tweedie", power=power)
        deviance = [
            mean_tweedie_deviance([t], [m], power=power) / 2
            for t, m in zip(target.tolist(), pred.exp().tolist(), strict=True)
        ]
        alone = target ** (2 - power) / ((1 - power) * (2 - power))
        torch.testing.assert_close(found - tensor(deviance, dtype=torch.float64), -alone)


def test_the_ends_of_the_tweedie_family_and_of_the_negative_binomial() -> None:
    _, target, poisson = of_rates("poisson_nll")
    torch.testing.assert_close(of_rates("negative_binomial_nll", dispersion=1e-9)[2], poisson, rtol=1e-6, atol=1e-6)
    low, high = 1 + 1e-7, 2 - 1e-7
    near = of_rates("tweedie", power=low)[2] - target / (low - 1)
    torch.testing.assert_close(near, poisson, rtol=1e-5, atol=1e-5)
    near = of_rates("tweedie", power=high)[2] - 1 / (2 - high)
    torch.testing.assert_close(near, of_rates("gamma_nll")[2], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["poisson_nll", "tweedie", "gamma_nll", "negative_binomial_nll"])
def test_losses_of_counts_and_costs_aim_at_the_mean(name: str) -> None:
    at = COUNTS.mean().log().expand_as(COUNTS).clone().requires_grad_()
    losses.get(name)(at, COUNTS).backward()
    assert at.grad.sum().item() == pytest.approx(0, abs=1e-12)
    assert at.grad.abs().max() > 0.05


def test_gamma_nll_continues_as_its_tangent_where_it_would_overflow() -> None:
    pred = tensor([-80.0, -60.0, -100.0], requires_grad=True)
    found = losses.get("gamma_nll").per_sample(pred, tensor([1e6, 1.0, 0.0]))
    found.sum().backward()
    far = math.exp(60) * (1 + 80 + math.log(1e6) - 60)
    torch.testing.assert_close(found, tensor([far, math.exp(60), -100.0]), rtol=1e-5, atol=0)
    torch.testing.assert_close(pred.grad, tensor([-math.exp(60), -math.exp(60), 1.0]), rtol=1e-5, atol=0)
