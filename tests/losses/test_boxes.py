"""Losses on boxes against torchvision, torch.distributions, formulas written out one box at a time, and boxes one can draw."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, tensor
from torch.distributions import Independent, Normal, kl_divergence
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from losslab import BadRequest, compose, losses, tasks
from losslab.box_geometry import overlap
from losslab.data import load
from losslab.schema import canonical, cards, compatibility
from support.examples import extremes, sample

pytestmark = pytest.mark.filterwarnings("ignore:.*shares of the picture")  # boxes here have many units
UNIT = [0.0, 0.0, 1.0, 1.0]
BOX_LOSSES = [
    "box_l1",
    "iou",
    "giou",
    "diou",
    "ciou",
    "efficient_iou",
    "focal_eiou",
    "siou",
    "alpha_iou",
    "wise_iou",
    "nwd",
    "bounded_iou",
    "mpdiou",
    "gaussian_kld",
]
FORMS = [(name, {}) for name in BOX_LOSSES] + [
    ("iou", {"form": "log"}),
    ("iou", {"form": "square"}),
    ("wise_iou", {"version": "v1"}),
    ("wise_iou", {"version": "v2"}),
    ("alpha_iou", {"alpha": 0.5}),
    ("siou", {"theta": 1.0}),
    ("focal_eiou", {"gamma": 0.0}),
    ("gaussian_kld", {"tau": 2.0}),
    ("gaussian_kld", {"direction": "pred_target"}),
]
each_form = pytest.mark.parametrize(("name", "params"), FORMS)
# Blind to boxes that do not touch: there their gradient is 0, and that is documented.
BLIND = {"iou", "alpha_iou", "focal_eiou"}


def cost(name: str, pred: list[float], target: list[float] = UNIT, **params) -> float:
    boxes = tensor([pred, target], dtype=torch.float64)
    return losses.get(name, space="boxes", **params).per_sample(boxes[:1], boxes[1:]).item()


def shifted(by: float) -> list[float]:
    return [by, by, 1 + by, 1 + by]


def gradient(name: str, pred: list[float], target: list[float], **params) -> Tensor:
    box = tensor([pred], dtype=torch.float64, requires_grad=True)
    losses.get(name, space="boxes", **params).per_sample(box, tensor([target], dtype=torch.float64)).sum().backward()
    return box.grad[0]


@pytest.mark.parametrize(
    ("name", "oracle"),
    [("giou", generalized_box_iou_loss), ("diou", distance_box_iou_loss), ("ciou", complete_box_iou_loss)],
)
def test_equals_torchvision_in_value_and_gradient(name: str, oracle) -> None:
    pred, target = sample("boxes", n=200)
    ours, theirs = (pred.clone().requires_grad_() for _ in range(2))
    found, expected = losses.get(name).per_sample(ours, target), oracle(theirs, target)
    torch.testing.assert_close(found, expected, atol=5e-6, rtol=0)  # theirs adds 1e-7 to each denominator
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "params", "pred", "value"),
    [  # against the unit box
        ("iou", {}, [0.0, 0.0, 0.5, 0.5], 3 / 4),  # a quarter of it
        ("iou", {"form": "square"}, [0.0, 0.0, 0.5, 0.5], 15 / 16),
        ("iou", {"form": "log"}, [0.0, 0.0, 0.5, 0.5], math.log(4)),
        ("iou", {}, [1.0, 0.0, 2.0, 1.0], 1),  # side by side
        ("alpha_iou", {}, [0.0, 0.0, 0.5, 1.0], 7 / 8),  # a half: 1 - (1/2)^3
        ("giou", {}, [2.0, 0.0, 3.0, 1.0], 4 / 3),  # apart: a third of the box around both is empty
        ("diou", {}, shifted(0.5), 1 - 1 / 7 + 0.5 / 4.5),  # .9682540
        ("ciou", {}, shifted(0.5), 0.9682540),  # both are square
        ("diou", {}, [0.25, 0.25, 0.75, 0.75], 3 / 4),  # inside, with its centre: as iou
        ("ciou", {}, [0.25, 0.25, 0.75, 0.75], 3 / 4),
        ("efficient_iou", {}, [0.25, 0.25, 0.75, 0.75], 3 / 4 + 1 / 4 + 1 / 4),  # each side is half a side too short
        ("efficient_iou", {}, [0.0, 0.0, 2.0, 1.0], 1 / 2 + (1 / 4) / 5 + 1 / 4),  # twice as wide
        ("focal_eiou", {}, [0.25, 0.25, 0.75, 0.75], 0.5 * 1.25),  # sqrt(1/4) times that
        ("ciou", {}, [0.0, 0.0, 2.0, 1.0], None),  # worked out below
        ("siou", {}, [0.25, 0.25, 0.75, 0.75], 3 / 4 + (1 - math.exp(-1 / 2)) ** 4),  # centres meet: only shape counts
        ("siou", {}, [1.0, 0.0, 2.0, 1.0], 1 + (1 - math.exp(-2 / 4)) / 2),  # side by side: d_x / C_w = 1/2, angle 0
        ("mpdiou", {}, shifted(0.5), 1 - 1 / 7 + (0.5 + 0.5) / 2),
        ("mpdiou", {"width": 4.0, "height": 3.0}, shifted(0.5), 1 - 1 / 7 + 1 / 25),
        ("nwd", {"constant": 0.5}, shifted(0.5), 1 - math.exp(-(0.5**0.5) / 0.5)),  # W is the way between the centres
        ("gwd", {"shape": "sqrt", "unit": 0.5}, shifted(0.5), 1 - 1 / (1 + 2**0.5)),  # W as for nwd
        ("gwd", {"unit": 0.5, "tau": 2.0}, shifted(0.5), 1 / 2 - 1 / (2 + math.log(3))),
        ("nwd", {"constant": 0.5}, [0.25, 0.25, 0.75, 0.75], 1 - math.exp(-(0.125**0.5) / 0.5)),  # W^2 = 2 (1/2)^2 / 4
        ("box_l1", {}, [0.5, 0.0, 1.0, 2.0], 0.25 + 0.5 + 0.5 + 1),
        ("gaussian_kld", {}, [0.0, 0.0, 0.5, 0.5], 1 - 1 / (1 + math.log(5 - 2 * math.log(2)))),  # 0.562
        (
            "gaussian_kld",
            {"direction": "pred_target"},
            [0.0, 0.0, 0.5, 0.5],
            1 - 1 / (1 + math.log(0.5 + math.log(4))),
        ),  # 0.388
        ("gaussian_kld", {}, shifted(0.5), 1 - 1 / (1 + math.log(2))),  # D = 2 * 2 * 1/4
        ("gaussian_kld", {"tau": 2.0}, shifted(0.5), 1 / 2 - 1 / (2 + math.log(2))),
        ("bounded_iou", {}, [0.25, 0.0, 1.25, 1.0], 2 / 3 - 0.1),  # 1 - (1 - 2/4) / (1 + 2/4)
        ("bounded_iou", {}, [0.0, 0.25, 1.0, 0.75], 1 / 2 - 0.1),  # half as high: IoU 1/2
        ("bounded_iou", {"beta": 1.0}, [0.0, 0.25, 1.0, 0.75], 1 / 8),
        ("bounded_iou", {}, shifted(9.0), 2 * 0.9),  # as far as it gets: no bound falls below 0
    ],
)
def test_boxes_one_can_draw(name: str, params: dict, pred: list[float], value: float | None) -> None:
    if value is None:  # ciou of a box twice as wide: v = 4 / pi^2 (atan 1 - atan 2)^2
        v = 4 / math.pi**2 * (math.atan(1) - math.atan(2)) ** 2
        value = 1 / 2 + 0.25 / 5 + v * v / (1 / 2 + v)
    assert cost(name, pred, **params) == pytest.approx(value, abs=1e-7)


@each_form
def test_same_box_costs_nothing_and_nothing_is_negative(name: str, params: dict) -> None:
    pred, target = sample("boxes", n=300, dtype=torch.float32)
    near = target + 1e-6 * (pred - target)
    loss = losses.get(name, **params)
    assert (loss.per_sample(target, target) == 0).all()
    assert (loss.per_sample(near, target) >= 0).all()


@each_form
def test_finite_on_boxes_of_every_kind(name: str, params: dict) -> None:
    pred, target = extremes("boxes")
    more = tensor(
        [
            [0.6, 0.4, 0.4, 0.6],  # swapped in x alone
            [5.0, 5.0, 4.0, 4.0],  # swapped and far
            [1e6, 1e6, 1e3, 1e3],  # and further
            [0.5, 0.5, 0.5 + 1e-7, 0.5],  # as good as a point
            [0.6, 0.6, 0.8, 0.8],  # corner to corner
            [0.4, 0.5, 0.6, 0.5],  # no height
            [0.4, 0.4, 0.6, 0.6 + 1e-7],  # all but the same
            [1e4, 0.0, 1e4 + 1, 1.0],  # far along an axis
        ]
    )
    pred = torch.cat([pred, more]).requires_grad_()
    target = target[:1].expand_as(pred)
    each = losses.get(name, **params).per_sample(pred, target)
    each.sum().backward()
    assert torch.isfinite(each).all()
    assert torch.isfinite(pred.grad).all()


@each_form
@pytest.mark.parametrize("swapped", [[2.0, 2.0, 1.0, 1.0], [2.0, 1.0, 1.0, 2.0], [1.0, 2.0, 2.0, 1.0]])
def test_swapped_corners_are_no_match(name: str, params: dict, swapped: list[float]) -> None:
    """A product of two sides below 0 is above 0: taken as it is, the target with its corners swapped would be a match."""
    target = [1.0, 1.0, 2.0, 2.0]
    assert not overlap(tensor([swapped]), tensor([target])).intersection.any()
    found = cost(name, swapped, target, **params)
    if name == "focal_eiou" and params.get("gamma") != 0:
        assert found == 0  # its weight, as documented, is that of any box without overlap
    else:
        assert found > 0.3


def swapped(n: int) -> tuple[Tensor, Tensor]:
    """Predictions with corners swapped in x, in y or in both, beside their targets."""
    draw = torch.Generator().manual_seed(0)
    low, size, other, by = (torch.rand(n, 2, generator=draw, dtype=torch.float64) for _ in range(4))
    by = (by + 0.01) * tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]).repeat(n // 3, 1)
    return torch.cat([other + by, other], -1) / 2.1, torch.cat([low, low + size + 0.05], -1) / 2.1


ON_BOXES = [name for name in losses.names() if "boxes" in compatibility.reads(cards.card("loss", name).values)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_BOXES)
def test_swapped_corners_are_opened_unless_the_card_says_that_they_are_ignored(name: str) -> None:
    pred, target = swapped(300)
    loss = losses.get(name, space="boxes")
    ignored = "ignores_swapped" in compatibility.facts(cards.card("loss", name).values)

    def pull(boxes: Tensor) -> Tensor:
        (found,) = torch.autograd.grad(loss.per_sample(boxes.requires_grad_(), target).sum(), boxes)
        return -found

    first, wrong = pull(pred.clone()), pred[:, 2:] < pred[:, :2]
    growth = (first[:, 2:] - first[:, :2])[wrong]
    assert (growth >= -1e-12).all(), "swapped further"
    if ignored:
        assert (growth.abs() <= 1e-12).all()
        return
    boxes = pred.clone().requires_grad_()
    optimizer = torch.optim.Adam([boxes], lr=0.01)
    for step in range(600):  # l1 at first moves some boxes as a whole
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / 600)  # some targets are hardly wider than the first step
        optimizer.zero_grad()
        loss.per_sample(boxes, target).sum().backward()
        optimizer.step()
        if (boxes[:, 2:] > boxes[:, :2]).all():
            return
    raise AssertionError(f"{int((boxes[:, 2:] <= boxes[:, :2]).any(1).sum())} boxes stay swapped")


@pytest.mark.parametrize("name", ON_BOXES)
def test_swapping_further_never_costs_less(name: str) -> None:
    pred, target = swapped(300)
    loss = losses.get(name, space="boxes")
    centre, half = (pred[:, :2] + pred[:, 2:]) / 2, (pred[:, 2:] - pred[:, :2]) / 2
    further = half.where(half > 0, 1.5 * half)
    more = loss.per_sample(torch.cat([centre - further, centre + further], -1), target)
    assert (more - loss.per_sample(pred, target) >= -1e-12).all()


def test_detr_is_the_authors_sum_and_takes_no_notice_of_the_tasks_coordinates() -> None:
    """Carion et al.'s code adds the four errors of centre and size: 0.75 here; the corners' mean would give 1.106."""
    pred, target = tensor([[0.35, 0.35, 0.65, 0.75]]), tensor([[0.3, 0.3, 0.7, 0.7]])
    assert losses.get("detr")(pred, target).item() == pytest.approx(1.606, abs=5e-4)
    for coordinates in ("standardised", "corners", "deltas"):
        request = compose(
            "task=bbox", "loss=detr", f"task.coordinates={coordinates}", "data.rows=20", "data.batch_size=8"
        )
        task, loss = tasks.build(request["task"], load(request["data"], 0)[0]), losses.for_task("bbox", request["loss"])
        task.calibrate(target.repeat(5, 1) + 0.02 * torch.arange(5)[:, None])
        seen = [{space: task.target(space, boxes) for space in loss.spaces} for boxes in (pred, target)]
        assert loss(*seen).item() == pytest.approx(1.606, abs=5e-4)


def test_detr_of_old_records_reads_as_what_it_was() -> None:
    old = {"name": "detr", "terms": "5*l1 + 2*giou"}
    assert compatibility.terms(old)[0][1]["name"] == "l1"
    pred, target = tensor([[0.35, 0.35, 0.65, 0.75]]), tensor([[0.3, 0.3, 0.7, 0.7]])
    assert losses.get("detr", terms=old["terms"])(pred, target).item() == pytest.approx(1.106, abs=5e-4)


def test_gaussian_kld_of_configs_without_a_direction_is_what_it_was() -> None:
    request = dict(compose("task=bbox", "loss=gaussian_kld"))
    old = request | {"loss": {"name": "gaussian_kld", "tau": 1.0}}
    assert canonical.canonical(old)["loss"]["direction"] == "pred_target"
    assert canonical.canonical(request)["loss"]["direction"] == "target_pred"


@each_form
def test_half_precision_is_computed_in_float32(name: str, params: dict) -> None:
    loss = losses.get(name, **params)
    for dtype in (torch.float16, torch.bfloat16):
        small = tensor([[0.5, 0.5, 0.5078125, 0.5078125]], dtype=dtype)
        pixels = tensor([[0.0, 0.0, 640.0, 480.0]], dtype=dtype)
        assert loss.per_sample(small, small).item() == 0
        assert loss.per_sample(pixels, pixels).item() == 0
        pred, target = (part.to(dtype) for part in sample("boxes"))
        found = loss.per_sample(pred, target)
        assert found.dtype == dtype
        torch.testing.assert_close(found, loss.per_sample(pred.float(), target.float()).to(dtype))


@each_form
def test_no_place_is_special(name: str, params: dict) -> None:
    pred, target = sample("boxes", n=50)
    loss = losses.get(name, **params)
    torch.testing.assert_close(loss.per_sample(pred + 3, target + 3), loss.per_sample(pred, target))


@each_form
def test_the_unit_does_not_matter_but_where_a_hyperparameter_has_one(name: str, params: dict) -> None:
    pred, target = sample("boxes", n=50)
    found = losses.get(name, **params).per_sample(640 * pred, 640 * target)
    expected = losses.get(name, **params).per_sample(pred, target)
    units = {"box_l1": {}, "nwd": {"constant": 0.4 * 640}, "mpdiou": {"width": 640.0, "height": 640.0}}
    if name in units:
        assert not torch.allclose(found, expected, atol=1e-2)
        found = losses.get(name, **units[name]).per_sample(640 * pred, 640 * target)
        expected = 640 * expected if name == "box_l1" else expected
    torch.testing.assert_close(found, expected)


@each_form
def test_x_and_y_are_alike(name: str, params: dict) -> None:
    pred, target = sample("boxes", n=50)
    turned = [1, 0, 3, 2]
    loss = losses.get(name, **params)
    torch.testing.assert_close(loss.per_sample(pred[:, turned], target[:, turned]), loss.per_sample(pred, target))


@pytest.mark.parametrize("target", [[0.7, 0.7, 0.8, 0.8], [0.7, 0.1, 0.8, 0.2]])
@each_form
def test_boxes_apart_are_pulled_together_by_all_but_the_blind(name: str, params: dict, target: list[float]) -> None:
    found = gradient(name, [0.1, 0.1, 0.2, 0.2], target, **params)
    if (name in BLIND and params.get("gamma") != 0) or name == "bounded_iou":
        assert found.abs().max() < 1e-12
    else:
        assert found[2] < 0  # its right edge is to move to the right, where the target is
        assert found[0] + found[2] < 0  # and so is its centre


def test_bounded_iou_pulls_along_an_axis_where_the_error_is_below_half_a_side() -> None:
    found = gradient("bounded_iou", [0.1, 0.15, 0.2, 0.25], [0.7, 0.18, 0.8, 0.28])
    assert found[0] + found[2] == pytest.approx(0)
    assert found[1] + found[3] < 0


@pytest.mark.parametrize(
    ("name", "in_order", "ever"),
    [
        ("iou", 1, 1),
        ("giou", 2, 2),
        ("diou", 2, 2),
        ("ciou", 3, 3),
        ("efficient_iou", 4, 4),
        ("siou", 3, 3),
        ("alpha_iou", 1, 1),
        ("mpdiou", 3, math.inf),
        ("nwd", 1, 1),
        ("bounded_iou", 4, math.inf),
        ("gaussian_kld", 1, 1),
    ],
)
def test_costs_no_more_than_it_says(name: str, in_order: float, ever: float) -> None:
    corners = torch.rand(2000, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 4
    pred = torch.cat([corners.amin(1), corners.amax(1)], -1)
    target = pred.flip(0)
    assert losses.get(name).per_sample(pred, target).max() <= in_order
    assert losses.get(name).per_sample(corners.flatten(1), target).max() <= ever  # three in four are swapped


def rough_start() -> tuple[Tensor, Tensor]:
    """Boxes that overlap their targets, whose errors no descent step has as a multiple."""
    target = tensor([[0.3, 0.2, 0.7, 0.8], [0.1, 0.1, 0.5, 0.3]], dtype=torch.float64)
    return target + tensor([[0.05, -0.06, 0.11, 0.07], [-0.05, 0.04, 0.08, -0.03]], dtype=torch.float64), target


@pytest.mark.slow
@pytest.mark.parametrize(("name", "params"), [*FORMS, ("balanced_l1", {})])
def test_descent_reaches_the_target(name: str, params: dict) -> None:
    start, target = rough_start()
    box = start.clone().requires_grad_()
    loss = losses.get(name, space="boxes", **params)
    rate = 0.01
    optimizer = torch.optim.Adam([box], lr=rate)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / 600)  # the IoU has a kink at the target
        optimizer.zero_grad()
        loss(box, target).backward()
        optimizer.step()
    assert overlap(start, target).iou.max() < 0.75
    assert overlap(box.detach(), target).iou.min() > 0.995


def siou_of_one(p: list[float], t: list[float], theta: float) -> float:
    """SIoU of one pair, straight from Gevorgyan (2022), sections 'angle cost' to 'shape cost'; boxes whose centres differ."""
    pw, ph, tw, th = p[2] - p[0], p[3] - p[1], t[2] - t[0], t[3] - t[1]
    px, py, tx, ty = (p[0] + p[2]) / 2, (p[1] + p[3]) / 2, (t[0] + t[2]) / 2, (t[1] + t[3]) / 2
    sine = abs(py - ty) / math.hypot(px - tx, py - ty)
    angle = 1 - 2 * math.sin(math.asin(sine) - math.pi / 4) ** 2
    width, height = max(p[2], t[2]) - min(p[0], t[0]), max(p[3], t[3]) - min(p[1], t[1])
    gamma = 2 - angle
    away = 2 - math.exp(-gamma * ((px - tx) / width) ** 2) - math.exp(-gamma * ((py - ty) / height) ** 2)
    shape = (1 - math.exp(-abs(pw - tw) / max(pw, tw))) ** theta + (1 - math.exp(-abs(ph - th) / max(ph, th))) ** theta
    common = max(0, min(p[2], t[2]) - max(p[0], t[0])) * max(0, min(p[3], t[3]) - max(p[1], t[1]))
    return 1 - common / (pw * ph + tw * th - common) + (away + shape) / 2


@pytest.mark.parametrize("theta", [2.0, 4.0, 6.0])
def test_siou_equals_the_paper_written_out_for_one_box(theta: float) -> None:
    pred, target = sample("boxes", n=100)
    expected = [siou_of_one(p, t, theta) for p, t in zip(pred.tolist(), target.tolist(), strict=True)]
    found = losses.get("siou", theta=theta).per_sample(pred, target)
    torch.testing.assert_close(found, tensor(expected, dtype=torch.float64))


def test_siou_grows_as_a_box_slides_away() -> None:
    """With the sign of mmdetection's default it falls: 0.74, 0.57, 0.24, 0.0."""
    found = [cost("siou", shifted(by)) for by in (0.5, 1.5, 3.0, 6.0)]
    assert found == pytest.approx([0.96, 1.30, 1.43, 1.52], abs=0.006)
    along = [cost("siou", [by, 0.0, 1 + by, 1.0]) for by in torch.linspace(0, 8, 81).tolist()]
    assert along == sorted(along)


