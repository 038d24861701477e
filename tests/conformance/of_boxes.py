"""References for losses on boxes, corners x1 y1 x2 y2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mpmath import asin, atan, exp, mpf, pi, sin, sqrt
from torch import Tensor

from conformance.row import Formula, OnTensors, Row


class Two:
    """How two boxes lie to one another, in exact numbers; lists hold x or width first."""

    def __init__(self, p: Sequence[mpf], t: Sequence[float]) -> None:
        t = [mpf(one) for one in t]
        self.p, self.t = p, t
        shared = [max(mpf(0), min(p[i + 2], t[i + 2]) - max(p[i], t[i])) for i in (0, 1)]
        self.sides, self.wanted = ([box[2] - box[0], box[3] - box[1]] for box in (p, t))
        common = shared[0] * shared[1]
        self.iou = common / (self.sides[0] * self.sides[1] + self.wanted[0] * self.wanted[1] - common)
        self.way = [(p[i] + p[i + 2] - t[i] - t[i + 2]) / 2 for i in (0, 1)]
        self.around = [max(p[i + 2], t[i + 2]) - min(p[i], t[i]) for i in (0, 1)]

    def far(self) -> mpf:
        """Squared distance of the centres over the squared diagonal of the box around both."""
        return _square(self.way) / _square(self.around)

    def eiou(self) -> mpf:
        """Zhang et al. (2022)."""
        missing = [(one - other) / side for one, other, side in zip(self.sides, self.wanted, self.around, strict=True)]
        return 1 - self.iou + self.far() + _square(missing)

    def misshape(self) -> list[mpf]:
        """Relative errors of width and height."""
        return [abs(one - other) / max(one, other) for one, other in zip(self.sides, self.wanted, strict=True)]


def _square(way: Sequence[mpf]) -> mpf:
    return way[0] ** 2 + way[1] ** 2


def _of(source: str, function: Any) -> Formula:
    """A formula of how the boxes lie, and how they lie where the gradient holds it fixed."""
    return Formula(source, lambda p, t, held: function(Two(p, t), Two(held, t)))


def _ciou(now: Two, held: Two) -> mpf:
    def shape(two: Two) -> mpf:
        return 4 / pi**2 * (atan(two.wanted[0] / two.wanted[1]) - atan(two.sides[0] / two.sides[1])) ** 2

    weight = shape(held) / (1 - held.iou + shape(held)) if shape(held) else mpf(0)
    return 1 - now.iou + now.far() + weight * shape(now)


def _siou(theta: float) -> Formula:
    def loss(now: Two, held: Two) -> mpf:
        aslant = abs(now.way[1]) / sqrt(_square(now.way))
        gamma = 2 - (1 - 2 * sin(asin(aslant) - pi / 4) ** 2)
        away = sum(1 - exp(-gamma * (d / side) ** 2) for d, side in zip(now.way, now.around, strict=True))
        shape = sum((1 - exp(-omega)) ** theta for omega in now.misshape())
        return 1 - now.iou + (away + shape) / 2

    return _of("Gevorgyan (2022)", loss)


def _mpdiou(width: float, height: float) -> Formula:
    def loss(now: Two, held: Two) -> mpf:
        corners = sum((one - other) ** 2 for one, other in zip(now.p, now.t, strict=True))
        return 1 - now.iou + corners / (mpf(width) ** 2 + mpf(height) ** 2)

    return _of("Ma and Xu (2023)", loss)


def _wise(version: str) -> Formula:
    def loss(now: Two, held: Two) -> mpf:
        attention = exp(_square(now.way) / _square(held.around)) * (1 - now.iou)
        beta = 1 - held.iou  # the running mean is 1 at first
        weight = {"v1": mpf(1), "v2": sqrt(beta), "v3": beta / (3 * mpf(1.9) ** (beta - 3))}[version]
        return weight * attention

    return _of("Tong et al. (2023), before training", loss)


def _bounded(delta: float) -> Formula:
    def smooth(x: mpf) -> mpf:
        return x**2 / (2 * mpf(delta)) if x < delta else x - mpf(delta) / 2

    def loss(now: Two, held: Two) -> mpf:
        total = mpf(0)
        for way, side, wanted in zip(now.way, now.sides, now.wanted, strict=True):
            total += smooth(1 - max(mpf(0), (wanted - 2 * abs(way)) / (wanted + 2 * abs(way))))
            total += smooth(1 - min(side / wanted, wanted / side))
        return total

    return _of("Tychsen-Smith and Petersson (2018)", loss)


def _nwd(constant: float) -> Formula:
    def loss(now: Two, held: Two) -> mpf:
        sides = [(one - other) / 2 for one, other in zip(now.sides, now.wanted, strict=True)]
        return 1 - exp(-sqrt(_square(now.way) + _square(sides)) / constant)

    return _of("Wang et al. (2021)", loss)


def _alike(name: str) -> OnTensors:
    """1 less a measure of torchvision, which it computes for all pairs."""

    def function(pred: Tensor, target: Tensor) -> Tensor:
        import torchvision.ops

        return 1 - getattr(torchvision.ops, name)(pred, target).diagonal()

    return OnTensors("torchvision", function)


def _of_iou(function: Any) -> OnTensors:
    def loss(pred: Tensor, target: Tensor) -> Tensor:
        from torchvision.ops import box_iou

        return function(box_iou(pred, target).diagonal())

    return OnTensors("torchvision", loss)


def _power(alpha: float) -> Any:
    return lambda iou: 1 - torch.where(iou > 0, iou.where(iou > 0, 1.0) ** alpha, 0.0)


def _centres(pred: Tensor, target: Tensor) -> Tensor:
    from torchvision.ops import box_convert

    return sum((box_convert(pred, "xyxy", "cxcywh") - box_convert(target, "xyxy", "cxcywh")).abs().unbind(-1))


def _detr(pred: Tensor, target: Tensor) -> Tensor:
    from torchvision.ops import generalized_box_iou

    return 5 * _centres(pred, target) + 2 * (1 - generalized_box_iou(pred, target).diagonal())


def _sum(pred: Tensor, target: Tensor) -> Tensor:
    return (5 * (pred - target).abs() + 0.5 * (pred - target) ** 2).mean(-1)


def _divergence(tau: float, direction: str) -> OnTensors:
    def normal(boxes: Tensor) -> torch.distributions.Normal:
        low, high = boxes[:, :2], boxes[:, 2:]
        return torch.distributions.Normal((low + high) / 2, (high - low) / 2)

    def function(pred: Tensor, target: Tensor) -> Tensor:
        pair = (normal(target), normal(pred)) if direction == "target_pred" else (normal(pred), normal(target))
        found = torch.distributions.kl_divergence(*pair).sum(-1)
        return 1 / tau - 1 / (tau + found.log1p())

    return OnTensors("torch", function)


BOXES = "boxes"
_TINY = torch.finfo(torch.float64).tiny
FULL = "in large boxes, beside which torchvision's epsilon of 1e-7 does not show"
ROWS = [
    Row("iou", BOXES, _of_iou(lambda iou: 1 - iou), {"form": "linear"}),
    Row("iou", BOXES, _of_iou(lambda iou: 1 - iou**2), {"form": "square"}),
    Row(
        "iou",
        BOXES,
        _of_iou(lambda iou: -iou.clamp(min=_TINY).log()),
        {"form": "log"},
        "the IoU held above the smallest number there is",
    ),
    Row("giou", BOXES, _alike("generalized_box_iou")),
    Row("diou", BOXES, _alike("distance_box_iou"), note=FULL, unit=1e4),
    Row(
        "ciou",
        BOXES,
        _of("Zheng et al. (2020)", _ciou),
        note="the weight held fixed in the gradient",
    ),
    Row("efficient_iou", BOXES, _of("Zhang et al. (2022)", lambda now, held: now.eiou())),
    *(
        Row(
            "focal_eiou",
            BOXES,
            _of("Zhang et al. (2022)", lambda now, held, g=gamma: held.iou**g * now.eiou()),
            {"gamma": gamma},
            "the power held fixed in the gradient",
        )
        for gamma in (0.5, 1.0)
    ),
    *(Row("siou", BOXES, _siou(theta), {"theta": theta}) for theta in (2.0, 4.0)),
    *(Row("mpdiou", BOXES, _mpdiou(*s), {"width": s[0], "height": s[1]}) for s in ((1.0, 1.0), (640.0, 480.0))),
    *(
        Row("alpha_iou", BOXES, _of_iou(_power(alpha)), {"alpha": alpha}, "the form on the IoU alone")
        for alpha in (0.5, 3.0)
    ),
    *(
        Row(
            "wise_iou",
            BOXES,
            _wise(version),
            {"version": version, "alpha": 1.9, "delta": 3.0, "gamma": 0.5},
            "the weight held fixed in the gradient",
        )
        for version in ("v1", "v2", "v3")
    ),
    *(Row("bounded_iou", BOXES, _bounded(beta), {"beta": beta}) for beta in (0.2, 1.0)),
    *(Row("nwd", BOXES, _nwd(constant), {"constant": constant}) for constant in (0.2, 5.0)),
    *(
        Row(
            "gaussian_kld",
            BOXES,
            _divergence(tau, direction),
            {"tau": tau, "direction": direction},
            "1 / tau in the place of 1",
            tolerance=1e-9,
        )
        for tau in (1.0, 2.0)
        for direction in ("target_pred", "pred_target")
    ),
    Row("box_l1", BOXES, OnTensors("torchvision", _centres)),
    Row("detr", BOXES, OnTensors("torchvision", _detr)),
    Row("sum", BOXES, OnTensors("torch", _sum), {"terms": "5*l1 + 0.5*mse"}),
]
