"""Predictions and targets with which the contract of losses is checked: ordinary ones, extremes, and perfect predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from losslab.structured_spaces import LEVELS


def sample(space: str, n: int = 6, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """A prediction and a target that are valid in `space`, drawn at random."""
    draw = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draw, dtype=dtype)

    if space == "class_logits":
        return 3 * uniform(n, 4) - 1, torch.randint(4, (n,), generator=draw)
    if space == "class_probs":
        return uniform(n, 4).softmax(-1), uniform(n, 4).softmax(-1)
    if space == "binary_logit":
        return 4 * uniform(n) - 2, (uniform(n) > 0.5).to(dtype)
    if space == "binary_prob":
        return 0.05 + 0.9 * uniform(n), (uniform(n) > 0.5).to(dtype)
    if space == "values":
        return 4 * uniform(n, 3) - 2, 4 * uniform(n, 3) - 2
    if space == "values_and_scale":
        return 4 * uniform(n, 3, 2) - 2, 4 * uniform(n, 3) - 2
    if space == "log_rate":
        return 4 * uniform(n, 3) - 2, (6 * uniform(n, 3)).floor()
    if space == "rate":
        return 6 * uniform(n, 3) + 0.1, (6 * uniform(n, 3)).floor()
    if space == "quantiles":
        return (4 * uniform(n, 3, LEVELS) - 2), 4 * uniform(n, 3) - 2
    if space in ("cumulative_logits", "conditional_logits"):
        return 4 * uniform(n, 3) - 2, torch.randint(4, (n,), generator=draw)
    if space == "label_logits":
        return 4 * uniform(n, 4) - 2, (uniform(n, 4) > 0.5).to(dtype)
    if space == "mask_logits":
        return 4 * uniform(n, 4, 5) - 2, (uniform(n, 4, 5) > 0.5).to(dtype)
    if space == "boxes":
        corners = uniform(2, n, 2)  # in shares of the picture
        boxes = torch.cat([corners, corners + 0.1 + uniform(2, n, 2)], -1) / 2.1
        return boxes[0], boxes[1]
    raise KeyError(space)


def extremes(space: str, far: float = 1e18) -> tuple[Tensor, Tensor]:
    """float32 predictions and targets far outside what training should meet; each still has finite numbers."""
    if space == "class_logits":
        return torch.tensor([[1e4, -1e4, 0.0, 0.0], [1e4, -1e4, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]), torch.tensor(
            [0, 1, 2]
        )
    if space == "class_probs":
        return torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    if space == "binary_logit":
        return torch.tensor([1e4, -1e4, 1e4, -1e4, 0.0]), torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0])
    if space == "binary_prob":
        return torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    if space == "values":
        error = torch.tensor([0.0, 1e-30, 1e-10, 1.0, 1e10, far])
        return torch.cat([error, -error])[:, None], torch.zeros(12, 1)
    if space == "values_and_scale":
        value, scale = torch.tensor([0.0, 1e-30, 1.0, 1e4, -1e4]), torch.tensor([0.0, 12.0, -12.0, -12.0, 12.0])
        return torch.stack([value, scale], -1)[:, None], torch.zeros(5, 1)
    if space == "log_rate":
        return torch.tensor([[-80.0], [80.0], [0.0], [-80.0]]), torch.tensor([[0.0], [1e6], [0.0], [1e6]])
    if space == "rate":
        return torch.tensor([[0.0], [1e30], [1e-30], [0.0]]), torch.tensor([[0.0], [0.0], [1e6], [1e30]])
    if space == "quantiles":
        error = torch.tensor([0.0, 1e-30, 1e-10, 1.0, 1e10, far])
        return torch.cat([error, -error])[:, None, None].expand(12, 1, LEVELS), torch.zeros(12, 1)
    if space in ("cumulative_logits", "conditional_logits"):
        return torch.tensor([[1e4, 1e4, -1e4], [-1e4, -1e4, -1e4], [0.0, 0.0, 0.0]]), torch.tensor([0, 3, 1])
    if space in ("label_logits", "mask_logits"):
        pred = 1e4 * torch.tensor([[1.0, -1.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0], [1.0] * 4, [-1.0] * 4])
        target = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0] * 4, [1.0] * 4])
        return (pred, target) if space == "label_logits" else (pred[:, None], target[:, None])
    if space == "boxes":
        target = torch.tensor([[0.4, 0.4, 0.6, 0.6]])
        others = [
            [0.4, 0.4, 0.6, 0.6],  # the same
            [0.0, 0.0, 1e-6, 1e-6],  # tiny and far
            [0.45, 0.45, 0.55, 0.55],  # nested
            [0.3, 0.3, 0.5, 0.5],  # half over
            [0.6, 0.4, 0.8, 0.6],  # side by side
            [0.5, 0.5, 0.5, 0.5],  # no area
            [0.5, 0.2, 0.5, 0.8],  # no width
            [0.6, 0.6, 0.4, 0.4],  # corners swapped
            [-1e4, -1e4, 1e4, 1e4],  # huge
        ]
        return torch.tensor(others), target.expand(len(others), 4)
    raise KeyError(space)


def perfect(space: str, target: Tensor) -> list[Tensor]:
    """The best predictions of a target from `sample`: several for logits, some losses of which are lowest at a margin of 1.

    None in a space where no one prediction is best.
    """
    if space == "class_logits":
        one = 2 * torch.nn.functional.one_hot(target, 4).double() - 1
        return [one, 10 * one]
    if space == "binary_logit":
        return [2 * target - 1, 10 * (2 * target - 1)]
    if space in ("label_logits", "mask_logits"):
        return [20 * (2 * target - 1)]
    return [target.clone()] if space in ("values", "boxes", "class_probs", "binary_prob") else []
