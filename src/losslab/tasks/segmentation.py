"""Segmentation: which pixels of a picture belong to an object."""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.data import Data
from losslab.metrics.masks import MaskPredictions
from losslab.spaces import check_target
from losslab.tasks.base import Drawing, Snapshot, Task, register
from losslab.tasks.figures import in_colour

_SHOWN = 8  # pictures


@register
class Segmentation(Task):
    """Raw outputs are H W logits, one for each pixel; targets are masks [n, H, W], 0 or 1, float."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.shape: tuple[int, ...] = tuple(data.targets.shape[1:])

    @property
    def outputs(self) -> int:
        """H W."""
        height, width = self.shape
        return height * width

    def check_targets(self, targets: Tensor) -> None:
        """Raises ValueError for a target outside [0, 1]."""
        check_target("mask_logits", targets)

    def constant(self, targets: Tensor) -> Tensor:
        """The share of the training masks that holds each pixel."""
        return targets.mean(0).flatten().logit(1e-6)

    def prediction(self, space: str, raw: Tensor) -> Tensor:
        """mask_logits: [n, H, W]; binary_logit: [n, H W]; binary_prob: its sigmoid."""
        if space == "mask_logits":
            masks: Tensor = raw.unflatten(-1, self.shape)
            return masks
        return raw if space == "binary_logit" else raw.sigmoid()

    def target(self, space: str, targets: Tensor) -> Tensor:
        """mask_logits: as they are; binary_logit and binary_prob: [n, H W]."""
        return targets if space == "mask_logits" else targets.flatten(-2)

    def predictions(self, raw: Tensor, targets: Tensor) -> MaskPredictions:
        """Of the pixels."""
        return MaskPredictions(raw, targets.flatten(-2))

    def draw(self, writer: Drawing, step: int, seen: Snapshot) -> None:
        """A few pictures of the validation split, above the predicted masks and the true ones."""
        rows = seen.split["val"][:_SHOWN]
        masks = (seen.raw(rows).unflatten(-1, self.shape) > 0).float()
        shown = [in_colour(part[:, None].float()) for part in (masks, seen.targets[rows])]
        if seen.inputs.shape[2:] == self.shape:
            shown.insert(0, in_colour(seen.inputs[rows]).float().clamp(0, 1))
        writer.add_image("masks", torch.cat([torch.cat(list(part), 2) for part in shown], 1), step)
