"""What is taught of losses, measured without a network: gradients, descents in one dimension, straight lines through points.

Every function gives a table in one form: claim (the figure it belongs to), panel, line (what is compared), x, y.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from losslab import losses
from losslab.losses import Loss
from losslab.training.optimizers import rate_factor

COLUMNS = ["claim", "panel", "line", "x", "y"]
FAR = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)  # of one outlier, in spreads of the targets
POINTS, SLOPE = 30, 2.0  # of the line with an outlier


def named(name: str) -> Loss:
    """A loss by its label, as in `smoothl1(beta=0.1)`, each output a sample of its own."""
    plain, _, rest = name.rstrip(")").partition("(")
    made = losses.get(
        plain, **{key: float(value) for key, value in (word.split("=") for word in rest.split(",") if word)}
    )
    assert isinstance(made, Loss)
    return made


def table(claim: str, panel: str, line: str, x: Sequence[float], y: Sequence[float]) -> pd.DataFrame:
    """One line of a figure."""
    return pd.DataFrame({"claim": claim, "panel": panel, "line": line, "x": list(x), "y": list(y)}, columns=COLUMNS)


def pull(loss: Loss, pred: Tensor, target: Tensor) -> Tensor:
    """The derivative of each sample's own loss by its own prediction, in the shape of the prediction."""
    pred = pred.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss.per_sample(pred, target).sum(), pred)
    return slope


def pulls(claim: str, names: Sequence[str], errors: Tensor) -> pd.DataFrame:
    """Size of the gradient at some distances between prediction and target."""
    parts = []
    for name in names:
        slopes = pull(named(name), errors, torch.zeros_like(errors)).abs()
        parts.append(table(claim, "pull", name, errors.tolist(), slopes.tolist()))
    return pd.concat(parts)


def descend(loss: Loss, rates: Tensor, steps: int, decay: bool = False) -> Tensor:
    """Plain gradient descents on one number whose target is 0, begun at pi / 3: after 0, 1, .. steps, [steps + 1, rates].

    decay: the rates fall along half a cosine, to 0 at the last step.
    """
    at = torch.full_like(rates, torch.pi / 3)
    path = [at]
    for step in range(steps):
        factor = rate_factor("cosine" if decay else "constant", step, steps)
        at = at - factor * rates * pull(loss, at, torch.zeros_like(at))
        path.append(at)
    return torch.stack(path)


def left_over(loss: Loss, rates: Tensor, steps: int = 4000, decay: bool = False) -> Tensor:
    """The largest distance from the minimum over the last ten steps of each descent, [rates]."""
    return descend(loss, rates, steps, decay)[-10:].abs().amax(0)


def circling() -> pd.DataFrame:
    """How far from the minimum a descent remains: step by step, over rates, and for smoothl1 over beta."""
    claim, steps, rates = "l1_circles", 60, 10 ** torch.linspace(-2.5, -0.5, 9, dtype=torch.float64)
    one = torch.tensor([0.06], dtype=torch.float64)
    parts = []
    for label in ("l1", "l1, decaying rate", "mse", "smoothl1(beta=0.3)"):
        loss, decay = named(label.partition(",")[0]), label.endswith("decaying rate")
        path = descend(loss, one, steps, decay)[:, 0]
        parts.append(table(claim, "descent", label, range(steps + 1), path.tolist()))
        parts.append(table(claim, "left over", label, rates.tolist(), left_over(loss, rates, decay=decay).tolist()))
    betas = 10 ** torch.linspace(-3, 1, 61, dtype=torch.float64)
    of_all = Loss("smoothl1", "values", {"beta": betas})  # one beta for each descent
    for rate in (0.003, 0.03, 0.3):
        left = left_over(of_all, torch.full_like(betas, rate))
        parts.append(table("smoothl1_beta", "left over", f"rate {rate}", betas.tolist(), left.tolist()))
    return pd.concat(parts)


