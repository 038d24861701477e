"""The tasks of quantiles, ordered classes, several labels and masks: metrics by hand and by scikit-learn, constants, refusals."""

import math
from collections.abc import Callable

import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor, tensor

from losslab import compose, register, tasks
from losslab.data import Data
from losslab.errors import BadRequest, Incompatible
from losslab.schema import check
from losslab.tasks import ordinal
from losslab.training.prepare import prepare


def task(name: str, targets: Tensor, names: tuple[str, ...], **settings: object) -> tasks.Task:
    return tasks.build({"name": name, **settings}, Data(torch.zeros(len(targets), 1), targets, names))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Quantiles

LEVELS = [0.1, 0.5, 0.9]


def test_quantile_metrics_by_hand() -> None:
    targets = tensor([[10.0], [20.0], [30.0], [40.0]])
    made = task("quantiles", targets, ("y",), levels=LEVELS)
    quantiles = tensor([[5.0, 12.0, 15.0], [21.0, 22.0, 25.0], [20.0, 19.0, 31.0], [30.0, 35.0, 40.0]])
    found = made.evaluate(quantiles, targets)  # not calibrated, so in units of the target
    assert found["coverage"] == 3 / 4
    assert found["coverage_error"] == pytest.approx(0.05)
    assert found["interval_width"] == pytest.approx((10 + 4 + 11 + 10) / 4)
    assert found["crossing"] == 1 / 8
    expected = [sk.mean_pinball_loss(targets, quantiles[:, k], alpha=level) for k, level in enumerate(LEVELS)]
    assert found["pinball"] == pytest.approx(sum(expected) / 3)


def test_the_constant_of_quantiles_covers_what_it_promises_in_the_units_of_the_data() -> None:
    targets = 100 + 7 * draw(2000, 2).float()
    made = task("quantiles", targets, ("a", "b"), levels=[0.05, 0.25, 0.95])
    made.calibrate(targets)
    raw = made.constant(targets).expand(2000, -1)
    found = made.evaluate(raw, targets)
    assert found["coverage"] == pytest.approx(0.9, abs=2e-3)
    assert found["crossing"] == 0
    assert found["interval_width"] == pytest.approx(2 * 1.645 * 7, rel=0.1)
    assert torch.equal(made.located(raw), made.prediction("quantiles", raw)[..., 1])


@pytest.mark.parametrize("levels", [[0.5], [0.9, 0.1], [0.1, 0.1]])
def test_levels_that_do_not_rise_are_refused(levels: list[float]) -> None:
    with pytest.raises(BadRequest, match=r"task.levels must be two or more rising numbers"):
        task("quantiles", torch.ones(3, 1), ("y",), levels=levels)


def test_other_levels_are_one_setting_of_the_task() -> None:
    words = ("task=quantiles", "task.levels=[0.1,0.9]", "data.rows=200", "trainer=cpu", "logger=none")
    parts = prepare(compose(*words))
    assert parts.task.outputs == 2
    assert parts.loss.each()[0].params["levels"] == [0.1, 0.9]
    with pytest.raises(BadRequest, match=r"set task.levels alone"):
        prepare(compose(*words, "loss.levels=[0.2,0.8]"))


# Ordered classes


def test_metrics_of_ordered_classes_equal_scikit_learns_or_are_worked_by_hand() -> None:
    targets = tensor([0, 1, 2, 3, 3, 1])
    made = task("ordinal", targets, ("a", "b", "c", "d"))
    raw = draw(6, 3, seed=1)
    p = ordinal.log_probabilities(raw).exp()
    median = (p.cumsum(-1) <= 0.5).sum(-1)
    found = made.evaluate(raw, targets)
    assert found["rank_error"] == pytest.approx((median - targets).abs().double().mean().item())
    assert found["within_one"] == pytest.approx(((median - targets).abs() <= 1).double().mean().item())
    assert found["weighted_kappa"] == pytest.approx(sk.cohen_kappa_score(targets, median, weights="quadratic"))
    assert found["accuracy"] == pytest.approx((p.argmax(-1) == targets).double().mean().item())
    assert found["nll"] == pytest.approx(sk.log_loss(targets, p, labels=[0, 1, 2, 3]))
    assert found["rank_error"] > 0


def test_the_constant_of_ordered_classes_has_their_shares() -> None:
    targets = tensor([0] * 1 + [1] * 2 + [2] * 3 + [3] * 4)
    made = task("ordinal", targets, ("a", "b", "c", "d"))
    assert (made.outputs, made.classes) == (3, 4)
    torch.testing.assert_close(
        made.prediction("class_probs", made.constant(targets)), tensor([0.1, 0.2, 0.3, 0.4]), atol=1e-5, rtol=0
    )
    raw = draw(5, 3)
    cumulative = made.prediction("cumulative_logits", raw).sigmoid()
    torch.testing.assert_close(cumulative[:, 0], 1 - made.prediction("class_probs", raw)[:, 0])
    torch.testing.assert_close(cumulative[:, 1], made.prediction("class_probs", raw)[:, 2:].sum(-1))


def test_losses_of_classes_without_an_order_count_and_weigh_all_classes() -> None:
    parts = prepare(compose("task=ordinal", "loss=class_balanced", "data.rows=200", "trainer=cpu", "logger=none"))
    assert len(parts.loss.each()[0].params["counts"]) == 5


