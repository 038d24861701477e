"""Corruptions of the inputs of any task; the targets stay right. Defaults: conf/corruption/<name>.yaml."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from losslab.corruption.base import Changed, choose_rows, register


@register
def input_noise(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, scale: float) -> Changed:
    """Input noise: normal noise on the inputs of a share of the rows, as errors in variables (Fuller, 1987) or noisy pixels.

    x' = x + scale * s * e, e standard normal, s the standard deviation over all inputs of the split; pixels are cut to [0, 1].

    Args:
        inputs: [n, features], or pictures [n, channels, height, width] in [0, 1]; clean.
        targets: [n, ...], returned as they are.
        generator: random generator for the rows and e.
        fraction: share of the rows, in [0, 1]; a larger one includes the rows of a smaller one.
        scale: standard deviation of the noise, in units of s; s is about 1 in a table, which is standardised, and 0.3 in a picture.
    """
    chosen = choose_rows(len(inputs), fraction if scale > 0 else 0.0, generator)
    noisy = inputs + scale * inputs.std() * torch.randn(inputs.shape, generator=generator)
    if inputs.ndim == 4:
        noisy = noisy.clamp(0, 1)
    return Changed(torch.where(chosen.reshape(-1, *[1] * (inputs.ndim - 1)), noisy, inputs), targets, chosen)
