"""What torch's users expect of any loss: shapes, reductions, weights, smoothing, ignored labels, and checks at each call."""

import doctest
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, tensor

from losslab import BadRequest, compose, losses, read_records, spaces
from losslab.cli import train as cli_train
from losslab.losses import lookup
from losslab.losses.base import STATES
from losslab.schema import canonical, cards
from losslab.schema.space_words import BY_CLASS, YES_OR_NO
from losslab.training.prepare import prepare
from support.examples import made, sample

PLAIN = [name for name in losses.names() if "terms" not in cards.card("loss", name).values]
PAIRS = [(name, space) for name in PLAIN for space in cards.card("loss", name).about["reads"]]
BATCHWISE = {name for name in PLAIN if "batchwise" in cards.card("loss", name).about["facts"]}
each_pair = pytest.mark.parametrize(("name", "space"), PAIRS)
of_classes = pytest.mark.parametrize(("name", "space"), [pair for pair in PAIRS if pair[1] in BY_CLASS])
yes_or_no = pytest.mark.parametrize(("name", "space"), [pair for pair in PAIRS if pair[1] in YES_OR_NO])
with_classes = pytest.mark.parametrize(("name", "space"), [p for p in PAIRS if p[1] in (*BY_CLASS, *YES_OR_NO)])


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected)


def gradient(loss: losses.Loss, pred: Tensor, target: Tensor, **more: Tensor) -> Tensor:
    pred = pred.clone().requires_grad_()
    loss(pred, target, **more).sum().backward()
    assert pred.grad is not None
    return pred.grad


# ---- shapes


@yes_or_no
def test_a_column_of_yes_or_no_is_a_row_of_it(name: str, space: str) -> None:
    loss, (pred, target) = made(name, space).eval(), sample(space)
    same(loss(pred[:, None], target[:, None]), loss(pred, target))
    same(gradient(loss, pred[:, None], target[:, None])[:, 0], gradient(loss, pred, target))


@yes_or_no
def test_several_columns_give_the_mean_over_what_each_gives(name: str, space: str) -> None:
    loss = made(name, space).eval()
    pred, target = (torch.stack(columns, 1) for columns in zip(*(sample(space, seed=k) for k in range(3)), strict=True))
    columns = torch.stack([loss.per_sample(pred[:, k], target[:, k]) for k in range(3)], 1)
    if name in BATCHWISE:  # all columns are one batch
        columns = loss.per_sample(pred.flatten(), target.flatten()).reshape(-1, 3)
    same(loss.per_sample(pred, target), columns.mean(1))
    same(loss(pred, target), columns.mean())


@yes_or_no
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.int32, torch.uint8])
def test_yes_or_no_may_be_bool_or_integers(name: str, space: str, dtype: torch.dtype) -> None:
    loss, (pred, target) = made(name, space).eval(), sample(space)
    same(loss(pred, target.to(dtype)), loss(pred, target))


@of_classes
def test_classes_lie_on_the_second_axis(name: str, space: str) -> None:
    loss, (pred, target) = made(name, space).eval(), sample(space, n=30)
    image = pred.reshape(5, 2, 3, 4).movedim(-1, 1)
    labels = target.reshape(5, 2, 3) if target.ndim == 1 else target.reshape(5, 2, 3, 4).movedim(-1, 1)
    same(loss(image, labels), loss(pred, target))
    same(loss.per_sample(image, labels), loss.per_sample(pred, target).reshape(5, 2, 3))
    same(gradient(loss, image, labels).movedim(1, -1).reshape(30, 4), gradient(loss, pred, target))


@pytest.mark.parametrize(("name", "space"), [pair for pair in PAIRS if pair[1] == "class_logits"])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_class_indices_may_be_of_any_integer_type(name: str, space: str, dtype: torch.dtype) -> None:
    loss, (pred, target) = made(name, space).eval(), sample(space)
    same(loss(pred, target.to(dtype)), loss(pred, target))


