"""Predictions and targets in float64 for each space: seeded random ones, and extreme ones that stay off the kinks."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

ROWS = 20  # random samples


def given(space: str, unit: float = 1.0, far: bool = True) -> tuple[Tensor, Tensor]:
    """A prediction and a target of a space, ROWS random samples and after them extreme ones."""
    draw = torch.Generator().manual_seed(2026)
    pred, target = _random(space, draw)
    if far:
        more_pred, more_target = _extreme(space)
        pred, target = torch.cat([pred, more_pred]), torch.cat([target, more_target])
    return (pred * unit, target * unit) if space == "boxes" else (pred, target)


def _random(space: str, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draw, dtype=torch.float64)

    if space == "class_logits":
        return 3 * normal(ROWS, 4), torch.arange(ROWS) % 4
    if space == "binary_logit":
        return 3 * normal(ROWS), torch.arange(ROWS).double() % 2
    if space == "binary_prob":
        return 0.01 + 0.98 * uniform(ROWS), torch.arange(ROWS).double() % 2
    if space == "values":
        return 2 * normal(ROWS, 1), normal(ROWS, 1)
    if space == "values_and_scale":
        return 2 * normal(ROWS, 1, 2), normal(ROWS, 1)
    if space == "log_rate":
        return 2 * normal(ROWS, 1), (8 * uniform(ROWS, 1)).floor()
    if space == "rate":
        return 0.1 + 8 * uniform(ROWS, 1), (8 * uniform(ROWS, 1)).floor()
    corners = uniform(2, ROWS, 2)
    boxes = torch.cat([corners, corners + 0.1 + uniform(2, ROWS, 2)], -1) / 2.1
    return boxes[0], boxes[1]


def _extreme(space: str) -> tuple[Tensor, Tensor]:
    if space == "class_logits":
        rows = [[50.0, -50, 1, 0], [700, -700, 1, 0], [-700, 0.5, 1.2, 2.6], [1e-9, 0, -1e-9, 2e-9]]
        each = list(itertools.product(rows, (0, 1, 3)))
        return _tensor([row for row, _ in each]), torch.tensor([label for _, label in each])
    if space == "binary_logit":
        each = list(itertools.product((50.0, -50, 700, -700, 1e-9), (0.0, 1)))
        return _tensor([logit for logit, _ in each]), _tensor([label for _, label in each])
    if space == "binary_prob":
        return _tensor([1e-12, 1e-12, 1 - 1e-9, 1 - 1e-9]), _tensor([0, 1, 0, 1])
    if space == "values":
        sizes = _tensor([1e-12, 1e-3, 50, 1e6, 1e12])
        return torch.cat([sizes, -sizes])[:, None], torch.zeros(10, 1, dtype=torch.float64)
    if space == "values_and_scale":
        return _tensor([[[1e6, 0.5]], [[3, 20]], [[1e-3, -20]], [[1e3, -5]]]), torch.zeros(4, 1, dtype=torch.float64)
    if space == "log_rate":
        return _tensor([[-30], [-30], [30], [30]]), _tensor([[0], [1e6], [0], [1e6]])
    if space == "rate":
        return _tensor([[1e-12], [1e9], [1e-12], [1e9]]), _tensor([[0], [0], [1e6], [1e6]])
    target = [0.4, 0.41, 0.6, 0.63]
    others = [
        [0.01, 0.02, 0.011, 0.0215],  # tiny and far
        [0.45, 0.46, 0.56, 0.58],  # inside
        [0.1, 0.12, 0.95, 0.9],  # around
        [0.61, 0.4, 0.8, 0.6],  # beside
        [0.4001, 0.4102, 0.6003, 0.6304],  # nearly the same
    ]
    return _tensor(others), _tensor([target] * len(others))


def _tensor(values: list) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
