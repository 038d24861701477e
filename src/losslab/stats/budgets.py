"""What a budget of trials buys: the best metric on validation so far, trial by trial."""

from __future__ import annotations

import numpy as np
import pandas as pd

from losslab.stats.scores import direction

_LATE = 0.25  # the share of the trials that are the last ones


def best_so_far(trials: pd.DataFrame, better: str) -> pd.DataFrame:
    """One row per tuning setting, loss and number of trials: at, loss, tried (from 1), value, repeats.

    Args:
        trials: as in `Results.trials`; the repeats of a tuning have labels such as 'fraction=0.2, repeat 3'.
        better: "min" or "max".

    value: the best mean over the seeds of a trial among those tried so far, in their order; mean over the repeats of the tuning. A
    trial of which a run is not done counts as none. As long as some repeat has no trial that is done, the value is NaN. Repeats that
    were widened further than others are cut to the length that all have.
    """
    sign = direction(better)
    setting = trials["at"].str.replace(r"(^|, )repeat \d+$", "", regex=True)
    found = trials.assign(setting=setting, score=(sign * trials["value"]).where(trials["status"] == "done"))
    each = found.groupby(["setting", "loss", "at", "trial"], sort=False)["score"].agg(["mean", "count", "size"])
    scores = each["mean"].where(each["count"] == each["size"]).fillna(np.inf)
    rows = []
    for (at, loss), block in scores.groupby(["setting", "loss"], sort=False):
        paths = [
            np.minimum.accumulate(tuning.sort_index(level="trial").to_numpy())
            for _, tuning in block.groupby("at", sort=False)
        ]
        length = min(map(len, paths))
        means = np.mean([path[:length] for path in paths], axis=0)
        rows += [
            (at, loss, tried, sign * value if np.isfinite(value) else np.nan, len(paths))
            for tried, value in enumerate(means, start=1)
        ]
    return pd.DataFrame(rows, columns=["at", "loss", "tried", "value", "repeats"])


def still_gaining(paths: pd.DataFrame, better: str, margin: float) -> pd.DataFrame:
    """The rows of `best_so_far` at the last trial of losses that gained a margin or more over the last quarter of their trials.

    One further column, gain: how much.
    """
    sign, kept = direction(better), []
    for _, path in paths.groupby(["at", "loss"], sort=False):
        last = path.iloc[-1]
        before = path[path["tried"] <= last["tried"] * (1 - _LATE)]
        gain = sign * (before["value"].iloc[-1] - last["value"]) if len(before) else np.nan
        if gain >= margin > 0:
            kept.append({**last, "gain": gain})
    return pd.DataFrame(kept, columns=[*paths, "gain"])