def line_points(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Inputs in [-1, 1] and targets of a line of slope 2 with normal noise of spread 0.2; the last point is the one moved."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, POINTS)
    return torch.tensor(x), torch.tensor(SLOPE * x + 0.2 * rng.standard_normal(POINTS))


def fit_lines(name: str, x: Tensor, y: Tensor, steps: int = 2000) -> Tensor:
    """Slope and intercept of the best line under a loss through each column of points [points, lines], [2, lines].

    Adam from the line y = 0, with a rate that decays to 0, so that l1 does not circle; x and y are scaled for it by their
    largest size, which moves no minimum.
    """
    across, up = x.abs().amax(0), y.abs().amax(0)
    line = torch.zeros(2, x.shape[1], dtype=torch.float64, requires_grad=True)
    loss = named(name)
    optimizer = torch.optim.Adam([line], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        pred = up * (line[0] * (x / across) + line[1])
        (loss.per_sample(pred, y).sum() / up.max()).backward()
        optimizer.step()
        schedule.step()
    return torch.stack([line[0] * up / across, line[1] * up]).detach()


def lines() -> pd.DataFrame:
    """The slope of a line fitted to points of which one is moved: up, and, at its old height, to the side."""
    x, y = line_points()
    spread, claim = float(1.4826 * (y - y.median()).abs().median()), "l1_outliers"
    moves = torch.tensor(FAR, dtype=torch.float64)
    wide, high = x[:, None].repeat(1, len(FAR)), y[:, None].repeat(1, len(FAR))
    up, aside = high.clone(), wide.clone()
    up[-1] -= moves * spread  # downwards, against the slope
    aside[-1] += moves  # the inputs span 2
    parts = [table(claim, "points", "target moved", x.tolist(), up[:, 4].tolist())]
    for name in ("mse", "l1", "smoothl1(beta=1.0)"):
        vertical, leverage = fit_lines(name, wide, up), fit_lines(name, aside, high)
        ends = [float(vertical[0, 4] * end + vertical[1, 4]) for end in (-1, 1)]
        parts.append(table(claim, "points", name, [-1, 1], ends))
        parts.append(table(claim, "target moved", name, FAR, vertical[0].tolist()))
        parts.append(table(claim, "input moved", name, FAR, leverage[0].tolist()))
    return pd.concat(parts)


def softmax_pulls(classes: int = 10) -> pd.DataFrame:
    """Size of the gradient on the true class's logit, against its lead over nine others that are equal."""
    leads = torch.linspace(-10, 10, 201, dtype=torch.float64)
    logits = torch.cat([leads[:, None], torch.zeros(len(leads), classes - 1, dtype=torch.float64)], 1)
    truth = torch.zeros(len(leads), dtype=torch.long)
    parts = []
    for name in ("cross_entropy", "double_softmax"):
        slopes = pull(named(name), logits, truth)[:, 0].abs()
        parts.append(table("double_softmax", "pull", name, leads.tolist(), slopes.tolist()))
    return pd.concat(parts)


def saturation(dtype: torch.dtype = torch.float32) -> pd.DataFrame:
    """Size of the gradient by the logit of a confident mistake, for both targets."""
    sizes = torch.arange(0, 121, 0.5, dtype=dtype)
    parts = []
    for target, sign in ((0.0, 1.0), (1.0, -1.0)):
        for name in ("bce", "bce_with_logits"):
            slopes = bce_pull(name, sign * sizes, target).abs()
            parts.append(table("bce_saturates", f"target {target:.0f}", name, sizes.tolist(), slopes.tolist()))
    return pd.concat(parts)


def bce_pull(name: str, logits: Tensor, target: float) -> Tensor:
    """The derivative by the logit of `bce` of its sigmoid, or of `bce_with_logits`, for one target; in the logits' precision."""
    logits = logits.clone().requires_grad_()
    pred = logits.sigmoid() if name == "bce" else logits
    (slope,) = torch.autograd.grad(named(name).per_sample(pred, torch.full_like(logits, target)).sum(), logits)
    return slope


def everything() -> pd.DataFrame:
    """All measurements of this file."""
    errors = torch.logspace(-3, 5, 81, dtype=torch.float64)
    parts = [
        pulls("mse_explodes", ["mse", "l1", "smoothl1(beta=1.0)"], errors),
        pulls("smoothl1_beta", [*(f"smoothl1(beta={beta})" for beta in (0.03, 0.3, 3.0)), "l1", "mse"], errors[:61]),
        lines(),
        circling(),
        softmax_pulls(),
        saturation(),
    ]
    return pd.concat(parts, ignore_index=True)
