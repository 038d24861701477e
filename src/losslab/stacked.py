"""Many models of one shape as one: a matrix of parameters [R, P], a forward for all, and an optimizer with a rate for each.

R runs, P parameters of one model, B rows of a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from losslab import optim

Forward = Callable[[Tensor, Tensor], Tensor]  # parameters [R, P], inputs [R, B, ...] -> raw outputs [R, B, outputs]


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


def why_alone(model: nn.Module) -> str | None:
    """A sentence for a model that cannot be stacked, else None."""
    if next(model.buffers(), None) is not None:
        return "its model keeps buffers (such as BatchNorm's running statistics), which a stack does not carry"
    if any(isinstance(layer, nn.Dropout) and layer.p for layer in model.modules()):
        return "its model draws dropout, which a stack would draw otherwise than a lone run"
    return None


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


class StackedOptimizer(torch.optim.Optimizer):
    """SGD, Adam or AdamW as in torch, on parameters [R, P] with settings of its own for each run.

    A run that is no longer `alive` [R] keeps its parameters to the bit. Settings that do not fit the optimizer are ignored.
    """

    def __init__(self, flat: nn.Parameter, optimizers: Sequence[Mapping[str, Any]], steps: int) -> None:
        super().__init__([flat], {})
        self.kind = optimizers[0]["name"]

        def column(key: str) -> Tensor:  # [R, 1], in double precision, as torch keeps its scalars
            return flat.new_tensor([_number(settings, key) for settings in optimizers], dtype=torch.float64)[:, None]

        self.rate, self.momentum, self.decay = column("lr"), column("momentum"), column("weight_decay")
        self.beta1, self.beta2, self.eps = column("beta1"), column("beta2"), column("eps")
        self.decays = bool(self.decay.any())
        factors = {
            schedule: [optim.rate_factor(schedule, step, steps) for step in range(steps)]
            for schedule in {settings["schedule"] for settings in optimizers}
        }
        # [R, steps]
        self.factors = self.rate.new_tensor([factors[settings["schedule"]] for settings in optimizers])
        self.alive = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
        self.some_dead = False
        self.taken = 0
        self.first, self.second = torch.zeros_like(flat), torch.zeros_like(flat)

    def freeze(self, alive: Tensor) -> None:
        """From now on only runs that are alive [R] move."""
        self.alive, self.some_dead = alive, not bool(alive.all())

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step for all runs."""
        loss = closure() if closure else None
        flat = self.param_groups[0]["params"][0]
        before = flat.clone() if self.some_dead else None
        self._move(flat, flat.grad, self.rate * self.factors[:, self.taken, None])
        self.taken += 1
        if before is not None:
            flat.copy_(torch.where(self.alive[:, None], flat, before))
        return loss

    def _move(self, flat: Tensor, gradient: Tensor, rate: Tensor) -> None:
        """Additions and multiplications only, each rounded by itself.

        A fused multiply-add rounds once where a kernel is vectorised and twice at the ends of its pieces, so that a run
        would depend, in the last bit, on where in the stack it lies.
        """
        dtype = flat.dtype
        if self.decays and self.kind == "adamw":
            flat.mul_((1 - rate * self.decay).to(dtype))
        elif self.decays:
            gradient = flat.mul(self.decay.to(dtype)).add_(gradient)
        if self.kind == "sgd":
            self.first.mul_(self.momentum.to(dtype)).add_(gradient)
            flat.sub_(self.first * rate.to(dtype))
            return
        time = self.taken + 1
        self.first.mul_(self.beta1.to(dtype)).add_(gradient * (1 - self.beta1).to(dtype))
        self.second.mul_(self.beta2.to(dtype)).add_(gradient.square().mul_((1 - self.beta2).to(dtype)))
        spread = self.second.sqrt().div_((1 - self.beta2**time).sqrt().to(dtype)).add_(self.eps.to(dtype))
        flat.sub_((self.first * (rate / (1 - self.beta1**time)).to(dtype)).div_(spread))


def _number(settings: Mapping[str, Any], key: str) -> float:
    if key in ("beta1", "beta2"):
        return float(settings.get("betas", (0.0, 0.0))[int(key[-1]) - 1])
    return float(settings.get(key, 0.0))