def test_siou_is_smooth_where_the_centres_meet() -> None:
    target = [0.0, 0.0, 2.0, 1.0]
    for x, y in ((0.0, 0.0), (1e-9, 0.0), (1e-9, 1e-9), (1e-200, 1e-170)):
        found = gradient("siou", [0.5 + x, 0.25 + y, 1.5 + x, 0.75 + y], target)
        torch.testing.assert_close(found, gradient("siou", [0.5, 0.25, 1.5, 0.75], target), atol=1e-7, rtol=0)


@pytest.mark.parametrize("name", ["giou", "diou", "ciou", "efficient_iou", "mpdiou", "nwd", "gaussian_kld"])
def test_grows_as_a_box_slides_away(name: str) -> None:
    found = [cost(name, shifted(by)) for by in torch.linspace(0, 8, 41).tolist()]
    assert all(a < b for a, b in pairwise(found))


def test_diou_tells_apart_nested_boxes_that_giou_does_not() -> None:
    """A box inside the target: wherever it lies, giou is the same (Zheng et al., figure 2)."""
    middle, corner = [0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.5, 0.5]
    assert cost("giou", middle) == pytest.approx(cost("giou", corner))
    assert cost("diou", middle) < cost("diou", corner)


def test_ciou_is_blind_to_the_size_of_a_box_of_the_right_ratio_and_efficient_iou_is_not() -> None:
    larger = [-0.5, -0.5, 1.5, 1.5]
    assert cost("ciou", larger) == pytest.approx(cost("diou", larger))
    assert cost("efficient_iou", larger) == pytest.approx(cost("diou", larger) + 2 / 4)


