"""What the advice says and no other test asserts: properties of losses, small fits, and figures in tables beside the studies.

Each test computes its figures and looks for them in the statement that names the test.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, tensor

from losslab import losses
from support.advice_evidence import says

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
TRAININGS = pd.read_parquet(EXPERIMENTS / "taught_claims" / "trainings.parquet")
MAE, ACCURACY = "metrics.last/test/mae", "metrics.last/test/accuracy"


def pull(loss: str, logit: float) -> float:
    """The gradient in a float32 logit whose target is 0."""
    logits = tensor([logit], requires_grad=True)
    losses.get(loss)(logits.sigmoid() if loss == "bce" else logits, tensor([0.0])).backward()
    assert logits.grad is not None
    return logits.grad.item()


# NaN


def test_a_log_written_out_is_infinite_where_losses_on_logits_are_not() -> None:
    logit = tensor([17.0], requires_grad=True)
    written_out = -(1 - logit.sigmoid()).log()
    written_out.sum().backward()
    assert written_out.isinf().all()
    assert logit.grad is not None
    assert logit.grad.isnan().all()
    assert losses.get("bce_with_logits")(tensor([1e4]), tensor([0.0])).item() == 1e4
    assert pull("bce_with_logits", 1e4) == 1
    low = tensor([[0.0, 110.0]], requires_grad=True)
    (-low.softmax(-1).log()[0, 0]).backward()
    assert low.grad is not None
    assert low.grad.isnan().all()
    on_logits = tensor([[0.0, 110.0]], requires_grad=True)
    losses.get("cross_entropy")(on_logits, tensor([0])).backward()
    assert on_logits.grad is not None
    assert on_logits.grad.tolist() == [[-1.0, 1.0]]
    said = says("test_a_log_written_out_is_infinite_where_losses_on_logits_are_not")
    assert "logit of 17, target 0," in said
    assert "at 10,000 `bce_with_logits` is 10,000 with a gradient of 1" in said
    assert "gradient of `cross_entropy` at 0 for the true class and 110 for another is -1 and 1" in said


def one_outlier(loss: str, optimizer: str, spreads: float) -> pd.DataFrame:
    """The five runs with one target of 1200 moved so far."""
    runs = TRAININGS[(TRAININGS["set"] == "one_outlier") & (TRAININGS["optimizer"] == optimizer)]
    return runs[(runs["loss"] == loss) & (runs["corruption.magnitude"] == spreads)]


def test_one_far_target_makes_mse_diverge_and_not_l1() -> None:
    def diverged(loss: str, spreads: float) -> int:
        statuses = one_outlier(loss, "sgd", spreads)["status"]
        assert len(statuses) == 5
        return int((statuses == "diverged").sum())

    said = says("test_one_far_target_makes_mse_diverge_and_not_l1")
    assert diverged("mse", 1e5) > diverged("l1", 1e5)
    assert f"by 100,000 spreads, {diverged('mse', 1e5)} of 5 runs of `mse` under SGD diverged" in said
    assert f"{diverged('l1', 1e5)} of 5 of `l1` and {diverged('smoothl1', 1e5)} of 5 of `smoothl1`" in said
    fewer = ", ".join(f"{diverged(loss, 1e3)} of 5" for loss in ("mse", "l1"))
    assert f"at 1000 spreads {fewer} and {diverged('smoothl1', 1e3)} of 5" in said


# Nothing is learnt


def test_bce_has_no_gradient_from_a_logit_of_16_7_on() -> None:
    assert [pull("bce", logit) for logit in (16.7, 16.8, 17.0, 20.0, 80.0)] == [0, 0, 0, 0, 0]
    assert pull("bce", 16.5) == pytest.approx(1, abs=1e-3)
    assert [pull("bce_with_logits", logit) for logit in (16.5, 16.7, 20.0)] == pytest.approx([1, 1, 1], abs=1e-6)
    borders = pd.read_csv(EXPERIMENTS / "bce_saturation" / "borders.csv").set_index(["precision", "target", "answer"])
    assert borders.loc[("float32", 0, "wrong"), "logit"] == pytest.approx(16.7, abs=0.02)
    assert "is 1 at 16.5 and 0 at 16.7 and at 20;" in says("test_bce_has_no_gradient_from_a_logit_of_16_7_on")


def test_a_second_softmax_takes_the_gradient_away() -> None:
    def pull_of_true_class(loss: str) -> float:
        logits = torch.zeros(1, 10)
        logits[0, 0] = -10.0
        logits.requires_grad_()
        losses.get(loss)(logits, tensor([0])).backward()
        assert logits.grad is not None
        return logits.grad[0, 0].abs().item()

    once, twice = pull_of_true_class("cross_entropy"), pull_of_true_class("double_softmax")
    assert once > 1000 * twice
    said = says("test_a_second_softmax_takes_the_gradient_away")
    assert f"{once:.1f} under `cross_entropy` and {twice:.0e} under `double_softmax`" in said


def test_a_second_softmax_costs_accuracy_in_the_study() -> None:
    runs = TRAININGS[(TRAININGS["set"] == "softmax") & (TRAININGS["optimizer"] == "sgd")]
    means = runs[runs["optimizer.lr"] == 0.1].groupby("loss")[ACCURACY].mean()
    said = says("test_a_second_softmax_costs_accuracy_in_the_study")
    assert means["cross_entropy"] > means["double_softmax"]
    assert f"{means['cross_entropy']:.2f} with one softmax and {means['double_softmax']:.2f} with two" in said


def test_a_column_against_a_row_pulls_to_the_mean_target() -> None:
    made = torch.Generator().manual_seed(0)
    pred, target = torch.randn(6, 1, generator=made, requires_grad=True), torch.randn(6, generator=made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of the broadcast
        F.mse_loss(pred, target).backward()
    assert pred.grad is not None
    torch.testing.assert_close(pred.grad[:, 0], 2 / 6 * (pred.detach()[:, 0] - target.mean()))
    assert says("test_a_column_against_a_row_pulls_to_the_mean_target")


# Outliers


def test_one_far_target_drags_mse_and_not_l1() -> None:
    mse = [one_outlier("mse", "adam", spreads)[MAE].mean() for spreads in (0, 100)]
    l1 = [one_outlier("l1", "adam", spreads)[MAE].mean() for spreads in (0, 100)]
    assert mse[1] > 2 * mse[0]
    assert l1[1] < 1.02 * l1[0]
    said = says("test_one_far_target_drags_mse_and_not_l1")
    assert f"`mse` under Adam goes from {mse[0]:.2f} to {mse[1]:.2f}" in said
    assert f"`l1` from {l1[0]:.2f} to {l1[1]:.2f}" in said


# Boxes


def test_boxes_apart_are_moved_by_giou_and_ciou_and_not_by_iou() -> None:
    curves = pd.read_parquet(EXPERIMENTS / "bbox_losses" / "simulator_curves.parquet")
    apart = curves[curves["regime"] == "disjoint"].set_index(["loss", "step"])
    end = apart.xs(200, level="step")
    assert end.loc["iou", "error"] == pytest.approx(apart.loc[("iou", 0), "error"], rel=1e-9)
    said = says("test_boxes_apart_are_moved_by_giou_and_ciou_and_not_by_iou")
    assert f"Of {end.loc['iou', 'cases']:,} boxes" in said
    assert f"is {end.loc['iou', 'error']:.3f} under `iou`, as at the start" in said
    for loss in ("ciou", "diou", "giou", "efficient_iou"):
        assert end.loc[loss, "error"] < 0.2 * end.loc["iou", "error"]
        assert f"{end.loc[loss, 'error']:.3f} under `{loss}`" in said


# Heavy tails and counts


def fitted(loss: str, start: Tensor, pred_of: Callable[[Tensor], Tensor], target: Tensor) -> Tensor:
    """The parameters [S, P] that minimise a loss on each of S samples, from where they start."""
    found, each = start.clone().requires_grad_(), losses.get(loss)
    optimizer = torch.optim.LBFGS([found], max_iter=500, line_search_fn="strong_wolfe", tolerance_change=1e-12)

    def total() -> Tensor:
        optimizer.zero_grad()
        value = each.per_sample(pred_of(found).reshape(-1, 1), target.reshape(-1, 1)).sum()
        value.backward()
        return value

    optimizer.step(total)
    return found.detach()


def root_mean_square(error: Tensor) -> float:
    return error.square().mean().sqrt().item()


def test_heavy_tails_cost_mse_more_than_twice_what_they_cost_huber() -> None:
    made = torch.Generator().manual_seed(0)
    normal = torch.randn(400, 50, 3, generator=made, dtype=torch.float64)
    draws = normal[..., 0] / (normal[..., 1:].square().sum(-1) / 2).sqrt()  # t with 2 degrees of freedom, centre 0
    centre = draws.median(1, keepdim=True).values

    def error(loss: str) -> float:
        return root_mean_square(fitted(loss, centre, lambda at: at.expand_as(draws), draws))

    mse, huber, cauchy = map(error, ("mse", "huber", "cauchy"))
    assert mse == pytest.approx(root_mean_square(draws.mean(1)), rel=1e-3)
    assert mse > 2 * max(huber, cauchy)
    said = says("test_heavy_tails_cost_mse_more_than_twice_what_they_cost_huber")
    assert f"{mse:.2f} under `mse` and {huber:.2f} under `huber` and `cauchy`" in said
    assert f"{cauchy:.2f}" == f"{huber:.2f}"


def test_the_slope_of_counts_is_found_more_closely_by_poisson_nll() -> None:
    x = torch.linspace(0, 1, 60, dtype=torch.float64)
    rate = (4 * x).exp()
    counts = torch.poisson(rate.expand(300, 60), generator=torch.Generator().manual_seed(0))
    start = tensor([0.5, 3.0], dtype=torch.float64).repeat(300, 1)

    def log_rate(at: Tensor) -> Tensor:
        return at[:, :1] + at[:, 1:] * x

    on_likelihood = root_mean_square(fitted("poisson_nll", start, log_rate, counts)[:, 1] - 4)
    on_squares = root_mean_square(fitted("mse", start, lambda at: log_rate(at).exp(), counts)[:, 1] - 4)
    assert on_likelihood < 0.8 * on_squares
    said = says("test_the_slope_of_counts_is_found_more_closely_by_poisson_nll")
    assert f"rises from {rate[0]:.0f} to {rate[-1]:.0f}" in said
    assert f"of {on_likelihood:.2f} under `poisson_nll` and {on_squares:.2f} under `mse`" in said


# Costs


def test_tau_of_the_costs_is_the_cheapest_prediction() -> None:
    targets = tensor([0.0, 0.4, 0.7, 1.0, 1.9, 3.0, 3.1, 4.0, 7.0, 21.0, 30.0], dtype=torch.float64)
    grid = torch.linspace(-2, 32, 3401, dtype=torch.float64)

    def cost(at: Tensor) -> Tensor:
        return (9 * (targets - at).clamp(min=0) + (at - targets).clamp(min=0)).mean()

    def aimed(loss: str, **params: float) -> Tensor:
        each = losses.get(loss, **params)
        return cost(grid[torch.stack([each(at.expand_as(targets), targets) for at in grid]).argmin()])

    least = torch.stack([cost(at) for at in grid]).min()
    assert aimed("quantile", tau=9 / (9 + 1)) == pytest.approx(least.item(), rel=1e-9)
    mse, l1 = (float(aimed(loss) / least) for loss in ("mse", "l1"))
    said = says("test_tau_of_the_costs_is_the_cheapest_prediction")
    assert f"what `mse` aims at costs {mse:.2f} times as much, and what `l1` aims at {l1:.2f} times" in said
