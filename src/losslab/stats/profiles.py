"""Performance profiles: in which share of its runs a loss comes how near to the best (Dolan and Moré, 2002; Agarwal et al., 2021)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from losslab.stats.scores import direction


def profiles(runs: pd.DataFrame, better: str) -> pd.DataFrame:
    """One row per condition, loss and distance: condition, loss, behind, share, runs.

    share: of the runs of the loss, over all seeds and settings, whose metric is at most `behind` worse than the best run of the same
    condition, setting and seed. A run that diverged never is; one that failed otherwise is missing. Within a setting and seed all
    losses see the same data, so what is hard for all of them counts for none. Distances are those at which a share changes, and 0.

    Args:
        runs: as in `Results.runs`.
        better: "min" or "max".
    """
    seen = runs[runs["status"].isin(("done", "diverged"))]
    score = (direction(better) * seen["value"]).where(seen["status"] == "done", np.inf)
    best = score.groupby([seen["condition"], seen["setting"], seen["seed"]]).transform("min")
    behind = np.subtract(score, best, out=np.full(len(score), np.inf), where=np.isfinite(score).to_numpy())
    rows = []
    for (condition, loss), each in pd.Series(behind, index=seen.index).groupby(
        [seen["condition"], seen["loss"]], sort=False
    ):
        reached = np.sort(each[np.isfinite(each)].to_numpy())
        distances = np.unique(np.concatenate([[0.0], reached]))
        shares = np.searchsorted(reached, distances, side="right") / len(each)
        rows += [(condition, loss, *pair, len(each)) for pair in zip(distances, shares, strict=True)]
    return pd.DataFrame(rows, columns=["condition", "loss", "behind", "share", "runs"])
