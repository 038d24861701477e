"""What each corruption does to data: what defines it, and what it leaves alone; and how it is shown."""

import inspect
import math
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from losslab import BadRequest, Record, compose, corruption, losses, tasks
from losslab.catalogue import corruption_preview
from losslab.cli import main
from losslab.corruption import CORRUPTIONS, Changed
from losslab.corruption.boxes import LEAST
from losslab.data import Data
from losslab.data.robust_scale import robust_scale
from losslab.fused.module import FusedModule
from losslab.schema import cards, check, compatibility
from losslab.training.prepare import prepare
from support.stacks import alone, fused

NAMES = [name for name in cards.names("corruption") if name != "none"]
PAIRS = [(name, task) for name in NAMES for task in cards.card("corruption", name).about["tasks"]]
FIRST = [(name, cards.card("corruption", name).about["tasks"][0]) for name in NAMES]
LEVELS = {  # the key that says how much is hit, and two levels of it; the first holds all that the second does
    "transition": ("transition", [0.4], [0.2]),
    "long_tail": ("ratio", 50.0, 5.0),
    "imbalance": ("ratio", 50.0, 5.0),
    "class_flips": ("rate_positive", 0.4, 0.2),
    "annotators": ("rate", 0.4, 0.1),
    "heavy_tails": ("scale", 0.4, 0.2),
    "heteroscedastic": ("scale", 0.4, 0.2),
    "contaminated_normal": ("factor", 20.0, 10.0),
}
NOTHING = {  # settings under which all stays as it was
    "transition": {"transition": [0.0]},
    "long_tail": {"ratio": 1.0},
    "imbalance": {"ratio": 1.0},
    "class_flips": {"rate_positive": 0.0, "rate_negative": 0.0},
    "annotators": {"rate": 0.0},
    "heavy_tails": {"scale": 0.0},
    "heteroscedastic": {"scale": 0.0},
    "contaminated_normal": {"scale": 0.0},
}
ROWS, CLASSES = 1000, 5
SMALL = {
    "multiclass": ["data=digits", "data.batch_size=256"],
    "binary": ["data.batch_size=64"],
    "regression": ["data.rows=200"],
    "counts": ["data.rows=200"],
    "quantiles": ["data.rows=200"],
    "ordinal": ["data.rows=200"],
    "multilabel": ["data.rows=200"],
    "segmentation": ["data.rows=200", "data.side=8"],
    "bbox": ["data.rows=60", "data.batch_size=16", "model=mlp"],
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clean(task: str, rows: int = ROWS) -> tuple[Tensor, Tensor]:
    """Inputs and targets as a task has them."""
    draw = generator(9)
    inputs = torch.randn(rows, 4, generator=draw)
    if task in ("regression", "counts"):
        y = 20 + 3 * inputs[:, :1] + torch.randn(rows, 1, generator=draw)
        return inputs, y if task == "regression" else torch.poisson(y.clamp(min=0), generator=draw)
    if task in ("multiclass", "ordinal"):
        return inputs, torch.randint(CLASSES, (rows,), generator=draw)
    if task == "binary":
        return inputs, (torch.rand(rows, generator=draw) < 0.4).float()
    size = 0.2 + 0.3 * torch.rand(rows, 2, generator=draw)
    low = torch.rand(rows, 2, generator=draw) * (1 - size)
    return torch.rand(rows, 1, 6, 6, generator=draw), torch.cat([low, low + size], 1)


def settings(name: str, **changed: Any) -> dict[str, Any]:
    own = {k: v for k, v in cards.card("corruption", name).values.items() if k not in ("name", "splits")} | changed
    return own | ({"classes": CLASSES} if "classes" in inspect.signature(CORRUPTIONS[name]).parameters else {})


def hit(
    name: str, task: str | None = None, seed: int = 0, rows: int = ROWS, **changed: Any
) -> tuple[Tensor, Tensor, Changed]:
    """Clean inputs and targets, and what a corruption makes of them."""
    inputs, targets = clean(task or dict(FIRST)[name], rows)
    return inputs, targets, CORRUPTIONS[name](inputs, targets, generator(seed), **settings(name, **changed))


def spread_of(targets: Tensor) -> float:
    return float(robust_scale(targets)[1])


# ---- what holds of all of them


def test_every_card_has_its_function_and_its_arguments() -> None:
    assert set(cards.names("corruption")) == set(CORRUPTIONS)
    for name, function in CORRUPTIONS.items():
        own = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        card = cards.card("corruption", name)
        assert sorted(set(own) - {"classes"}) == sorted(set(card.values) - {"name", "splits"})
        assert set(card.about["tasks"]) <= set(cards.names("task"))
        assert name == "none" or card.values["splits"] == ["train"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_it_is_pure_and_says_which_rows_it_changed(name: str, task: str) -> None:
    inputs, targets = clean(task)
    kept = inputs.clone(), targets.clone()
    found, again, other = (CORRUPTIONS[name](inputs, targets, generator(s), **settings(name)) for s in (0, 0, 1))
    assert torch.equal(inputs, kept[0])
    assert torch.equal(targets, kept[1])
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    drawn = name not in ("censoring", "loose_boxes")  # of which the one hits the largest, the other all
    assert not drawn or not all(torch.equal(a, b) for a, b in zip(found, other, strict=True))
    assert found.rows.any()
    assert (found.inputs.dtype, found.inputs.shape) == (inputs.dtype, inputs.shape)
    assert (found.targets.dtype, found.targets.shape) == (targets.dtype, targets.shape)
    assert torch.equal(found.inputs[~found.rows], inputs[~found.rows])
    assert torch.equal(found.targets[~found.rows], targets[~found.rows])
    if name not in ("long_tail", "imbalance"):  # a copy may be like the row that it replaces
        same = (found.inputs == inputs).flatten(1).all(1) & (found.targets == targets).reshape(ROWS, -1).all(1)
        assert torch.equal(found.rows, ~same)
    assert torch.isfinite(found.targets.float()).all()
    source = Data(inputs, targets, tuple("abcde") if task in ("multiclass", "ordinal") else ("y",))
    tasks.build(compose(f"task={task}")["task"], source).check_targets(found.targets)


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_nothing_asked_is_nothing_done(name: str, task: str) -> None:
    inputs, targets, found = hit(name, task, **NOTHING.get(name, {"fraction": 0.0}))
    assert not found.rows.any()
    assert torch.equal(found.targets, targets)
    assert torch.equal(found.inputs, inputs)


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_a_higher_level_holds_the_rows_of_a_lower_one(name: str, task: str) -> None:
    key, more, less = LEVELS.get(name, ("fraction", 0.5, 0.2))
    (_, _, many), (_, _, few) = (hit(name, task, **{key: level}) for level in (more, less))
    assert (many.rows | ~few.rows).all()
    assert few.rows.sum() > 0
    if name not in ("heavy_tails", "heteroscedastic", "contaminated_normal", "input_noise"):  # which hit all
        assert many.rows.sum() > few.rows.sum()
    if name in ("label_noise", "wrong_boxes", "swapped_corners", "jitter", "truncated_boxes", "outliers"):
        assert torch.equal(many.targets[few.rows], few.targets[few.rows])


EXACT = (
    *("outliers", "leverage", "swapped", "unit_errors", "censoring", "input_noise", "label_noise", "pair_flip"),
    *("jitter", "wrong_boxes", "loose_boxes", "truncated_boxes"),
)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("fraction", [0.1, 0.2376, 1.0])
def test_exactly_the_share_is_hit(name: str, fraction: float) -> None:
    _, _, found = hit(name, fraction=fraction, **({"noise": 0.1} if name == "jitter" else {}))
    assert int(found.rows.sum()) == (999 if name == "censoring" and fraction == 1 else round(fraction * ROWS))


@pytest.mark.parametrize("name", NAMES)
def test_only_the_splits_that_are_named_are_touched(name: str) -> None:
    inputs, targets = clean(dict(FIRST)[name])
    numbers = torch.randperm(ROWS, generator=generator(3))
    split = {"train": numbers[:600], "val": numbers[600:800], "test": numbers[800:]}
    source = Data(inputs, targets, tuple("abcde")[: CLASSES if dict(FIRST)[name] == "multiclass" else 1])
    asked = dict(cards.card("corruption", name).values)
    kept, kept_targets = inputs.clone(), targets.clone()
    for named in (["train"], ["val"], ["train", "val"], ["train", "test"]):
        rows = corruption.corrupt(asked | {"splits": named}, source, split, seed=0)
        for part in split:
            here = split[part]
            touched = part in named and part != "test"
            assert bool(rows.corrupted[here].any()) == touched
            assert torch.equal(rows.inputs[here], kept[here]) == (not (touched and rows.moved))
            assert touched or torch.equal(rows.targets[here], kept_targets[here])
        assert rows.moved == (name in ("leverage", "input_noise", "long_tail", "imbalance"))
        assert rows.moved or rows.inputs is inputs, "runs share inputs that nothing changed"


# ---- numbers


def test_a_point_mass_is_one_value() -> None:
    _, targets, found = hit("outliers", side="point_mass", magnitude=7.0)
    (value,) = found.targets[found.rows].unique().tolist()
    assert value == pytest.approx(float(targets.quantile(0.5)) + 7 * spread_of(targets), rel=1e-5)


@pytest.mark.parametrize(
    ("distribution", "law"), [("student_t", stats.t(3)), ("cauchy", stats.cauchy), ("laplace", stats.laplace)]
)
def test_heavy_tails_have_the_quantiles_of_their_distribution(distribution: str, law: Any) -> None:
    _, targets, found = hit("heavy_tails", rows=20000, distribution=distribution, scale=0.5, df=3.0)
    noise = ((found.targets - targets) / (0.5 * spread_of(targets))).flatten().double()
    assert stats.kstest(noise.numpy(), law.cdf).pvalue > 0.001
    assert noise.quantile(0.99).item() == pytest.approx(law.ppf(0.99), rel=0.15)


def test_contaminated_normal_is_two_normals() -> None:
    _, targets, found = hit("contaminated_normal", rows=20000, fraction=0.25, factor=6.0, scale=0.2)
    noise = ((found.targets - targets) / (0.2 * spread_of(targets))).flatten().double()

    def mixture(x: object) -> object:
        return 0.75 * stats.norm.cdf(x) + 0.25 * stats.norm.cdf(x, scale=6)

    assert stats.kstest(noise.numpy(), mixture).pvalue > 0.001
    _, _, narrow = hit("contaminated_normal", rows=20000, fraction=0.25, factor=1.0, scale=0.2)
    wide = (found.targets - narrow.targets).abs().flatten() > 1e-4
    assert int(wide.sum()) == pytest.approx(5000, abs=20), "a share of the rows, not of the draws"


@pytest.mark.parametrize("kind", ["bad", "good"])
def test_leverage_points_are_far_and_stand_where_they_should(kind: str) -> None:
    inputs, targets, found = hit("leverage", kind=kind, distance=8.0, magnitude=6.0)
    moved = (found.inputs - inputs)[found.rows] / robust_scale(inputs)[1]
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 8.0), rtol=1e-3, atol=1e-3)
    assert (moved.sign() == moved[0].sign()).all(), "one cluster"
    table = torch.cat([inputs, torch.ones(ROWS, 1)], 1).double()
    plane = torch.linalg.lstsq(table, targets.double()).solution
    there = torch.cat([found.inputs, torch.ones(ROWS, 1)], 1).double()
    residual, before = found.targets - there @ plane, targets - table @ plane
    above = (residual - before)[found.rows] / spread_of(targets)
    torch.testing.assert_close(above, torch.full_like(above, 6.0 if kind == "bad" else 0.0), rtol=1e-3, atol=1e-3)


