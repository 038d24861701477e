"""Data sets, their splits and what may go wrong with them."""

from dataclasses import replace

import pytest
import torch

from losslab import BadRequest, compose, data, seeding
from losslab.corruption import corrupt
from losslab.data import SOURCES, base
from losslab.data.scenes import CANVAS, ink_boxes, scenes
from losslab.schema import cards, check
from losslab.training.prepare import prepare
from support.examples import installed

FRIEDMAN = {"name": "friedman", "rows": 300, "noise": 1.0, "batch_size": 64, "val_fraction": 0.2, "test_fraction": 0.2}
OUTLIERS = {"name": "outliers", "fraction": 0.2, "magnitude": 10.0, "side": "symmetric", "splits": ["train"]}


def settings(name: str) -> dict:
    return dict(cards.card("data", name).values)


@pytest.mark.parametrize("name", installed())
def test_each_data_set_has_the_rows_and_the_kind_that_its_card_states(name: str) -> None:
    about, chosen = cards.card("data", name).about, settings(name)
    source, split = data.load(chosen, seed=0)
    rows = sum(map(len, split.values())) // (3 if about.get("one_split") else 1)
    assert len(source.inputs) == len(source.targets) == rows
    assert rows == chosen.get("rows", about.get("rows", about.get("rows_per_point", 0) * chosen.get("points", 0)))
    assert {"picture": 4, "table": 2, "simulation": 2}[about["kind"]] == source.inputs.ndim
    if about["kind"] == "picture":
        assert source.inputs.shape[2:] == (chosen.get("side", about.get("side")),) * 2
    assert source.inputs.dtype == torch.float32
    assert torch.isfinite(source.inputs).all()
    if about["kind"] == "picture":
        assert source.inputs.min() >= 0
        assert source.inputs.max() <= 1
    elif about["kind"] == "table":
        assert source.inputs[split["train"]].mean(0).abs().max() < 1e-4
        assert (source.inputs[split["train"]].std(0) - 1).abs().max() < 1e-4
    axes = {"multiclass": 1, "binary": 1, "regression": 2, "counts": 2, "bbox": 2}
    axes |= {"ordinal": 1, "multilabel": 2, "segmentation": 3}
    assert axes[about["tasks"][0]] == source.targets.ndim


def test_the_seed_draws_the_split_and_not_the_rows() -> None:
    (first, split), (second, other), (again, same) = (data.load(FRIEDMAN, seed) for seed in (0, 1, 0))
    torch.testing.assert_close(first.targets, second.targets, rtol=0, atol=0)
    assert not torch.equal(split["train"], other["train"])
    assert all(torch.equal(split[part], same[part]) for part in split)
    assert torch.equal(first.inputs, again.inputs)
    assert sorted(torch.cat(list(split.values())).tolist()) == list(range(300))
    assert {part: len(rows) for part, rows in split.items()} == check.split_sizes(FRIEDMAN, 300)


