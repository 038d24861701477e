"""How each loss bears what an axis of a study does to the data: area under the curve, cost on clean data, breakdown."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from losslab.errors import BadRequest
from losslab.stats.paired import Floats, compare, interval
from losslab.stats.scores import direction, scores

_COLUMNS = ["panel", "condition", "loss", "area", "area_low", "area_high", "clean_cost", "cost_low", "cost_high"]
_COLUMNS += ["held", "breakdown", "breaks", "why", "highest"]


def numeric_axis(settings: pd.DataFrame) -> str | None:
    """The axis that robustness is drawn over: the first 'corruption.' column that holds numbers, two or more; None without one."""
    for column in settings:
        found = pd.to_numeric(settings[column], errors="coerce")
        truths = settings[column].map(lambda value: isinstance(value, (bool, np.bool_))).any()
        if str(column).startswith("corruption.") and found.notna().all() and not truths and found.nunique() > 1:
            return str(column)
    return None


def axis_levels(settings: pd.DataFrame, axis: str) -> pd.Series[float]:
    """The number of each setting on an axis; index as in `settings`."""
    return pd.to_numeric(settings[axis]).astype(float)


def panels(settings: pd.DataFrame, axis: str) -> pd.Series[str]:
    """What else a setting has than its level: 'data=friedman, corruption.side=both'; "" where the axis is the only one."""
    others = [key for key in settings if key != axis]
    values = zip(*(settings[key].tolist() for key in others), strict=True) if others else [()] * len(settings)
    labels = [", ".join(f"{key}={value}" for key, value in zip(others, row, strict=True)) for row in values]
    return pd.Series(labels, index=settings.index, dtype=object)


def robustness(
    runs: pd.DataFrame,
    levels: pd.Series[float],
    better: str,
    reference: str,
    level: float = 0.95,
    panel: pd.Series[str] | None = None,
    overlap: float = 0.0,
    family: int = 1,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> pd.DataFrame:
    """One row per panel, condition and loss; in units of the metric unless said otherwise.

    Args:
        runs: as in `Results.runs`.
        levels: the number of each setting, as from `axis_levels`; settings that are not in it are left out.
        better: "min" or "max".
        reference: the loss whose metric on clean data is the measure of cost.
        level: of the intervals.
        panel: the panel of each setting, as from `panels`; None: one panel, named "".
        overlap: see `losslab.stats.paired.interval`.
        family: of how many tests the report speaks; the intervals of the costs are corrected for them.
        bounds: between which the metric lies, and so the intervals of the areas.

    Columns: panel, condition, loss, area (under the metric against level by the trapezoid rule, over the width of the levels; mean
    over the seeds that have all levels), area_low, area_high (t interval over seeds), clean_cost (at the lowest level, how much
    worse than the reference on the same seeds; below 0: better), cost_low, cost_high, breakdown (the lowest level at which the
    mean metric is no better than that of the best constant prediction; NaN where there is none, or the constant is unknown), held
    (the level before that one; NaN where there is none), breaks ("stays": it is no better from there on; "recovers": it is at a
    higher level; "never"; "unknown"), why ("diverged" at that level, "lowest", the level, or ""), highest.
    With a broken run at some level the area is NaN, and that level counts as broken down.
    Raises BadRequest for two settings of one panel on one level.
    """
    here = runs[runs["setting"].isin(levels.index)]
    rows: list[dict[str, Any]] = []
    of_panel = here["setting"].map(panel) if panel is not None else pd.Series("", index=here.index)
    for label, part in here.groupby(of_panel, sort=False):
        at = levels[list(pd.unique(part["setting"]))].sort_values(kind="stable")
        if at.duplicated().any():
            raise BadRequest(f"Two settings lie on level {at[at.duplicated()].iloc[0]}; put other axes into panels.")
        for condition, inner in part.groupby("condition", sort=False):
            rows += [
                {"panel": label, "condition": condition, **row}
                for row in _rows(inner, at, better, reference, level, overlap, family, bounds)
            ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _rows(
    runs: pd.DataFrame,
    at: pd.Series[float],
    better: str,
    reference: str,
    level: float,
    overlap: float,
    family: int,
    bounds: tuple[float, float],
) -> list[dict[str, Any]]:
    """The rows of one panel and condition."""
    sign, table = direction(better), scores(runs, better).droplevel("condition")
    seed_means = runs.groupby(["setting", "seed"], sort=False)["constant"].mean()
    constant = sign * seed_means.groupby(level="setting").mean().reindex(at.index).to_numpy(dtype=float)
    x: Floats = np.array(at, dtype=np.float64)
    curves = {str(loss): table[loss].unstack("setting").reindex(columns=at.index).to_numpy() for loss in table}
    nothing = np.full(len(next(iter(curves.values()))), np.nan)
    rows = []
    for loss, curve in curves.items():
        other = curves[reference][:, 0] if reference in curves else nothing
        cost = compare(curve[:, 0], other, 1, level, overlap, family)
        broken = np.isinf(curve).any(axis=0)
        broken_at = _breakdown(x, np.where(broken, np.inf, _mean(curve)) - constant, broken)
        row = [
            loss,
            *_within(_area(x, sign * curve, level, overlap), bounds),
            *((np.nan,) * 3 if cost.ranked else cost.interval),
            *broken_at,
            float(x[-1]),
        ]
        rows.append(dict(zip(_COLUMNS[2:], row, strict=True)))
    return rows


def _mean(curve: Floats) -> Floats:
    """The mean over the seeds that have a finite value, level by level; NaN where none has."""
    finite = np.where(np.isfinite(curve), curve, 0.0)
    count = np.isfinite(curve).sum(axis=0)
    return np.where(count, finite.sum(axis=0) / np.maximum(count, 1), np.nan)


def _area(x: Floats, curve: Floats, level: float, overlap: float) -> tuple[float, float, float]:
    """Mean and t interval over seeds of the area, over the width of the levels."""
    if np.isinf(curve).any() or len(x) < 2:
        return np.nan, np.nan, np.nan
    whole = curve[~np.isnan(curve).any(axis=1)]
    return interval(np.trapezoid(whole, x, axis=1) / (x[-1] - x[0]), level, overlap)


def _within(found: tuple[float, float, float], bounds: tuple[float, float]) -> tuple[float, float, float]:
    """A mean with an interval that ends where the metric does."""
    return found[0], max(found[1], bounds[0]), min(found[2], bounds[1])


def _breakdown(x: Floats, gap: Floats, broken: npt.NDArray[np.bool_]) -> tuple[float, float, str, str]:
    """The level before, and the first level at which the gap to the constant (above 0: worse) is not below 0; whether it stays so; why."""
    if np.isnan(gap).any():
        return np.nan, np.nan, "unknown", ""
    worse = np.flatnonzero(gap >= 0)
    if len(worse) == 0:
        return np.nan, np.nan, "never", ""
    first = int(worse[0])
    why = "diverged" if broken[first] else "lowest" if first == 0 else ""
    held = float(x[first - 1]) if first else np.nan
    return held, float(x[first]), "stays" if (gap[first:] >= 0).all() else "recovers", why