def test_leverage_bears_inputs_that_say_the_same_or_nothing() -> None:
    inputs, targets = clean("regression")
    poor = torch.cat([inputs, inputs[:, :1], torch.ones(ROWS, 1)], 1)
    found = CORRUPTIONS["leverage"](poor, targets, generator(), **settings("leverage"))
    assert torch.isfinite(found.targets).all()
    assert (found.targets - targets).abs().max() < 200 * spread_of(targets)


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_swapped_targets_are_the_same_set_on_other_rows(fraction: float) -> None:
    _, targets, found = hit("swapped", fraction=fraction)
    assert torch.equal(found.targets.sort(0).values, targets.sort(0).values)
    assert abs(float(torch.corrcoef(torch.cat([targets, found.targets], 1)[found.rows].T)[0, 1])) < 0.15
    _, _, single = hit("swapped", fraction=1 / ROWS)
    assert not single.rows.any()


def test_unit_errors_multiply() -> None:
    for task in ("regression", "counts"):
        _, targets, found = hit("unit_errors", task, factor=60.0)
        torch.testing.assert_close(found.targets[found.rows], 60 * targets[found.rows])


def test_censoring_cuts_the_largest_to_the_largest_that_stays() -> None:
    _, targets, found = hit("censoring", fraction=0.3)
    assert (targets[found.rows] > targets[~found.rows].max()).all()
    assert set(found.targets[found.rows].flatten().tolist()) == {float(targets[~found.rows].max())}
    _, counts, cut = hit("censoring", "counts", fraction=0.3)
    assert 0 < int(cut.rows.sum()) <= 300
    assert torch.equal(cut.targets, counts.clamp(max=float(cut.targets.max())))