def test_friedman_follows_its_formula() -> None:
    from losslab.data.tables import friedman

    source = friedman(rows=2000, noise=0.0)
    x = source.inputs
    assert x.min() >= 0
    assert x.max() <= 1
    assert x.mean(0).sub(0.5).abs().max() < 0.03
    y = 10 * torch.sin(torch.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    torch.testing.assert_close(source.targets[:, 0], y, rtol=1e-4, atol=1e-4)
    noisy = friedman(rows=2000, noise=3.0)
    assert (noisy.targets[:, 0] - y).std().item() == pytest.approx(3, rel=0.1)


def test_boxes_of_scenes_lie_exactly_around_the_ink() -> None:
    source = scenes(rows=200, clutter=0, noise=0.0)
    boxes = CANVAS * source.targets
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes.min() >= 0
    assert boxes.max() <= CANVAS
    seen = ink_boxes(source.inputs[:, 0])
    # faint ink at the edge may fall below the threshold; a box that were off would show in the mean of its sides
    assert (seen - boxes).abs().max() < 4
    assert (seen - boxes).abs().mean() < 0.8
    assert (seen - boxes).mean(0).abs().max() < 0.8


@pytest.mark.slow
def test_scenes_have_clutter_and_noise_as_asked() -> None:
    plain, cluttered, noisy = (scenes(50, clutter, noise).inputs for clutter, noise in ((0, 0.0), (8, 0.0), (0, 0.2)))
    assert cluttered.sum() > 1.1 * plain.sum()
    assert (noisy - plain)[plain == 0].abs().mean() > 0.05
    assert torch.equal(scenes(50, 8, 0.0).inputs, cluttered)


def test_outliers_hit_exactly_the_share_and_move_by_the_magnitude() -> None:
    source, split = data.load(FRIEDMAN, seed=0)
    rows = corrupt(OUTLIERS, source, split, seed=0)
    train = split["train"]
    assert int(rows.corrupted.sum()) == round(0.2 * len(train))
    assert set(rows.corrupted.nonzero().flatten().tolist()) <= set(train.tolist()), "val and test stay clean"
    moved = (rows.targets - source.targets).flatten()
    assert torch.equal(moved != 0, rows.corrupted)
    clean = source.targets[train].flatten()
    spread = 1.4826 * (clean - clean.quantile(0.5)).abs().quantile(0.5)
    torch.testing.assert_close(
        moved[rows.corrupted].abs(), (10 * spread).expand(int(rows.corrupted.sum())), rtol=1e-4, atol=1e-4
    )
    assert 0.2 < (moved[rows.corrupted] > 0).float().mean() < 0.8
    assert torch.equal(rows.inputs, source.inputs)


def test_one_sided_outliers_all_go_up() -> None:
    source, split = data.load(FRIEDMAN, seed=0)
    rows = corrupt(OUTLIERS | {"side": "one_sided"}, source, split, seed=0)
    assert ((rows.targets - source.targets)[rows.corrupted] > 0).all()


def test_a_larger_fraction_holds_the_rows_of_a_smaller_one() -> None:
    source, split = data.load(FRIEDMAN, seed=0)
    few, many = (corrupt(OUTLIERS | {"fraction": share}, source, split, seed=0) for share in (0.1, 0.4))
    assert (many.corrupted | ~few.corrupted).all()
    torch.testing.assert_close(many.targets[few.corrupted], few.targets[few.corrupted])


@pytest.mark.parametrize(("fraction", "count"), [(0.0, 0), (1.0, 180)])
def test_fractions_at_the_ends(fraction: float, count: int) -> None:
    source, split = data.load(FRIEDMAN, seed=0)
    assert int(corrupt(OUTLIERS | {"fraction": fraction}, source, split, seed=0).corrupted.sum()) == count


def test_validation_is_corrupted_only_when_asked() -> None:
    source, split = data.load(FRIEDMAN, seed=0)
    rows = corrupt(OUTLIERS | {"splits": ["train", "val"]}, source, split, seed=0)
    assert {part: int(rows.corrupted[numbers].sum()) for part, numbers in split.items()} == {
        "train": 36,
        "val": 12,
        "test": 0,
    }


def test_streams_are_apart_and_leave_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    drawn = {torch.rand(1, generator=seeding.generator(0, stream)).item() for stream in seeding.STREAMS}
    assert len(drawn) == len(seeding.STREAMS)
    assert seeding.derive(0, "order", 1) != seeding.derive(0, "order", 2) != seeding.derive(1, "order", 2)
    with pytest.raises(KeyError, match="no random stream 'ordre'"):
        seeding.generator(0, "ordre")
    data.load(FRIEDMAN, seed=0)
    from losslab import models

    models.build({"name": "mlp", "hidden": [4]}, (10,), 1, seed=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_fingerprint_sees_values_shapes_and_types() -> None:
    base = torch.arange(4.0)
    prints = {seeding.fingerprint([t]) for t in (base, base.reshape(2, 2), base.double(), base + 1, base.long())}
    assert len(prints) == 5
    assert seeding.fingerprint([base]) == seeding.fingerprint([base.clone()])


def test_compose_gives_what_the_task_brings_and_what_is_typed_wins() -> None:
    brought = compose("task=bbox")
    assert [brought[g]["name"] for g in ("data", "model", "loss", "corruption")] == ["scenes", "cnn", "giou", "none"]
    typed = compose("loss=smoothl1", "model=mlp", "task=bbox", "loss.beta=0.5")
    assert (typed["loss"], typed["model"]["name"]) == ({"name": "smoothl1", "beta": 0.5}, "mlp")
    assert compose()["corruption"]["fraction"] == 0.1, "regression comes with outliers"


# ---- what cannot be trained on


def spoilt(name: str, part: str, value: float, monkeypatch: pytest.MonkeyPatch) -> dict:
    """The settings of a data set one of whose numbers is not finite."""
    asked = settings(name)
    made = SOURCES[name](**{key: value for key, value in asked.items() if key not in check.NOT_OF_ROWS})
    tensors = {"inputs": made.inputs.clone(), "targets": made.targets.clone()}
    tensors[part].reshape(len(made.inputs), -1)[7, -1] = value
    monkeypatch.setitem(SOURCES, name, lambda **_: replace(made, **tensors))
    base._rows.cache_clear()
    return asked


@pytest.mark.slow
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", installed())
def test_a_number_that_is_none_is_named_before_training(
    name: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = ["inputs"] + (["targets"] if name in FLOAT_TARGETS else [])
    for part in parts:
        asked = spoilt(name, part, value, monkeypatch)
        with pytest.raises(
            BadRequest, match=rf"data={name}.*: row 7(, column \d+|, at \[.*\])? of the {part} is {value}; nothing"
        ):
            data.load(asked, seed=0)
        monkeypatch.undo()
    base._rows.cache_clear()


FLOAT_TARGETS = [name for name in installed() if "multiclass" not in cards.card("data", name).about["tasks"]]


def test_a_corruption_that_goes_too_far_is_named() -> None:
    request = compose("task=regression", "data.rows=300", "corruption=outliers", "corruption.magnitude=1e38")
    with pytest.raises(
        BadRequest, match=r"corruption=outliers goes too far: row \d+, column 0 of the targets is -?inf"
    ):
        prepare(request)


@pytest.mark.parametrize("corruption", ["leverage", "input_noise"])
def test_inputs_are_standardised_by_the_rows_as_they_are(corruption: str) -> None:
    parts = prepare(compose("task=regression", "data.rows=600", f"corruption={corruption}", "corruption.fraction=0.3"))
    train = parts.rows.inputs[parts.split["train"]]
    torch.testing.assert_close(train.mean(0), torch.zeros(10), rtol=0, atol=1e-5)
    torch.testing.assert_close(train.std(0), torch.ones(10), rtol=1e-5, atol=0)
    assert parts.rows.moved
    clean = prepare(compose("task=regression", "data.rows=600", "corruption=none"))
    train = clean.rows.inputs[clean.split["train"]]
    torch.testing.assert_close(train.std(0), torch.ones(10), rtol=1e-5, atol=0)
    one, other = (
        prepare(compose("task=regression", "data.rows=600", f"corruption={corruption}", f"loss={loss}"))
        for loss in ("mse", "l1")
    )
    assert one.rows.inputs is other.rows.inputs, "runs of a stack share what they have in common"
