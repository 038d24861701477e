"""What a study's runs say of its losses: tables of means, paired differences, ranks, and of orders that flip between conditions.

Every table is a pure function of `Results.runs`, and each takes `better`, "min" or "max". Differences and intervals are in
units of the metric; `level` is that of the intervals, and 1 - level the error rate of all verdicts together. `overlap`, `family`
and `margin` are those of `losslab.stats.paired`. Losses and settings come in the order of the runs. Imports scipy,
which takes a second: only what builds a report should import this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from losslab.errors import BadRequest
from losslab.stats.paired import BETTER, FEWEST, WORSE, Pair, compare, interval
from losslab.stats.scores import blocks, direction, losses, ranks_by_mean, seed_ranks, unit

_RANKING = [
    "condition",
    "setting",
    "loss",
    "n",
    "diverged",
    "mean",
    "low",
    "high",
    "middle",
    "worst",
    "runs",
    "broken",
    "unseen",
    "mean_rank",
]
_RANKING += ["rank"]
_JUDGED = [
    "n",
    "diverged",
    "difference",
    "low",
    "high",
    "p",
    "p_corrected",
    "p_equivalent",
    "wins",
    "detectable",
    "verdict",
]
_JUDGED += ["seeds", "first_diverged", "second_diverged", "same", "margin", "unit"]
Place = tuple[str, str]  # a condition and a setting
_OVERALL = ["condition", "loss", "mean_rank", "low", "high", "first_in", "settings"]
_FRIEDMAN = ["condition", "over", "statistic", "p", "blocks", "losses"]
_FLIPS = [
    "setting",
    "loss",
    "other",
    *(condition + end for condition in ("shared", "tuned") for end in ("", "_low", "_high")),
    "sure",
]


def ranking(
    runs: pd.DataFrame,
    better: str,
    level: float = 0.95,
    overlap: float = 0.0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> pd.DataFrame:
    """One row per condition, setting and loss.

    Columns: condition, setting, loss, n (seeds, or repeats of the tuning, that are done), diverged (on which a run diverged), mean,
    low, high (t interval over those that are done, within the bounds of the metric; NaN where n < 2), middle (interquartile mean,
    of the middle half of the done runs; Agarwal et al., 2021), worst (of the done runs), runs (that ended), broken (that diverged),
    unseen (the highest share of runs that may diverge, given how many did; one-sided interval of Clopper and Pearson, 1934),
    mean_rank (mean over seeds of the rank among the losses of that condition, setting and seed; 1 is best, ties share the mean
    rank, broken runs are last), rank (1.. by mean; fewer broken runs first; equal means share).
    """
    _check(level)
    rows: list[dict[str, Any]] = []
    sign = direction(better)
    single = {tuple(key): block for *key, block in blocks(runs.drop(columns="repeat", errors="ignore"), better)}
    for condition, setting, block in blocks(runs, better):
        ranks, by_mean = block.rank(axis=1).mean(), ranks_by_mean(block)
        for loss in losses(block):
            values = block[loss].to_numpy()
            done = values[np.isfinite(values)]
            n, diverged = len(done), int(np.isinf(values).sum())
            mean, low, high = interval(sign * done, level, overlap)
            ends = (np.clip(end, *bounds) for end in (low, high))
            each = single[condition, setting][loss].dropna().to_numpy()
            whole = each[np.isfinite(each)]
            middle = float(stats.trim_mean(sign * whole, 0.25)) if len(whole) else np.nan
            worst = float(sign * whole.max()) if len(whole) else np.nan
            broken = len(each) - len(whole)
            unseen = _highest_share(broken, len(each), level)
            found = (n, diverged, mean, *ends, middle, worst, len(each), broken, unseen, ranks[loss], by_mean[loss])
            rows.append(dict(zip(_RANKING, (condition, setting, loss, *found), strict=True)))
    return pd.DataFrame(rows, columns=_RANKING)


@lru_cache
def _highest_share(count: int, of: int, level: float) -> float:
    return float(stats.binomtest(count, of, alternative="less").proportion_ci(level).high) if of else np.nan


def places(runs: pd.DataFrame) -> list[Place]:
    """Each condition with each of its settings."""
    found = runs[["condition", "setting"]].drop_duplicates()
    return [(str(condition), str(setting)) for condition, setting in found.itertuples(index=False)]


def family(runs: pd.DataFrame) -> int:
    """Of how many pairs of losses a report speaks: all pairs of each condition and setting."""
    counts = runs.groupby(["condition", "setting"])["loss"].nunique() if len(runs) else pd.Series(dtype=int)
    return int(sum(count * (count - 1) // 2 for count in counts))


def comparisons(matrices: Mapping[Place, pd.DataFrame], reference: str) -> pd.DataFrame:
    """The rows of some matrices that compare a loss with the reference, with their condition and setting."""
    found = [
        table[table["other"] == reference].drop(columns="other").assign(condition=condition, setting=setting)
        for (condition, setting), table in matrices.items()
        if len(table)
    ]
    columns = ["condition", "setting", "loss", *_JUDGED]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def matrix(
    runs: pd.DataFrame,
    condition: str,
    setting: str,
    better: str,
    level: float = 0.95,
    overlap: float = 0.0,
    of: int | None = None,
    margin: float = 0.0,
) -> pd.DataFrame:
    """One row per ordered pair of losses of one condition and setting, loss minus other.

    Columns: loss, other, n (seeds on which both are done), diverged (seeds on which one is not), difference (mean over the n
    seeds), low, high (paired t interval, which holds together with those of all pairs of the report), p (paired t test; where a
    run diverged, the sign test), p_corrected (for the number of pairs), p_equivalent (that the difference is as large as the
    margin), wins (share of seeds on which the loss is better, ties half), detectable (smallest true difference that so many seeds
    would have shown with power 0.8, corrected), verdict ("better", "worse", "equivalent", "undecided", "cannot say"), seeds (that
    both have a run of), first_diverged, second_diverged (on how many of them), same (no seed tells them apart), margin, unit
    ("seed", or "repeat", where the tuning was done several times: then a repeat stands where a seed is said above).

    "cannot say": fewer than 5 seeds. A loss that diverged on more seeds than the other is never called better than it.

    `of`: how many pairs the report speaks of; by default those of this matrix. `margin`: the smallest difference that matters, in
    units of the metric; 0: no pair is called equivalent.

    Raises BadRequest where there is no such condition and setting.
    """
    _check(level)
    block = next((block for *key, block in blocks(_only(runs, condition, setting), better)), None)
    if block is None:
        raise BadRequest(f"There is no run of condition '{condition}' in setting '{setting}'.")
    both = list(combinations(losses(block), 2))
    of = len(both) if of is None else of
    pairs = {(one, two): _pair(block, one, two, better, level, overlap, of, margin) for one, two in both}
    pairs |= {(two, one): pair.mirrored for (one, two), pair in pairs.items()}
    rows = [
        {"loss": one, "other": two, **_judged(pairs[one, two]), "unit": unit(runs)}
        for one, two in permutations(losses(block), 2)
    ]
    return pd.DataFrame(rows, columns=["loss", "other", *_JUDGED])


def overall(runs: pd.DataFrame, better: str, level: float = 0.95, overlap: float = 0.0) -> pd.DataFrame:
    """One row per condition and loss: its ranks over all settings.

    Columns: condition, loss, mean_rank (over settings and seeds that all losses of the condition have a run of), low, high (t interval over
    each seed's mean rank), first_in (settings whose best mean it has, none of its runs there broken), settings (that count).
    """
    ranked = ranking(runs, better, level, overlap)
    rows: list[dict[str, Any]] = []
    for condition, ranks in seed_ranks(runs, better).items():
        settings = ranks.attrs["settings"]
        first = ranked[(ranked["condition"] == condition) & (ranked["rank"] == 1) & (ranked["diverged"] == 0)]
        in_how_many = first.loc[first["setting"].isin(settings), "loss"].value_counts()
        for loss in ranks:
            mean, low, high = interval(ranks[loss].to_numpy(), level, overlap)
            found = (
                mean,
                max(low, 1.0),
                min(high, float(ranks.shape[1])),
                int(in_how_many.get(loss, 0)),
                len(settings),
            )
            rows.append(dict(zip(_OVERALL, (condition, loss, *found), strict=True)))
    return pd.DataFrame(rows, columns=_OVERALL)


def friedman(runs: pd.DataFrame, better: str, over: str = "seed") -> pd.DataFrame:
    """One row per condition, whether the losses differ at all: condition, over, statistic, p, blocks, losses (Friedman, 1937).

    Blocks must be independent. Levels on the same seeds are not: they share data, split, weights and batches. So the blocks are
    seeds, each with its mean ranks over the settings. That speaks of these settings, on new seeds; it holds as well where the
    settings are data sets. To speak of new data sets, where the settings are a sample of them, take `over="setting"`: blocks
    are settings, each with its mean ranks over the seeds (Demsar, 2006). NaN with fewer than 3 losses or 5 blocks. The p is that
    of chi square, which is rough (too large) with few blocks and losses.
    """
    rows: list[dict[str, Any]] = []
    for condition, ranks in seed_ranks(runs, better, "setting" if over == "seed" else "seed").items():
        count, losses_ = ranks.shape
        held = ranks.rank(axis=1).to_numpy()
        statistic, p = np.nan, np.nan
        if losses_ >= 3 and count >= FEWEST:
            tied = bool((held == held[:, :1]).all())
            statistic, p = (0.0, 1.0) if tied else map(float, stats.friedmanchisquare(*held.T))
        rows.append(dict(zip(_FRIEDMAN, (condition, over, statistic, p, count, losses_), strict=True)))
    return pd.DataFrame(rows, columns=_FRIEDMAN)


def flips(runs: pd.DataFrame, better: str, level: float = 0.95, overlap: float = 0.0, of: int = 1) -> pd.DataFrame:
    """Pairs of losses whose order is reversed between the conditions `shared` and `tuned`; no row where one condition is missing.

    Columns: setting, loss (better at shared), other (better at tuned), shared, shared_low, shared_high, tuned, tuned_low,
    tuned_high (paired differences, loss minus other, with t intervals), sure (both are told apart, in opposite order). Of two
    losses the one that diverged on more seeds is the worse; with diverged runs the difference is NaN and the sign test decides.
    `of`: how many pairs the report speaks of; intervals and tests are corrected for it.
    """
    _check(level)
    held = {(condition, setting): block for condition, setting, block in blocks(runs, better)}
    rows: list[dict[str, Any]] = []
    for setting in pd.unique(runs["setting"]):
        shared, tuned = held.get(("shared", setting)), held.get(("tuned", setting))
        if shared is None or tuned is None:
            continue
        both = [loss for loss in losses(shared) if loss in tuned]
        for loss, other in combinations(both, 2):
            before, after = (_pair(block, loss, other, better, level, overlap, of) for block in (shared, tuned))
            if _lead(before) * _lead(after) >= 0:
                continue
            if _lead(before) < 0:
                before, after, loss, other = before.mirrored, after.mirrored, other, loss
            sure = (before.verdict, after.verdict) == (BETTER, WORSE)
            ends = [end for pair in (before, after) for end in ((np.nan,) * 3 if pair.ranked else pair.interval)]
            rows.append(dict(zip(_FLIPS, (setting, loss, other, *ends, sure), strict=True)))
    return pd.DataFrame(rows, columns=_FLIPS)


def _lead(pair: Pair) -> float:
    """Above 0 where the first is the better: by fewer broken runs, else by the mean."""
    if pair.first_diverged != pair.second_diverged:
        return pair.second_diverged - pair.first_diverged
    return -pair.sign * pair.interval[0] if len(pair.differences) else 0.0


def _only(runs: pd.DataFrame, condition: str, setting: str) -> pd.DataFrame:
    return runs[(runs["condition"] == condition) & (runs["setting"] == setting)]


def _pair(
    block: pd.DataFrame,
    first: str,
    second: str,
    better: str,
    level: float,
    overlap: float,
    of: int = 1,
    margin: float = 0.0,
) -> Pair:
    one, two = block[first].to_numpy(), block[second].to_numpy()
    return compare(one, two, direction(better), level, overlap, of, margin)


def _judged(pair: Pair) -> dict[str, Any]:
    n = len(pair.differences)
    found: list[Any] = [n, pair.seeds - n, *pair.interval, pair.p, pair.p_corrected, pair.p_equivalent, pair.share]
    found += [
        pair.detectable,
        pair.verdict,
        pair.seeds,
        pair.first_diverged,
        pair.second_diverged,
        pair.same,
        pair.margin,
    ]
    return dict(zip(_JUDGED[:-1], found, strict=True))


def _check(level: float) -> None:
    if not 0 < level < 1:
        raise BadRequest(f"The level of an interval lies between 0 and 1, as 0.95 does, and {level!r} does not.")


def curve_means(curves: pd.DataFrame, runs: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """One row per setting, condition, loss and epoch: mean, low, high (t interval) of the validation metric, over runs that are done."""
    keys = ["condition", "setting", "loss", "seed"]
    kept = curves.merge(runs.loc[runs["status"] == "done", keys], on=keys)
    means = kept.groupby(["setting", "condition", "loss", "epoch"], sort=False)["val"].agg(["mean", "std", "count"])
    count = np.maximum(means["count"], 1)
    half = means["std"] * stats.t.ppf((1 + level) / 2, np.maximum(count - 1, 1)) / np.sqrt(count)
    means = means.assign(low=means["mean"] - half, high=means["mean"] + half)
    return means.dropna(subset="mean").reset_index()[["setting", "condition", "loss", "epoch", "mean", "low", "high"]]