@pytest.mark.parametrize("grows_with", ["target", "input"])
def test_heteroscedastic_noise_grows_with_what_it_is_told(grows_with: str) -> None:
    inputs, targets, found = hit("heteroscedastic", rows=20000, grows_with=grows_with, column=2, scale=0.5)
    driver = targets[:, 0] if grows_with == "target" else inputs[:, 2]
    width = (driver - driver.min()) / (driver.max() - driver.min())
    noise = (found.targets - targets)[:, 0] / (0.5 * spread_of(targets))
    usable = width > 1e-3
    assert stats.kstest((noise / width)[usable].double().numpy(), "norm").pvalue > 0.001
    with pytest.raises(BadRequest, match=r"corruption\.column must be below 4"):
        hit("heteroscedastic", grows_with="input", column=4)


# ---- inputs


def test_input_noise_has_the_scale_that_is_asked_and_pixels_stay_pixels() -> None:
    inputs, targets, found = hit("input_noise", rows=5000, fraction=0.5, scale=0.4)
    noise = ((found.inputs - inputs)[found.rows] / (0.4 * inputs.std())).flatten().double()
    assert stats.kstest(noise[:5000].numpy(), "norm").pvalue > 0.001
    assert torch.equal(found.targets, targets)
    _, _, pictures = hit("input_noise", "bbox", scale=3.0)
    assert (float(pictures.inputs.min()), float(pictures.inputs.max())) == (0, 1)


