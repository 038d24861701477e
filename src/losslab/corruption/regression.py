"""Corruptions of measured numbers. Defaults: conf/corruption/<name>.yaml.

Inputs [n, ...], targets y [n, D]. A spread is 1.4826 MAD of the clean targets, for each column. The corrupted rows are those that changed.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from losslab.corruption.base import Changed, choose_rows, new_targets, register
from losslab.data.robust_scale import robust_scale
from losslab.errors import BadRequest


@register
def outliers(
    inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, magnitude: float, side: str
) -> Changed:
    """Vertical outliers: a share of the targets is moved far away; the inputs do not change (Rousseeuw and van Zomeren, 1990).

    y' = y + s * magnitude * spread for corrupted rows, s = 1 or -1; a point mass has y' = median + magnitude * spread instead. A spread
    is 1.4826 MAD (median absolute deviation).

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: random generator for the rows and the signs.
        fraction: share of the rows that is corrupted, in [0, 1]; a larger one includes the rows of a smaller one.
        magnitude: how far, in spreads of the clean targets.
        side: `symmetric` (s = 1 or -1, equally likely), `one_sided` (s = 1) or `point_mass` (all corrupted rows get the same value).
    """
    chosen = choose_rows(len(targets), fraction, generator)
    up = torch.rand(len(targets), 1, generator=generator) < 0.5
    centre, spread = robust_scale(targets)
    sign = torch.where(up, 1.0, -1.0) if side == "symmetric" else 1.0
    wrong = (centre if side == "point_mass" else targets) + sign * magnitude * spread
    return Changed(inputs, torch.where(chosen[:, None], wrong, targets), chosen)


@register
def heavy_tails(
    inputs: Tensor, targets: Tensor, generator: Generator, *, distribution: str, scale: float, df: float
) -> Changed:
    """Heavy-tailed noise on every target: most errors are small, a few are very large (Lange, Little and Taylor, 1989).

    y' = y + scale * spread * e, with e independent for each number, drawn by the inverse of the distribution function.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: random generator for e; with equal draws e has the same ranks under every distribution and scale.
        distribution: of e: `student_t` with `df` degrees of freedom, `cauchy` (the same with one) or `laplace`.
        scale: the distribution's scale parameter, in spreads of the clean targets; 0 changes nothing.
        df: degrees of freedom of `student_t`, above 0: the fewer, the heavier the tails. The others do not use it.
    """
    from scipy import stats  # here, as the import is slow

    shape = stats.t(df) if distribution == "student_t" else getattr(stats, distribution)
    chance = torch.rand(targets.shape, generator=generator, dtype=torch.float64).clamp(min=1e-12)
    noise = torch.as_tensor(shape.ppf(chance.numpy())).to(targets)
    _, spread = robust_scale(targets)
    return new_targets(inputs, targets, targets + scale * spread * noise)


@register
def contaminated_normal(
    inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, factor: float, scale: float
) -> Changed:
    """Contaminated normal distribution: normal noise on every target, wider on a share of them (Tukey, 1960).

    y' = y + scale * spread * k * e, e standard normal; k = factor for a share `fraction` of the rows, 1 for the others.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: random generator for the rows and e.
        fraction: share of the rows with the wide noise, in [0, 1]; a larger one includes the rows of a smaller one.
        factor: how many times wider it is; Tukey took 3.
        scale: standard deviation of the narrow noise, in spreads of the clean targets.
    """
    wide = choose_rows(len(targets), fraction, generator)[:, None]
    noise = torch.randn(targets.shape, generator=generator)
    _, spread = robust_scale(targets)
    return new_targets(inputs, targets, targets + scale * spread * torch.where(wide, factor, 1.0) * noise)


@register
def leverage(
    inputs: Tensor,
    targets: Tensor,
    generator: Generator,
    *,
    fraction: float,
    distance: float,
    magnitude: float,
    kind: str,
) -> Changed:
    """Leverage points: a share of the rows has inputs and targets far from the others (Rousseeuw and van Zomeren, 1990).

    x' = x + distance * d, d = s_j spreads of input j, each s_j = 1 or -1 and the same for all rows, so that they form one cluster.
    y' = y + b . (x' - x) + m * spread, b the slopes of the least-squares plane through the clean rows.

    Args:
        inputs: [n, ...], clean.
        targets: [n, D], clean.
        generator: random generator for the rows and the signs s_j.
        fraction: share of the rows that is corrupted, in [0, 1]; a larger one includes the rows of a smaller one.
        distance: how far the inputs move, in spreads (1.4826 MAD) of each input.
        magnitude: m of `bad` points: how far above the plane they are put, in spreads of the clean targets.
        kind: `bad`, or `good` (m = 0: the row is as near to the plane as before, so it is right if the relation is nearly linear).
    """
    chosen = choose_rows(len(targets), fraction, generator)[:, None]
    flat = inputs.flatten(1).double()
    signs = torch.where(torch.rand(flat.shape[1], generator=generator) < 0.5, 1.0, -1.0)
    _, spread = robust_scale(targets)
    move = distance * signs * robust_scale(flat)[1]
    table = torch.cat([flat, torch.ones_like(flat[:, :1])], 1)
    slopes = torch.linalg.lstsq(table, targets.double(), driver="gelsd").solution[:-1]
    shift = (move @ slopes + (magnitude if kind == "bad" else 0.0) * spread).to(targets)
    there = torch.where(chosen, flat + move, flat).to(inputs).reshape(inputs.shape)
    return Changed(there, torch.where(chosen, targets + shift, targets), chosen[:, 0])


@register
def swapped(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float) -> Changed:
    """Mismatched records: a share of the rows exchange their targets (Neter, Maynes and Ramanathan, 1965).

    The chosen rows form a ring, in random order, and each gets the target of the next. So the set of targets does not change.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: random generator for the order.
        fraction: share of the rows in the ring, in [0, 1]; a larger one includes the rows of a smaller one. A single row keeps its
            target, and a row that gets an equal target is not chosen.
    """
    ring = torch.randperm(len(targets), generator=generator)[: round(fraction * len(targets))]
    wrong = targets.clone()
    wrong[ring] = targets[ring.roll(-1)]
    return new_targets(inputs, targets, wrong)


@register
def unit_errors(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, factor: float) -> Changed:
    """Unit errors: a share of the targets is in another unit, such as minutes instead of hours (Rousseeuw and Leroy, 1987).

    y' = factor * y for the chosen rows. The known example is the Belgian telephone data.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: random generator for the rows.
        fraction: share of the rows, in [0, 1]; a larger one includes the rows of a smaller one. A target of 0 is not changed.
        factor: above 0; 10 (a misplaced decimal point), 60 (minutes), 1000 (grams), or 1 over these.
    """
    chosen = choose_rows(len(targets), fraction, generator)[:, None]
    return new_targets(inputs, targets, torch.where(chosen, factor * targets, targets))


@register
def censoring(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float) -> Changed:
    """Censoring: the largest targets are cut to a limit, as by a sensor that saturates (Tobin, 1958).

    y' = min(y, limit), where the limit is the largest target that is not cut. round(fraction * n) targets are cut, or fewer if
    some are equal.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: not used, as nothing here is random.
        fraction: share of the targets above the limit, in [0, 1], for each column; from (n - 1) / n on, all become the smallest.
    """
    kept = max(1, len(targets) - round(fraction * len(targets)))
    limit = targets.sort(0).values[kept - 1]
    return new_targets(inputs, targets, targets.minimum(limit))


@register
def heteroscedastic(
    inputs: Tensor, targets: Tensor, generator: Generator, *, scale: float, grows_with: str, column: int
) -> Changed:
    """Heteroscedastic noise: normal noise with a spread that grows with the target, or with an input (Goldfeld and Quandt, 1965).

    y' = y + scale * spread * w * e, e standard normal, w = (v - min v) / (max v - min v) over the rows of the split.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: random generator for e.
        scale: standard deviation of the noise where v is largest, in spreads of the clean targets.
        grows_with: what v is: `target`, the clean target itself, or `input`.
        column: number of that input, counted from 0; `target` does not use it.

    Raises:
        BadRequest: there is no such input.
    """
    flat = inputs.flatten(1)
    if grows_with == "input" and column >= flat.shape[1]:
        raise BadRequest(f"corruption.column must be below {flat.shape[1]}, the number of inputs; {column} is not.")
    driver = targets if grows_with == "target" else flat[:, column, None]
    low, high = driver.amin(0), driver.amax(0)
    width = (driver - low) / (high - low).clamp(min=1e-12)
    noise = torch.randn(targets.shape, generator=generator)
    _, spread = robust_scale(targets)
    return new_targets(inputs, targets, targets + scale * spread * width * noise)
