"""The loss that the contract is checked on, in one space: what is called, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from losslab.losses.base import LOSSES, Loss
from losslab.schema import canonical, cards

COUNTS = [40.0, 30.0, 20.0, 10.0]  # samples of each of the four classes of the examples


@dataclass(frozen=True)
class Finding:
    """One thing that holds of a loss (ok), that must be mended (wrong), or that is good to know (note).

    Attributes:
        kind: which of them.
        said: what was found; a sentence without its subject, the loss, and without its end.
        change: what to change; "" where nothing is to be.
    """

    kind: Literal["ok", "wrong", "note"]
    said: str
    change: str = ""

    @property
    def line(self) -> str:
        """All of it in one line: '[wrong] gives a single number for 6 samples: leave .mean() away'."""
        return f"[{self.kind}] {self.said}" + (f": {self.change}" if self.change else "")


class Stop(Exception):
    """A finding after which the other checks have nothing to check."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.said)
        self.finding = finding


class Subject:
    """A loss in one space.

    Args:
        name: of the loss.
        space: what pred and target are.
        hyperparameters: values other than the defaults.
        before: torch's settings before anything was called.
    """

    def __init__(self, name: str, space: str, hyperparameters: Mapping[str, Any], before: Mapping[str, object]) -> None:
        self.before = dict(before)
        self.name, self.space, self.hyperparameters = name, space, dict(hyperparameters)
        self.card = cards.card("loss", name)
        self.facts: list[str] = self.card.about.get("facts", [])
        self.loss = self._made({})
        layers = 1 if self.card.shipped else 2  # of precision, and of one number a sample
        self.function = LOSSES.of(name)
        for _ in range(layers):
            self.function = getattr(self.function, "__wrapped__", self.function)

    def _made(self, params: Mapping[str, Any]) -> Loss:
        counted = self.card.about.get("counted")
        needed = {counted: COUNTS if self.space != "label_logits" else [one / 100 for one in COUNTS]} if counted else {}
        values = canonical.check_hyperparameters(self.name, needed | self.hyperparameters | dict(params))
        return Loss(self.name, self.space, values, "none")

    def raw(self, pred: Tensor, target: Tensor, **params: Any) -> Any:
        """What the function itself gives, before losslab makes anything of it."""
        loss = self._made(params) if params else self.loss
        keywords = {
            key: value.detach() if isinstance(value, Tensor) else value for key, value in loss.keywords(pred).items()
        }
        return self.function(pred, target, **keywords)

    def each(self, pred: Tensor, target: Tensor, **params: Any) -> Tensor:
        """The loss of each sample as losslab computes it, [N]."""
        loss = self._made(params) if params else self.loss
        loss.checks_values = False
        return loss.per_sample(pred, target)

    def with_gradient(self, pred: Tensor, target: Tensor, **params: Any) -> tuple[Tensor, Tensor | None]:
        """The loss of each sample, and its gradient in pred; None where it has none."""
        pred = pred.clone().requires_grad_()
        found = self.each(pred, target, **params)
        if not found.requires_grad:
            return found, None
        (gradient,) = torch.autograd.grad(found.sum(), pred, allow_unused=True)
        return found.detach(), gradient


def row(pred: Tensor, target: Tensor, number: int) -> str:
    """One sample of a batch in words."""
    return f"pred = {_words(pred[number])}, target = {_words(target[number])}"


def _words(value: Tensor) -> str:
    numbers = [f"{number:.3g}" for number in value.detach().double().flatten().tolist()]
    return numbers[0] if len(numbers) == 1 else f"[{', '.join(numbers)}]"