# ---- labels


def realised(before: Tensor, after: Tensor, classes: int = CLASSES) -> Tensor:
    """The share of each clean class [K] that has each label [K]."""
    counts = torch.bincount(before.long() * classes + after.long(), minlength=classes**2).reshape(classes, classes)
    return counts / counts.sum(1, keepdim=True)


def test_symmetric_noise_goes_evenly_to_other_classes() -> None:
    _, targets, found = hit("label_noise", rows=40000, fraction=0.4)
    expected = torch.full((CLASSES, CLASSES), 0.1) + 0.5 * torch.eye(CLASSES)
    torch.testing.assert_close(realised(targets, found.targets), expected, rtol=0, atol=0.015)


def test_pair_flip_goes_to_the_next_class() -> None:
    _, targets, found = hit("pair_flip", fraction=0.3)
    assert torch.equal(found.targets[found.rows], (targets[found.rows] + 1) % CLASSES)


def test_a_transition_matrix_is_realised() -> None:
    matrix = torch.rand(CLASSES, CLASSES, generator=generator(5)) * (1 - torch.eye(CLASSES))
    matrix[1] = 0
    matrix += 3 * torch.eye(CLASSES)
    matrix /= matrix.sum(1, keepdim=True)
    _, targets, found = hit("transition", rows=40000, transition=matrix.flatten().tolist())
    torch.testing.assert_close(realised(targets, found.targets), matrix, rtol=0, atol=0.015)
    assert not found.rows[targets == 1].any(), "a class that stays, stays"
    _, targets, even = hit("transition", rows=40000, transition=[0.4])
    expected = torch.full((CLASSES, CLASSES), 0.1) + 0.5 * torch.eye(CLASSES)
    torch.testing.assert_close(realised(targets, even.targets), expected, rtol=0, atol=0.015)


def test_what_is_no_transition_matrix_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"one rate, or 5 \* 5 numbers row by row; it holds 4"):
        hit("transition", transition=[0.5] * 4)
    with pytest.raises(BadRequest, match=r"row 0 adds up to 2\.5"):
        hit("transition", transition=[0.5] * 25)
    with pytest.raises(BadRequest, match=r"corruption.transition must be at least 0"):
        compose("task=multiclass", "corruption=transition", "corruption.transition=[-0.1]")


