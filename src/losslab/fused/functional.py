"""Many models of one shape as one: a matrix of parameters [R, P] and a forward for all.

R runs, P parameters of one model, B rows of a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from losslab.errors import describe

Forward = Callable[[Tensor, Tensor], Tensor]  # parameters [R, P], inputs [R, B, ...] -> raw outputs [R, B, outputs]

Gradient = Callable[..., tuple[Tensor, tuple[Tensor, Tensor]]]

_WORTH_TRACING = 100  # steps: a trace takes some 30 ms a loss, and saves some 0.4 ms of it a step


def flatten_parameters(models: Sequence[nn.Module]) -> Tensor:
    """The parameters of each model as a row: [R, P], in the order of `named_parameters`."""
    return torch.stack([torch.cat([p.detach().flatten() for p in model.parameters()]) for model in models])


def unflatten_parameters(model: nn.Module, flat: Tensor) -> dict[str, Tensor]:
    """Rows of parameters [..., P] as named tensors [..., *shape]. One split, so that their gradients are joined once."""
    named = dict(model.named_parameters())
    parts = flat.split([p.numel() for p in named.values()], -1)
    return {name: part.unflatten(-1, p.shape) for (name, p), part in zip(named.items(), parts, strict=True)}


def is_weight(model: nn.Module) -> Tensor:
    """Which of the P parameters are weights, on which penalties act: [P], bool."""
    return torch.cat([torch.full((p.numel(),), p.ndim > 1) for p in model.parameters()])


def forward_for(model: nn.Module) -> Forward:
    """The forward of R models like this one: batched matrix products for layers in a row, vmap for everything else."""
    if isinstance(model, nn.Sequential) and all(isinstance(layer, nn.Flatten | nn.Linear | nn.ReLU) for layer in model):
        return _layers(model)
    empty = copy.deepcopy(model).to("meta")

    def one(row: Tensor, inputs: Tensor) -> Tensor:
        return cast(Tensor, torch.func.functional_call(empty, unflatten_parameters(empty, row), (inputs,)))

    return torch.vmap(one)


def why_alone(model: nn.Module, inputs: Tensor) -> str | None:
    """A sentence for a model that cannot be stacked, else None; tried on a few inputs [n, ...]."""
    if next(model.buffers(), None) is not None:
        return "its model keeps buffers (such as BatchNorm's running statistics), which a stack does not carry"
    if any(isinstance(layer, nn.Dropout) and layer.p for layer in model.modules()):
        return "its model draws dropout, which a stack would draw otherwise than a lone run"
    if not all(p.requires_grad for p in model.parameters()):
        return "some of its model's parameters are frozen, and a stack trains all"
    flat = flatten_parameters([model, model])
    try:
        with torch.no_grad():
            found, expected = forward_for(model)(flat, inputs.expand(2, *inputs.shape)), model(inputs)
    except Exception as error:  # whatever a user's module may do, vmap may refuse
        return f"its model cannot be stacked by torch.vmap: {describe(error).splitlines()[0][:150]}"
    if found.shape[1:] != expected.shape or not torch.allclose(found[1], expected, rtol=1e-3, atol=1e-5):
        return "its model gives other outputs when it is stacked; it may keep state between calls"
    return None


def gradient_of(total: Callable[..., tuple[Tensor, Any]], example: tuple[Any, ...], steps: int) -> Gradient:
    """The gradient of `total` in its first argument, and what else it gives.

    Where it is to be used for many steps it is traced once into a flat list of tensor operations, so that each step is spared
    what autograd and vmap cost by themselves: the same operations, and the same bits. Shapes, and tensors that are no
    arguments, are fixed by the trace.
    """
    gradient = torch.func.grad(total, has_aux=True)
    if steps < _WORTH_TRACING:
        return cast(Gradient, gradient)
    traced = make_fx(lambda flat, inputs, targets, alive: gradient(flat, inputs, targets, alive))(*example)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return cast(Gradient, traced.forward)  # no module, whose constants would become part of checkpoints


def _layers(model: nn.Sequential) -> Forward:
    """Flatten, Linear and ReLU for all runs at once; a run's slice does not depend on how many others there are."""
    names = [(name, layer) for name, layer in model.named_children()]

    def forward(flat: Tensor, inputs: Tensor) -> Tensor:
        named = unflatten_parameters(model, flat)
        for name, layer in names:
            if isinstance(layer, nn.Flatten):
                inputs = inputs.flatten(2)
            elif isinstance(layer, nn.ReLU):
                inputs = inputs.relu()
            else:
                inputs = _products(inputs, named[f"{name}.weight"].transpose(1, 2), named[f"{name}.bias"].unsqueeze(1))
        return inputs

    return forward


def _products(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """inputs [R, B, I] times weight [R, I, O] plus bias [R, 1, O]. One run is taken as two of its kind.

    A batch of one product goes to another kernel, which rounds otherwise; so a stack of one stays equal to part of any.
    """
    if len(inputs) > 1:
        return torch.baddbmm(bias, inputs, weight)
    return torch.baddbmm(bias.expand(2, -1, -1), inputs.expand(2, -1, -1), weight.expand(2, -1, -1))[:1]
