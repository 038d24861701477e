"""Whether a model can be stacked: it is tried on a few rows, and must give what it gives by itself, in training and in use."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from losslab import seeding
from losslab.errors import describe
from losslab.fused import dropout
from losslab.fused.functional import (
    carried_by,
    flatten_parameters,
    forward_for,
    is_layered,
    trained,
    training_forward_for,
)

_SEEDS = (1, 0)  # of the two runs of a trial; the second is compared


def why_alone(model: nn.Module, inputs: Tensor) -> str | None:
    """A sentence for a model that cannot be stacked, else None; tried on a few inputs [n, ...]. Leaves the model as it is."""
    why = _why(model, inputs)
    if why and inputs.dtype != torch.float64 and _why(copy.deepcopy(model).double(), inputs.double()) is None:
        return None  # in 32 bits it was no more than rounding, which the statistics of few rows make larger
    return why


def _why(model: nn.Module, inputs: Tensor) -> str | None:
    try:
        with seeding.globals_restored():
            if is_layered(model):
                return _in_use(model, inputs)
            return _in_training(model, inputs) or _in_use(model, inputs)
    except Exception as error:  # whatever a user's module may do, vmap may refuse
        said = describe(error).splitlines()[0]
        if "randomness" in said:
            return (
                "its model draws random numbers otherwise than by layers of torch.nn.Dropout, and a stack would draw others than a "
                "lone run"
            )
        return f"its model cannot be stacked by torch.vmap: {said[:150]}"


def _in_training(model: nn.Module, inputs: Tensor) -> str | None:
    """Whether outputs, gradients and buffers of a step are those of the model by itself."""
    lone = copy.deepcopy(model).train()
    seeding.seed_globals(_SEEDS[1], "dropout")
    with torch.enable_grad():
        expected = lone(inputs)
        wanted = torch.autograd.grad(expected.square().sum(), list(trained(lone).values()), allow_unused=True)
    if any(part is None for part in wanted):
        return "some of its model's parameters take no part in its outputs, and a stack would decay them"
    seeding.seed_globals(_SEEDS[0], "loss")  # a model that draws from other generators gives other outputs
    flat, both = flatten_parameters([model, model]), inputs.expand(2, *inputs.shape)
    carried, forward = carried_by([model, model]), training_forward_for(model)
    masks = []
    if dropout.is_drawn(model):
        masks = dropout.Masks(_SEEDS).draw(model, both)

    def total(flat: Tensor) -> tuple[Tensor, tuple[Tensor, dict[str, Tensor]]]:
        raw, changed = forward(flat, both, carried, masks)
        return raw.square().sum(), (raw, changed)

    with torch.no_grad():
        gradient, (found, changed) = torch.func.grad(total, has_aux=True)(flat)
        if found.shape[1:] != expected.shape or not _same(found[1], expected):
            return "its model gives other outputs when it is stacked; it may keep state between calls"
        if not _same(gradient[1], torch.cat([part.flatten() for part in wanted])):
            return "its model has other gradients when it is stacked"
        if any(not _same(changed[name][1], buffer) for name, buffer in lone.named_buffers()):
            return "its model changes its buffers otherwise when it is stacked"
    return None


@torch.no_grad()
def _in_use(model: nn.Module, inputs: Tensor) -> str | None:
    """Whether the outputs in use are those of the model by itself, for each row whatever the others are."""
    lone = copy.deepcopy(model).eval()
    expected, twice = lone(inputs), lone(inputs[:1].expand_as(inputs))
    carried = carried_by([model, model])
    found = forward_for(model)(flatten_parameters([model, model]), inputs.expand(2, *inputs.shape), carried)
    if found.shape[1:] != expected.shape or not _same(found[1], expected):
        return "its model gives other outputs when it is stacked; it may keep state between calls"
    if not _same(twice[:1], expected[:1]):
        return "its model's output for a row depends on the other rows that it is given, in use as well"
    if any(not _same(carried[name][1], buffer) for name, buffer in lone.named_buffers()):
        return "its model changes its buffers in use as well"
    return None


def _same(found: Tensor, expected: Tensor) -> bool:
    if not expected.is_floating_point():
        return torch.equal(found, expected)
    most = float(expected.detach().abs().nan_to_num().max()) if expected.numel() else 0.0
    return torch.allclose(found, expected, rtol=1e-3, atol=1e-5 * max(1.0, most), equal_nan=True)
