"""Made-up data of structured targets: classes in an order, several labels at once, masks. Sizes: conf/data/<name>.yaml."""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.data.base import Data, register
from losslab.data.tables import friedman_first

_CUTS = (10.2, 13.2, 15.7, 18.6)  # fifths of Friedman's first function


@register
def friedman_ordinal(rows: int, noise: float) -> Data:
    """Five classes in an order: Friedman's first function plus noise, cut at its fifths."""
    generator = torch.Generator().manual_seed(1991)
    x = torch.rand(rows, 10, generator=generator)
    y = friedman_first(x) + noise * torch.randn(rows, generator=generator)
    names = ("very low", "low", "middle", "high", "very high")
    return Data(x, torch.bucketize(y, torch.tensor(_CUTS)), names)


@register
def topics(rows: int, labels: int, words: int) -> Data:
    """Counts of words in documents that have any of several topics; some have none."""
    from sklearn.datasets import make_multilabel_classification  # here, as scikit-learn is slow to import

    x, y = make_multilabel_classification(
        n_samples=rows, n_features=words, n_classes=labels, n_labels=2, random_state=1991
    )
    return Data(
        torch.tensor(x, dtype=torch.float32),
        torch.tensor(y, dtype=torch.float32),
        tuple(f"topic {number}" for number in range(labels)),
    )


@register
def blobs(rows: int, side: int, noise: float) -> Data:
    """Pictures of an ellipse in noise, with dim pieces of others, and the mask of the ellipse."""
    generator = torch.Generator().manual_seed(1991)
    masks = _ellipses(rows, side, generator)
    clutter = 0.35 * torch.maximum(_ellipses(rows, side, generator), _ellipses(rows, side, generator)).float()
    grey = torch.where(masks, 1.0, clutter) + noise * torch.randn(masks.shape, generator=generator)
    return Data((0.2 + 0.6 * grey).clamp(0, 1)[:, None], masks.float(), ("background", "object"))


def _ellipses(rows: int, side: int, generator: torch.Generator) -> Tensor:
    """Filled ellipses at random places, with half axes of a tenth to a third of the side, [n, side, side]; none is empty."""
    centre = (0.2 + 0.6 * torch.rand(rows, 2, 1, 1, generator=generator)) * side
    axes = (0.1 + 0.22 * torch.rand(rows, 2, 1, 1, generator=generator)) * side
    angle = torch.pi * torch.rand(rows, 1, 1, generator=generator)
    at = torch.stack(torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")) - centre
    turned = torch.stack(
        [angle.cos() * at[:, 0] - angle.sin() * at[:, 1], angle.sin() * at[:, 0] + angle.cos() * at[:, 1]], 1
    )
    return (turned / axes).square().sum(1) <= 1
