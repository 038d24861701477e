"""A warning if boxes are not in the unit that a loss expects: shares of the picture, so within [0, 1]."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from losslab.schema import cards


class Shares:
    """Checks the targets of a loss whose card has the fact `shares`, and warns once. Never waits for the device.

    `shares` lists the hyperparameters that define the unit. If the user sets one of them, there is no warning. On a GPU the result
    is copied to the CPU in the background, so the warning comes with a later call.
    """

    def __init__(self, name: str, params: Mapping[str, Any]) -> None:
        card = cards.card("loss", name)
        self.name = name
        self.keys: list[str] = card.about.get("shares", [])
        self.quiet = "shares" not in card.about or any(params[key] != card.values[key] for key in self.keys)
        self.outside: Tensor | None = None  # on a GPU: whether any target so far lay outside
        self.arrived: Tensor | None = None  # the same, as last copied to the CPU

    def watch(self, target: Tensor) -> None:
        """Checks targets, one or more boxes [N, 4]."""
        if self.quiet or type(target) is not Tensor or target.device.type not in ("cpu", "cuda"):
            return
        outside = (target.amin() < 0) | (target.amax() > 1)
        if not outside.is_cuda:
            try:
                found = bool(outside)
            except RuntimeError:  # inside torch.vmap no value can be read
                return
        else:
            found = self._seen(outside)
        if found:
            self.quiet = True
            instead = f", or set {' and '.join(self.keys)} to suit" if self.keys else ""
            warnings.warn(
                f"The loss '{self.name}' takes corners in shares of the picture, and some of these targets lie outside "
                f"[0, 1]; divide them by its sides{instead}.",
                stacklevel=2,
            )

    def _seen(self, outside: Tensor) -> bool:
        """Whether targets of an earlier call are known to lie outside; this call's result is copied in the background."""
        self.outside = outside if self.outside is None else self.outside.to(outside.device) | outside
        if self.arrived is None:
            self.arrived = torch.zeros((), dtype=torch.bool, pin_memory=True)
        found = bool(self.arrived)
        self.arrived.copy_(self.outside, non_blocking=True)
        return found