def test_instance_dependent_rates_and_directions() -> None:
    inputs, targets, found = hit("instance_dependent", rows=20000, fraction=0.3, spread=0.1)
    law = stats.truncnorm(-3, 7, 0.3, 0.1)
    assert float(found.rows.float().mean()) == pytest.approx(law.mean(), abs=0.015)
    _, _, even = hit("instance_dependent", rows=20000, fraction=0.3, spread=0.0)
    assert float(even.rows.float().mean()) == pytest.approx(0.3, abs=0.015)
    # where a label goes is decided by the input: rows of one class and direction go one way, those opposite another
    own = (targets == 2) & found.rows
    means = torch.stack([inputs[own & (found.targets == k)].mean(0) for k in range(CLASSES) if k != 2])
    assert torch.cdist(means, means).max() > 0.8
    _, plain, blind = hit("label_noise", rows=20000, fraction=0.3)
    blindly = [inputs[(plain == 2) & (blind.targets == k)].mean(0) for k in range(CLASSES) if k != 2]
    assert torch.cdist(torch.stack(blindly), torch.stack(blindly)).max() < 0.4


def test_a_long_tail_keeps_what_it_says_and_copies_the_rest() -> None:
    inputs, targets, found = hit("long_tail", rows=5000, ratio=20.0)
    had, kept = (torch.bincount(labels, minlength=CLASSES) for labels in (targets, targets[~found.rows]))
    for k, (all_rows, left) in enumerate(zip(had.tolist(), kept.tolist(), strict=True)):
        assert left == round(all_rows * 20 ** (-k / (CLASSES - 1)))
    given = torch.bincount(found.targets, minlength=CLASSES) / 5000
    torch.testing.assert_close(given, kept / kept.sum(), rtol=0, atol=0.03)
    place = {
        tuple(row): (number, int(label))
        for number, (row, label) in enumerate(zip(inputs.tolist(), targets, strict=True))
    }
    for row, label in zip(found.inputs[found.rows].tolist(), found.targets[found.rows].tolist(), strict=True):
        number, own = place[tuple(row)]
        assert own == label, "inputs and label are copied together"
        assert not found.rows[number], "from a row that stays"
    _, _, extreme = hit("long_tail", ratio=1e9)
    assert len(extreme.targets[~extreme.rows].unique()) == CLASSES, "one row of each class at least"


@pytest.mark.parametrize(("rare", "label"), [("positive", 1), ("negative", 0)])
def test_imbalance_thins_the_class_that_is_named(rare: str, label: int) -> None:
    _, targets, found = hit("imbalance", ratio=8.0, rare=rare)
    kept = targets[~found.rows]
    assert int((kept == label).sum()) == round(int((targets == label).sum()) / 8)
    assert int((kept != label).sum()) == int((targets != label).sum())


def test_class_flips_hit_exactly_their_shares() -> None:
    _, targets, found = hit("class_flips", rate_positive=0.25, rate_negative=0.1)
    for label, rate in ((1, 0.25), (0, 0.1)):
        own = targets == label
        assert int(found.rows[own].sum()) == round(rate * int(own.sum()))
    assert torch.equal(found.targets[found.rows], 1 - targets[found.rows])


def test_positive_unlabelled_touches_positives_alone() -> None:
    _, targets, found = hit("positive_unlabelled", fraction=0.4)
    assert (targets[found.rows] == 1).all()
    assert (found.targets[found.rows] == 0).all()
    assert int(found.rows.sum()) == round(0.4 * int(targets.sum()))


def test_annotators_vote() -> None:
    _, targets, found = hit("annotators", rows=20000, rate=0.3, votes=4)
    wrong = ((found.targets - targets).abs() * 4).round().long()
    torch.testing.assert_close(found.targets, torch.where(targets == 1, 1 - wrong / 4, wrong / 4))
    shares = torch.bincount(wrong, minlength=5) / 20000
    torch.testing.assert_close(shares, torch.tensor(stats.binom(4, 0.3).pmf(range(5))).float(), rtol=0, atol=0.015)
    _, _, single = hit("annotators", votes=1)
    assert set(single.targets.tolist()) == {0, 1}


@pytest.mark.parametrize("name", [name for name in losses.names("binary") if name != "sum"])
def test_every_binary_loss_takes_a_mean_vote(name: str) -> None:
    loss = losses.get(name, space=compatibility.space("binary", name))
    pred, vote = torch.tensor([0.3, 0.6, 0.9]), torch.tensor([0.0, 0.4, 1.0])
    loss.check_target(vote, 1)
    assert torch.isfinite(loss.per_sample(pred, vote)).all()


