"""References for losses on boxes, x1 y1 x2 y2. No library is asked about boxes whose corners are swapped: see test_losses_boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mpmath import asin, atan, exp, log, mpf, pi, sin, sqrt
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from conformance.references import Formula, OnTensors, loaded
from conformance.row import Row, over, rows


class Lie(NamedTuple):
    """How two boxes lie to one another; pairs are x and y, or width and height."""

    iou: mpf
    union: mpf
    way: list[mpf]  # from centre to centre
    around: list[mpf]  # sides of the smallest box around both
    sides: list[mpf]
    target: list[mpf]


def lie(p: Sequence[mpf], t: Sequence[mpf]) -> Lie:
    """From corners."""
    sides, target = ([box[2] - box[0], box[3] - box[1]] for box in (p, t))
    shared = [max(mpf(0), min(p[2 + i], t[2 + i]) - max(p[i], t[i])) for i in (0, 1)]
    common = shared[0] * shared[1]
    union = sides[0] * sides[1] + target[0] * target[1] - common
    way = [(p[i] + p[2 + i] - t[i] - t[2 + i]) / 2 for i in (0, 1)]
    around = [max(p[2 + i], t[2 + i]) - min(p[i], t[i]) for i in (0, 1)]
    return Lie(common / union, union, way, around, sides, target)


def _square(pair: Sequence[mpf]) -> mpf:
    return pair[0] ** 2 + pair[1] ** 2


def _boxes(source: str, loss: Callable[[Lie], mpf]) -> Formula:
    return Formula(source, lambda p, t, held: loss(lie(p, t)))


def _giou(to: Lie) -> mpf:
    whole = to.around[0] * to.around[1]
    return 1 - to.iou + (whole - to.union) / whole


def _diou(to: Lie) -> mpf:
    return 1 - to.iou + _square(to.way) / _square(to.around)


def _aspect(to: Lie) -> mpf:
    return 4 / pi**2 * (atan(to.target[0] / to.target[1]) - atan(to.sides[0] / to.sides[1])) ** 2


def _ciou(p: Any, t: Any, held: Any) -> mpf:
    at, to = lie(held, t), lie(p, t)
    weight = _aspect(at) / (1 - at.iou + _aspect(at)) if _aspect(at) else mpf(0)
    return _diou(to) + weight * _aspect(to)


def _efficient(to: Lie) -> mpf:
    errors = [(one - other) / whole for one, other, whole in zip(to.sides, to.target, to.around, strict=True)]
    return _diou(to) + _square(errors)


def _focal_efficient(gamma: float) -> Formula:
    return Formula(
        "Zhang et al. (2021), Focal-EIoU", lambda p, t, held: lie(held, t).iou ** mpf(gamma) * _efficient(lie(p, t))
    )


def _siou(theta: float) -> Formula:
    def loss(to: Lie) -> mpf:
        length = sqrt(_square(to.way))
        angle = 1 - 2 * sin(asin(abs(to.way[1]) / length) - pi / 4) ** 2 if length else mpf(0)
        place = sum(1 - exp((angle - 2) * (way / whole) ** 2) for way, whole in zip(to.way, to.around, strict=True))
        apart = [abs(one - other) / max(one, other) for one, other in zip(to.sides, to.target, strict=True)]
        return 1 - to.iou + (place + sum((1 - exp(-one)) ** mpf(theta) for one in apart)) / 2

    return _boxes("Gevorgyan (2022)", loss)


def _mpdiou(width: float, height: float) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        corners = sum((one - other) ** 2 for one, other in zip(p, t, strict=True))
        return 1 - lie(p, t).iou + corners / (mpf(width) ** 2 + mpf(height) ** 2)

    return Formula("Ma and Xu (2023), MPDIoU", loss)


def _wise(mean: float, version: str, alpha: float, delta: float, gamma: float) -> Formula:
    def loss(p: Any, t: Any, held: Any) -> mpf:
        at, to = lie(held, t), lie(p, t)
        beside = (1 - at.iou) / mpf(mean)
        focus = {
            "v1": mpf(1),
            "v2": beside ** mpf(gamma),
            "v3": beside / (mpf(delta) * mpf(alpha) ** (beside - mpf(delta))),
        }
        return focus[version] * exp(_square(to.way) / _square(at.around)) * (1 - to.iou)

    return Formula(f"Tong et al. (2023), Wise-IoU {version}", loss)


def _bounded(beta: float) -> Formula:
    def huber(x: mpf) -> mpf:
        return x**2 / (2 * mpf(beta)) if x < beta else x - mpf(beta) / 2

    def loss(to: Lie) -> mpf:
        place = [
            max(mpf(0), (size - 2 * abs(way)) / (size + 2 * abs(way)))
            for way, size in zip(to.way, to.target, strict=True)
        ]
        shape = [min(one / other, other / one) for one, other in zip(to.sides, to.target, strict=True)]
        return sum(huber(1 - bound) for bound in (*place, *shape))

    return _boxes("Tychsen-Smith and Petersson (2018)", loss)


def _nwd(constant: float) -> Formula:
    def loss(to: Lie) -> mpf:
        halves = [(one - other) / 2 for one, other in zip(to.sides, to.target, strict=True)]
        return 1 - exp(-sqrt(_square(to.way) + _square(halves)) / mpf(constant))

    return _boxes("Wang et al. (2021)", loss)


def _gwd(tau: float, shape: str, unit: float) -> Formula:
    def loss(to: Lie) -> mpf:
        halves = [(one - other) / 2 for one, other in zip(to.sides, to.target, strict=True)]
        square = (_square(to.way) + _square(halves)) / mpf(unit) ** 2
        return 1 / mpf(tau) - 1 / (mpf(tau) + (sqrt(square) if shape == "sqrt" else log(1 + square)))

    return _boxes("Yang et al. (2021), GWD", loss)


def _power(alpha: float) -> Formula:
    return _boxes("He et al. (2021), the IoU form", lambda to: 1 - (to.iou ** mpf(alpha) if to.iou else 0))


def _vision_power(alpha: float) -> OnTensors:
    return OnTensors("torchvision", lambda p, t: 1 - _shared(p, t) ** alpha)


def _vision(name: str) -> OnTensors:
    return OnTensors("torchvision", lambda p, t: getattr(loaded("torchvision.ops"), name)(p, t, eps=1e-300))


def _shared(pred: Tensor, target: Tensor) -> Tensor:
    found: Tensor = loaded("torchvision.ops").box_iou(pred, target).diagonal()
    return found


def _iou(form: str) -> OnTensors:
    forms: dict[str, Callable[[Tensor], Tensor]] = {
        "linear": lambda x: 1 - x,
        "square": lambda x: 1 - x**2,
        "log": lambda x: -x.clamp(min=torch.finfo(x.dtype).tiny).log(),
    }
    return OnTensors("torchvision", lambda p, t: forms[form](_shared(p, t)))


def _as_centres(boxes: Tensor) -> Tensor:
    found: Tensor = loaded("torchvision.ops").box_convert(boxes, "xyxy", "cxcywh")
    return found


def _box_l1(pred: Tensor, target: Tensor) -> Tensor:
    return F.l1_loss(_as_centres(pred), _as_centres(target), reduction="none").sum(1)


def _detr(pred: Tensor, target: Tensor) -> Tensor:
    return 5 * _box_l1(pred, target) + 2 * _vision("generalized_box_iou_loss").function(pred, target)


def _l1_and_giou(terms: str) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        distance = F.l1_loss(pred, target, reduction="none").mean(1)
        return 0.5 * distance + 2 * _vision("generalized_box_iou_loss").function(pred, target)

    return OnTensors("torchvision", function)


def _huber_and_mse(terms: str) -> OnTensors:
    def function(pred: Tensor, target: Tensor) -> Tensor:
        near = F.huber_loss(pred, target, delta=0.3, reduction="none")
        return 3 * near + F.mse_loss(pred, target, reduction="none")

    return OnTensors("torch", function)


def _divergence(tau: float, direction: str) -> OnTensors:
    """From torch's divergence of two normal distributions for each of x and y, with half the sides as deviations."""

    def function(pred: Tensor, target: Tensor) -> Tensor:
        ours, theirs = (
            Normal(centre, side / 2)
            for centre, side in (box.chunk(2, 1) for box in (_as_centres(pred), _as_centres(target)))
        )
        pair = (theirs, ours) if direction == "target_pred" else (ours, theirs)
        return 1 / tau - 1 / (tau + kl_divergence(*pair).sum(1).log1p())

    return OnTensors("torch", function)