@pytest.mark.parametrize(("name", "space"), [pair for pair in PAIRS if pair[1] == "boxes"])
def test_boxes_may_come_by_picture(name: str, space: str) -> None:
    loss, (pred, target) = made(name, space).eval(), sample(space)
    found = loss.per_sample(pred.reshape(2, 3, 4), target.reshape(2, 3, 4))
    same(found, loss.per_sample(pred, target).reshape(2, 3) if name not in BATCHWISE else found)
    same(loss(pred.reshape(2, 3, 4), target.reshape(2, 3, 4)), loss(pred, target))


def test_focal_of_a_column_and_of_several_labels_gives_what_the_formula_gives() -> None:
    focal = losses.get("focal", space="binary_logit")
    assert focal(tensor([[3.0], [-2.0]]), tensor([[0.0], [1.0]])).item() == pytest.approx(2.208, abs=5e-4)

    def one(z: float, t: float) -> float:
        p = 1 / (1 + math.exp(-z)) if t else 1 / (1 + math.exp(z))
        return -((1 - p) ** 2) * math.log(p)

    several, labels = [[3.0, -2.0, 0.5], [1.0, 2.0, -3.0]], [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]
    expected = [sum(map(one, z, t)) / 3 for z, t in zip(several, labels, strict=True)]
    same(focal.per_sample(tensor(several), tensor(labels)), tensor(expected))


def test_a_class_axis_of_one_and_several_ones_in_a_row_are_refused() -> None:
    for name in [name for name, space in PAIRS if space == "class_logits"]:
        loss = made(name, "class_logits")
        with pytest.raises(ValueError, match=r"two or more|two classes or more"):
            loss(torch.zeros(2, 1), tensor([[0.0], [1.0]]))
        with pytest.raises(ValueError, match="several labels at once"):
            loss(torch.zeros(2, 4), tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]))


# ---- reductions and weights of samples


@each_pair
def test_reductions(name: str, space: str) -> None:
    pred, target = sample(space)
    mean, total, each = (
        losses.get(name, space=space, reduction=how, **needed(name)).eval() for how in ("mean", "sum", "none")
    )
    same(total(pred, target), each(pred, target).sum())
    same(mean(pred, target), each(pred, target).mean())
    assert each(pred, target).shape == (len(pred),)


@each_pair
def test_a_weight_of_two_is_a_sample_that_is_there_twice(name: str, space: str) -> None:
    if name in BATCHWISE:
        pytest.skip("a sample more changes the losses of the others")
    loss, (pred, target) = made(name, space).eval(), sample(space, n=4)
    weight, twice = tensor([2.0, 1.0, 0.0, 1.0]), tensor([0, 0, 1, 3])
    same(loss(pred, target, weight), loss(pred[twice], target[twice]))
    same(loss.per_sample(pred, target, weight), weight * loss.per_sample(pred, target))
    assert (gradient(loss, pred, target, weight=weight)[2] == 0).all()


def test_weights_are_checked() -> None:
    loss, (pred, target) = losses.get("mse"), sample("values")
    for weight, says in (
        (torch.ones(2), r"must be \[N\]"),
        (-torch.ones(6), "is no weight"),
        (torch.full((6,), math.nan), "Weight 0"),
    ):
        with pytest.raises(ValueError, match=says):
            loss(pred, target, weight)
    assert loss(pred, target, torch.zeros(6)).item() == 0
    with pytest.raises(BadRequest, match="reduction must be one of: mean, sum, none"):
        losses.get("mse", reduction="batchmean")


# ---- options of losses whose targets are classes


def needed(name: str) -> dict:
    given = {"counts": [40.0, 30.0, 20.0, 10.0], "shares": [0.4, 0.3, 0.2, 0.1]}
    return {key: value for key, value in given.items() if key in cards.card("loss", name).values}


