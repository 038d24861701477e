"""What is found in each setting: the loss with the best mean, those that are as good, those that are worse, and what is not decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from losslab.report.analysis import Findings
from losslab.report.results import Results
from losslab.stats.paired import BETTER, EQUIVALENT, UNDECIDED, interval

MOST_GROUPS = 4  # of settings that have one answer, of which an answer speaks


@dataclass(frozen=True)
class Verdict:
    """What is found in one setting: the loss with the best mean, those shown as good, shown worse, and neither."""

    setting: str
    best: str
    use: tuple[str, ...]
    worse: tuple[str, ...]
    undecided: tuple[str, ...]
    near: tuple[str, ...]  # of the undecided, those whose mean is nearer to the best than the margin
    mean: float
    ends: tuple[float, float]  # of the means of the losses to use
    size: float  # of the difference to the loss that is shown worse: the reference, if it is among them, else the worst
    low: float
    high: float
    other: str
    share: float  # of the other's mean
    margin: float
    diverged: int  # runs of the best loss
    runs: int
    constant: (
        float  # the metric of the best constant prediction, where the best loss is not shown to be better; else NaN
    )

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
        known = [str(loss) for loss in pairs.index if pairs["seeds"].to_dict()[loss]]
        verdict = pairs["verdict"].to_dict()
        use = (best, *(loss for loss in known if verdict[loss] == EQUIVALENT))
        worse = [loss for loss in done.index.tolist() if verdict.get(loss) == BETTER]
        worse += [loss for loss in known if verdict[loss] == BETTER and loss not in worse]
        named = bool(results.name) and results.reference in worse  # a sweep's reference is only its first loss
        other = results.reference if named else worse[-1] if worse else ""
        row: Any = pairs.loc[other] if other else {"difference": np.nan, "low": np.nan, "high": np.nan}
        low, high = sorted((abs(row["low"]), abs(row["high"])))
        base = abs(float(done["mean"].get(other, np.nan))) if other else np.nan
        means = done["mean"].reindex(list(use)).dropna()
        undecided = tuple(loss for loss in known if verdict[loss] == UNDECIDED)
        apart = pairs["difference"].abs().to_dict()
        margin = float(pairs["margin"].max()) if len(pairs) else 0.0
        made.append(
            Verdict(
                setting=str(setting),
                best=best,
                use=use,
                worse=tuple(map(str, worse)),
                undecided=undecided,
                near=tuple(loss for loss in undecided if apart[loss] < margin),
                mean=float(done["mean"].loc[best]),
                ends=(float(means.min()), float(means.max())),
                size=abs(row["difference"]),
                low=low,
                high=high,
                other=other,
                share=abs(row["difference"]) / base if base else np.nan,
                margin=margin,
                diverged=int(done["diverged"].loc[best]),
                runs=int((done["n"] + done["diverged"]).loc[best]),
                constant=_constant(results, condition, str(setting), best),
            )
        )
    return made


def together(of_settings: Sequence[Verdict]) -> list[list[Verdict]]:
    """Settings that have the same answer, together."""
    grouped: dict[tuple[frozenset[str], ...], list[Verdict]] = {}
    for one in of_settings:
        grouped.setdefault(one.groups, []).append(one)
    return list(grouped.values())


def _constant(results: Results, condition: str, setting: str, loss: str) -> float:
    """The mean metric of the best constant prediction, where a loss is not shown to be better than it; NaN where it is, or unknown."""
    runs = results.runs
    of_loss = (runs["condition"] == condition) & (runs["setting"] == setting) & (runs["loss"] == loss)
    done = runs[of_loss & (runs["status"] == "done")].dropna(subset=["value", "constant"])
    if len(done) < 2:
        return np.nan
    gain = (done["constant"] - done["value"]).to_numpy(dtype=float) * (1 if results.better == "min" else -1)
    shown = interval(gain, results.level, results.overlap)[1] > 0
    return np.nan if shown else float(done["constant"].mean())