def test_efficient_iou_measures_sides_and_not_centres() -> None:
    """Some code takes the way between the centres in both parts; a mere shift would then cost it."""
    assert cost("efficient_iou", shifted(0.5)) == pytest.approx(cost("diou", shifted(0.5)))


def test_ciou_holds_its_weight_fixed() -> None:
    """Its gradient is that of diou plus a v', with a as it is, not a v' + a' v."""
    pred, target = [0.1, 0.0, 1.2, 0.5], UNIT
    step = 1e-6

    def v(box: list[float]) -> float:
        return 4 / math.pi**2 * (math.atan(1) - math.atan((box[2] - box[0]) / (box[3] - box[1]))) ** 2

    moved = [v([*pred[:2], pred[2] + by, pred[3]]) for by in (step, -step)]
    weight = v(pred) / (cost("iou", pred) + v(pred))
    expected = gradient("diou", pred, target)[2] + weight * (moved[0] - moved[1]) / (2 * step)
    assert gradient("ciou", pred, target)[2].item() == pytest.approx(expected.item(), abs=1e-6)


def test_limits_of_the_powers() -> None:
    pred, target = sample("boxes", n=50)

    def each(name: str, **params) -> Tensor:
        return losses.get(name, **params).per_sample(pred, target)

    torch.testing.assert_close(each("alpha_iou", alpha=1.0), each("iou"))
    torch.testing.assert_close(each("alpha_iou", alpha=2.0), each("iou", form="square"))
    touching = each("iou") < 1
    small = each("alpha_iou", alpha=1e-7) / 1e-7
    torch.testing.assert_close(small[touching], each("iou", form="log")[touching], rtol=1e-5, atol=1e-6)
    assert touching.any()
    assert not touching.all()
    torch.testing.assert_close(each("focal_eiou", gamma=0.0), each("efficient_iou"))
    torch.testing.assert_close(each("focal_eiou", gamma=2.0), (1 - each("iou")) ** 2 * each("efficient_iou"))
    torch.testing.assert_close(each("wise_iou", version="v2", gamma=0.0), each("wise_iou", version="v1"))