@of_classes
def test_class_weights_multiply_the_loss_of_a_label(name: str, space: str) -> None:
    weights = [0.5, 2.0, 1.0, 3.0]
    plain, weighed = made(name, space), made(name, space, class_weights=weights)
    pred, labels = sample(space)[0], sample("class_logits")[1]
    target = labels if space == "class_logits" else F.one_hot(labels, 4).double()
    expected = tensor(weights).double()[labels]
    each = plain.per_sample(pred, target)
    same(weighed.per_sample(pred, target), expected * each)
    # as in torch, a mean over indices divides by the weights that occur, one over distributions by N
    same(weighed(pred, target), (expected * each).sum() / (expected.sum() if space == "class_logits" else 6))


@yes_or_no
def test_class_weights_and_pos_weight_multiply_the_loss_of_no_and_of_yes(name: str, space: str) -> None:
    pred, target = sample(space)
    each, factor = made(name, space).per_sample(pred, target), torch.where(target == 1, 3.0, 0.5).double()
    same(made(name, space, class_weights=[0.5, 3.0]).per_sample(pred, target), factor * each)
    loss = made(name, space, pos_weight=[1.0, 3.0])
    two = torch.stack([pred, pred], 1), torch.stack([target, target], 1)
    same(loss.per_sample(*two), (each + torch.where(target == 1, 3.0, 1.0) * each) / 2)


@with_classes
def test_smoothing_is_that_of_the_target(name: str, space: str) -> None:
    pred, target = sample(space)
    if target.is_floating_point():
        shares, classes = target, 2 if space in YES_OR_NO else 4
    else:
        shares, classes = F.one_hot(target, 4).double(), 4
    smoothed = 0.8 * shares + 0.2 / classes
    same(made(name, space, label_smoothing=0.2).per_sample(pred, target), made(name, space).per_sample(pred, smoothed))


@pytest.mark.parametrize(("name", "space"), [p for p in PAIRS if p[1] in ("class_logits", *YES_OR_NO)])
def test_an_ignored_label_leaves_its_sample_out(name: str, space: str) -> None:
    pred, target = sample(space)
    kept = tensor([True, False, True, True, False, True])
    target, far = target.where(kept, -100), pred.where(kept.reshape(-1, *[1] * (pred.ndim - 1)), torch.nan)
    for more in ({}, {"label_smoothing": 0.1}):
        loss, plain = made(name, space, ignore_index=-100, **more), made(name, space, **more)
        same(loss(far, target), plain(pred[kept], target[kept]))  # one training step, so also in what they keep
        same(loss(far, target), plain(pred[kept], target[kept]))
        assert (loss.per_sample(far, target)[~kept] == 0).all()
        assert (gradient(loss, far, target)[~kept] == 0).all()
    nothing = torch.full_like(target, -100)
    assert loss(pred, nothing).item() == 0
    assert (gradient(loss, pred, nothing) == 0).all()
    with pytest.raises(ValueError, match=r"Target 1, -100"):
        made(name, space)(pred, target)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0, 3.0]])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_is_torchs_under_every_option(smoothing: float, weights: list | None, reduction: str) -> None:
    pred, target = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0)), torch.arange(15).reshape(5, 3) % 4
    target[0, 0] = target[3, 2] = -100
    ours = losses.get(
        "cross_entropy", reduction=reduction, label_smoothing=smoothing, class_weights=weights, ignore_index=-100
    )
    given = None if weights is None else tensor(weights)
    same(ours(pred, target), F.cross_entropy(pred, target, given, reduction=reduction, label_smoothing=smoothing))
    shares = torch.rand(5, 4, 3, generator=torch.Generator().manual_seed(1)).softmax(1)
    ours = losses.get("cross_entropy", reduction=reduction, label_smoothing=smoothing, class_weights=weights)
    same(ours(pred, shares), F.cross_entropy(pred, shares, given, reduction=reduction, label_smoothing=smoothing))


