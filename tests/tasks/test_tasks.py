"""Neutral metrics, spaces and scales of the tasks; models, schedules and penalties."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, tensor
from torch.utils.tensorboard import SummaryWriter

from losslab import compose, models, tasks
from losslab.data import Data
from losslab.data.robust_scale import robust_scale
from losslab.errors import BadRequest
from losslab.schema import cards
from losslab.tasks import Snapshot
from losslab.tasks.bbox import corners
from losslab.training import optimizers
from losslab.training.run import run
from losslab.training.tensorboard import Drawn

OF_NUMBERS = ("regression", "counts", "quantiles")
SETTINGS: dict[str, Any] = {"bbox": {"coordinates": "standardised"}, "quantiles": {"levels": [0.1, 0.5, 0.9]}}
ONE_NUMBER = Data(torch.zeros(5, 1), torch.ones(5, 1), ("y",))


def task(name: str, targets: Tensor, names: tuple[str, ...], **settings: Any) -> tasks.Task:
    return tasks.build({"name": name, **settings}, Data(torch.zeros(len(targets), 1), targets, names))


def test_multiclass_metrics_by_hand() -> None:
    probs = tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    targets = tensor([0, 1, 2, 2])
    found = task("multiclass", targets, ("a", "b", "c")).evaluate(probs.log(), targets)
    assert found["accuracy"] == pytest.approx(3 / 4)
    assert found["nll"] == pytest.approx(-(math.log(0.7) + math.log(0.8) + math.log(0.2) + math.log(0.6)) / 4)
    assert found["brier"] == pytest.approx((0.14 + 0.06 + 0.98 + 0.24) / 4, abs=1e-6)
    assert found["ece"] == pytest.approx((0.3 + 0.2 + 0.5 + 0.4) / 4, abs=1e-6)  # each confidence in a bin of its own


def test_binary_metrics_by_hand() -> None:
    logits, targets = tensor([[2.0], [-1.0], [0.5], [-3.0]]), tensor([1.0, 1.0, 0.0, 0.0])
    found = task("binary", targets, ("no", "yes")).evaluate(logits, targets)
    assert found["accuracy"] == pytest.approx(0.5)
    assert found["auroc"] == pytest.approx(3 / 4)  # of four pairs one is in the wrong order
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["brier"] == pytest.approx((logits[:, 0].sigmoid() - targets).square().mean().item())


def test_ranks_of_large_logits_are_not_lost_to_the_sigmoid() -> None:
    targets = tensor([0.0, 1.0])
    found = task("binary", targets, ("no", "yes")).evaluate(tensor([[100.0], [200.0]]), targets)
    assert found["auroc"] == 1


def test_regression_metrics_are_in_the_units_of_the_data() -> None:
    targets = tensor([[100.0], [200.0], [300.0], [400.0]])
    regression = task("regression", targets, ("euro",))
    regression.calibrate(targets)
    raw = regression.target("values", targets + tensor([[10.0], [-10.0], [30.0], [0.0]]))
    found = regression.evaluate(raw, targets)
    assert found["mae"] == pytest.approx(12.5, rel=1e-5)
    assert found["rmse"] == pytest.approx(math.sqrt(1100 / 4), rel=1e-5)
    assert found["median_ae"] == pytest.approx(10, rel=1e-5)
    assert found["r2"] == pytest.approx(1 - 1100 / 50000, rel=1e-5)
    mean = regression.target("values", targets.mean().expand(4, 1))
    assert regression.evaluate(mean, targets)["r2"] == pytest.approx(0, abs=1e-6)


def test_the_scale_of_regression_survives_outliers() -> None:
    values = torch.randn(1001, 1, generator=torch.Generator().manual_seed(0))
    spoilt = values.clone()
    spoilt[:200] = 1e6
    (centre, spread), (moved, stretched) = robust_scale(values), robust_scale(spoilt)
    assert spread.item() == pytest.approx(1, abs=0.1)
    assert moved.item() == pytest.approx(centre.item(), abs=0.5)
    assert stretched.item() < 2


def zeros_and_normal(share: float, n: int = 4000) -> Tensor:
    """A column of which a share is 0, and the rest normal with deviation 2."""
    values = 2 * torch.randn(n, 1, generator=torch.Generator().manual_seed(0))
    values[: round(share * n)] = 0
    return values


def spread(values: Tensor) -> float:
    return robust_scale(values)[1].item()


def test_the_scale_does_not_jump_as_the_share_of_equal_targets_grows() -> None:
    found = [spread(zeros_and_normal(step / 200)) for step in range(161)]  # up to four in five
    steps = [max(one, other) / min(one, other) for one, other in itertools.pairwise(found)]
    assert max(steps) < 1.05
    assert 1.1 < min(found) < max(found) < 2.2


def test_outliers_do_not_move_the_scale_of_targets_of_which_most_are_equal() -> None:
    clean = zeros_and_normal(0.6, 500)
    spoilt = clean.clone()
    spoilt[torch.randperm(500, generator=torch.Generator().manual_seed(1))[:50]] += 14.5
    assert spread(spoilt) < 1.5 * spread(clean)
    assert spread(spoilt) < spoilt.std().item() / 1.4
    for far in (1e3, 1e6, 1e12):
        spoilt[:100] = far  # one in five
        assert spread(spoilt) < 3 * clean.abs().max().item()


def test_the_scale_of_targets_that_are_all_equal_is_one_and_a_tenth_of_outliers_leaves_it() -> None:
    for value in (7.0, 0.1, 1e-8, 12345.678):
        values = torch.full((500, 1), value)
        assert spread(values) == 1
        values[:1] = 1e6
        assert spread(values) == 1
        values[:50] = 1e6
        assert spread(values) == 1


def test_the_scale_follows_the_unit_and_not_the_origin() -> None:
    for share in (0.0, 0.3, 0.5, 0.7):
        values = zeros_and_normal(share).double()
        assert spread(8 * values + 3) == pytest.approx(8 * spread(values), rel=1e-12)


def test_the_scale_of_targets_without_ties_is_the_median_absolute_deviation() -> None:
    values = torch.randn(1001, 3, generator=torch.Generator().manual_seed(0))
    centre, found = robust_scale(values)
    assert torch.equal(found, 1.4826 * (values - centre).abs().quantile(0.5, dim=0))


def test_box_metrics_by_geometry() -> None:
    targets = tensor([[0.2, 0.2, 0.6, 0.6], [0.2, 0.2, 0.6, 0.6]])
    bbox = task("bbox", targets, ("x1", "y1", "x2", "y2"), coordinates="corners")
    centre_size = tensor([[0.4, 0.4, 0.4, 0.4], [0.5, 0.4, 0.4, 0.2]])  # the same; moved by 0.1 and half as high
    found = bbox.evaluate(centre_size.logit(), targets)
    iou = (0.3 * 0.2) / (0.16 + 0.08 - 0.06)
    assert found["mean_iou"] == pytest.approx((1 + iou) / 2, abs=1e-5)
    assert found["iou50"] == found["iou75"] == found["iou90"] == 0.5
    assert found["centre_error"] == pytest.approx(0.05, abs=1e-5)
    assert found["size_error"] == pytest.approx(0.05, abs=1e-5)


def test_every_raw_output_gives_a_box_with_an_area() -> None:
    boxes = corners(5 * torch.randn(1000, 4, generator=torch.Generator().manual_seed(0)))
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_box_coordinates_are_standardised_or_plain_corners() -> None:
    targets = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) / 2
    targets = torch.cat([targets, targets + 0.3], 1)
    names = ("x1", "y1", "x2", "y2")
    plain, standard = (task("bbox", targets, names, coordinates=kind) for kind in ("corners", "standardised"))
    for each in (plain, standard):
        each.calibrate(targets)
        assert torch.equal(each.target("boxes", targets), targets)
    assert torch.equal(plain.target("values", targets), targets)
    _, spread = robust_scale(standard.target("values", targets))
    torch.testing.assert_close(spread, torch.ones(4), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", cards.names("task"))
def test_metrics_of_outputs_that_are_not_finite_are_not_finite(name: str) -> None:
    targets = {"multiclass": tensor([0, 1]), "binary": tensor([0.0, 1.0]), "regression": torch.ones(2, 1)}
    targets |= dict.fromkeys(("counts", "quantiles"), targets["regression"])
    targets |= {"ordinal": tensor([0, 1]), "multilabel": torch.eye(2), "segmentation": torch.eye(2).expand(2, 2, 2)}
    made = tensor([[0.1, 0.1, 0.5, 0.5]] * 2) if name == "bbox" else targets[name]
    names = ("a", "b", "c", "d") if name == "bbox" else ("a",) if name in OF_NUMBERS else ("a", "b")
    built = task(name, made, names, **(SETTINGS.get(name, {}) | ({"coordinates": "corners"} if name == "bbox" else {})))
    found = built.evaluate(torch.full((2, built.outputs), float("nan")), made)
    assert set(found) == set(built.metrics)
    assert all(map(math.isnan, found.values()))


def test_swapped_corners_are_refused_as_targets() -> None:
    bbox = task("bbox", torch.zeros(1, 4), ("x1", "y1", "x2", "y2"), coordinates="corners")
    with pytest.raises(ValueError, match=r"Target 1, .* is no box"):
        bbox.check_targets(tensor([[0.1, 0.1, 0.2, 0.2], [0.5, 0.1, 0.2, 0.2]]))


@pytest.mark.parametrize(
    ("model", "shape", "outputs", "count"),
    [
        ({"name": "linear"}, (10,), 1, 11),
        ({"name": "linear"}, (1, 8, 8), 10, 650),
        ({"name": "mlp", "hidden": [64, 64]}, (10,), 1, 4929),
        ({"name": "mlp", "hidden": []}, (10,), 1, 11),
        ({"name": "cnn", "channels": [16, 32, 64], "hidden": 64}, (1, 64, 64), 4, 285764),
        ({"name": "cnn", "channels": [16, 32, 64], "hidden": 64}, (1, 28, 28), 10, 89546),
    ],
)
def test_models_have_the_parameters_that_they_state(model: dict, shape: tuple, outputs: int, count: int) -> None:
    built = models.build(model, shape, outputs, seed=0)
    assert sum(p.numel() for p in built.parameters()) == count
    assert built(torch.zeros(3, *shape)).shape == (3, outputs)


def test_initial_weights_come_from_the_seed_alone() -> None:
    def weights(seed: int) -> Tensor:
        built = models.build({"name": "mlp", "hidden": [8]}, (4,), 1, seed)
        return torch.cat([p.flatten() for p in built.parameters()])

    torch.manual_seed(5)
    first = weights(0)
    torch.rand(100)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def rates(schedule: str, steps: int) -> list[float]:
    model = nn.Linear(1, 1)
    settings = {"name": "sgd", "lr": 0.5, "momentum": 0.0, "weight_decay": 0.0, "schedule": schedule}
    optimizer, stepped = optimizers.build(settings, model.parameters(), steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if stepped:
            stepped.step()
    return found


def test_schedules() -> None:
    assert rates("constant", 5) == [0.5] * 5
    cosine = rates("cosine", 101)
    assert (cosine[0], cosine[50], cosine[100]) == pytest.approx((0.5, 0.25, 0.0))
    assert cosine == sorted(cosine, reverse=True)
    steps = rates("steps", 200)
    assert [steps.count(rate) for rate in (0.5, 0.05, 0.005)] == [160, 20, 20]
    assert steps == sorted(steps, reverse=True)
    model = nn.Linear(1, 1)
    theirs = torch.optim.SGD(model.parameters(), lr=0.5)
    oracle = torch.optim.lr_scheduler.OneCycleLR(theirs, max_lr=0.5, total_steps=101, cycle_momentum=False)
    expected = []
    for _ in range(101):
        expected.append(theirs.param_groups[0]["lr"])
        theirs.step()
        if len(expected) < 101:
            oracle.step()
    # torch puts the peak at step 29.3 of 100, ours at 30
    assert rates("one_cycle", 101) == pytest.approx(expected, abs=0.02)
    assert max(rates("one_cycle", 101)) == pytest.approx(0.5)


def test_penalties_count_weights_and_leave_biases_out() -> None:
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(tensor([[3.0, -4.0]]))
        model.bias.fill_(100.0)
    assert optimizers.weight_penalty(model, 0.0, 0.0) is None
    assert optimizers.weight_penalty(model, 0.5, 0.0).item() == pytest.approx(3.5)
    assert optimizers.weight_penalty(model, 0.0, 0.1).item() == pytest.approx(2.5)
    optimizers.weight_penalty(model, 0.5, 0.1).backward()
    torch.testing.assert_close(model.weight.grad, tensor([[0.5 + 0.6, -0.5 - 0.8]]))
    assert model.bias.grad is None


def draw(name: str, writer: Any, output: float = 0.0) -> None:
    """Draws the figures of a task whose model gives one number for everything."""
    targets = {
        "multiclass": torch.arange(6) % 2,
        "binary": (torch.arange(6) % 2).float(),
        "regression": torch.arange(6.0)[:, None],
        "counts": torch.arange(6.0)[:, None],
        "bbox": tensor([[0.1, 0.1, 0.5, 0.6]] * 6) + torch.arange(6)[:, None] / 100,
        "quantiles": torch.arange(6.0)[:, None],
        "ordinal": torch.arange(6) % 2,
        "multilabel": torch.eye(2).repeat(3, 1),
        "segmentation": torch.eye(8).expand(6, 8, 8),
    }[name]
    names = ("x1", "y1", "x2", "y2") if name == "bbox" else ("y",) if name in OF_NUMBERS else ("a", "b")
    built = task(name, targets, names, **SETTINGS.get(name, {}))
    built.calibrate(targets) if name in ("bbox", "regression") else None

    rows = torch.arange(6)
    seen = Snapshot(
        torch.zeros(6, 1, 8, 8),
        targets,
        targets,
        rows > 3,
        {"train": rows, "val": rows},
        lambda numbers: torch.full((len(numbers), built.outputs), output),
    )
    built.draw(writer, 0, seen)


@pytest.mark.parametrize("name", cards.names("task"))
def test_each_task_draws_its_figures(name: str) -> None:
    class Writer:
        drawn = 0

        def __getattr__(self, _):
            def add(*_, **__):
                self.drawn += 1

            return add

    writer = Writer()
    draw(name, writer)
    assert writer.drawn > 0


@pytest.mark.parametrize("output", [1e25, -1e25, 3e38, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", cards.names("task"))
def test_figures_of_wild_outputs_end_no_run(name: str, output: float, tmp_path: Path) -> None:
    draw(name, Drawn(), output)
    with SummaryWriter(tmp_path) as writer:
        draw(name, writer, output)


def test_metrics_that_do_not_exist_are_undefined() -> None:
    one = torch.ones(4)
    found = task("binary", one, ("no", "yes")).evaluate(
        torch.randn(4, 1, generator=torch.Generator().manual_seed(0)), one
    )
    assert math.isnan(found["auroc"])
    assert math.isnan(found["average_precision"])
    assert not math.isnan(found["accuracy"])
    flat = torch.full((4, 1), 3.0)
    assert math.isnan(task("regression", flat, ("y",)).evaluate(torch.zeros(4, 1), flat)["r2"])


def test_a_log_target_is_seen_by_losses_and_metrics_stay_in_its_units(tmp_path: Path) -> None:
    words = ("task=regression", "data=diabetes", "corruption=none", "trainer=cpu", "logger=none")
    plain, log = (tasks.build({"name": "regression"} | more, ONE_NUMBER) for more in ({}, {"log_target": True}))
    targets = torch.tensor([[1.0], [10.0], [100.0], [1000.0], [10000.0]])
    for task in (plain, log):
        task.calibrate(targets)
    assert log.centre.exp().item() == pytest.approx(100)
    assert torch.allclose(log.target("values", targets).diff(dim=0), torch.tensor(10.0).log() / log.spread)
    assert torch.allclose(log.in_units(log.target("values", targets)), targets, rtol=1e-5)
    assert torch.allclose(log.in_units(log.constant(targets)), torch.tensor([100.0]))
    one, many = compose(*words, "trainer.max_epochs=2", "task.log_target=true"), compose(*words, "trainer.max_epochs=2")
    assert one["task"]["log_target"] is True
    assert "log_target" not in many["task"], "so that the runs of before are the same runs"
    record = run(one, tmp_path)
    assert 20 < record.metrics["best/test/mae"] < 200, "in units of the target, whose mean is 152"


def test_a_log_of_0_and_of_counts_is_refused() -> None:
    task = tasks.build({"name": "regression", "log_target": True}, ONE_NUMBER)
    with pytest.raises(ValueError, match=r"needs targets above 0, and that of row 1 is -2"):
        task.check_targets(torch.tensor([[1.0], [-2.0]]))
    with pytest.raises(BadRequest, match="log_target is for regression"):
        compose("task=counts", "task.log_target=true")
