"""Many models of one shape as one: a matrix of trained parameters [R, P], what they carry beside it, and a forward for all.

R runs, P trained parameters of one model, B rows of a batch. A model carries its frozen parameters, which no step changes, and its
buffers, such as the running statistics of BatchNorm, which a forward in training may change.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from losslab.fused import dropout

Carried = dict[str, Tensor]  # frozen parameters and buffers by name, each [R, ...]
# parameters [R, P], inputs [R, B, ...], what is carried -> raw outputs [R, B, outputs]
Forward = Callable[..., Tensor]
# parameters, inputs, what is carried, masks of dropout -> raw outputs, and the buffers after it
TrainingForward = Callable[[Tensor, Tensor, Carried, Sequence[Tensor]], tuple[Tensor, Carried]]

Gradient = Callable[..., tuple[Tensor, tuple[Tensor, Tensor, Carried]]]

_WORTH_TRACING = 100  # steps: a trace takes some 30 ms a loss, and saves some 0.4 ms of it a step


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name: those that are not frozen."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def carried_by(models: Sequence[nn.Module]) -> Carried:
    """What models carry beside their trained parameters, stacked."""
    each = [
        {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad} | dict(model.named_buffers())
        for model in models
    ]
    return {name: torch.stack([one[name] for one in each]) for name in each[0]}


def flatten_parameters(models: Sequence[nn.Module]) -> Tensor:
    """The trained parameters of each model as a row: [R, P], in the order of `named_parameters`.

    Weights of linear layers in a row lie as [in, out]: a product takes them so, and their gradient need not be turned over.
    """
    turned = is_layered(models[0])
    return torch.stack(
        [torch.cat([_turned(p.detach(), turned).flatten() for p in trained(model).values()]) for model in models]
    )


def unflatten_parameters(model: nn.Module, flat: Tensor) -> dict[str, Tensor]:
    """Rows of parameters [..., P] as named tensors [..., *shape]. One split, so that their gradients are joined once."""
    named, turned = trained(model), is_layered(model)
    parts = flat.split([p.numel() for p in named.values()], -1)
    return {
        name: _turned(part.unflatten(-1, _turned(p, turned).shape), turned and p.ndim > 1)
        for (name, p), part in zip(named.items(), parts, strict=True)
    }


def _turned(parameter: Tensor, turned: bool) -> Tensor:
    """A weight [..., out, in] as [..., in, out] or back, where that is asked for; a bias [out] as it is."""
    return parameter.transpose(-1, -2) if turned and parameter.ndim > 1 else parameter


def is_weight(model: nn.Module) -> Tensor:
    """Which of the P parameters are weights, on which penalties act: [P], bool."""
    return torch.cat([torch.full((p.numel(),), p.ndim > 1) for p in trained(model).values()])


def forward_for(model: nn.Module) -> Forward:
    """The forward in use of R models like this one: batched matrix products for layers in a row, vmap for everything else."""
    if is_layered(model):
        return _layers(model)
    empty = _emptied(model).eval()
    buffers = [name for name, _ in empty.named_buffers()]

    def one(row: Tensor, inputs: Tensor, carried: Carried) -> Tensor:
        named = unflatten_parameters(empty, row) | carried | {name: carried[name].clone() for name in buffers}
        return cast(Tensor, torch.func.functional_call(empty, named, (inputs,)))

    def forward(flat: Tensor, inputs: Tensor, carried: Carried | None = None) -> Tensor:
        return torch.vmap(one)(flat, inputs, carried or {})

    return forward


def training_forward_for(model: nn.Module) -> TrainingForward:
    """The forward in training of R models like this one, which gives their buffers after it as well."""
    if is_layered(model):
        layers = _layers(model)
        return lambda flat, inputs, carried, masks: (layers(flat, inputs), {})
    empty = _emptied(model).train()
    give = dropout.take_masks(empty)
    buffers = [name for name, _ in empty.named_buffers()]

    def one(row: Tensor, inputs: Tensor, carried: Carried, masks: Sequence[Tensor]) -> tuple[Tensor, Carried]:
        give(masks)
        # buffers are changed in place, and what comes from outside of torch.func.grad must not be
        named = unflatten_parameters(empty, row) | carried | {name: carried[name].clone() for name in buffers}
        raw = torch.func.functional_call(empty, named, (inputs,))
        return raw, {name: named[name] for name in buffers}

    def forward(flat: Tensor, inputs: Tensor, carried: Carried, masks: Sequence[Tensor]) -> tuple[Tensor, Carried]:
        return torch.vmap(one)(flat, inputs, carried, list(masks))

    return forward


def _emptied(model: nn.Module) -> nn.Module:
    """A copy of a model without its numbers. Parts that share a weight share it in the copy as well, which `to("meta")` forgets."""
    without: dict[int, Any] = {id(p): nn.Parameter(p.detach().to("meta"), p.requires_grad) for p in model.parameters()}
    without |= {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    return copy.deepcopy(model, without)


@torch.no_grad()
def fill(model: nn.Module, flat: Tensor, carried: Carried) -> None:
    """Gives a model the parameters [P] and what is carried of one run of a stack."""
    values = unflatten_parameters(model, flat) | carried
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        tensor.copy_(values[name])


def gradient_of(total: Callable[..., tuple[Tensor, Any]], example: tuple[Any, ...], steps: float) -> Gradient:
    """The gradient of `total` in its first argument, and what else it gives.

    Where it is to be used for many steps it is traced once into a flat list of tensor operations, so that each step is spared
    what autograd and vmap cost by themselves: the same operations, and the same bits. Shapes, and tensors that are no
    arguments, are fixed by the trace.
    """
    gradient = torch.func.grad(total, has_aux=True)
    if steps < _WORTH_TRACING:
        return cast(Gradient, gradient)
    traced = make_fx(lambda *given: gradient(*given))(*example)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return cast(Gradient, traced.forward)  # no module, whose constants would become part of checkpoints


def is_layered(model: nn.Module) -> bool:
    """Whether a model is Flatten, Linear and ReLU in a row, all of it trained."""
    if type(model).forward is not nn.Sequential.forward or not all(p.requires_grad for p in model.parameters()):
        return False
    return all(
        (type(layer) is nn.Linear and layer.bias is not None)
        or (type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1))
        or type(layer) is nn.ReLU
        for layer in model.children()
    )


def _layers(model: nn.Module) -> Forward:
    """Flatten, Linear and ReLU for all runs at once; a run's slice does not depend on how many others there are."""
    names = [(name, layer) for name, layer in model.named_children()]

    def forward(flat: Tensor, inputs: Tensor, carried: Carried | None = None) -> Tensor:
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
