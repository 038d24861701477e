"""Dropout in a stack: each run's masks come from its own stream, in the order in which the run by itself would draw them.

Inside torch.vmap one generator serves all runs. So the masks are drawn before, run by run, by the operation that a lone run calls,
and the stacked forward multiplies by them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from losslab import seeding

_DRAWS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Dropout: functional.dropout,
    nn.Dropout1d: functional.dropout1d,
    nn.Dropout2d: functional.dropout2d,
    nn.Dropout3d: functional.dropout3d,
}


class Site(NamedTuple):
    """One call of a dropout layer in a forward: which function draws, and the layout of what it is called with."""

    function: Callable[..., Tensor]
    p: float
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def mask(self, like: Tensor) -> Tensor:
        """What a lone run multiplies by here: 0 or 1 / (1 - p). Draws from the generator of `like`'s device."""
        ones = torch.empty_strided(self.shape, self.stride, dtype=like.dtype, device=like.device).fill_(1)
        return self.function(ones, self.p, training=True)


def is_drawn(model: nn.Module) -> bool:
    """Whether a model has a dropout layer that draws."""
    return any(_draws(layer) for layer in model.modules())


def _draws(layer: nn.Module) -> bool:
    return type(layer) in _DRAWS and cast(Any, layer).p > 0


class _Queue:
    """The masks of one forward, in the order of the calls."""

    masks: Iterator[Tensor] = iter(())


class _Masked(nn.Module):
    """A dropout layer that takes its masks from a queue."""

    def __init__(self, layer: Any, queue: _Queue) -> None:
        super().__init__()
        self.p, self.inplace, self.queue = layer.p, layer.inplace, queue

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs times the next mask."""
        mask = next(self.queue.masks)
        return inputs.mul_(mask) if self.inplace else inputs * mask


def take_masks(model: nn.Module) -> Callable[[Sequence[Tensor]], None]:
    """Lets the dropout layers of a model multiply by masks; returns a function that gives it those of its next forward."""
    queue = _Queue()
    for parent in list(model.modules()):
        for name, layer in list(parent._modules.items()):  # named_children leaves out a layer that is there twice
            if layer is not None and type(layer) in _DRAWS:
                setattr(parent, name, _Masked(layer, queue) if _draws(layer) else nn.Identity())

    def give(masks: Sequence[Tensor]) -> None:
        queue.masks = iter(masks)

    return give


@torch.no_grad()
def sites(model: nn.Module, inputs: Tensor) -> list[Site]:
    """The calls of dropout layers in a forward of a batch [B, ...], in their order. Leaves the model as it is."""
    found: list[Site] = []
    watched = copy.deepcopy(model).to(inputs).train()

    def note(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        like = torch.empty_like(given[0])  # whose layout a mask has
        found.append(Site(_DRAWS[type(layer)], cast(Any, layer).p, tuple(like.shape), like.stride()))

    for layer in watched.modules():
        if _draws(layer):
            layer.register_forward_pre_hook(note)
    with seeding.globals_restored():
        watched(inputs)
    return found


class Masks:
    """The masks of R runs, step by step. Runs of one seed share theirs, as their streams are the same.

    A lone run seeds the generators at the first step of each chunk, and draws from them for all its steps; so does this.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = list(dict.fromkeys(seeds))
        self.places = torch.tensor([self.seeds.index(seed) for seed in seeds])
        self.sites: list[Site] | None = None
        self.step = 0
        self._states: dict[int, Tensor] = {}

    def begin(self, step: int) -> None:
        """Starts the chunk whose first step is number `step`."""
        self.step = step
        self._states.clear()

    def draw(self, model: nn.Module, inputs: Tensor) -> list[Tensor]:
        """The masks of the next step, [R, ...] for each call of a dropout layer; `inputs` [R, B, ...] are those of the step."""
        if self.sites is None:
            self.sites = sites(model, inputs[0])
        places, each = self.places.to(inputs.device), []
        with seeding.globals_restored():
            for seed in self.seeds:
                if seed in self._states:
                    _set_state(self._states[seed], inputs.device)
                else:
                    seeding.seed_globals(seed, "dropout", self.step)
                each.append([site.mask(inputs) for site in self.sites])
                self._states[seed] = _state(inputs.device)
        return [torch.stack(masks).index_select(0, places) for masks in zip(*each, strict=True)]


def _state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_state(state: Tensor, device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
