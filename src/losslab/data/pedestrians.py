"""People in two films: boxes of a tracker, and boxes drawn by hand. Size and licence: conf/data/pedestrians.yaml."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torchvision.ops import box_iou

from losslab.data.base import Data, register
from losslab.schema.requirements import inside_package

FILMS = ("TUD-Campus", "TUD-Stadtmitte")
FRAME = torch.tensor([640.0, 480.0, 640.0, 480.0])  # pixels, of both films


@register
def pedestrians() -> Data:
    """A true box [4] for each box of a tracker [4], both corners x1 y1 x2 y2 in shares of the frame [0, 1].

    Boxes are matched in each frame, so that the sum of IoUs is largest. Pairs without overlap are left out; pairs with little
    overlap stay. Parts outside the frame are cut off, as no picture shows them. Frames follow one another closely, so a random
    split puts the same walk into all its parts. The results therefore hold for refinement in these films, not in others.
    """
    films = [inside_package("motmetrics", "data", film) for film in FILMS]
    pairs = [match(read(film / "gt.txt"), read(film / "test.txt")) for film in films]
    true, tracked = (torch.cat(side) for side in zip(*pairs, strict=True))
    return Data(tracked, true, ("x1", "y1", "x2", "y2"))


def read(file: Path) -> tuple[Tensor, Tensor]:
    """Frame numbers [n] and boxes [n, 4] of a file as the MOT Challenge has them (Leal-Taixe et al., 2015).

    A line is frame, track, left, top, width, height, and four columns that are not used here. Pixels count from 1.
    """
    import pandas as pd

    table = pd.read_csv(file, header=None, usecols=[0, 2, 3, 4, 5]).to_numpy(dtype="float32", copy=True)
    frames, corner, size = torch.from_numpy(table).split([1, 2, 2], 1)
    return frames[:, 0], (torch.cat([corner - 1, corner - 1 + size], 1) / FRAME).clamp(0, 1)


def match(true: tuple[Tensor, Tensor], tracked: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The true and the tracked box of each pair [n, 4], both in the order of frames (Kuhn, 1955)."""
    from scipy.optimize import linear_sum_assignment

    pairs = []
    for frame in true[0].unique():
        theirs, ours = (boxes[frames == frame] for frames, boxes in (true, tracked))
        iou = box_iou(theirs, ours)
        rows, columns = map(torch.from_numpy, linear_sum_assignment(iou.numpy(), maximize=True))
        there = iou[rows, columns] > 0
        pairs.append((theirs[rows[there]], ours[columns[there]]))
    return torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])