# Several labels


def test_metrics_of_labels_equal_scikit_learns() -> None:
    logits, targets = draw(40, 4), (draw(40, 4, seed=1) > 0.6).double()
    targets[:, 3] = 0
    logits[:, 3] = -1.0
    made = task("multilabel", targets.float(), ("a", "b", "c", "d"))
    found = made.evaluate(logits, targets)
    guess = logits > 0
    assert found["micro_f1"] == pytest.approx(sk.f1_score(targets, guess, average="micro"))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(targets[:, :3], guess[:, :3], average="macro"))
    assert found["exact_match"] == pytest.approx(sk.accuracy_score(targets, guess))
    assert found["hamming_loss"] == pytest.approx(sk.hamming_loss(targets, guess))
    expected = sk.average_precision_score(targets[:, :3], logits[:, :3], average="macro")
    assert found["mean_average_precision"] == pytest.approx(expected)


def test_what_needs_one_class_for_each_row_is_refused() -> None:
    for name in ("multilabel", "segmentation"):
        request = compose(f"task={name}")
        with pytest.raises(Incompatible, match="or several in a row"):
            check.check(request | {"data": request["data"] | {"weight": "balanced"}})


def test_a_binary_loss_serves_labels_and_a_constant_has_their_shares() -> None:
    targets = tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    made = task("multilabel", targets, ("a", "b"))
    torch.testing.assert_close(made.constant(targets).sigmoid(), tensor([0.75, 0.25]))
    with pytest.raises(ValueError, match="Target 1"):
        made.check_targets(targets + tensor([[0.0], [1.0], [0.0], [0.0]]))


# Masks


def test_metrics_of_masks_by_hand_and_as_scikit_learns() -> None:
    targets = torch.zeros(3, 4, 4)
    targets[0, :2] = 1
    targets[1, 0, 0] = 1
    guess = torch.zeros(3, 4, 4)
    guess[0, :1] = 1  # half of it
    guess[1, 3, 3] = 1  # none of it; the third is empty, and so is its mask
    made = task("segmentation", targets, ("ground", "object"))
    found = made.evaluate((2 * guess - 1).flatten(1), targets)
    assert found["mask_iou"] == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert found["mask_dice"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found["pixel_accuracy"] == pytest.approx(1 - (4 + 2) / 48)
    same = sk.jaccard_score(targets[0].flatten(), guess[0].flatten())
    assert same == pytest.approx(1 / 2)


def test_spaces_of_masks_are_one_picture_or_its_pixels_in_a_row() -> None:
    targets = (draw(5, 2, 3) > 0).float()
    made = task("segmentation", targets, ("ground", "object"))
    raw = draw(5, 6).float()
    assert made.prediction("mask_logits", raw).shape == made.target("mask_logits", targets).shape == (5, 2, 3)
    assert torch.equal(made.prediction("mask_logits", raw).flatten(1), made.prediction("binary_logit", raw))
    assert torch.equal(made.target("binary_logit", targets), targets.flatten(1))
    constant = made.prediction("binary_prob", made.constant(targets))
    torch.testing.assert_close(constant, targets.mean(0).flatten().clamp(1e-6, 1 - 1e-6))


def test_made_up_data_have_what_they_say() -> None:
    few = ("trainer=cpu", "logger=none")
    classes = prepare(compose("task=ordinal", *few)).rows.targets
    assert (torch.bincount(classes) / len(classes) - 0.2).abs().max() < 0.04
    labels = prepare(compose("task=multilabel", *few)).rows.targets
    assert 0.05 < labels.mean(0).min() < labels.mean(0).max() < 0.6
    assert labels.sum(1).max() >= 4
    pictures = prepare(compose("task=segmentation", "data.side=12", *few))
    masks = pictures.rows.targets
    assert masks.shape[1:] == (12, 12)
    assert (masks.flatten(1).sum(1) > 0).all()
    inputs = pictures.rows.inputs[:, 0]
    assert inputs[masks > 0].mean() > inputs[masks == 0].mean() + 0.3
    assert not math.isnan(inputs.sum())


def test_data_of_the_users_are_read_as_the_task_has_them() -> None:
    pictures, labels, classes = torch.rand(300, 1, 6, 6), torch.eye(3).repeat(100, 1), torch.arange(300) % 4
    given = {
        "ordinal": (pictures, classes, 3, torch.int64),
        "multilabel": (pictures, labels, 3, torch.float32),
        "segmentation": (pictures, pictures[:, 0].round(), 36, torch.float32),
    }
    for name, (inputs, targets, outputs, dtype) in given.items():
        register.data(tasks=name)(giving((inputs, targets)))
        parts = prepare(compose(f"task={name}", "data=rows_of_mine", "trainer=cpu", "logger=none"))
        register.forget("data", "rows_of_mine")
        assert (parts.task.outputs, parts.rows.targets.dtype) == (outputs, dtype)


def giving(pair: tuple[Tensor, Tensor]) -> Callable[[], tuple[Tensor, Tensor]]:
    """A function of the user's, by the name `rows_of_mine`, that gives inputs and targets."""

    def rows_of_mine() -> tuple[Tensor, Tensor]:
        return pair

    return rows_of_mine
