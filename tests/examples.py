"""Valid predictions and targets for each space, at random or at the extremes."""

import torch
from torch import Tensor


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
    if space == "boxes":
        corners = uniform(2, n, 2)
        boxes = torch.cat([corners, corners + 0.1 + uniform(2, n, 2)], -1)
        return boxes[0], boxes[1]
    raise KeyError(space)


def extremes(space: str) -> tuple[Tensor, Tensor]:
    """float32 predictions and targets far outside what training should meet; each still has finite numbers."""
    if space == "class_logits":
        return torch.tensor([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([0, 1, 2])
    if space == "class_probs":
        return torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    if space == "binary_logit":
        return torch.tensor([1e4, -1e4, 1e4, -1e4, 0.0]), torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0])
    if space == "binary_prob":
        return torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    if space == "values":
        error = torch.tensor([0.0, 1e-30, 1e-10, 1.0, 1e10, 1e18])
        return torch.cat([error, -error])[:, None], torch.zeros(12, 1)
    if space == "boxes":
        target = torch.tensor([[0.4, 0.4, 0.6, 0.6]])
        others = [
            [0.4, 0.4, 0.6, 0.6],  # the same
            [0.0, 0.0, 1e-6, 1e-6],  # tiny and far
            [0.45, 0.45, 0.55, 0.55],  # nested
            [0.5, 0.5, 0.5, 0.5],  # no area
            [0.6, 0.6, 0.4, 0.4],  # corners swapped
            [-1e4, -1e4, 1e4, 1e4],  # huge
        ]
        return torch.tensor(others), target.expand(6, 4)
    raise KeyError(space)