def test_bce_with_logits_is_torchs_with_a_weight_for_each_column() -> None:
    pred, target = (
        torch.randn(6, 3, generator=torch.Generator().manual_seed(0)),
        (torch.arange(18).reshape(6, 3) % 2).float(),
    )
    ours = losses.get("bce_with_logits", pos_weight=[1.0, 2.0, 5.0])
    same(ours(pred, target), F.binary_cross_entropy_with_logits(pred, target, pos_weight=tensor([1.0, 2.0, 5.0])))
    with pytest.raises(ValueError, match="one for each of 2 columns; it holds 3"):
        ours(pred[:, :2], target[:, :2])


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadRequest, match="class_weights is for targets that are classes, and 'huber' reads 'values'"):
        losses.get("huber", class_weights=[1.0, 2.0])
    with pytest.raises(BadRequest, match="pos_weight is for targets that are yes or no"):
        losses.get("cross_entropy", pos_weight=2.0)
    with pytest.raises(BadRequest, match="pos_weight must"):
        losses.get("bce", pos_weight=[1.0, -2.0])
    with pytest.raises(BadRequest, match=r"label_smoothing must"):
        losses.get("focal", label_smoothing=1.5)
    with pytest.raises(ValueError, match="ignore_index leaves class indices out"):
        losses.get("cross_entropy", ignore_index=-100)(torch.zeros(2, 3), torch.full((2, 3), 1 / 3))
    two = losses.get("sum", terms="cross_entropy + focal", class_weights=[1.0, 2.0, 3.0], reduction="none")
    assert two(torch.zeros(4, 3), tensor([0, 1, 2, 0])).shape == (4,)


# ---- empty batches, and checks that do not stop


@each_pair
def test_an_empty_batch_costs_nothing_and_changes_nothing(name: str, space: str) -> None:
    pred, target = (part[:0] for part in sample(space))
    loss = made(name, space).train()
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    assert loss(pred, target).item() == 0
    assert loss.per_sample(pred, target).shape == (0,)
    assert gradient(loss, pred, target).shape == pred.shape
    assert all((loss.state_dict()[key] == value).all() for key, value in before.items())
    assert torch.isfinite(loss(*sample(space))).all()
    assert bool(STATES.get(name)) == bool(before)


@each_pair
def test_a_wrong_target_is_refused_at_every_call(name: str, space: str) -> None:
    loss, (pred, target) = made(name, space), sample(space)
    loss(pred[:0], target[:0])
    loss(pred, target)
    for value in (-100, 4, 10**6) if not target.is_floating_point() else (math.nan, math.inf):
        wrong = target.clone()
        wrong[2] = value
        for _ in range(2):
            with pytest.raises(ValueError, match="Target 2"):
                loss(pred, wrong)


@pytest.mark.parametrize("name", [name for name, space in PAIRS if space == "class_logits"])
@pytest.mark.parametrize("label", [-100, -1, 4])
def test_no_function_takes_an_index_that_names_no_class(name: str, label: int) -> None:
    """As on a GPU, where no check reads values: the indexing itself fails."""
    loss, (pred, target) = made(name, "class_logits"), sample("class_logits")
    target[1] = label
    with pytest.raises((IndexError, RuntimeError), match=r"out of (range|bounds)|index"):
        loss._function(pred, target, **loss.keywords(pred))


