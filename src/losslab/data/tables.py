"""Data sets in tables: the input is a row of numbers, the target a label or a number. Sizes and licences: conf/data/<name>.yaml."""

from __future__ import annotations

import torch

from losslab.data.base import Data, register

_MIDDLE = 14.4  # median of Friedman's first function, and its mean


@register
def breast_cancer() -> Data:
    """Breast cancer: whether a tumour is benign; 569 rows, 30 measurements of cell nuclei (Wolberg et al., 1995)."""
    from sklearn.datasets import load_breast_cancer  # here, as scikit-learn takes a quarter of a second to import

    bunch = load_breast_cancer()
    return Data(_float(bunch.data), _float(bunch.target), tuple(map(str, bunch.target_names)))


@register
def diabetes() -> Data:
    """Diabetes: disease progression after a year; 442 rows, 10 measurements (Efron et al., 2004)."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    return Data(_float(bunch.data), _float(bunch.target)[:, None], ("disease progression",))


@register
def friedman(rows: int, noise: float) -> Data:
    """Friedman's first function (1991): five of ten inputs matter, two in a product, one in a square, two in linear terms."""
    generator = torch.Generator().manual_seed(1991)
    x = torch.rand(rows, 10, generator=generator)
    y = friedman_first(x) + noise * torch.randn(rows, generator=generator)
    return Data(x, y[:, None], ("y",))


@register
def friedman_counts(rows: int) -> Data:
    """Counts whose rate is Friedman's first function."""
    generator = torch.Generator().manual_seed(1991)
    x = torch.rand(rows, 10, generator=generator)
    return Data(x, torch.poisson(friedman_first(x), generator=generator)[:, None], ("count",))


@register
def friedman_binary(rows: int, softness: float) -> Data:
    """Yes or no, with a probability from Friedman's first function, so that the accuracy of the best rule is known."""
    generator = torch.Generator().manual_seed(1991)
    x = torch.rand(rows, 10, generator=generator)
    chance = ((friedman_first(x) - _MIDDLE) / softness).sigmoid()
    return Data(x, torch.bernoulli(chance, generator=generator), ("no", "yes"))


def friedman_first(x: torch.Tensor) -> torch.Tensor:
    """Friedman's first function (1991): [n, 10] in [0, 1] -> [n], in [0, 30]."""
    return 10 * torch.sin(torch.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]


def _float(array: object) -> torch.Tensor:
    return torch.as_tensor(array, dtype=torch.float32)