WISE = over("version alpha delta gamma", ("v1", 1.9, 3.0, 0.5), ("v2", 1.9, 3.0, 0.5), ("v3", 1.9, 3.0, 0.5))


def _rows(loss: str, make: Callable[..., Any], *settings: dict[str, Any], note: str = "", **more: Any) -> list[Row]:
    """Rows without gradients at the edges, which are where sides or corners meet."""
    both = "; ".join(filter(None, (note, "no derivative where sides or corners meet")))
    return rows(loss, "boxes", make, settings or ({},), note=both, kinked=True, **more)


ROWS = [
    *_rows("iou", _iou, *over("form", "linear", "square"), note="box_iou in the form asked for"),
    *_rows("iou", _iou, {"form": "log"}, note="box_iou; 0 counts as the smallest number, so that the log is finite"),
    *_rows("giou", lambda: _vision("generalized_box_iou_loss"), note="eps=1e-300"),
    *_rows("giou", lambda: _boxes("Rezatofighi et al. (2019)", _giou)),
    *_rows("diou", lambda: _vision("distance_box_iou_loss"), note="eps=1e-300"),
    *_rows("diou", lambda: _boxes("Zheng et al. (2020), DIoU", _diou)),
    *_rows(
        "ciou",
        lambda: _vision("complete_box_iou_loss"),
        note="boxes of a thousand units, as a part of theirs keeps its eps of 1e-7",
        unit=1000.0,
        floor=1e-3,
        tolerance=1e-8,
    ),
    *_rows("ciou", lambda: Formula("Zheng et al. (2020), CIoU", _ciou), note="the weight a is held fixed"),
    *_rows("alpha_iou", _vision_power, {"alpha": 3.0}, note="the IoU form: box_iou to the power of alpha"),
    *_rows(
        "alpha_iou", _power, *over("alpha", 3.0, 1.0, 0.5), note="the powers of giou, diou and ciou are not offered"
    ),
    *_rows("box_l1", lambda: OnTensors("torchvision", _box_l1), note="box_convert, then torch's l1_loss, added up"),
    *_rows(
        "efficient_iou",
        lambda: _boxes("Zhang et al. (2021), EIoU", _efficient),
        note="not the extended IoU of Peng and Yu (2021)",
    ),
    *_rows("focal_eiou", _focal_efficient, *over("gamma", 0.5, 0.0, 2.0), note="the power of the IoU is held fixed"),
    *_rows("siou", _siou, *over("theta", 4.0, 2.5), note="the exponent is negative, as in the paper"),
    *_rows("mpdiou", _mpdiou, *over("width height", (1.0, 1.0), (640.0, 480.0))),
    *(
        row
        for mean in (1.0, 0.25)
        for row in _rows(
            "wise_iou",
            partial(_wise, mean),
            *WISE,
            state={"mean": mean},
            note="the sides C and the weight are held fixed; mean is the running mean of 1 - IoU",
        )
    ),
    *_rows("bounded_iou", _bounded, *over("beta", 0.2, 1.0), note="added up over x, y, width and height"),
    *_rows("nwd", _nwd, *over("constant", 0.4, 2.0)),
    *_rows("gwd", _gwd, *over("tau shape unit", (1.0, "log1p", 0.4), (1.0, "sqrt", 2.0), (2.0, "log1p", 1.0))),
    *_rows(
        "gaussian_kld",
        _divergence,
        *over("tau direction", (1.0, "target_pred"), (2.0, "target_pred"), (1.0, "pred_target"), (2.0, "pred_target")),
        note="kl_divergence; 1/tau where the paper has 1",
        tolerance=1e-9,
    ),
    *_rows("detr", lambda: OnTensors("torchvision", _detr), note="5 box_l1 and 2 generalized_box_iou_loss"),
    *_rows("sum", _l1_and_giou, {"terms": "0.5*l1 + 2*giou"}, note="l1_loss and generalized_box_iou_loss"),
    *rows("sum", "values", _huber_and_mse, over("terms", "3*huber(delta=0.3) + mse"), note="huber_loss and mse_loss"),
]