def test_log_iou_pulls_harder_the_less_boxes_overlap() -> None:
    near, far = ([by, 0.0, 1 + by, 1.0] for by in (0.1, 0.9))
    for box in (near, far):
        share = 1 - cost("iou", box)
        expected = gradient("iou", box, UNIT) / share
        torch.testing.assert_close(gradient("iou", box, UNIT, form="log"), expected)
    assert cost("iou", shifted(2.0), form="log") == cost("iou", shifted(3.0), form="log")


def test_focal_eiou_holds_its_weight_fixed_and_so_pushes_no_box_away() -> None:
    box = [0.8, 0.0, 1.8, 1.0]  # IoU 1/9
    expected = (1 / 9) ** 0.5 * gradient("efficient_iou", box, UNIT)
    found = gradient("focal_eiou", box, UNIT)
    torch.testing.assert_close(found, expected)
    assert found[0] + found[2] > 0  # to the left


def test_wise_iou_by_hand() -> None:
    """A box half over: IoU 1/7, |d|^2 = 1/2, C = 1.5 by 1.5; the running mean is 1 at first."""
    missing = 6 / 7
    first = math.exp(0.5 / 4.5) * missing
    assert cost("wise_iou", shifted(0.5), version="v1") == pytest.approx(first)
    assert cost("wise_iou", shifted(0.5), version="v2", gamma=2.0) == pytest.approx(missing**2 * first)
    third = missing / (3 * 1.9 ** (missing - 3)) * first
    assert cost("wise_iou", shifted(0.5), version="v3") == pytest.approx(third)


