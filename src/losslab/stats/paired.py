"""Two losses on the same seeds: how far apart they are, how sure that is, and whether so few seeds can say it at all.

Where a report speaks of several pairs, each is tested at (1 - level) / number of pairs (Bonferroni). So are its intervals. With
probability `level` or more no claim of the whole report is wrong: a pair that is equal can be called better or worse by mistake,
one that differs by the margin can be called equivalent by mistake, and no pair is both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import brentq

Floats = npt.NDArray[np.float64]

FEWEST = 5  # pairs of runs that a claim needs, whatever the level
_POWER = 0.8
BETTER, WORSE, EQUIVALENT, UNDECIDED, CANNOT_SAY = "better", "worse", "equivalent", "undecided", "cannot say"


@dataclass(frozen=True)
class Pair:
    """What two losses did on the seeds that both have; `differences` are first minus second, where both are done.

    Attributes:
        differences: in units of the metric, one a seed.
        ranked_differences: the same of all seeds, where a diverged run has the worst value of both losses.
        sign: 1 where less is better, -1 where more is.
        seeds: pairs, diverged ones among them.
        first_diverged, second_diverged: on how many of them.
        wins, losses: on how many seeds the first is better, or worse; a run that diverged loses against one that is done.
        level: of all claims together.
        overlap: test rows of a seed for each training row, where the seeds share rows; see `interval`.
        family: of how many pairs the report speaks.
        margin: the smallest difference that matters, in units of the metric; 0: every difference does.
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
    family: int = 1
    margin: float = 0.0
    ranked_differences: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def ranked(self) -> bool:
        """Whether the difference has no size, because a run diverged."""
        return bool(self.first_diverged or self.second_diverged)

    @property
    def same(self) -> bool:
        """Whether no seed tells the two apart."""
        return self.seeds > 0 and self.wins == self.losses == 0

    @property
    def share(self) -> float:
        """Of the seeds on which the first is better; ties count half; NaN without seeds."""
        return 0.5 + (self.wins - self.losses) / (2 * self.seeds) if self.seeds else np.nan

    @property
    def own_level(self) -> float:
        """The level of this pair's interval, with which those of all pairs hold together."""
        return 1 - (1 - self.level) / max(self.family, 1)

    @cached_property
    def interval(self) -> tuple[float, float, float]:
        """Mean difference with its paired t interval, which holds together with those of all pairs of the report."""
        return interval(self.differences, self.own_level, self.overlap)

    @cached_property
    def p(self) -> float:
        """Of the paired t test (Student, 1908), or of the sign test where all differences are equal; of both where a run diverged.

        How much worse a diverged run is has no number. So the sign test (Arbuthnot, 1710) takes the order alone; it is exact with
        ties, where Wilcoxon's is not. But with ten seeds its p is 0.002 at least. Beside it stands the t test in which a diverged
        run has the worst value that either loss has on any seed. The smaller p counts twice (Bonferroni). Where the losses are one,
        neither is better by such values, which are chosen without knowing whose they are. Seeds that tie say nothing in the sign
        test; 1 where all do. NaN without seeds. The t test is corrected for `overlap` as `interval` is; the sign test is not.
        """
        if self.seeds == 0:
            return np.nan
        if self.same:
            return 1.0
        if not self.ranked and _varies(self.differences):
            return self._p_of_mean(self.differences)
        by_order = _sign_test(self.wins, self.wins + self.losses)
        return min(1.0, 2 * min(by_order, self._p_of_worst)) if self.ranked else by_order

    @cached_property
    def p_corrected(self) -> float:
        """`p` corrected for the number of pairs (Bonferroni)."""
        return float(min(1.0, self.p * self.family)) if self.seeds else np.nan

    @cached_property
    def p_equivalent(self) -> float:
        """That the difference is as large as the margin or larger: two one-sided t tests (Schuirmann, 1987), corrected.

        0 where all seeds have the same difference and it is smaller; NaN without a margin, and where a run diverged.
        """
        if self.ranked or not self.margin or len(self.differences) < 2:
            return np.nan
        if not _varies(self.differences):
            return float(abs(self.differences.mean()) >= self.margin)
        ends = self._t(self.differences, -self.margin), -self._t(self.differences, self.margin)
        return float(min(1.0, stats.t.sf(min(ends), len(self.differences) - 1) * self.family))

    @cached_property
    def _p_of_worst(self) -> float:
        """Of the t test in which a diverged run has the worst value of both losses; 1 where these values do not vary."""
        return self._p_of_mean(self.ranked_differences) if _varies(self.ranked_differences) else 1.0

    @property
    def _lead(self) -> float:
        """Above 0 where the first loss is better, by the test that decides."""
        if not self.ranked:
            return -self.sign * self.interval[0]
        if self._p_of_worst < _sign_test(self.wins, self.wins + self.losses):
            return -self.sign * float(self.ranked_differences.mean())
        return self.wins - self.losses

    def _p_of_mean(self, differences: Floats) -> float:
        """Of the two-sided t test that their mean is 0."""
        return float(2 * stats.t.sf(abs(self._t(differences, 0.0)), len(differences) - 1))

    def _t(self, differences: Floats, value: float) -> float:
        """The t statistic of a mean difference against a value."""
        count = len(differences)
        error = float(differences.std(ddof=1)) / math.sqrt(count) * _widening(count, self.overlap)
        return (float(differences.mean()) - value) / error

    @property
    def detectable(self) -> float:
        """The smallest true mean difference that so many seeds would have shown with power 0.8, corrected; NaN if one diverged."""
        if self.ranked or len(self.differences) < 2:
            return np.nan
        spread = float(self.differences.std(ddof=1)) * _widening(self.seeds, self.overlap)
        return power_factor(self.seeds, self.own_level) * spread

    @property
    def mirrored(self) -> Pair:
        """The second against the first."""
        return replace(
            self,
            differences=-self.differences,
            ranked_differences=-self.ranked_differences,
            first_diverged=self.second_diverged,
            second_diverged=self.first_diverged,
            wins=self.losses,
            losses=self.wins,
        )

    @property
    def verdict(self) -> str:
        """Whether the first is better or worse, the two are equivalent, or neither is shown.

        Equivalent: smaller than the margin, even where the two differ for sure. A loss that diverged more often is never called
        better.
        """
        if self.same and not self.first_diverged:
            return EQUIVALENT  # it takes no statistics
        if self.seeds < FEWEST:
            return CANNOT_SAY
        alpha = 1 - self.level
        if self.p_equivalent <= alpha:
            return EQUIVALENT
        if self.p_corrected > alpha or self._lead * (self.first_diverged - self.second_diverged) > 0:
            return UNDECIDED
        return BETTER if self._lead > 0 else WORSE


