"""What goes wrong with measured numbers. Defaults: conf/corruption/<name>.yaml.

Inputs [n, ...], targets y [n, D]. A spread is 1.4826 MAD of the clean targets, column by column. Changed are the rows that changed.
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
    """Vertical outliers: a share of the targets is moved far away, the inputs stay (Rousseeuw and van Zomeren, 1990).

    y' = y + s * magnitude * spread for corrupted rows, s = 1 or -1; a point mass has y' = median + magnitude * spread instead.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: where the rows and the signs come from.
        fraction: share of the rows that is chosen, in [0, 1]; a larger one holds the rows of a smaller one.
        magnitude: how far, in spreads of the clean targets.
        side: `symmetric` (s at even odds), `one_sided` (s = 1) or `point_mass` (all corrupted rows get one and the same value).
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
    """Noise with heavy tails on every target: most errors are small, a few are huge (Lange, Little and Taylor, 1989).

    y' = y + scale * spread * e, e independent for each number, by the inverse of the distribution function.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: where e comes from; equal draws give e the same ranks under every distribution and scale.
        distribution: of e: `student_t` with `df` degrees of freedom, `cauchy` (the same with one) or `laplace`.
        scale: the distribution's scale parameter, in spreads of the clean targets; 0 leaves all as it was.
        df: degrees of freedom of `student_t`, above 0: the fewer, the heavier the tails; the others do not read it.
    """
    from scipy import stats  # here, as it takes a while to import

    shape = stats.t(df) if distribution == "student_t" else getattr(stats, distribution)
    chance = torch.rand(targets.shape, generator=generator, dtype=torch.float64).clamp(min=1e-12)
    noise = torch.as_tensor(shape.ppf(chance.numpy())).to(targets)
    _, spread = robust_scale(targets)
    return new_targets(inputs, targets, targets + scale * spread * noise)


@register
def contaminated_normal(
    inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, factor: float, scale: float
) -> Changed:
    """Normal noise on every target, wider on a share of them: the contaminated normal distribution (Tukey, 1960).

    y' = y + scale * spread * k * e, e standard normal; k = factor for a share `fraction` of the rows, 1 for the others.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: where the rows and e come from.
        fraction: share of the rows with the wide noise, in [0, 1]; a larger one holds the rows of a smaller one.
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
    """Leverage points: the inputs of a share of the rows are far off, and the targets with them (Rousseeuw and van Zomeren, 1990).

    x' = x + distance * d, d = s_j spreads of input j, each s_j = 1 or -1 and the same for all rows: they make one cluster.
    y' = y + b . (x' - x) + m * spread, b the slopes of the least-squares plane through the clean rows.

    Args:
        inputs: [n, ...], clean.
        targets: [n, D], clean.
        generator: where the rows and the signs s_j come from.
        fraction: share of the rows that is chosen, in [0, 1]; a larger one holds the rows of a smaller one.
        distance: how far the inputs move, in spreads (1.4826 MAD) of each input.
        magnitude: m of `bad` points: how far above the plane they are put, in spreads of the clean targets.
        kind: `bad`, or `good` (m = 0: the row is as near to the plane as before; that is good for what is nearly linear).
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
    """Mismatched records: a share of the rows have one another's targets (Neter, Maynes and Ramanathan, 1965).

    The chosen rows stand in a ring, in random order, and each gets the target of the next: the targets as a set stay.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: where the order comes from.
        fraction: share of the rows in the ring, in [0, 1]; a larger one holds the rows of a smaller one. One row has nobody to
            swap with, and a row that gets an equal target is not chosen.
    """
    ring = torch.randperm(len(targets), generator=generator)[: round(fraction * len(targets))]
    wrong = targets.clone()
    wrong[ring] = targets[ring.roll(-1)]
    return new_targets(inputs, targets, wrong)


@register
def unit_errors(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float, factor: float) -> Changed:
    """A share of the targets is in another unit, such as minutes for hours: the Belgian telephone data (Rousseeuw and Leroy, 1987).

    y' = factor * y for the chosen rows.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: where the rows come from.
        fraction: share of the rows, in [0, 1]; a larger one holds the rows of a smaller one. A target of 0 is not changed.
        factor: above 0; 10 (a slipped decimal point), 60 (minutes), 1000 (grams), or 1 over these.
    """
    chosen = choose_rows(len(targets), fraction, generator)[:, None]
    return new_targets(inputs, targets, torch.where(chosen, factor * targets, targets))


@register
def censoring(inputs: Tensor, targets: Tensor, generator: Generator, *, fraction: float) -> Changed:
    """A sensor that saturates: the largest targets are cut to a limit, which they share (Tobin, 1958).

    y' = min(y, limit), the limit being the largest target that is not cut: round(fraction * n) are, fewer among equals.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: not used: nothing here is random.
        fraction: share of the targets above the limit, in [0, 1], column by column; from (n - 1) / n on all are the smallest.
    """
    kept = max(1, len(targets) - round(fraction * len(targets)))
    limit = targets.sort(0).values[kept - 1]
    return new_targets(inputs, targets, targets.minimum(limit))


@register
def heteroscedastic(
    inputs: Tensor, targets: Tensor, generator: Generator, *, scale: float, grows_with: str, column: int
) -> Changed:
    """Normal noise whose spread grows with the target, or with an input (Goldfeld and Quandt, 1965).

    y' = y + scale * spread * w * e, e standard normal, w = (v - min v) / (max v - min v) over the rows of the split.

    Args:
        inputs: [n, ...], returned as they are.
        targets: [n, D], clean.
        generator: where e comes from.
        scale: standard deviation of the noise where v is largest, in spreads of the clean targets.
        grows_with: what v is: `target`, the clean target itself, or `input`.
        column: number of that input, from 0 on; `target` does not read it.

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