def test_wise_iou_holds_the_box_around_both_and_the_weight_fixed() -> None:
    """l = r exp(q) (1 - IoU), so dl = r exp(q) (d(1 - IoU) + (1 - IoU) dq), with dq = 2 d_x / |C|^2 / 2 for each edge."""
    pull = gradient("iou", shifted(0.5), UNIT) + 6 / 7 * 0.5 / 4.5
    found = gradient("wise_iou", shifted(0.5), UNIT, version="v1")
    torch.testing.assert_close(found, math.exp(0.5 / 4.5) * pull)
    weight = (6 / 7) ** 0.5
    torch.testing.assert_close(gradient("wise_iou", shifted(0.5), UNIT, version="v2"), weight * found)


def test_wise_iou_keeps_a_running_mean_while_it_trains() -> None:
    pred, target = tensor([shifted(0.5), UNIT]), tensor([UNIT, UNIT])  # 1 - IoU: 6/7 and 0
    loss = losses.get("wise_iou", momentum=0.1)
    before = loss.per_sample(pred, target)
    assert loss.mean.item() == 1
    loss.eval()
    loss(pred, target)
    assert loss.mean.item() == 1
    loss.train()
    loss(pred, target)
    once = 0.9 + 0.1 * 3 / 7
    assert loss.mean.item() == pytest.approx(once)
    loss(pred, target)
    assert loss.mean.item() == pytest.approx(0.9 * once + 0.1 * 3 / 7)
    assert (loss.per_sample(pred, target)[0] > before[0]).item()  # it now lags further behind the others
    again = losses.get("wise_iou", momentum=0.1)
    again.load_state_dict(loss.state_dict())
    torch.testing.assert_close(again.per_sample(pred, target), loss.per_sample(pred, target), rtol=0, atol=0)


