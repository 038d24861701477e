"""One optimizer for a stack of runs, with settings of its own for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from losslab.schema.cards import card
from losslab.training import optimizers as training_optimizers

_AHEAD = 1024  # steps whose settings are computed at once


class StackedOptimizer(torch.optim.Optimizer):
    """SGD, Adam or AdamW as in torch, on parameters [R, P] with settings of its own for each run.

    A run that is no longer `alive` [R] keeps its parameters to the bit. Settings that do not fit the optimizer are ignored.
    """

    def __init__(self, flat: nn.Parameter, optimizers: Sequence[Mapping[str, Any]], steps: int) -> None:
        super().__init__([flat], {})
        self.kind = card("optimizer", optimizers[0]["name"]).about["stacked"]

        def column(key: str) -> Tensor:  # [R, 1], in double precision, as torch keeps its scalars
            return flat.new_tensor([_number(settings, key) for settings in optimizers], dtype=torch.float64)[:, None]

        momentum, decay, beta1, beta2 = (column(key) for key in ("momentum", "weight_decay", "beta1", "beta2"))
        dtype, self.steps = flat.dtype, steps
        self.schedules = [settings["schedule"] for settings in optimizers]
        self.exact = {"lr": column("lr"), "decay": decay, "beta1": beta1, "beta2": beta2}
        # what differs from step to step, for those from `start` on: [some steps, R, 1]; the step `now` [1] of them is next
        self.start, self.now = -_AHEAD, torch.zeros(1, dtype=torch.long, device=flat.device)
        self.rates, self.roots, self.kept = (flat.new_zeros(_AHEAD, len(flat), 1) for _ in range(3))
        # what does not differ from step to step, [R, 1]
        self.decays = bool(decay.any())
        self.momentum, self.decay, self.eps = momentum.to(dtype), decay.to(dtype), column("eps").to(dtype)
        self.beta1, self.beta2 = beta1.to(dtype), beta2.to(dtype)
        self.rest1, self.rest2 = (1 - beta1).to(dtype), (1 - beta2).to(dtype)
        self.alive = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
        self.guards = False  # whether a step puts back what a run had that is no longer alive
        self.taken = 0
        self.first, self.second = torch.zeros_like(flat), torch.zeros_like(flat)

    def _look_ahead(self, step: int) -> None:
        """Computes what differs from step to step for those from `step` on."""
        self.start = step
        steps = range(step, step + _AHEAD)
        lr, decay, beta1, beta2 = self.exact.values()
        names = list(dict.fromkeys(self.schedules))
        factors = lr.new_tensor(
            [[training_optimizers.rate_factor(name, each, self.steps) for each in steps] for name in names]
        )
        of_run = torch.tensor([names.index(name) for name in self.schedules], device=lr.device)
        rates = (lr * factors.index_select(0, of_run)).T[:, :, None]
        time = torch.arange(step + 1, step + _AHEAD + 1, dtype=torch.float64, device=lr.device)[:, None, None]
        self.rates.copy_(rates / (1 - beta1**time) if self.kind != "sgd" else rates)
        self.roots.copy_((1 - beta2**time).sqrt())
        self.kept.copy_(1 - rates * decay)
        self.now.fill_(self.taken - step)

    def freeze(self, alive: Tensor) -> None:
        """From now on only runs that are alive [R] move."""
        self.alive.copy_(alive)
        self.guards = self.guards or not bool(alive.all())

    def state_dict(self) -> dict[str, Any]:
        """What the steps so far have left; settings come from the requests."""
        return {"taken": self.taken, "alive": self.alive, "first": self.first, "second": self.second}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        self.taken, self.start = state_dict["taken"], -_AHEAD
        self.freeze(state_dict["alive"].to(self.alive.device))
        self.first.copy_(state_dict["first"])
        self.second.copy_(state_dict["second"])

    def step(self, closure: Any = None) -> Any:
        """One step for all runs."""
        loss = closure() if closure else None
        self.begin_step()
        self.move(self.param_groups[0]["params"][0].grad)
        return loss

    def begin_step(self) -> None:
        """Counts the next step and sees that its settings are there; `move` then takes it."""
        if not self.start <= self.taken < self.start + _AHEAD:
            self._look_ahead(
                self.taken - self.taken % _AHEAD
            )  # from the same steps, whether the run was stopped or not
        self.taken += 1

    @torch.no_grad()
    def move(self, gradient: Tensor) -> None:
        """Moves the parameters by a gradient [R, P]: work on tensors that stay where they are, and nothing else."""
        flat = self.param_groups[0]["params"][0]
        before = flat.clone() if self.guards else None
        self._move(flat, gradient)
        self.now.add_(1)
        if before is not None:
            flat.copy_(torch.where(self.alive[:, None], flat, before))

    def _move(self, flat: Tensor, gradient: Tensor) -> None:
        """Additions and multiplications only, each rounded by itself.

        A fused multiply-add rounds once where a kernel is vectorised and twice at the ends of its pieces, so that a run
        would depend, in the last bit, on where in the stack it lies.
        """
        rates, roots, kept = (table.index_select(0, self.now)[0] for table in (self.rates, self.roots, self.kept))
        if self.decays and self.kind == "adamw":
            flat.mul_(kept)
        elif self.decays:
            gradient = flat.mul(self.decay).add_(gradient)
        if self.kind == "sgd":
            self.first.mul_(self.momentum).add_(gradient)
            flat.sub_(self.first * rates)
            return
        self.first.mul_(self.beta1).add_(gradient * self.rest1)
        self.second.mul_(self.beta2).add_(gradient.square().mul_(self.rest2))
        spread = self.second.sqrt().div_(roots).add_(self.eps)
        flat.sub_((self.first * rates).div_(spread))


def _number(settings: Mapping[str, Any], key: str) -> float:
    if key in ("beta1", "beta2"):
        return float(settings.get("betas", (0.0, 0.0))[int(key[-1]) - 1])
    return float(settings.get(key, 0.0))
