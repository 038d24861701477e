"""Metrics of masks: a pixel is taken at p > 1/2. Shares of a picture come first, and then their mean over the pictures."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from losslab.metrics.base import register
from losslab.metrics.classification import YesOrNoPredictions


class MaskPredictions(YesOrNoPredictions):
    """Pixels: logits [R, n, H W] and targets [R, n, H W] in [0, 1]."""

    @cached_property
    def areas(self) -> tuple[Tensor, Tensor]:
        """Pixels of each picture that are in both masks, and in the two together with those in both counted twice [R, n]."""
        guess = self.logits > 0
        both = (guess & self.labels).sum(-1)
        return both.to(self.logits), (guess.sum(-1) + self.labels.sum(-1)).to(self.logits)


@register
def mask_iou(seen: MaskPredictions) -> Tensor:
    """Mean intersection over union of the pictures [R]; 1 where both masks are empty."""
    both, sizes = seen.areas
    union = sizes - both
    return (both / union.clamp(min=1)).where(union > 0, 1.0).mean(1)


@register
def mask_dice(seen: MaskPredictions) -> Tensor:
    """Mean Dice score of the pictures [R]: twice the overlap over both sizes; 1 where both masks are empty."""
    both, sizes = seen.areas
    return (2 * both / sizes.clamp(min=1)).where(sizes > 0, 1.0).mean(1)


@register
def pixel_accuracy(seen: MaskPredictions) -> Tensor:
    """Share of pixels that are right [R]."""
    return ((seen.logits > 0) == seen.labels).flatten(1).to(seen.logits).mean(1)
