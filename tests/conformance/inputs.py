"""Predictions and targets in float64 for each space: random ones from a seed, extreme ones, and edges."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from losslab.schema.space_words import of_kind

RANDOM, SEED = 24, 2026  # samples, and what they are drawn from
ORDERED = of_kind("ordered classes")


class Inputs(NamedTuple):
    """Predictions and targets, and which of them are edges, [N]: where some losses have a kink."""

    pred: Tensor
    target: Tensor
    edge: Tensor


def given(space: str, soft: bool = False, unit: float = 1.0, reach: float = float("inf")) -> Inputs:
    """Samples of a space; see `Row` for the rest."""
    draw = torch.Generator().manual_seed(SEED)
    pred, target, edge = (
        torch.cat(parts) for parts in zip(_random(space, draw), _extreme(space), _edges(space), strict=True)
    )
    if soft:
        target = _shares(space, len(pred), draw)
    if space == "boxes":
        pred, target = pred * unit, target * unit
    within = pred.reshape(len(pred), -1).abs().amax(1) <= reach
    return Inputs(pred[within], target[within], edge[within])


Samples = tuple[Tensor, Tensor, Tensor]


def _plain(pred: Tensor, target: Tensor, edge: bool = False) -> Samples:
    return pred, target, torch.full((len(pred),), edge)


def _random(space: str, draw: torch.Generator) -> Samples:
    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draw, dtype=torch.float64)

    n = RANDOM
    if space == "class_logits":
        return _plain(3 * normal(n, 4), torch.arange(n) % 4)
    if space == "class_probs":
        return _plain(normal(n, 4).softmax(-1), normal(n, 4).softmax(-1))
    if space == "binary_logit":
        return _plain(3 * normal(n), _tensor([0, 1] * (n // 2)))
    if space == "binary_prob":
        return _plain(0.01 + 0.98 * uniform(n), _tensor([0, 1] * (n // 2)))
    if space == "values":
        return _plain(3 * normal(n, 2), normal(n, 2))
    if space == "values_and_scale":
        return _plain(2 * normal(n, 2, 2), normal(n, 2))
    if space == "log_rate":
        return _plain(2 * normal(n, 2), (8 * uniform(n, 2)).floor())
    if space == "rate":
        return _plain(0.1 + 8 * uniform(n, 2), (8 * uniform(n, 2)).floor())
    if space == "quantiles":
        return _plain(3 * normal(n, 2, 3), normal(n, 2))
    if space in ORDERED:
        return _plain(3 * normal(n, 3), torch.arange(n) % 4)
    if space == "label_logits":
        return _plain(3 * normal(n, 4), uniform(n, 4).round())
    if space == "mask_logits":
        return _plain(3 * normal(n, 3, 4), uniform(n, 3, 4).round())
    corners = uniform(2, n, 2)
    boxes = torch.cat([corners, corners + 0.1 + uniform(2, n, 2)], -1) / 2.1
    return _plain(boxes[0], boxes[1])


def _extreme(space: str) -> Samples:
    if space == "class_logits":
        rows = [[50.0, -50, 1, 0], [700, -700, 1, 0], [-700, 0.4, 1.1, 2.3], [1e-9, 0, -1e-9, 2e-9]]
        each = list(itertools.product(rows, (0, 1, 3)))
        return _plain(_tensor([row for row, _ in each]), torch.tensor([label for _, label in each]))
    if space == "class_probs":
        return _plain(_tensor([[1, 0, 0, 0], [0.5, 0.5, 0, 0]]), _tensor([[0, 0, 0, 1], [0, 0.25, 0.75, 0]]), edge=True)
    if space == "binary_logit":
        each = list(itertools.product((50.0, -50, 700, -700, 1e-9), (0.0, 1)))
        return _plain(_tensor([logit for logit, _ in each]), _tensor([label for _, label in each]))
    if space == "binary_prob":
        return _plain(_tensor([1e-11, 1e-11, 1 - 1e-9, 1 - 1e-9]), _tensor([0, 1, 0, 1]))
    if space == "values":
        sizes = _tensor([1e-12, 1e-3, 50, 1e6, 1e12])
        return _plain(torch.cat([sizes, -sizes])[:, None].expand(10, 2), torch.zeros(10, 2, dtype=torch.float64))
    if space == "values_and_scale":
        pairs = _tensor([[1e6, 0.5], [3, 20], [1e-3, -20], [1e3, -5], [-1e-12, 0]])
        return _plain(pairs[:, None].expand(5, 2, 2), torch.zeros(5, 2, dtype=torch.float64))
    if space == "log_rate":
        return _plain(_tensor([[-30, -30], [30, 30]]), _tensor([[0, 1e6], [0, 1e6]]))
    if space == "rate":
        return _plain(_tensor([[1e-12, 1e-12], [1e9, 1e9]]), _tensor([[0, 1e6], [0, 1e6]]))
    if space == "quantiles":
        sizes = _tensor([1e-12, 1e-3, 50, 1e6, 1e12])
        pred = torch.cat([sizes, -sizes])[:, None, None].expand(10, 2, 3)
        return _plain(pred, torch.zeros(10, 2, dtype=torch.float64))
    if space in ORDERED:
        each = list(itertools.product([[50.0, 1, -50], [700, 1, -700], [1e-9, 0, -1e-9]], (0, 1, 3)))
        return _plain(_tensor([row for row, _ in each]), torch.tensor([label for _, label in each]))
    if space == "label_logits":
        pred = _tensor([[50.0, -50, 1, 0], [700, -700, 1, 0], [-700, 0.4, 700, 2.3], [1, 2, 3, 4], [1, 2, 3, 4]])
        return _plain(pred, _tensor([[1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]))
    if space == "mask_logits":
        pred = _tensor([[[50.0, -50, 1, 0]] * 3, [[30, -30, 1, 0]] * 3, [[-2, 0.4, 3, 2.3]] * 3, [[1, 2, 3, 4]] * 3])
        return _plain(
            pred, _tensor([[[1, 0, 1, 0]] * 3, [[0, 1, 0, 1]] * 3, [[0, 0, 0, 0]] * 3, [[1, 1, 1, 1]] * 3]), edge=True
        )
    return _beside(
        [
            [0.01, 0.02, 0.011, 0.0215],  # tiny and far
            [0.46, 0.46, 0.55, 0.59],  # inside
            [0.11, 0.12, 0.9, 0.95],  # around
            [0.61, 0.42, 0.8, 0.65],  # apart, but for a strip
            [0.4001, 0.4102, 0.6003, 0.6304],  # nearly the same
            [-700, -700, 700, 650],  # huge
        ]
    )


def _edges(space: str) -> Samples:
    """Equal logits, no error, and boxes that touch or share a side."""
    if space == "class_logits":
        return _plain(_tensor([[0] * 4, [2, 2, -1, -1]]), torch.tensor([2, 0]), edge=True)
    if space == "class_probs":
        half = _tensor([[0.5, 0.5, 0, 0]])
        return _plain(half, half, edge=True)
    if space == "binary_logit":
        return _plain(_tensor([0, 0, 1, -1]), _tensor([0, 1, 1, 0]), edge=True)
    if space == "binary_prob":
        return _plain(_tensor([0, 1]), _tensor([0, 1]), edge=True)
    if space == "values":
        return _plain(_tensor([[0, 0], [3, -1]]), _tensor([[0, 0], [3, -1]]), edge=True)
    if space == "values_and_scale":
        return _plain(_tensor([[[2, 1], [2, -1]]]), _tensor([[2, 2]]), edge=True)
    if space == "log_rate":
        return _plain(_tensor([[0, 0]]), _tensor([[0, 1]]), edge=True)
    if space == "rate":
        return _plain(_tensor([[2, 2]]), _tensor([[2, 0]]), edge=True)
    if space == "quantiles":
        return _plain(_tensor([[[0, 1, 2]] * 2]), _tensor([[0, 2]]), edge=True)
    if space in ORDERED:
        return _plain(_tensor([[0, 0, 0]]), torch.tensor([2]), edge=True)
    if space in ("label_logits", "mask_logits"):
        pred, target = _tensor([[0, 0, 1, 1]]), _tensor([[0, 1, 0, 1]])
        return _plain(
            *(
                (pred, target)
                if space == "label_logits"
                else (pred[:, None].expand(1, 3, 4), target[:, None].expand(1, 3, 4))
            ),
            edge=True,
        )
    return _beside(
        [
            [0.4, 0.41, 0.6, 0.63],  # the same
            [0.4, 0.41, 0.5, 0.52],  # a corner in common, inside
            [0.6, 0.41, 0.8, 0.63],  # side by side
            [0.6, 0.63, 0.8, 0.9],  # corner to corner
        ],
        edge=True,
    )


def _shares(space: str, count: int, draw: torch.Generator) -> Tensor:
    """Targets that are no labels, but for some."""
    if space == "binary_logit":
        return torch.rand(count, generator=draw, dtype=torch.float64)
    shares = torch.rand((count, 4), generator=draw, dtype=torch.float64)
    shares[::3, 1] = 0.0
    return shares / shares.sum(1, keepdim=True)


def _beside(others: list[list[float]], edge: bool = False) -> Samples:
    """Boxes and one target for all."""
    return _plain(_tensor(others), _tensor([[0.4, 0.41, 0.6, 0.63]] * len(others)), edge)


def _tensor(values: list) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
