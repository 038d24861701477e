"""Losses on the error e = pred - target whose gradient fades for large errors, averaged over the outputs of a sample.

Near zero each is e^2 / 2 for every scale (`trimmed`: e^2), so that one learning rate suits all. None is convex, except `barron` for
alpha >= 1. So start from predictions that are not far off, or with a wide scale. Each takes pred and target of one shape,
[N] or [N, D], and gives [N], at least 0, 0 where pred = target. Sources and defaults: conf/loss/<name>.yaml.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from losslab.losses.base import register
from losslab.losses.regression import mean_over_outputs

_FAR = 1e9  # beyond it, 1 + x^2 equals x^2 in float64


def log1p_square(size: Tensor) -> Tensor:
    """log(1 + x^2) for x >= 0, where the square may overflow."""
    return size.clamp(max=_FAR).square().log1p() + 2 * (size.clamp(min=_FAR) / _FAR).log()


@register
def cauchy(pred: Tensor, target: Tensor, *, c: float | Tensor) -> Tensor:
    """Cauchy (Lorentzian) loss: grows as the logarithm of the error; the gradient of an outlier fades as 1 / e, but never to 0.

    l = c^2 / 2 log(1 + (e / c)^2), with derivative e / (1 + (e / c)^2), at most c / 2.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        c: > 0, in the units of the target; the error with the largest gradient.

    c -> inf gives `mse` / 2. It is `barron` with alpha = 0 and c / sqrt(2).
    """
    return mean_over_outputs(c**2 / 2 * log1p_square((pred - target).abs() / c))


@register
def geman_mcclure(pred: Tensor, target: Tensor, *, c: float | Tensor) -> Tensor:
    """Geman-McClure loss: bounded by c^2 / 2; the gradient of an outlier fades as 1 / e^3.

    l = e^2 / 2 / (1 + (e / c)^2).

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        c: > 0, in the units of the target; the gradient is largest at an error of c / sqrt(3).

    c -> inf gives `mse` / 2. It is `barron` with alpha = -2 and c / 2.
    """
    return mean_over_outputs(-(c**2) / 2 * (-log1p_square((pred - target).abs() / c)).expm1())


@register
def welsch(pred: Tensor, target: Tensor, *, c: float | Tensor) -> Tensor:
    """Welsch (Leclerc, correntropy) loss: bounded by c^2 / 2, which it approaches as fast as a bell curve falls.

    l = c^2 / 2 (1 - exp(-(e / c)^2)), with derivative e exp(-(e / c)^2).

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        c: > 0, in the units of the target; the gradient is largest at an error of c / sqrt(2).

    c -> inf gives `mse` / 2. It is the limit of `barron` for alpha -> -inf, with c / sqrt(2).
    """
    return mean_over_outputs(-(c**2) / 2 * (-((pred - target) / c).square()).expm1())


@register
def tukey(pred: Tensor, target: Tensor, *, c: float | Tensor) -> Tensor:
    """Tukey's biweight: constant for errors beyond `c`, so that an outlier has no gradient at all.

    l = c^2 / 6 (1 - (1 - (e / c)^2)^3) if |e| <= c, else c^2 / 6; its derivative is e (1 - (e / c)^2)^2, then 0.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        c: > 0, in the units of the target.

    c -> inf gives `mse` / 2. A model that starts further than c from every target does not learn.
    """
    square = ((pred - target).abs() / c).clamp(max=1).square()
    return mean_over_outputs(c**2 / 6 * square * (3 - 3 * square + square.square()))


@register
def hampel(pred: Tensor, target: Tensor, *, a: float | Tensor, b: float | Tensor, c: float | Tensor) -> Tensor:
    """Hampel loss: half the squared error up to a, linear up to b, flatter and flatter up to c, constant beyond.

    l = the integral of its derivative over |e|. The derivative is |e| up to a; a up to b; a (c - |e|) / (c - b) up to c; 0 beyond.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        a: > 0, in the units of the target.
        b: >= a; a smaller one counts as a.
        c: >= b; a smaller one counts as b, and the gradient then drops to 0 there.

    b -> inf gives `huber` with delta = a. Beyond c the loss is a (b + c - a) / 2.
    """
    a, b, c = (torch.as_tensor(corner, dtype=pred.dtype, device=pred.device) for corner in (a, b, c))
    b = torch.maximum(a, b)
    fall = (c - b).clamp(min=torch.finfo(pred.dtype).eps)
    size = (pred - target).abs()
    down = torch.minimum((size - b).relu(), fall)
    level = torch.where(size <= b, a * (size - a / 2), a * (b - a / 2 + down * (1 - down / fall / 2)))
    return mean_over_outputs(torch.where(size <= a, size.where(size <= a, 0.0).square() / 2, level))


@register
def barron(pred: Tensor, target: Tensor, *, alpha: float | Tensor, c: float | Tensor) -> Tensor:
    """Barron's general robust loss: a family from the squared error (alpha = 2) to bounded losses (alpha < 0).

    The smaller alpha, the smaller the gradient of an outlier.

    l = c^2 b / alpha ((1 + (e / c)^2 / b)^(alpha / 2) - 1), with b = |alpha - 2|; for alpha = 0 and 2, its limits there.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        alpha: at most 2. As the error grows, the gradient grows without bound for alpha above 1, and fades below 1.
        c: > 0, in the units of the target.

    alpha = 2: `mse` / 2. 1: `charbonnier`. 0: `cauchy` with sqrt(2) c. -2: `geman_mcclure` with 2 c. -> -inf: `welsch`
    with sqrt(2) c. The paper has no factor c^2. With it, l is e^2 / 2 near zero for every c.
    """
    alpha = torch.as_tensor(alpha, dtype=pred.dtype, device=pred.device)
    return mean_over_outputs(c**2 * general((pred - target).abs() / c, alpha))


def general(size: Tensor, alpha: Tensor) -> Tensor:
    """Barron's loss of |e| / c, without branches. Each step is exact near alpha = 0 and 2, and none overflows before the result."""
    eps = torch.finfo(size.dtype).eps
    power = torch.where(alpha.abs() < eps**2, eps**2, alpha) / 2
    root = (alpha - 2).abs().clamp(min=eps).sqrt()
    half = (power / 2 * log1p_square(size / root)).expm1()
    # (1 + x)^power - 1 = half (half + 2)
    return (root * half / power) * (root * (half + 2) / 2)