def compare(
    first: Floats,
    second: Floats,
    sign: int,
    level: float,
    overlap: float = 0.0,
    family: int = 1,
    margin: float = 0.0,
) -> Pair:
    """Two columns of scores (lower is better, infinite where a run diverged, NaN where there is none) as a pair."""
    both = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[both], second[both]
    done = np.isfinite(first) & np.isfinite(second)
    finite = np.concatenate([first[np.isfinite(first)], second[np.isfinite(second)]])
    worst = float(finite.max()) if len(finite) else np.nan
    filled = [np.where(np.isinf(scores), worst, scores) for scores in (first, second)] if len(finite) else []
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
        family=family,
        margin=margin,
        ranked_differences=sign * (filled[0] - filled[1]) if filled else np.empty(0),
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
    """The true mean, in standard deviations, that a t test of so many finds with power 0.8."""
    border = float(stats.t.ppf((1 + level) / 2, count - 1)) ** 2

    def lacks(size: float) -> float:
        # t squared has the noncentral F distribution, which scipy computes where its noncentral t is NaN
        return _POWER - float(stats.ncf.sf(border, 1, count - 1, count * size**2))

    enough = 1.0
    while lacks(enough) > 0:
        enough *= 2
    return float(brentq(lacks, 0.0, enough))


def _varies(differences: Floats) -> bool:
    """Whether a t test has a spread to divide by."""
    centre = differences.mean() if len(differences) else 0.0
    return len(differences) > 1 and bool(np.abs(differences - centre).max() > 1e-12 * abs(centre))
