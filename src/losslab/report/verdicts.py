"""What is found in each setting: the loss with the best mean, those that are as good, those that are worse, and what is not decided."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from losslab.report.analysis import Findings
from losslab.report.results import Results
from losslab.stats.paired import BETTER, EQUIVALENT, UNDECIDED, interval
from losslab.stats.scores import direction

MOST_GROUPS = 4  # of settings that have one answer, of which an answer speaks


@dataclass(frozen=True)
class Against:
    """The best loss of a setting against another one: the other's verdict and how far they are apart, in units of the metric."""

    loss: str
    verdict: str  # of the best loss, as in `losslab.stats.paired`
    size: float  # of the difference, above 0 where the best loss has the better mean; NaN where only the order counts
    low: float
    high: float
    share: float  # of the other's mean


@dataclass(frozen=True)
class Verdict:
    """What is found in one setting: the loss with the best mean, those shown as good, shown worse, and neither.

    Attributes:
        use: the best loss and those that are shown to be as good.
        worse, undecided: in the order of their means.
        means: of every loss with a run that is done.
        against: the reference; where that is among the losses to use, the loss with the best mean of those that are worse. None
            where there is neither.
        margin: the smallest difference that matters.
        diverged: runs of the best loss, of so many `runs`.
        useless: of each loss, how many runs diverged or did no better than the best constant prediction, of how many; losses
            without such runs left out.
        constant: the metric of that prediction, where the best loss is not shown to be better; else NaN.
    """

    setting: str
    best: str
    use: tuple[str, ...]
    worse: tuple[str, ...]
    undecided: tuple[str, ...]
    means: dict[str, float]
    against: Against | None
    margin: float
    diverged: int
    runs: int
    useless: dict[str, tuple[int, int]]
    constant: float

    @property
    def groups(self) -> tuple[frozenset[str], ...]:
        """By which settings are taken together."""
        return frozenset(self.use), frozenset(self.worse), frozenset(self.undecided)


def verdicts(results: Results, found: Findings, condition: str) -> list[Verdict]:
    """Of each setting that has a run, in the order of the study."""
    made = []
    for setting, table in found.ranking[found.ranking["condition"] == condition].groupby("setting", sort=False):
        done = table[table["n"] > 0].sort_values("rank", kind="stable").set_index("loss")
        if done.empty or setting in results.twins:
            continue
        firsts = [str(loss) for loss in done.index[done["rank"] == done["rank"].min()]]
        best = results.reference if results.reference in firsts else firsts[0]
        pairs = found.matrices[condition, str(setting)].query("loss == @best").set_index("other")
        rows = dict(zip(pairs.index, pairs.to_dict("records"), strict=True))
        ordered = [*(str(loss) for loss in done.index), *(str(loss) for loss in pairs.index if loss not in done.index)]
        known = [loss for loss in ordered if loss in pairs.index and pairs["seeds"].to_dict()[loss]]
        verdict = pairs["verdict"].to_dict()
        use = (best, *(loss for loss in known if verdict[loss] == EQUIVALENT))
        worse = tuple(loss for loss in known if verdict[loss] == BETTER)
        other = (
            results.reference
            if results.reference in known and results.reference not in use
            else worse[0]
            if worse
            else ""
        )
        runs = results.runs[(results.runs["condition"] == condition) & (results.runs["setting"] == setting)]
        made.append(
            Verdict(
                setting=str(setting),
                best=best,
                use=use,
                worse=worse,
                undecided=tuple(loss for loss in known if verdict[loss] == UNDECIDED),
                means={str(loss): float(mean) for loss, mean in done["mean"].items()},
                against=_against(rows[other], other, done["mean"].get(other), results.better) if other else None,
                margin=float(pairs["margin"].max()) if len(pairs) else 0.0,
                diverged=int(done["diverged"].loc[best]),
                runs=int((done["n"] + done["diverged"]).loc[best]),
                useless=_useless(runs, results.better),
                constant=_constant(runs[runs["loss"] == best], results),
            )
        )
    return made


def together(of_settings: Sequence[Verdict]) -> list[list[Verdict]]:
    """Settings that have the same answer, together."""
    grouped: dict[tuple[frozenset[str], ...], list[Verdict]] = {}
    for one in of_settings:
        grouped.setdefault(one.groups, []).append(one)
    return list(grouped.values())


def furthest(of_settings: Sequence[Verdict], better: str) -> tuple[dict[str, float], bool]:
    """How far each loss is from the best mean where it is furthest, the nearest loss first; and whether as a multiple of that mean.

    Losses without a mean in some setting are left out. A multiple where less is better and all means are above 0, a difference
    otherwise.
    """
    multiple = better == "min" and all(mean > 0 for one in of_settings for mean in one.means.values())
    sign = direction(better)
    found = {}
    for loss in of_settings[0].means:
        if all(loss in one.means for one in of_settings):
            each = [(one.means[loss], one.means[one.best]) for one in of_settings]
            found[loss] = max(own / best if multiple else sign * (own - best) for own, best in each)
    return dict(sorted(found.items(), key=lambda item: item[1])), multiple


def is_steady(loss: str, of_settings: Sequence[Verdict]) -> bool:
    """Whether no run of a loss was useless in a setting where another loss had none."""
    return not any(loss in one.useless and len(one.useless) < len(one.means) for one in of_settings)


def _against(pair: Mapping[Hashable, Any], other: str, mean: float | None, better: str) -> Against:
    """The row of the best loss and another."""
    if pair["first_diverged"] or pair["second_diverged"]:
        return Against(other, str(pair["verdict"]), np.nan, np.nan, np.nan, np.nan)
    sign = -direction(better)
    size = sign * float(pair["difference"])
    low, high = sorted((sign * float(pair["low"]), sign * float(pair["high"])))
    base = abs(float(mean)) if mean is not None else np.nan
    return Against(other, str(pair["verdict"]), size, low, high, size / base if base else np.nan)


def _useless(runs: pd.DataFrame, better: str) -> dict[str, tuple[int, int]]:
    """Runs of each loss that diverged or did no better than the best constant prediction, of how many; losses without such left out."""
    ended = runs[runs["status"].isin(("done", "diverged"))]
    gain = -direction(better) * (ended["value"] - ended["constant"])
    useless = (ended["status"] == "diverged") | (gain <= 0)
    counts = useless.groupby(ended["loss"], sort=False).agg(["sum", "size"])
    rows = zip(counts.index, counts["sum"], counts["size"], strict=True)
    return {str(loss): (int(count), int(of)) for loss, count, of in rows if count}


def _constant(runs: pd.DataFrame, results: Results) -> float:
    """The mean metric of the best constant prediction, where the runs of a loss are not shown to be better; NaN where they are."""
    done = runs[runs["status"] == "done"].dropna(subset=["value", "constant"])
    if len(done) < 2:
        return np.nan
    gain = -direction(results.better) * (done["value"] - done["constant"]).to_numpy(dtype=float)
    shown = interval(gain, results.level, results.overlap)[1] > 0
    return np.nan if shown else float(done["constant"].mean())