def test_metrics_of_mean_votes_are_those_of_the_majority() -> None:
    task = tasks.build({"name": "binary"}, Data(torch.zeros(1, 1), torch.zeros(1), ("no", "yes")))
    votes, raw = torch.tensor([0.0, 0.2, 0.8, 1.0, 0.4]), torch.tensor([[-2.0], [1.0], [2.0], [0.5], [-1.0]])
    soft, hard = task.evaluate(raw, votes), task.evaluate(raw, votes.round())
    for metric in ("accuracy", "auroc", "average_precision"):
        assert soft[metric] == hard[metric]
    assert soft["nll"] != hard["nll"]


# ---- boxes


BOXES = [name for name in NAMES if cards.card("corruption", name).about["tasks"] == ["bbox"]]


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("extreme", [False, True])
def test_boxes_stay_boxes_inside_the_picture(name: str, extreme: bool) -> None:
    worst = {"jitter": {"noise": 0.99}, "truncated_boxes": {"cut": 0.99}, "loose_boxes": {"factor": 50.0}}
    _, _, found = hit(name, fraction=1.0, **worst.get(name, {}) if extreme else {})
    assert found.targets.min() >= 0
    assert found.targets.max() <= 1
    assert (found.targets[:, 2:] - found.targets[:, :2]).min() > 0.99 * LEAST


def centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def test_jitter_moves_by_shares_of_the_size() -> None:
    _, targets, found = hit("jitter", rows=5000, noise=0.3)
    inside = ((found.targets > 0) & (found.targets < 1)).all(1)
    (centre, size), (moved, grown) = centre_and_size(targets[inside]), centre_and_size(found.targets[inside])
    shift, growth = (moved - centre) / size, grown / size - 1
    for drawn in (shift, growth):
        assert drawn.abs().max() <= 0.3001
        assert drawn.mean().abs() < 0.02
    assert stats.kstest(growth[:, 0].double().numpy(), stats.uniform(-0.3, 0.6).cdf).pvalue > 1e-6
    assert float(shift.std()) == pytest.approx(0.3 / math.sqrt(3), rel=0.1)
    assert abs(float(torch.corrcoef(torch.cat([shift, growth], 1).T).triu(1).abs().max())) < 0.1


def test_wrong_boxes_are_random_or_those_of_others() -> None:
    _, targets, found = hit("wrong_boxes", rows=5000, fraction=1.0)
    _, size = centre_and_size(found.targets)
    assert stats.kstest(size[:, 1].double().numpy(), stats.uniform(LEAST, 1 - LEAST).cdf).pvalue > 0.001
    assert abs(float(torch.corrcoef(torch.stack([targets[:, 0], found.targets[:, 0]]))[0, 1])) < 0.05
    _, targets, other = hit("wrong_boxes", kind="other", fraction=1.0)
    known = {tuple(box): number for number, box in enumerate(targets.tolist())}
    assert all(known[tuple(box)] != number for number, box in enumerate(other.targets.tolist()))


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_loose_and_tight_boxes_keep_their_centre(factor: float) -> None:
    _, targets, found = hit("loose_boxes", factor=factor)
    inside = ((found.targets > 0) & (found.targets < 1)).all(1)
    (centre, size), (same, grown) = centre_and_size(targets[inside]), centre_and_size(found.targets[inside])
    torch.testing.assert_close(same, centre)
    torch.testing.assert_close(grown, factor * size)
    assert inside.float().mean() > 0.3


def test_truncated_boxes_lose_a_share_at_one_side() -> None:
    _, targets, found = hit("truncated_boxes", fraction=1.0, cut=0.4)
    _, size = centre_and_size(targets)
    lost = (found.targets - targets) / torch.cat([size, -size], 1)
    assert torch.equal((lost > 1e-3).sum(1), torch.ones(ROWS, dtype=torch.long))
    torch.testing.assert_close(lost.sum(1), torch.full((ROWS,), 0.4), rtol=1e-3, atol=1e-3)
    assert (lost > 1e-3).float().mean(0).sub(0.25).abs().max() < 0.05, "all four sides"


def test_swapped_corners_are_one_of_their_own_and_one_of_another_box() -> None:
    _, targets, found = hit("swapped_corners", fraction=1.0)
    known = {float(x): number for number, x in enumerate(targets[:, 2])}
    for number in found.rows.nonzero()[:200, 0].tolist():
        x1, y1, x2, y2 = found.targets[number].tolist()
        assert float(targets[number, 0]) in (x1, x2)
        assert float(targets[number, 1]) in (y1, y2)
        (other,) = {x1, x2} - {float(targets[number, 0])}
        assert known[other] != number
        assert float(targets[known[other], 3]) in (y1, y2)
    assert found.rows.float().mean() > 0.8