def test_wise_iou_v3_spares_the_easy_and_the_hopeless() -> None:
    """Its weight is 1 at b = delta, highest at b = 1 / ln alpha, and falls on both sides."""
    loss = losses.get("wise_iou")
    slides = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    pred = torch.stack([slides, 0 * slides, 1 + slides, 1 + 0 * slides], -1)
    target = tensor([UNIT], dtype=torch.float64).expand_as(pred)
    missing = losses.get("iou").per_sample(pred, target)
    loss.mean.fill_(0.2)
    plain = losses.get("wise_iou", version="v1").per_sample(pred, target)
    weight, beside = loss.per_sample(pred, target) / plain, missing / 0.2
    assert beside[weight.argmax()].item() == pytest.approx(1 / math.log(1.9), abs=0.1)
    assert weight[(beside - 3).abs().argmin()].item() == pytest.approx(1, abs=0.03)
    assert weight[0] < 0.25
    assert weight[-1] < weight.max() / 2


def gaussians(boxes: Tensor) -> Independent:
    """Half a side is the standard deviation (Yang et al., 2021; Wang et al., 2021)."""
    low, high = boxes.chunk(2, -1)
    return Independent(Normal((low + high) / 2, (high - low) / 2), 1)


@pytest.mark.parametrize("tau", [1.0, 3.0])
@pytest.mark.parametrize("direction", ["target_pred", "pred_target"])
def test_gaussian_kld_equals_torch_distributions(tau: float, direction: str) -> None:
    pred, target = sample("boxes", n=100)
    both = [gaussians(pred), gaussians(target)]
    divergence = kl_divergence(*(both if direction == "pred_target" else reversed(both)))
    found = losses.get("gaussian_kld", tau=tau, direction=direction).per_sample(pred, target)
    torch.testing.assert_close(found, 1 / tau - 1 / (tau + divergence.log1p()))


