"""Models as a user may bring them, that draw random numbers."""

import math
import random

import numpy as np
import torch
from torch import Tensor, nn


class Dropped(nn.Sequential):
    """A model with torch's dropout."""

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(nn.Linear(math.prod(shape), 8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, outputs))


class Noisy(nn.Module):
    """A model that draws from every generator that a program shares, in training and in use, and for its first weights."""

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.inner = nn.Linear(math.prod(shape), outputs)
        with torch.no_grad():
            self.inner.bias += float(np.random.rand()) + random.random()  # noqa: NPY002

    def forward(self, inputs: Tensor) -> Tensor:
        noise = torch.rand(len(inputs), 1) + float(np.random.rand()) + random.random()  # noqa: NPY002
        return self.inner(inputs) + 0.1 * noise