# ---- in runs


@cache
def base(task: str) -> dict[str, Any]:
    given = (f"task={task}", *SMALL[task], "model.hidden=[8]", "trainer=cpu", "logger=none", "trainer.max_epochs=2")
    return compose(*given)


def request(name: str, task: str, seed: int = 0, **changed: Any) -> dict[str, Any]:
    return check.check(base(task) | {"seed": seed, "corruption": cards.card("corruption", name).values | changed})


@pytest.mark.slow
@pytest.mark.parametrize("task", cards.names("task"))
def test_a_stack_of_every_corruption_equals_its_runs_alone(task: str) -> None:
    asked = [request(name, task, seed=len(name) % 2) for name, own in PAIRS if own == task] + [request("none", task)]
    module = fused(asked)
    metrics = module.evaluate(module.flat.detach(), "last")
    assert len(module.runs) == len(asked)
    for number, run in enumerate(module.runs):
        parameters, measured = alone(run.request)
        torch.testing.assert_close(module.flat[number].detach(), parameters, rtol=1e-9, atol=1e-9)
        assert metrics[number] == pytest.approx(measured, rel=1e-9, nan_ok=True)


def test_runs_that_changed_inputs_alike_keep_them_once() -> None:
    asked = [
        request("long_tail", "multiclass", seed, ratio=ratio)
        for seed, ratio in ((0, 9.0), (0, 9.0), (1, 9.0), (0, 3.0))
    ]
    runs = [prepare(one) for one in [*asked, request("none", "multiclass")]]
    assert runs[0].rows.inputs is runs[1].rows.inputs
    module = FusedModule(runs)
    assert len(module.inputs) == 4 * len(runs[0].rows.inputs)
    rows = torch.stack([run.split["train"][:7] for run in runs])
    for run, own, found in zip(runs, rows, module.inputs_of(rows), strict=True):
        assert torch.equal(found, run.rows.inputs[own])
    one = FusedModule([run for run in runs if run.rows.inputs is runs[0].rows.inputs])
    assert one.inputs is runs[0].rows.inputs, "not copied where all share them"


def test_the_comparison_sees_inputs_that_are_not_a_runs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [request("leverage", "regression", seed) for seed in (0, 1)]
    monkeypatch.setattr(FusedModule, "inputs_of", lambda self, rows: self.inputs[rows])
    module = fused(asked)
    parameters, _ = alone(module.runs[1].request)
    assert (module.flat[1].detach() - parameters).abs().max() > 1e-6


def test_a_record_says_how_many_labels_are_wrong(quick: Callable[..., Record]) -> None:
    record = quick("task=multiclass", "corruption=transition", "corruption.splits=[train,val]")
    run = prepare(record.config)
    wrong = run.rows.targets != run.source.targets
    assert record.corruption["rows_hit"] == {part: int(wrong[rows].sum()) for part, rows in run.split.items()}
    assert 0.15 < record.corruption["rows_hit"]["train"] / record.data["rows_in"]["train"] < 0.25
    assert record.selection["validation"] == "corrupted"
    votes = quick("task=binary", "corruption=annotators", "corruption.splits=[train,val]", into="votes")
    assert votes.status == "done"


def test_class_counts_are_those_of_the_long_tail() -> None:
    loss = {"loss": cards.card("loss", "logit_adjusted").values}
    run = prepare(check.check(request("long_tail", "multiclass", ratio=100.0) | loss))
    counts = run.loss.each()[0].params["counts"]
    assert counts == torch.bincount(run.rows.targets[run.split["train"]], minlength=10).tolist()
    assert counts[0] > 20 * counts[-1] > 0


# ---- as it is shown


SHOWN = [*FIRST, ("none", "regression"), ("input_noise", "binary"), ("input_noise", "bbox")]
RENDERED = ("outliers", "annotators", "imbalance", "jitter")  # and composed by the quick tests: one of each kind