@register
def trimmed(pred: Tensor, target: Tensor, *, trim: float | Tensor) -> Tensor:
    """LTS (least trimmed squares): squared error without the worst samples of each batch; also resists outliers in the inputs.

    l = N / h e^2 for the h samples of the smallest e^2, and 0 for the others, with h = N - floor(trim N).

    Args:
        pred: [N] or [N, D], N the samples of the batch; a sample's e^2 is the mean over its outputs.
        target: of the same shape.
        trim: in [0, 1/2], the share left out.

    The mean over the batch is the mean of the h smallest. trim = 0 gives `mse`. Each step chooses its h samples anew.
    """
    squares = mean_over_outputs((pred - target).square())
    count = len(squares)
    trim = torch.as_tensor(trim, dtype=torch.float64, device=pred.device)
    kept = count - (trim * count + 1e-3).floor()  # in float32, in which a stack holds it, 0.35 * 20 falls short of 7
    rank = squares.detach().argsort(stable=True).argsort()
    return torch.where(rank < kept, squares * (count / kept).to(squares), torch.zeros_like(squares))


@register
def andrews_wave(pred: Tensor, target: Tensor, *, c: float | Tensor) -> Tensor:
    """Andrews's wave: the gradient is an arch of the sine, and 0 beyond pi times `c`.

    l = c^2 (1 - cos(e / c)) if |e| <= pi c, else 2 c^2; its derivative is c sin(e / c), then 0.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        c: > 0, in the units of the target; the gradient is largest at an error of pi c / 2.

    c -> inf gives `mse` / 2. A model that starts further than pi c from every target does not learn.
    """
    half = ((pred - target).abs() / c).clamp(max=math.pi) / 2
    return mean_over_outputs(2 * c**2 * half.sin().square())


@register
def ramsay(pred: Tensor, target: Tensor, *, a: float | Tensor) -> Tensor:
    """Ramsay's Ea: the weight of an error falls as exp(-a |e|), so the gradient of an outlier fades fast, but never to 0.

    l = (1 - (1 + a |e|) exp(-a |e|)) / a^2, with derivative e exp(-a |e|).

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        a: > 0, one over the units of the target; the gradient is largest at an error of 1 / a.

    a -> 0 gives `mse` / 2; the loss is bounded by 1 / a^2.
    """
    size = a * (pred - target).abs()
    # the regularised incomplete gamma function P(2, x) is 1 - (1 + x) exp(-x), without its loss of digits near 0
    return mean_over_outputs(torch.special.gammainc(torch.full_like(size, 2.0), size) / a**2)
