"""Half precision: every loss is computed in float32 and rounded once, to the dtype of the prediction.

In float16 the square of 256 is infinite, and the area of a small box is 0. So steps may overflow although the result does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


def wide(tensor: Tensor) -> Tensor:
    """float16 and bfloat16 as float32; any other tensor, such as class indices, as it is."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def computed_wide(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of (pred, target) and keywords that computes half precision in float32. The result has the dtype of pred."""

    @wraps(function)
    def widened(pred: Tensor, target: Tensor, **keywords: Any) -> Tensor:
        tensors = {key: wide(value) for key, value in keywords.items() if isinstance(value, Tensor)}
        return function(wide(pred), wide(target), **(keywords | tensors)).to(pred.dtype)

    return widened