def preview_of(name: str, task: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What `losslab show corruption=NAME` prints for few rows."""
    rows = [text for text in SMALL[task] if text.startswith("data.rows")] + ["data.batch_size=8"]
    assert main.main(["show", f"corruption={name}", f"task={task}", *rows]) == 0
    return capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), SHOWN)
def test_show_works_for_every_corruption(
    name: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    if name not in RENDERED:
        monkeypatch.setattr(Figure, "savefig", lambda self, into, **_: into.write_bytes(b"\x89PNG"))
        monkeypatch.setattr("losslab.request.compose.compose", lambda *overrides: request(name, task))
    said = preview_of(name, task, capsys)
    assert max(map(len, said.splitlines())) <= 80
    words = " ".join(said.split())
    docstring = inspect.getdoc(CORRUPTIONS[name])
    assert docstring
    assert " ".join(docstring.split("\n\n")[0].split()) in words
    for key in set(cards.card("corruption", name).values) - {"name"}:
        assert f"{key}=" in words
    found = re.search(r"Corrupted rows: (\d+) of (\d+) training rows", said)
    assert found
    assert (int(found[1]) > 0) == (name != "none")
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), SHOWN)
def test_every_figure_is_drawn_to_its_end(
    name: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    preview_of(name, task, capsys)
    assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_the_figure_shows_the_rows_that_were_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    seen = corruption_preview.see(request("outliers", "regression"))
    corruption_preview.draw(seen, Path("x.png"))
    before, after = (seen.of(rows.targets)[:, 0] for rows in (seen.clean, seen.rows))
    kept, hit_rows = (points.get_offsets().data for points in drawn[0].axes[0].collections)
    torch.testing.assert_close(torch.as_tensor(hit_rows).float(), torch.stack([before, after], 1)[seen.corrupted])
    torch.testing.assert_close(torch.as_tensor(kept).float(), torch.stack([before, after], 1)[~seen.corrupted])
    seen = corruption_preview.see(request("pair_flip", "multiclass"))
    corruption_preview.draw(seen, Path("x.png"))
    counts = torch.tensor([int(text.get_text()) for text in drawn[1].axes[0].texts]).reshape(10, 10)
    expected = torch.zeros(10, 10, dtype=torch.long)
    expected.index_put_((seen.of(seen.clean.targets), seen.of(seen.rows.targets)), torch.tensor(1), accumulate=True)
    assert torch.equal(counts, expected)
    seen = corruption_preview.see(request("jitter", "bbox"))
    corruption_preview.draw(seen, Path("x.png"))
    true, given = (torch.tensor(frame.get_bbox().extents) for frame in drawn[2].axes[0].patches)
    first = int(seen.corrupted.nonzero()[0])
    torch.testing.assert_close(true.float(), seen.of(seen.clean.targets)[first])
    torch.testing.assert_close(given.float(), seen.of(seen.rows.targets)[first])


def test_a_preview_takes_settings_and_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["corruption=outliers", "fraction=0.3", "corruption.side=one_sided", "data=friedman_counts", "seed=3"]
    assert main.main(["show", *words, "splits=[val]", "--out", "o.svg"]) == 0
    drawn = (tmp_path / "o.svg").read_text()
    assert "outliers (fraction=0.3, magnitude=10, side=one_sided) on friedman_counts" in drawn
    assert "validation rows" in drawn
    assert main.main(["show", "loss=huber", "--out", "h.svg"]) == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["corruption=outlier"], "did you mean 'outliers'"),
        (["corruption=outliers", "fraction=2"], "corruption.fraction must be at least 0 and at most 1"),
        (["corruption=outliers", "fractoin=0.2"], "did you mean 'corruption.fraction'"),
        (["corruption=outliers", "fraction"], "KEY=VALUE"),
        (["corruption=outliers", "task=bbox"], "does not fit task 'bbox'"),
        (["corruption=outliers", "data=scenes"], "does not fit task 'regression'"),
        (["corruption=outliers", "--out", "x.docx"], ".png or an .svg"),
        (["corruption=outliers", "--out", "/nowhere/x.png"], "Nothing can be written to /nowhere/x.png"),
        (["corruption=heteroscedastic", "grows_with=input", "column=99"], "corruption.column must be below 10"),
        (["model=mlp"], "write the name of a loss, or corruption=NAME"),
    ],
)
def test_a_wrong_preview_gets_one_sentence(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["show", *words]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("losslab show: ")
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not list(tmp_path.iterdir())


def test_a_wrong_preview_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from losslab.cli.main import main; "
        "main(['show', 'corruption=outliers', 'fraction=2']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
