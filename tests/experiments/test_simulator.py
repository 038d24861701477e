"""Box regression without pictures: the cases, the descent of each, and what fits."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from losslab import Record, compose, errors, losses
from losslab.data.anchors import REGIMES, anchors, regimes
from losslab.schema import cards, check, compatibility
from losslab.training.prepare import Prepared, prepare
from losslab.training.run import run

ROOT = Path(__file__).resolve().parents[2]
PAPER = ["optimizer=sgd", "optimizer.momentum=0", "optimizer.lr=0.1", "optimizer.schedule=steps"]
Descend = Callable[..., Record]


def asked(loss: str, *more: str, points: int = 3, epochs: int = 200) -> list[str]:
    data = ["data=anchors", f"data.points={points}", f"data.batch_size={343 * points}"]
    where = ["trainer=cpu", "logger=none", f"trainer.max_epochs={epochs}"]
    return ["task=bbox", "model=boxes", f"loss={loss}", *data, *PAPER, *where, *more]


def prepared(loss: str, points: int = 3) -> Prepared:
    return prepare(compose(*asked(loss, points=points)))


def boxes(parts: Prepared) -> Tensor:
    """Centre and size of all boxes as they are, in the paper's unit, seen from the targets' centre."""
    with torch.no_grad():
        return 10 * (parts.model(parts.rows.inputs).sigmoid() - torch.tensor([0.5, 0.5, 0, 0]))


def one_step(parts: Prepared, rate: float = 0.1, rows: Tensor | None = None) -> None:
    rows = torch.arange(len(parts.rows.inputs)) if rows is None else rows
    optimizer = torch.optim.SGD(parts.model.parameters(), lr=rate)
    pred = parts.task.prediction("boxes", parts.model(parts.rows.inputs[rows]))
    parts.loss.per_sample({"boxes": pred}, {"boxes": parts.rows.targets[rows]}).mean().backward()
    optimizer.step()


@pytest.mark.parametrize("points", [1, 40, 200])
def test_cases_have_the_sizes_and_the_places_of_the_paper(points: int) -> None:
    made = anchors(points)
    assert len(made.inputs) == len(made.targets) == 343 * points
    assert torch.equal(made.inputs[:, 0], torch.arange(343 * points).float())
    size = 10 * made.inputs[:, 3:]
    areas, ratios = size.prod(1), size[:, 0] / size[:, 1]
    wanted = torch.tensor([0.5, 0.67, 0.75, 1, 1.33, 1.5, 2]), torch.tensor([1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4])
    for found, values in zip((areas, ratios), wanted, strict=True):
        nearest = (found[:, None] - values).abs().min(1)
        assert nearest.values.max() < 1e-4
        assert torch.bincount(nearest.indices).tolist() == [49 * points] * 7
    low, high = made.targets.chunk(2, 1)
    sides = 10 * (high - low)
    torch.testing.assert_close(sides.prod(1), torch.ones(len(sides)))
    torch.testing.assert_close(low + high, torch.ones_like(low))
    assert len({tuple(row) for row in (100 * sides).round().tolist()}) == 7
    different = {tuple(row) for row in torch.cat([made.inputs[:, 1:], made.targets], 1).tolist()}
    assert len(different) == 343 * points, "every case is another"


def test_points_fill_the_circle_evenly() -> None:
    places = 10 * (anchors(1000).inputs[:1000, 1:3] - 0.5)
    radius = places.norm(dim=1)
    assert radius.max() <= 3
    for inner in (1.0, 2.0, 2.9):  # a disc's share of the circle's area
        assert (radius < inner).float().mean().item() == pytest.approx(inner**2 / 9, abs=0.005)
    quarters = torch.bincount(2 * (places[:, 0] > 0).long() + (places[:, 1] > 0).long())
    assert quarters.tolist() == pytest.approx([250] * 4, abs=8)
    assert places.mean(0).abs().max() < 0.01


def test_regimes_are_what_they_say_and_add_up() -> None:
    made = anchors(60)
    kind = regimes(made)
    counts = torch.bincount(kind, minlength=3)
    assert counts.sum() == len(made.inputs)
    assert (counts > 10).all()
    centre, half = made.inputs[:, 1:3], made.inputs[:, 3:] / 2
    for number in torch.randperm(len(kind), generator=torch.Generator().manual_seed(0))[:3000].tolist():
        (x1, y1), (x2, y2) = (centre[number] - half[number]).tolist(), (centre[number] + half[number]).tolist()
        a, b, c, d = made.targets[number].tolist()
        apart = x2 <= a or c <= x1 or y2 <= b or d <= y1
        slack = 1e-6
        inside = x1 >= a - slack and y1 >= b - slack and x2 <= c + slack and y2 <= d + slack
        around = a >= x1 - slack and b >= y1 - slack and c <= x2 + slack and d <= y2 + slack
        assert REGIMES[kind[number]] == ("disjoint" if apart else "nested" if inside or around else "overlapping")


@pytest.mark.parametrize("loss", ["diou", "giou", "iou", "mpdiou"])
def test_a_step_moves_each_box_by_its_own_gradient_in_units_of_the_paper(loss: str) -> None:
    parts = prepared(loss)
    before = boxes(parts)
    torch.testing.assert_close(before[:, 2:], 10 * parts.rows.inputs[:, 3:], rtol=1e-5, atol=1e-5)
    one_step(parts)
    moved = boxes(parts) - before
    fn = losses.get(loss)
    for case in (0, 100, 514, 1028):
        box = (10 * parts.rows.inputs[case, 1:]).double().requires_grad_()
        corner = torch.cat([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2])
        # the picture is 10 units a side
        fn(corner[None] / 10, parts.rows.targets[case : case + 1].double()).sum().backward()
        assert box.grad is not None
        torch.testing.assert_close(moved[case], -0.1 * box.grad.float(), rtol=1e-2, atol=1e-5)
    assert moved.abs().max() > 1e-3


def test_batches_move_their_boxes_as_far_as_all_at_once() -> None:
    whole, parted = prepared("giou"), prepared("giou")
    one_step(whole)
    for rows in torch.arange(1029).split(300):
        parted.model.zero_grad()
        one_step(parted, rows=rows)
    torch.testing.assert_close(boxes(whole), boxes(parted), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def descend(tmp_path_factory: pytest.TempPathFactory) -> Descend:
    done: dict[tuple, Record] = {}

    def once(loss: str, *more: str, epochs: int = 200) -> Record:
        key = (loss, *more, epochs)
        if key not in done:
            done[key] = run(compose(*asked(loss, *more, epochs=epochs)), tmp_path_factory.mktemp("run"), bar=False)
        return done[key]

    return once


@pytest.mark.slow
def test_diou_brings_boxes_home_and_iou_leaves_those_apart_where_they_are(descend: Descend) -> None:
    diou, iou = descend("diou"), descend("iou")
    start = diou.curves["val/centre_error"][0]
    assert diou.metrics["last/test/centre_error"] < 0.1 * start
    assert diou.metrics["last/test/mean_iou"] > 0.8
    assert iou.metrics["last/test/mean_iou"] < 0.5
    assert diou.data["rows_in"] == {"train": 1029, "val": 1029, "test": 1029}
    assert diou.metrics["last/test/mean_iou"] == diou.metrics["last/val/mean_iou"]


def test_disjoint_boxes_do_not_move_under_iou() -> None:
    parts = prepared("iou", points=20)
    before, apart = boxes(parts), regimes(parts.source) == 0
    for _ in range(5):
        parts.model.zero_grad()
        one_step(parts)
    moved = (boxes(parts) - before).abs().sum(1)
    assert moved[apart].max() == 0
    assert (moved[~apart] > 0).float().mean() > 0.99


def test_losses_and_seeds_start_from_the_same(descend: Descend) -> None:
    first, second, third = (descend(loss, *more, epochs=2) for loss, *more in (("iou",), ("siou",), ("iou", "seed=1")))
    assert first.pairing == second.pairing
    differing = {name for name in first.pairing if first.pairing[name] != third.pairing[name]}
    assert differing == {"order"}, "nothing but the order of the rows depends on the seed, and it does not matter"
    assert first.metrics == pytest.approx(third.metrics, rel=1e-5)


def test_a_run_may_draw_its_boxes(tmp_path: Path) -> None:
    record = run(compose(*asked("giou", "logger=tensorboard", epochs=1)), tmp_path, bar=False)
    assert record.status == "done"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["data=anchors"], "The model 'cnn' reads picture data and 'anchors' is a simulation; models that fit: boxes."),
        (["data=anchors", "model=mlp"], "'anchors' is a simulation; models that fit: boxes."),
        (["model=boxes"], "The model 'boxes' reads simulation data and 'scenes' is a picture; models that fit: cnn"),
        (["data=anchors", "model=boxes", "data.points=10"], "larger than the training split, which has 3430 rows"),
        (["data=anchors", "model=boxes", "data.points=0"], "data.points must be at least 1"),
        (["data=anchors", "model=boxes", "data.val_fraction=0.2"], "has no key 'data.val_fraction'"),
        (["data=anchors", "model=boxes", "model.unit=0"], "model.unit must be above 0"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(words: list[str], told: str) -> None:
    with pytest.raises(errors.BadRequest) as caught:
        check.check(compose("task=bbox", *words))
    assert told in str(caught.value)


def test_corruption_is_refused_as_the_test_rows_stay_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    request = compose("task=bbox", "data=anchors", "model=boxes")
    compatibility.check_fit(request)
    monkeypatch.setattr(compatibility, "_fits", lambda *_: True)  # as if any fitted boxes
    for name in cards.names("corruption"):
        if name != "none":
            with pytest.raises(errors.Incompatible, match="use corruption=none"):
                compatibility.check_fit(request | {"corruption": cards.card("corruption", name).values})


@pytest.mark.slow
def test_the_script_agrees_with_a_run(descend: Descend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "experiments" / "bbox_losses")
    import simulator

    curves, places = simulator.simulate("diou", 3)
    assert sys.modules.pop("simulator") is simulator
    assert isinstance(places, pd.DataFrame)
    cases = curves[curves.step == 200].set_index("regime").cases
    assert cases.sum() == 1029
    at_end = curves[(curves.step == 200) & (curves.cases > 0)]
    mean_iou = (at_end.iou * at_end.cases).sum() / cases.sum()
    assert mean_iou == pytest.approx(descend("diou").metrics["last/test/mean_iou"], abs=1e-3)
    assert places.final_error.mean() == pytest.approx((at_end.error * at_end.cases).sum() / cases.sum(), rel=1e-4)
    assert math.isclose(places.x.pow(2).add(places.y.pow(2)).max() ** 0.5, 3 * (2.5 / 3) ** 0.5, rel_tol=1e-5)
