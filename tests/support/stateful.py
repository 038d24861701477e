"""Models that carry more than trained parameters: BatchNorm, frozen parts, dropout; and some that a stack cannot hold."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def normed(shape: tuple[int, ...], outputs: int, bias: bool = False) -> nn.Module:
    wide = math.prod(shape)
    return nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(wide), nn.Tanh(), nn.Linear(wide, 6, bias), nn.BatchNorm1d(6), nn.Tanh(),
        nn.Linear(6, outputs),
    )  # fmt: skip


def biased(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A bias before BatchNorm has a gradient of 0 but for rounding, which Adam makes larger: in 32 bits by more than in 64."""
    return normed(shape, outputs, bias=True)


def pictures(shape: tuple[int, ...], outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(shape[0], 4, 3, stride=2, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout2d(0.25),
        nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1, inplace=True),
        nn.Linear(24, outputs),
    )  # fmt: skip


def frozen(shape: tuple[int, ...], outputs: int) -> nn.Module:
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(shape), 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, outputs)
    )
    model[1].requires_grad_(False)
    model[3].bias.requires_grad_(False)
    return model


def frozen_norm(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The statistics of a frozen BatchNorm still move in training, as torch has it."""
    model = normed(shape, outputs)
    model[1].requires_grad_(False)
    return model


class Twice(nn.Module):
    """One dropout layer that is called twice, one that never draws, and one whose p is 0.5."""

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.inner, self.middle, self.last = nn.Linear(math.prod(shape), 8), nn.Linear(8, 8), nn.Linear(8, outputs)
        self.drop, self.never, self.strong = nn.Dropout(0.2), nn.Dropout(0.0), nn.Dropout(0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.drop(self.inner(inputs.flatten(1)).relu())
        hidden = self.drop(self.middle(self.never(hidden)).tanh())
        return self.last(hidden + 0.1 * self.strong(hidden))


class Tied(nn.Module):
    """Two layers of one weight, and BatchNorm between them."""

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        wide = math.prod(shape)
        self.first, self.second, self.last = nn.Linear(wide, wide), nn.Linear(wide, wide), nn.Linear(wide, outputs)
        self.norm = nn.BatchNorm1d(wide)
        self.second.weight = self.first.weight

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.second(self.norm(self.first(inputs.flatten(1)).tanh())).tanh())


class Everything(nn.Module):
    """Dropout before and after BatchNorm, a frozen part, a constant buffer, and a buffer that is replaced in training."""

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        wide = math.prod(shape)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, wide))
        self.register_buffer("hidden", torch.zeros(()), persistent=False)
        self.register_buffer("seen", torch.zeros(()))
        self.front = nn.Linear(wide, 6).requires_grad_(False)
        self.drop, self.norm, self.last = nn.Dropout(0.3), nn.BatchNorm1d(6), nn.Linear(6, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.drop(self.norm(self.drop(self.front(inputs.flatten(1) * self.scale))))
        if self.training:
            self.seen = 0.9 * self.seen + 0.1 * hidden.detach().abs().mean()
        return self.last(hidden + self.seen)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(functional.dropout(inputs, 0.5, self.training))


class Unused(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 2)
        self.spare = nn.Linear(4, 2)


class Counts(nn.Linear):
    """Counts its calls in use as well, and gives another output at each."""

    def __init__(self) -> None:
        super().__init__(4, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(inputs)


# what each says of why it trains alone
ALONE: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "dropout of torch.nn.functional": (Functional, "draws random numbers otherwise than by layers of torch.nn.Dropout"),
    "another kind of dropout": (lambda: nn.Sequential(nn.AlphaDropout(0.2), nn.Linear(4, 2)), "draws random numbers"),
    "BatchNorm that keeps no statistics": (
        lambda: nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)),
        "depends on the other rows",
    ),
    "BatchNorm that counts": (lambda: nn.Sequential(nn.BatchNorm1d(4, momentum=None), nn.Linear(4, 2)), "torch.vmap"),
    "an unused part": (Unused, "take no part in its outputs"),
    "a count in use": (Counts, "changes its buffers in use"),
}
