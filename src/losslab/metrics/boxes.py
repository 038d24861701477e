"""Metrics of boxes, in shares of the picture."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from losslab.box_geometry import overlap
from losslab.metrics.base import register


class BoxPredictions:
    """Predicted and true corners x1 y1 x2 y2 [R, n, 4]."""

    def __init__(self, pred: Tensor, targets: Tensor) -> None:
        self.pred, self.targets = pred, targets

    @cached_property
    def iou(self) -> Tensor:
        """Intersection over union [R, n]."""
        found: Tensor = overlap(self.pred.flatten(0, 1), self.targets.flatten(0, 1)).iou
        return found.reshape(self.pred.shape[:2])

    def above(self, percent: int) -> Tensor:
        """The share of pictures with an IoU above so many percent [R]."""
        return (self.iou > percent / 100).to(self.iou).mean(1)


@register
def mean_iou(seen: BoxPredictions) -> Tensor:
    """Mean intersection over union [R]."""
    return seen.iou.mean(1)


@register
def iou50(seen: BoxPredictions) -> Tensor:
    """Share of pictures with an IoU above 0.5 [R]."""
    return seen.above(50)


@register
def iou75(seen: BoxPredictions) -> Tensor:
    """Share of pictures with an IoU above 0.75 [R]."""
    return seen.above(75)


@register
def iou90(seen: BoxPredictions) -> Tensor:
    """Share of pictures with an IoU above 0.9 [R]."""
    return seen.above(90)


@register
def centre_error(seen: BoxPredictions) -> Tensor:
    """Mean distance of the centres [R]."""
    centres = [(boxes[..., :2] + boxes[..., 2:]) / 2 for boxes in (seen.pred, seen.targets)]
    apart: Tensor = (centres[0] - centres[1]).norm(dim=-1)
    return apart.mean(1)


@register
def size_error(seen: BoxPredictions) -> Tensor:
    """Mean absolute error of width and height [R]."""
    sizes = [boxes[..., 2:] - boxes[..., :2] for boxes in (seen.pred, seen.targets)]
    return (sizes[0] - sizes[1]).abs().flatten(1).mean(1)
