"""Box regression without pictures: cases of an anchor box and a target box, after Zheng et al. (2020), Distance-IoU loss.

Seven targets of area 1 lie in the middle of a picture of 10 x 10 units. Points are spread evenly in a circle of radius 3 around
them. Each point has anchors of seven areas and seven aspect ratios: with seven targets, 343 cases per point.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from losslab.box_geometry import overlap
from losslab.data.base import Data, register

SIDE = 10.0  # of the picture, in units; large enough that boxes stay inside it while they move
RADIUS = 3.0
RATIOS = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0)  # width to height, of targets and anchors
AREAS = (0.5, 0.67, 0.75, 1.0, 1.33, 1.5, 2.0)  # of anchors
REGIMES = ("disjoint", "overlapping", "nested")  # relation of an anchor and its target at the start


@register
def anchors(points: int) -> Data:
    """343 cases for each of `points` points, in the order of target, anchor's area, anchor's ratio, point.

    Inputs [n, 5]: the number of the row, and the anchor's centre x, centre y, width and height. Targets [n, 4]: corners. Both are
    in shares of the picture: a unit of the paper is a tenth. The paper draws the points at random. Here they lie on a sunflower
    spiral (Vogel, 1979), each in the middle of an equal area, so nothing depends on the seed.
    """
    number = torch.arange(points, dtype=torch.float64)
    radius = RADIUS * ((number + 0.5) / points).sqrt()
    angle = number * math.pi * (3 - math.sqrt(5))
    places = torch.stack([radius * angle.cos(), radius * angle.sin()], 1).float()

    target, area, ratio, point = torch.cartesian_prod(*map(torch.arange, (7, 7, 7, points))).unbind(1)
    sizes = _size(torch.tensor(AREAS)[area], torch.tensor(RATIOS)[ratio])
    target_sizes = _size(torch.ones(len(target)), torch.tensor(RATIOS)[target])
    boxes = torch.cat([0.5 + places[point] / SIDE, sizes / SIDE], 1)
    corners = torch.cat([0.5 - target_sizes / SIDE / 2, 0.5 + target_sizes / SIDE / 2], 1)
    numbered = torch.cat([torch.arange(len(boxes))[:, None], boxes], 1)
    return Data(numbered, corners, ("x1", "y1", "x2", "y2"), kind="simulation")


def regimes(data: Data) -> Tensor:
    """The relation of each anchor and its target at the start: indices into REGIMES [n]. Nested: one lies inside the other."""
    centre, size = data.inputs[:, 1:].chunk(2, 1)
    found = overlap(torch.cat([centre - size / 2, centre + size / 2], 1), data.targets)
    nested = found.intersection >= (1 - 1e-5) * torch.minimum(size.prod(1), found.target_sides.prod(0))
    return torch.where(nested, 2, torch.where(found.intersection > 0, 1, 0))


def _size(area: Tensor, ratio: Tensor) -> Tensor:
    """Width and height [n, 2] of boxes of an area and of a ratio of width to height [n]."""
    return torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], 1)