@pytest.mark.parametrize("constant", [0.1, 1.0, 12.8])
def test_nwd_equals_the_wasserstein_distance_of_the_gaussians(constant: float) -> None:
    """Of normals with covariances that commute: W^2 = |difference of means|^2 + |difference of standard deviations|^2."""
    pred, target = sample("boxes", n=100)
    a, b = gaussians(pred).base_dist, gaussians(target).base_dist
    distance = ((a.mean - b.mean).square().sum(-1) + (a.stddev - b.stddev).square().sum(-1)).sqrt()
    found = losses.get("nwd", constant=constant).per_sample(pred, target)
    torch.testing.assert_close(found, 1 - (-distance / constant).exp())


def test_nwd_for_a_large_constant_is_the_root_of_mse() -> None:
    pred, target = sample("boxes", n=50)
    mse = losses.get("mse", space="boxes").per_sample(pred, target)
    found = losses.get("nwd", constant=1e6).per_sample(pred, target)
    torch.testing.assert_close(1e6 * found, (2 * mse).sqrt(), rtol=1e-5, atol=0)


def test_mpdiou_is_iou_and_mse() -> None:
    pred, target = sample("boxes", n=50)
    mse = losses.get("mse", space="boxes").per_sample(pred, target)
    found = losses.get("mpdiou", width=4.0, height=3.0).per_sample(pred, target)
    torch.testing.assert_close(found, losses.get("iou").per_sample(pred, target) + 4 * mse / 25)


def balanced_l1_of_one(e: float, alpha: float, gamma: float) -> float:
    """Pang et al. (2019), equations 9 and 10 with b from alpha ln(b + 1) = gamma; the paper has no beta."""
    b = math.exp(gamma / alpha) - 1
    if e < 1:
        return alpha / b * (b * e + 1) * math.log(b * e + 1) - alpha * e
    return gamma * e + alpha / b * (b + 1) * math.log(b + 1) - alpha - gamma


@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 1.5), (0.2, 1.0), (1.0, 2.0)])
def test_balanced_l1_equals_the_paper_written_out(alpha: float, gamma: float) -> None:
    errors = torch.linspace(-3, 3, 61, dtype=torch.float64)
    expected = [balanced_l1_of_one(abs(e), alpha, gamma) for e in errors.tolist()]
    loss = losses.get("balanced_l1", alpha=alpha, gamma=gamma)
    torch.testing.assert_close(loss.per_sample(errors, torch.zeros_like(errors)), tensor(expected, dtype=torch.float64))
    scaled = losses.get("balanced_l1", alpha=alpha, gamma=gamma, beta=2.5)
    torch.testing.assert_close(
        scaled.per_sample(2.5 * errors, torch.zeros_like(errors)), 2.5 * tensor(expected, dtype=torch.float64)
    )


@pytest.mark.parametrize("beta", [0.1, 1.0, 3.0])
def test_balanced_l1_has_the_slope_of_the_paper_and_no_jump_in_it(beta: float) -> None:
    """alpha ln(b |e| / beta + 1) up to beta, gamma beyond (equation 8)."""
    errors = beta * tensor([0.0, 0.1, 0.5, 1 - 1e-9, 1 + 1e-9, 7.0], dtype=torch.float64)
    slope = torch.func.grad(lambda e: losses.get("balanced_l1", beta=beta).per_sample(e, torch.zeros_like(e)).sum())(
        errors
    )
    expected = (0.5 * (math.expm1(3) * errors / beta).log1p()).clamp(max=1.5)
    torch.testing.assert_close(slope, expected)


