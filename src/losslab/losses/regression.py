"""Losses on the error e = pred - target, averaged over the outputs of a sample. Sources and defaults: conf/loss/<name>.yaml.

They serve regression and box corners, whose values come in spreads of the target, and classification on probabilities.
Each takes pred and target of one shape, [N] or [N, D], and gives [N], at least 0, 0 where pred = target.
"""

from __future__ import annotations

from torch import Tensor

from losslab.losses.base import register


def mean_over_outputs(losses: Tensor) -> Tensor:
    """[N, ...] -> [N]: the mean over all axes but the first."""
    return losses.flatten(1).mean(1) if losses.ndim > 1 else losses


@register
def mse(pred: Tensor, target: Tensor) -> Tensor:
    """Squared error: best under normal errors, aims at the mean, and one far outlier can drag it anywhere.

    l = e^2, with derivative 2e: the pull of a sample grows with its error, without bound.

    On class probabilities [N, K] with one-hot targets it is the Brier score divided by K. There is no 1/2: `huber` has one.
    """
    return mean_over_outputs((pred - target).square())


@register
def l1(pred: Tensor, target: Tensor) -> Tensor:
    """Absolute error: aims at the median, and pulls equally on every sample, however far.

    l = |e|, with derivative sign(e), and 0 at e = 0: it does not shrink near the minimum, so a constant rate circles it.
    """
    return mean_over_outputs((pred - target).abs())


@register
def smoothl1(pred: Tensor, target: Tensor, *, beta: float | Tensor) -> Tensor:
    """Quadratic within `beta`, absolute beyond: outliers pull by at most 1, and the gradient fades near the minimum.

    l = e^2 / (2 beta) if |e| < beta, else |e| - beta / 2.

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        beta: > 0, in the units of the target.

    beta -> 0 gives `l1`. Not `huber`: smoothl1(beta) = huber(delta=beta) / beta, so as beta grows its gradient shrinks.
    Written out, as torch's own takes no tensor for beta, which a stack of runs needs.
    """
    error = (pred - target).abs()
    inner = error.clamp(max=beta)
    return mean_over_outputs(0.5 * inner.square() / beta + (error - inner))


@register
def huber(pred: Tensor, target: Tensor, *, delta: float | Tensor) -> Tensor:
    """Half the squared error within `delta`, linear beyond: no sample pulls by more than `delta`.

    l = e^2 / 2 if |e| <= delta, else delta (|e| - delta / 2).

    Args:
        pred: [N] or [N, D].
        target: of the same shape.
        delta: > 0, in the units of the target.

    delta -> inf gives `mse` / 2; l / delta -> |e| as delta -> 0. Not `smoothl1`: huber(delta) = delta smoothl1(beta=delta).
    Written out, as torch's own takes no tensor for delta, which a stack of runs needs.
    """
    error = (pred - target).abs()
    inner = error.clamp(max=delta)
    return mean_over_outputs(0.5 * inner.square() + delta * (error - inner))
