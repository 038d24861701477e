"""What a study's runs say of its losses: tables of means, paired differences, ranks, and of orders that flip between conditions.

Every table is a pure function of `Results.runs`, and each takes `better`, "min" or "max". Differences and intervals are in
units of the metric; `level` is that of the intervals, and 1 - level the error rate of the verdicts. `overlap` is that of
`losslab.stats.paired.interval`. Losses and settings come in the order of the runs. Imports scipy and statsmodels, which takes a
second: only what builds a report should import this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from losslab.errors import BadRequest
from losslab.stats.paired import BETTER, FEWEST, WORSE, Pair, compare, holm, interval, refused
from losslab.stats.scores import blocks, direction, losses, ranks_by_mean, seed_ranks

_RANKING = ["condition", "setting", "loss", "n", "diverged", "mean", "low", "high", "mean_rank", "rank"]
_JUDGED = ["n", "diverged", "difference", "low", "high", "p", "p_holm", "wins", "detectable", "verdict"]
_JUDGED += ["seeds", "first_diverged", "second_diverged", "same", "among"]
_OVERALL = ["condition", "loss", "mean_rank", "low", "high", "first_in", "settings"]
_FRIEDMAN = ["condition", "over", "statistic", "p", "blocks", "losses"]
_FLIPS = [
    "setting",
    "loss",
    "other",
    *(condition + end for condition in ("shared", "tuned") for end in ("", "_low", "_high")),
    "sure",
]


def ranking(runs: pd.DataFrame, better: str, level: float = 0.95, overlap: float = 0.0) -> pd.DataFrame:
    """One row per condition, setting and loss.

    Columns: condition, setting, loss, n (runs that are done), diverged (that diverged or failed), mean, low, high (t interval over
    the done runs; NaN where n < 2), mean_rank (mean over seeds of the rank among the losses of that condition, setting and seed; 1 is
    best, ties share the mean rank, broken runs are last), rank (1.. by mean; fewer broken runs first; equal means share).
    """
    _check(level)
    rows: list[dict[str, Any]] = []
    for condition, setting, block in blocks(runs, better):
        ranks, by_mean = block.rank(axis=1).mean(), ranks_by_mean(block)
        for loss in losses(block):
            values = block[loss].to_numpy()
            mean, low, high = interval(direction(better) * values[np.isfinite(values)], level, overlap)
            found = (np.isfinite(values).sum(), np.isinf(values).sum(), mean, low, high, ranks[loss], by_mean[loss])
            rows.append(dict(zip(_RANKING, (condition, setting, loss, *found), strict=True)))
    return pd.DataFrame(rows, columns=_RANKING)


def comparisons(
    runs: pd.DataFrame, reference: str, better: str, level: float = 0.95, overlap: float = 0.0
) -> pd.DataFrame:
    """One row per condition, setting and loss other than the reference.

    Columns: condition, setting, loss, n (seeds on which both are done), diverged (seeds on which one is not), difference (mean of
    loss minus reference over the n seeds), low, high (paired t interval), p (paired t test; where a run diverged, the sign
    test), p_holm (corrected over the losses of that condition and setting), wins (share of seeds on which the loss is better, ties
    half), detectable (smallest true difference that so many seeds would have shown with power 0.8, uncorrected), verdict
    ("better", "worse", "not told apart", "cannot say"), seeds (that both have a run of), first_diverged, second_diverged (on how
    many of them), same (no seed tells them apart), among (comparisons that Holm's correction is for).

    "cannot say": fewer than 5 seeds, or so few that not even if all agreed an exact sign-flip test could come below 1 - level
    after Holm. A loss that diverged on more seeds than the other is never called better than it.
    Raises BadRequest where no run has the reference.
    """
    _check(level)
    if len(runs) and reference not in set(runs["loss"]):
        known = ", ".join(map(str, pd.unique(runs["loss"])))
        raise BadRequest(f"No run has the reference loss '{reference}'; losses that were run: {known}.")
    rows: list[dict[str, Any]] = []
    for condition, setting, block in blocks(runs, better):
        others = [loss for loss in losses(block) if loss != reference]
        held = block.reindex(columns=[*others, reference])
        pairs = {(loss, reference): _pair(held, loss, reference, better, level, overlap) for loss in others}
        among = sum(pair.seeds > 0 for pair in pairs.values())
        for (loss, _), row in _judged(pairs, among).items():
            rows.append({"condition": condition, "setting": setting, "loss": loss, **row})
    return pd.DataFrame(rows, columns=["condition", "setting", "loss", *_JUDGED])


def matrix(
    runs: pd.DataFrame, condition: str, setting: str, better: str, level: float = 0.95, overlap: float = 0.0
) -> pd.DataFrame:
    """Every ordered pair of losses of one condition and setting: loss, other, and the columns of `comparisons`, loss minus other.

    `p_holm` is corrected over the k(k-1)/2 pairs. Whether there are seeds enough to say anything is asked of one row of the
    matrix, k - 1 comparisons, so the answer is that of `comparisons`. Raises BadRequest where there is no such condition and setting.
    """
    _check(level)
    block = next((block for *key, block in blocks(_only(runs, condition, setting), better)), None)
    if block is None:
        raise BadRequest(f"There is no run of condition '{condition}' in setting '{setting}'.")
    return _matrix(block, better, level, overlap)


def rank_matrix(
    runs: pd.DataFrame, condition: str, better: str, level: float = 0.95, overlap: float = 0.0
) -> pd.DataFrame:
    """As `matrix`, over all settings of an condition: what is compared is each seed's mean rank over the settings.

    Settings of one seed share data and weights, so seeds are what is independent.
    """
    _check(level)
    return _matrix(_condition(runs, condition, better), "min", level, overlap)


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
            found = (*interval(ranks[loss].to_numpy(), level, overlap), int(in_how_many.get(loss, 0)), len(settings))
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


def flips(runs: pd.DataFrame, better: str, level: float = 0.95, overlap: float = 0.0) -> pd.DataFrame:
    """Pairs of losses whose order is reversed between the conditions `shared` and `tuned`; no row where one condition is missing.

    Columns: setting, loss (better at shared), other (better at tuned), shared, shared_low, shared_high, tuned, tuned_low,
    tuned_high (paired differences, loss minus other, with t intervals), sure (both intervals exclude 0, and there are seeds
    enough to say so). Of two losses the one that diverged on more seeds is the worse; with diverged runs the difference is NaN
    and the sign test decides. The intervals are not corrected for the number of pairs.
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
            before, after = (_pair(block, loss, other, better, level, overlap) for block in (shared, tuned))
            if _lead(before) * _lead(after) >= 0:
                continue
            if _lead(before) < 0:
                before, after, loss, other = before.mirrored, after.mirrored, other, loss
            sure = all(_clear(pair, len(both) - 1) for pair in (before, after))
            ends = [end for pair in (before, after) for end in ((np.nan,) * 3 if pair.ranked else pair.interval)]
            rows.append(dict(zip(_FLIPS, (setting, loss, other, *ends, sure), strict=True)))
    return pd.DataFrame(rows, columns=_FLIPS)


def _lead(pair: Pair) -> float:
    """Above 0 where the first is the better: by fewer broken runs, else by the mean."""
    if pair.first_diverged != pair.second_diverged:
        return pair.second_diverged - pair.first_diverged
    return -pair.sign * pair.interval[0] if len(pair.differences) else 0.0


def _clear(pair: Pair, among: int) -> bool:
    """Whether the interval of a pair excludes 0; where a run diverged, whether the sign test tells it apart as its lead does."""
    if pair.ranked:
        return pair.verdict(pair.p, among) == (BETTER if _lead(pair) > 0 else WORSE)
    return not refused(pair.seeds, among, pair.level) and pair.interval[1] * pair.interval[2] > 0


def _condition(runs: pd.DataFrame, condition: str, better: str) -> pd.DataFrame:
    if condition not in set(runs["condition"]):
        raise BadRequest(f"There is no run of condition '{condition}'.")
    return seed_ranks(runs[runs["condition"] == condition], better)[condition]


def _only(runs: pd.DataFrame, condition: str, setting: str) -> pd.DataFrame:
    return runs[(runs["condition"] == condition) & (runs["setting"] == setting)]


def _pair(block: pd.DataFrame, first: str, second: str, better: str, level: float, overlap: float) -> Pair:
    return compare(block[first].to_numpy(), block[second].to_numpy(), direction(better), level, overlap)


def _matrix(block: pd.DataFrame, better: str, level: float, overlap: float) -> pd.DataFrame:
    """Every ordered pair of the columns of a block; each unordered one is tested once."""
    pairs = {(one, two): _pair(block, one, two, better, level, overlap) for one, two in combinations(losses(block), 2)}
    among = int(block.notna().any().sum()) - 1
    found = _judged(pairs, among) | _judged({(two, one): pair.mirrored for (one, two), pair in pairs.items()}, among)
    rows = [{"loss": one, "other": two, **found[one, two]} for one, two in permutations(losses(block), 2)]
    return pd.DataFrame(rows, columns=["loss", "other", *_JUDGED])


def _judged(pairs: Mapping[tuple[str, str], Pair], among: int) -> dict[tuple[str, str], dict[str, Any]]:
    """The columns that `comparisons` and `matrix` share; Holm's correction is over these pairs."""
    corrected = holm([pair.p for pair in pairs.values()])
    rows = {}
    for (key, pair), p in zip(pairs.items(), map(float, corrected), strict=True):
        n = len(pair.differences)
        found: list[Any] = [n, pair.seeds - n, *pair.interval, pair.p, p, pair.share, pair.detectable]
        found += [pair.verdict(p, among), pair.seeds, pair.first_diverged, pair.second_diverged, pair.same, among]
        rows[key] = dict(zip(_JUDGED, found, strict=True))
    return rows


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