def test_limits_of_balanced_l1() -> None:
    pred, target = sample("values", n=50)
    l1, smooth = (losses.get(name).per_sample(pred, target) for name in ("l1", "smoothl1"))
    low, high = (
        losses.get("balanced_l1", alpha=alpha).per_sample(pred, target) for alpha in (0.02, 1.4e3)
    )  # a larger one is refused
    torch.testing.assert_close(low, 1.5 * l1, rtol=0, atol=0.025)
    torch.testing.assert_close(high, 1.5 * smooth, rtol=1e-3, atol=1e-3)


def test_balanced_l1_reads_corners_too() -> None:
    pred, target = sample("boxes")
    torch.testing.assert_close(
        losses.get("balanced_l1", space="boxes").per_sample(pred, target),
        losses.get("balanced_l1", space="values").per_sample(pred, target),
    )


def test_bounded_iou_is_the_iou_of_one_error_at_a_time() -> None:
    """The bound is the IoU of a box that errs in that number alone; for the centre, of a shift twice as long."""
    target = [0.2, 0.3, 0.9, 0.7]
    pairs = [  # what errs, and the box whose IoU its cost is
        ([0.3, 0.3, 1.0, 0.7], [0.4, 0.3, 1.1, 0.7]),
        ([0.2, 0.29, 0.9, 0.69], [0.2, 0.28, 0.9, 0.68]),
        ([0.1, 0.3, 1.0, 0.7], [0.1, 0.3, 1.0, 0.7]),
        ([0.2, 0.4, 0.9, 0.6], [0.2, 0.4, 0.9, 0.6]),
    ]
    beta = 0.2
    for pred, like in pairs:
        missing = cost("iou", like, target)
        expected = missing**2 / (2 * beta) if missing < beta else missing - beta / 2
        assert cost("bounded_iou", pred, target) == pytest.approx(expected)


@pytest.mark.parametrize("name", BOX_LOSSES)
def test_refuses_a_target_with_swapped_corners(name: str) -> None:
    with pytest.raises(ValueError, match="corners swapped"):
        losses.get(name)(torch.zeros(1, 4), tensor([[0.5, 0.1, 0.4, 0.9]]))


def test_words_are_checked() -> None:
    with pytest.raises(BadRequest, match=r"loss.form must be one of: linear, log, square"):
        losses.get("iou", form="cubic")
    with pytest.raises(BadRequest, match=r"loss.version must be one of: v1, v2, v3"):
        losses.get("wise_iou", version="v4")


SHARES = [name for name in losses.names() if "shares" in cards.card("loss", name).about]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*SHARES, "detr"])
def test_boxes_outside_the_picture_are_warned_of_once_where_the_unit_matters(name: str) -> None:
    pred, target = sample("boxes")
    loss = losses.get(name)
    loss(pred, target)
    with pytest.warns(UserWarning, match=r"takes corners in shares of the picture.*outside \[0, 1\]"):
        loss(640 * pred, 640 * target)
    loss(640 * pred, 640 * target)
    assert losses.get(name)(1.5 * pred, target) > 0, "a prediction may lie anywhere"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", sorted(set(ON_BOXES) - {"detr", "sum"}))
def test_nobody_is_warned_who_told_the_unit_or_whose_loss_has_none(name: str) -> None:
    card = cards.card("loss", name)
    keys = card.about.get("shares")
    if keys == []:
        return
    told = {key: 640 * card.values[key] for key in keys or []}
    pred, target = sample("boxes")
    found = losses.get(name, space="boxes", **told)(640 * pred, 640 * target)
    assert found > 0


@pytest.mark.parametrize("name", [name for name in SHARES if cards.card("loss", name).about["shares"]])
def test_the_unit_that_the_warning_asks_for_is_the_right_one(name: str) -> None:
    card, (pred, target) = cards.card("loss", name), sample("boxes")
    told = {key: 640 * card.values[key] for key in card.about["shares"]}
    torch.testing.assert_close(losses.get(name, **told)(640 * pred, 640 * target), losses.get(name)(pred, target))


def test_a_loss_that_was_called_on_pixels_can_still_be_copied_and_mapped() -> None:
    loss = copy.deepcopy(losses.get("nwd"))
    pred, target = (part.unflatten(0, (2, 3)) for part in sample("boxes"))
    mapped = torch.func.vmap(lambda p, t: loss.per_sample(p, t))(640 * pred, 640 * target)
    torch.testing.assert_close(
        mapped, torch.stack([loss.per_sample(640 * p, 640 * t) for p, t in zip(pred, target, strict=True)])
    )
