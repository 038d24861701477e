"""Losses from outside as functions of (pred, target) and settings: plain functions, and classes of torch.nn.Module."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial, update_wrapper
from typing import Any

import torch
from torch import Tensor, nn

from losslab.schema import signatures, torch_losses


def as_function(found: Any) -> Callable[..., Tensor]:
    """What a card or a reference names, as a function that reduces nothing where it can be told so."""
    keywords = signatures.keywords(found)
    fixed = {key: value for key, value in torch_losses.fixed(found).items() if key in keywords}
    if "reduction" in keywords:
        fixed["reduction"] = "none"
    if isinstance(found, type) and issubclass(found, nn.Module):
        return _OfModule(found, fixed)
    made = partial(found, **fixed) if fixed else found
    return update_wrapper(made, found) if isinstance(made, partial) and hasattr(found, "__name__") else made


class _OfModule:
    """A class of losses as a function: an object of it is made for each combination of settings.

    One that gives a single number for a batch is called for each sample by itself, by vmap, if the mean or the sum over the
    samples is what it gives for the batch.
    """

    def __init__(self, made_by: type[nn.Module], fixed: dict[str, Any]) -> None:
        self.made_by, self.fixed = made_by, fixed
        self.reduces: bool | None = None  # not known before the first call
        self.__name__, self.__doc__, self.__module__ = made_by.__name__, made_by.__doc__, made_by.__module__
        self._kept = cache(self._make)

    def _make(self, **settings: Any) -> nn.Module:
        module = self.made_by(**settings, **self.fixed)
        if learned := [name for name, _ in module.named_parameters()]:
            raise ValueError(
                f"The loss '{self.__name__}' has parameters of its own ({', '.join(learned)}), which no optimizer here would train; "
                "make them settings of its constructor."
            )
        return module

    def __call__(self, pred: Tensor, target: Tensor, **settings: Any) -> Tensor:
        """Losses of the samples."""
        tensors = any(isinstance(value, Tensor) for value in settings.values())
        module = self._make(**settings) if tensors else self._kept(**settings)
        if next(module.buffers(), None) is not None:
            module = module.to(pred.device)
        if self.reduces:
            return _by_sample(module, pred, target)
        found = module(pred, target)
        if self.reduces is None and isinstance(found, Tensor) and found.ndim == 0:
            each = _by_sample(module, pred, target)
            self._check(found, each)
            self.reduces = True
            return each
        return found  # type: ignore[no-any-return]

    def _check(self, whole: Tensor, each: Tensor) -> None:
        """Raises ValueError where a loss of a batch is neither mean nor sum of those of its samples, each by itself."""
        with suppress(RuntimeError):  # inside torch.vmap no value can be read
            for reduced in (each.mean(), each.sum()):
                if torch.allclose(whole, reduced, rtol=1e-3, atol=1e-5, equal_nan=True):
                    return
            raise ValueError(
                f"The loss '{self.__name__}' gives one number for a batch, and it is neither the mean nor the sum of the losses of its "
                "samples; let it give a loss for each sample, [N], without reducing them."
            )


def _by_sample(module: nn.Module, pred: Tensor, target: Tensor) -> Tensor:
    def one(pred: Tensor, target: Tensor) -> Any:
        return module(pred[None], target[None])

    each: Tensor = torch.vmap(one)(pred, target)
    return each