# ---- in the harness


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["task=regression", "loss=mse", "loss.class_weights=[2.0]"],
            "targets that are classes, and task 'regression' has none",
        ),
        (["task=multiclass", "loss=poly1", "loss.class_weights=[1.0,2.0]"], "one for each of 10 classes; it holds 2"),
        (["task=multiclass", "loss=poly1", "loss.class_weights=[-1.0]"], "loss.class_weights must"),
        (
            ["task=multiclass", "loss=sum", "loss.terms=poly1", "loss.class_weights=[2.0]"],
            "A sum has no loss.class_weights",
        ),
        (["task=regression", "data.weight=balanced"], "makes classes count the same, and task 'regression' has none"),
        (["data.weight=nothing"], "data.weight must be none, balanced or a file"),
        (["data.weight=nothing.csv"], "there is no such file"),
        (["task=multiclass", "loss=poly1", "loss.class_weight=[1.0]"], "did you mean 'loss.class_weights'"),
    ],
)
def test_options_of_a_run_are_checked_before_it_starts(words: list[str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        prepare(compose(*words))


def test_an_option_that_does_nothing_leaves_the_request_as_it_was() -> None:
    for task, more in (
        ("binary", ["loss=savage", "loss.label_smoothing=0", "data.weight=none"]),
        ("multiclass", ["loss=poly1", "loss.class_weights=[1.0]"]),
    ):
        plain = compose(f"task={task}", *more[:1])
        assert compose(f"task={task}", *more) == plain
        assert canonical.run_id(compose(f"task={task}", *more)) == canonical.run_id(plain)


def test_balanced_rows_make_every_class_count_the_same() -> None:
    parts = prepare(compose("task=binary", "data.weight=balanced"))
    train, labels = parts.split["train"], parts.rows.targets
    assert parts.weights is not None
    sums = [parts.weights[train][labels[train] == label].sum().item() for label in (0, 1)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)
    assert sum(sums) == pytest.approx(len(train), rel=1e-5)
    assert parts.pairing() != prepare(compose("task=binary")).pairing()


@pytest.mark.parametrize("ending", ["csv", "txt", "npy"])
def test_weights_of_rows_come_from_a_file(tmp_path: Path, ending: str) -> None:
    file, numbers = tmp_path / f"weights.{ending}", np.linspace(0, 2, 300)
    if ending == "npy":
        np.save(file, numbers)
    else:
        file.write_text("weight\n" + "\n".join(map(str, numbers)) + "\n")
    parts = prepare(compose("data.rows=300", f"data.weight={file}"))
    assert parts.weights is not None
    same(parts.weights, torch.from_numpy(numbers).float())
    with pytest.raises(BadRequest, match="holds 300 numbers, and the data have 200 rows"):
        prepare(compose("data.rows=200", f"data.weight={file}"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1\n-2\n" + "1\n" * 298, "row 1 is -2.0"),
        ("1\nx\n", "line 2, 'x', is no number"),
        ("0\n" * 300, "is 0 for all training rows"),
    ],
)
def test_a_wrong_file_of_weights_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "w.csv"
    file.write_text(text)
    with pytest.raises(BadRequest, match=says):
        prepare(compose("data.rows=300", f"data.weight={file}"))


@pytest.mark.slow
def test_options_are_taken_on_the_command_line_alone_and_in_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    brief = ["task=binary", "model=linear", "trainer=cpu", "trainer.max_epochs=1", "logger=none"]
    assert (
        cli_train.train(
            [*brief, "loss=savage", "loss.label_smoothing=0.1", "data.weight=balanced", "hydra.run.dir=one"]
        )
        == 0
    )
    [record] = read_records(tmp_path / "one")
    assert (record.loss_params, record.data["weight"]) == ({"label_smoothing": 0.1}, "balanced")
    for launcher in ("fused", "basic"):
        words = [
            "-m",
            *brief,
            "loss=savage,bce_with_logits",
            "loss.class_weights=[1,2],[1,3]",
            f"hydra/launcher={launcher}",
        ]
        assert cli_train.train([*words, f"hydra.sweep.dir={launcher}"]) == 0, capsys.readouterr().err
        found = {(record.loss, *record.loss_params["class_weights"]) for record in read_records(tmp_path / launcher)}
        assert found == {(loss, 1.0, weight) for loss in ("savage", "bce_with_logits") for weight in (2.0, 3.0)}


def test_the_example_of_get_gives_what_it_says() -> None:
    found = doctest.testmod(lookup, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0


def test_the_page_of_shapes_has_the_table_of_the_module() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "shapes.md").read_text()
    tables = [[line for line in text.splitlines() if line.startswith("|")] for text in (page, spaces.__doc__ or "")]
    assert tables[0] == tables[1]
    listed = {name for line in tables[0][2:] for name in line.split("|")[1].replace(" ", "").split(",")}
    assert listed == {space for name in losses.names() for space in cards.card("loss", name).about.get("reads", [])}
