"""Two losses on the same seeds: how far apart they are, how sure that is, and whether so few seeds can say it at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats.power import TTestPower

Floats = npt.NDArray[np.float64]

FEWEST = 5  # pairs that a claim needs, whatever the level
_POWER = 0.8
BETTER, WORSE, NOT_APART, CANNOT_SAY = "better", "worse", "not told apart", "cannot say"


@dataclass(frozen=True)
class Pair:
    """What two losses did on the seeds that both have; `differences` are first minus second, where both are done.

    Attributes:
        differences: in units of the metric, one a seed.
        sign: 1 where less is better, -1 where more is.
        seeds: pairs, diverged ones among them.
        first_diverged, second_diverged: on how many of them.
        wins, losses: on how many seeds the first is better, or worse; a run that diverged loses against one that is done.
        level: of the interval.
        overlap: test rows of a seed for each training row, where the seeds share rows; see `interval`.
    """

    differences: Floats
    sign: int
    seeds: int
    first_diverged: int
    second_diverged: int
    wins: int
    losses: int
    level: float
    overlap: float = 0.0

    @property
    def ranked(self) -> bool:
        """Whether only the order on each seed counts, because a run diverged."""
        return bool(self.first_diverged or self.second_diverged)

    @property
    def same(self) -> bool:
        """Whether no seed tells the two apart."""
        return self.seeds > 0 and self.wins == self.losses == 0

    @property
    def share(self) -> float:
        """Of the seeds on which the first is better; ties count half; NaN without seeds."""
        return 0.5 + (self.wins - self.losses) / (2 * self.seeds) if self.seeds else np.nan

    @cached_property
    def interval(self) -> tuple[float, float, float]:
        """Mean difference with its paired t interval."""
        return interval(self.differences, self.level, self.overlap)

    @cached_property
    def p(self) -> float:
        """Of the paired t test (Student, 1908), or of the sign test where a run diverged or all differences are equal.

        The sign test (Arbuthnot, 1710), because how much worse a diverged run is has no number, and because several of them tie:
        it is exact with both, where Wilcoxon's is not. Seeds that tie say nothing and are left out; 1 where all do. NaN without
        seeds. The t test is corrected for `overlap` as `interval` is; the sign test is not.
        """
        if self.seeds == 0:
            return np.nan
        if self.same:
            return 1.0
        if self.ranked or not _varies(self.differences):
            return _sign_test(self.wins, self.wins + self.losses)
        count = len(self.differences)
        t = float(stats.ttest_1samp(self.differences, 0.0).statistic) / _widening(count, self.overlap)
        return float(2 * stats.t.sf(abs(t), count - 1))

    @property
    def detectable(self) -> float:
        """The smallest true mean difference that so many seeds would have shown with power 0.8, uncorrected; NaN if one diverged."""
        if self.ranked or len(self.differences) < 2:
            return np.nan
        spread = float(self.differences.std(ddof=1)) * _widening(self.seeds, self.overlap)
        return power_factor(self.seeds, self.level) * spread

    @property
    def mirrored(self) -> Pair:
        """The second against the first."""
        return replace(
            self,
            differences=-self.differences,
            first_diverged=self.second_diverged,
            second_diverged=self.first_diverged,
            wins=self.losses,
            losses=self.wins,
        )

    def verdict(self, p_holm: float, comparisons: int) -> str:
        """Whether the first is better, by a corrected p; of a loss that diverged more often it is never said."""
        if self.same:
            return NOT_APART
        if refused(self.seeds, comparisons, self.level):
            return CANNOT_SAY
        lead = self.wins - self.losses if self.ranked else -self.sign * self.interval[0]
        if p_holm > 1 - self.level or lead * (self.first_diverged - self.second_diverged) > 0:
            return NOT_APART
        return BETTER if lead > 0 else WORSE


def compare(first: Floats, second: Floats, sign: int, level: float, overlap: float = 0.0) -> Pair:
    """Two columns of scores (lower is better, infinite where a run diverged, NaN where there is none) as a pair."""
    both = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[both], second[both]
    done = np.isfinite(first) & np.isfinite(second)
    return Pair(
        differences=sign * (first[done] - second[done]),
        sign=sign,
        seeds=int(both.sum()),
        first_diverged=int(np.isinf(first).sum()),
        second_diverged=int(np.isinf(second).sum()),
        wins=int((first < second).sum()),
        losses=int((first > second).sum()),
        level=level,
        overlap=overlap,
    )


def interval(values: Floats, level: float, overlap: float = 0.0) -> tuple[float, float, float]:
    """Mean, and the ends of its t interval (Student, 1908); NaN where there is no value, or for the ends fewer than two.

    overlap: test rows of a seed for each training row. Above 0, the variance of the mean of n values is s^2 (1 / n + overlap) in
        place of s^2 / n: seeds whose splits share rows are not independent (Nadeau and Bengio, 2003).
    """
    if len(values) == 0:
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if len(values) == 1:
        return mean, np.nan, np.nan
    half = _t_factor(len(values), level) * float(values.std(ddof=1)) * _widening(len(values), overlap)
    return mean, mean - half, mean + half


def _widening(count: int, overlap: float) -> float:
    """How much wider the interval of a mean of so many seeds is than if they were independent."""
    return math.sqrt(1 + count * overlap)


def holm(p: Sequence[float]) -> Floats:
    """P values corrected for their number (Holm, 1979); NaN stay so and do not count.

    Equal to statsmodels' `multipletests`, which collects the garbage of the whole process at each call: most of a report's time.
    """
    corrected = np.array(p, dtype=float)
    order = np.argsort(corrected)[: np.count_nonzero(~np.isnan(corrected))]  # NaN are sorted last
    steps = corrected[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def smallest_p(seeds: int) -> float:
    """Of the exact two-sided sign-flip test, reached where all seeds agree."""
    return float(min(1.0, 2.0 ** (1 - seeds)))


def refused(seeds: int, comparisons: int, level: float) -> bool:
    """Whether so few seeds can support no claim: fewer than five, or not even if all agreed, after Holm over the comparisons."""
    return seeds < FEWEST or smallest_p(seeds) * max(comparisons, 1) > 1 - level


def seeds_needed(comparisons: int, level: float) -> int:
    """The smallest number of seeds that can support a claim among so many comparisons."""
    seeds = FEWEST
    while refused(seeds, comparisons, level):
        seeds += 1
    return seeds


@lru_cache
def _sign_test(wins: int, count: int) -> float:
    """The exact two-sided p of so many wins."""
    return float(stats.binomtest(wins, count).pvalue)


@lru_cache
def _t_factor(count: int, level: float) -> float:
    """Half the t interval of a mean, in standard deviations."""
    return float(stats.t.ppf((1 + level) / 2, count - 1) / np.sqrt(count))


@lru_cache
def power_factor(count: int, level: float) -> float:
    """The true mean, in standard deviations, that a t test of so many finds with power 0.8; NaN where no solution is found."""
    test, alpha = TTestPower(), 1 - level
    found = float(np.squeeze(test.solve_power(nobs=count, alpha=alpha, power=_POWER)))  # an array where count is large
    return found if abs(float(test.power(found, count, alpha)) - _POWER) < 1e-3 else np.nan


def _varies(differences: Floats) -> bool:
    """Whether a t test has a spread to divide by."""
    centre = differences.mean() if len(differences) else 0.0
    return len(differences) > 1 and bool(np.abs(differences - centre).max() > 1e-12 * abs(centre))
