"""Boxes: one per picture or per row."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, make_grid

from losslab.data import Data
from losslab.data.robust_scale import robust_scale
from losslab.metrics.boxes import BoxPredictions
from losslab.spaces import check_target
from losslab.tasks.base import Drawing, Snapshot, Task, register
from losslab.tasks.figures import in_colour

_SHOWN = 16
_SIDE = 192  # pixels a side, about, of a picture that is shown
_LINE = 3  # pixels of a box's line
_BLANK = 64  # pixels a side of a picture that is not there
_DELTA_WEIGHTS = torch.tensor([10.0, 10.0, 5.0, 5.0])


@register
class Bbox(Task):
    """Raw outputs are four numbers; targets are corners x1 y1 x2 y2 [n, 4], in shares of the picture.

    The sigmoid of the raw outputs is read as centre and size, so a prediction always has x1 < x2 and y1 < y2. As boxes,
    losses read its corners. As values they read, by `coordinates`: standardised, the same corners in spreads from the median
    of the training corners, so that a `beta` means what it means in regression; corners, as they are; deltas, shifts from the
    median training box in its widths and heights, and logs of the size in units of its own, times 10, 10, 5, 5, which makes
    them about one (Girshick, 2015; Faster R-CNN then takes smoothl1 with a beta of 1/9).
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, data: Data, coordinates: str) -> None:
        super().__init__(data)
        self.coordinates = coordinates
        self.register_buffer("centre", torch.zeros(4))
        self.register_buffer("spread", torch.ones(4))

    @property
    def outputs(self) -> int:
        """4."""
        return 4

    def calibrate(self, targets: Tensor, weights: Tensor | None = None) -> None:
        """Computes median and spread, over the training boxes, of the numbers that losses read."""
        if self.coordinates == "standardised":
            self.centre, self.spread = robust_scale(targets)
        elif self.coordinates == "deltas":
            self.centre = _centre_and_log_size(targets).quantile(0.5, dim=0)
            self.spread = torch.cat([self.centre[2:].exp(), torch.ones_like(self.centre[2:])]) / _DELTA_WEIGHTS.to(
                targets
            )

    def check_targets(self, targets: Tensor) -> None:
        """Raises ValueError for a box with swapped corners or without area."""
        check_target("boxes", targets)

    def constant(self, targets: Tensor) -> Tensor:
        """The box of median centre and size among the training targets."""
        low, high = targets.chunk(2, -1)
        return torch.cat([(low + high) / 2, high - low], -1).quantile(0.5, dim=0).logit(1e-6)

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """boxes: corners; values: see the class."""
        return self.target(space, corners(raw))

    def target(self, space: str, targets: Tensor) -> Tensor:
        """boxes: as they are; values: see the class."""
        if space == "boxes":
            return targets
        return (
            (_centre_and_log_size(targets) if self.coordinates == "deltas" else targets) - self.centre
        ) / self.spread

    def predictions(self, raw: Tensor, targets: Tensor) -> BoxPredictions:
        """As corners."""
        return BoxPredictions(corners(raw), targets)

    def draw(self, writer: Drawing, step: int, seen: Snapshot) -> None:
        """A grid of pictures of the validation split, black if the data have none: the true box green, the predicted one orange."""
        rows = seen.split["val"][:_SHOWN]
        pictures = seen.inputs[rows] if seen.inputs.ndim == 4 else torch.zeros(len(rows), 1, _BLANK, _BLANK)
        pictures = in_colour(pictures)
        zoom = max(1, _SIDE // pictures.shape[3])
        pictures = (pictures * 255).byte().repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
        side = torch.tensor([pictures.shape[3], pictures.shape[2]] * 2)
        pairs = torch.stack([seen.clean[rows], corners(seen.raw(rows)).nan_to_num()], 1) * side
        shown = [
            draw_bounding_boxes(picture, boxes, colors=["lime", "orange"], width=_LINE)
            for picture, boxes in zip(pictures, pairs, strict=True)
        ]
        writer.add_image("boxes/true_green_predicted_orange", make_grid(shown, nrow=4), step)


def _centre_and_log_size(boxes: Tensor) -> Tensor:
    """Corners [..., 4] -> centre x, centre y, log width, log height [..., 4]."""
    low, high = boxes.chunk(2, -1)
    return torch.cat([(low + high) / 2, (high - low).log()], -1)


def corners(raw: Tensor) -> Tensor:
    """Raw outputs [n, 4] -> corners x1 y1 x2 y2 [n, 4]: the sigmoid gives centre x, centre y, width, height in (0, 1)."""
    centre, size = raw.sigmoid().chunk(2, -1)
    return torch.cat([centre - size / 2, centre + size / 2], -1)
