"""Many models of one shape as one: a matrix of parameters [R, P], a forward for all, and an optimizer with a rate for each.

R runs, P parameters of one model, B rows of a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from losslab import optim
from losslab.values import told

Forward = Callable[[Tensor, Tensor], Tensor]  # parameters [R, P], inputs [R, B, ...] -> raw outputs [R, B, outputs]
Gradient = Callable[..., tuple[Tensor, tuple[Tensor, Tensor]]]
_AHEAD = 1024  # steps whose settings are computed at once
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
        return f"its model cannot be stacked by torch.vmap: {told(error).splitlines()[0][:150]}"
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


class StackedOptimizer(torch.optim.Optimizer):
    """SGD, Adam or AdamW as in torch, on parameters [R, P] with settings of its own for each run.

    A run that is no longer `alive` [R] keeps its parameters to the bit. Settings that do not fit the optimizer are ignored.
    """

    def __init__(self, flat: nn.Parameter, optimizers: Sequence[Mapping[str, Any]], steps: int) -> None:
        super().__init__([flat], {})
        self.kind = optimizers[0]["name"]

        def column(key: str) -> Tensor:  # [R, 1], in double precision, as torch keeps its scalars
            return flat.new_tensor([_number(settings, key) for settings in optimizers], dtype=torch.float64)[:, None]

        momentum, decay, beta1, beta2 = (column(key) for key in ("momentum", "weight_decay", "beta1", "beta2"))
        dtype, self.steps = flat.dtype, steps
        self.schedules = [settings["schedule"] for settings in optimizers]
        self.exact = {"lr": column("lr"), "decay": decay, "beta1": beta1, "beta2": beta2}
        self.start = -_AHEAD
        # what does not differ from step to step, [R, 1]
        self.decays = bool(decay.any())
        self.momentum, self.decay, self.eps = momentum.to(dtype), decay.to(dtype), column("eps").to(dtype)
        self.beta1, self.beta2 = beta1.to(dtype), beta2.to(dtype)
        self.rest1, self.rest2 = (1 - beta1).to(dtype), (1 - beta2).to(dtype)
        self.alive = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
        self.some_dead = False
        self.taken = 0
        self.first, self.second = torch.zeros_like(flat), torch.zeros_like(flat)

    def _look_ahead(self, step: int) -> None:
        """Computes what differs from step to step for those from `step` on, [some steps, R, 1]."""
        self.start = step
        steps = range(step, step + _AHEAD)
        lr, decay, beta1, beta2 = self.exact.values()
        factors = {
            schedule: [optim.rate_factor(schedule, each, self.steps) for each in steps]
            for schedule in set(self.schedules)
        }
        rates = (lr * lr.new_tensor([factors[schedule] for schedule in self.schedules])).T[:, :, None]
        time = torch.arange(step + 1, step + _AHEAD + 1, dtype=torch.float64, device=lr.device)[:, None, None]
        dtype = self.first.dtype
        self.rates = (rates / (1 - beta1**time) if self.kind != "sgd" else rates).to(dtype)
        self.roots = (1 - beta2**time).sqrt().to(dtype)
        self.kept = (1 - rates * decay).to(dtype)

    def freeze(self, alive: Tensor) -> None:
        """From now on only runs that are alive [R] move."""
        self.alive, self.some_dead = alive, not bool(alive.all())

    def state_dict(self) -> dict[str, Any]:
        """What the steps so far have left; settings come from the requests."""
        return {"taken": self.taken, "alive": self.alive, "first": self.first, "second": self.second}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        self.taken = state_dict["taken"]
        self.freeze(state_dict["alive"].to(self.alive.device))
        self.first.copy_(state_dict["first"])
        self.second.copy_(state_dict["second"])

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step for all runs."""
        loss = closure() if closure else None
        flat = self.param_groups[0]["params"][0]
        before = flat.clone() if self.some_dead else None
        self._move(flat, flat.grad, self.taken)
        self.taken += 1
        if before is not None:
            flat.copy_(torch.where(self.alive[:, None], flat, before))
        return loss

    def _move(self, flat: Tensor, gradient: Tensor, step: int) -> None:
        """Additions and multiplications only, each rounded by itself.

        A fused multiply-add rounds once where a kernel is vectorised and twice at the ends of its pieces, so that a run
        would depend, in the last bit, on where in the stack it lies.
        """
        if not self.start <= step < self.start + _AHEAD:
            self._look_ahead(step - step % _AHEAD)  # from the same steps, whether the run was stopped or not
        now = step - self.start
        if self.decays and self.kind == "adamw":
            flat.mul_(self.kept[now])
        elif self.decays:
            gradient = flat.mul(self.decay).add_(gradient)
        if self.kind == "sgd":
            self.first.mul_(self.momentum).add_(gradient)
            flat.sub_(self.first * self.rates[now])
            return
        self.first.mul_(self.beta1).add_(gradient * self.rest1)
        self.second.mul_(self.beta2).add_(gradient.square().mul_(self.rest2))
        spread = self.second.sqrt().div_(self.roots[now]).add_(self.eps)
        flat.sub_((self.first * self.rates[now]).div_(spread))


def _number(settings: Mapping[str, Any], key: str) -> float:
    if key in ("beta1", "beta2"):
        return float(settings.get("betas", (0.0, 0.0))[int(key[-1]) - 1])
    return float(settings.get(key, 0.0))
