"""The runs of a study as numbers that can be compared: a row a seed of a setting, a column a loss, lower is better."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from losslab.errors import BadRequest

_KEYS = ["condition", "setting", "seed"]


def scores(runs: pd.DataFrame, better: str) -> pd.DataFrame:
    """Index (condition, setting, seed), a column a loss, in the order of the runs.

    The metric where the run is done, negated where more is better. Infinite, so worse than all, where it diverged, or ended with
    a metric that is not finite. NaN where there is no such run (missing, skipped, or failed by an error or a lost machine): that
    is no evidence against the loss.

    Where the runs have a column `repeat`, of a tuning that was done several times, the seeds of a repeat share its choice and are
    not independent: a row is then a repeat, with the means over its seeds. A repeat with a broken run is broken.
    Raises BadRequest for runs given twice, and for a direction that is none.
    """
    metric = np.where(runs["status"] == "done", runs["value"].astype(float) * direction(better), np.nan)
    broken = (runs["status"] == "diverged") | ((runs["status"] == "done") & ~np.isfinite(metric))
    tidy = runs[[*_KEYS, "loss"]].assign(score=np.where(broken, np.inf, metric))
    if twice := int(tidy.duplicated([*_KEYS, "loss"]).sum()):
        raise BadRequest(f"{twice} runs stand twice in the table; give each condition, setting, loss and seed once.")
    table = tidy.pivot(index=_KEYS, columns="loss", values="score")[list(pd.unique(tidy["loss"]))]
    if "repeat" not in runs:
        return table
    repeat = runs.drop_duplicates(_KEYS).set_index(_KEYS)["repeat"].reindex(table.index).rename("seed")
    return table.groupby([table.index.get_level_values(key) for key in _KEYS[:2]] + [repeat], sort=False).mean()


def unit(runs: pd.DataFrame) -> str:
    """What is independent: a "repeat" of the tuning, where there are several, else a "seed"."""
    return "repeat" if "repeat" in runs else "seed"


def direction(better: str) -> int:
    """1 where less is better, -1 where more is. Raises BadRequest for another word than 'min' and 'max'."""
    if better not in ("min", "max"):
        raise BadRequest(f"A metric is better 'min' or 'max', and {better!r} is neither.")
    return 1 if better == "min" else -1


def blocks(runs: pd.DataFrame, better: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Arm, setting and scores (a row a seed, a column a loss that was asked for there), in the order of the runs."""
    if runs.empty:
        return
    table = scores(runs, better)
    for (condition, setting), asked in runs.groupby(["condition", "setting"], sort=False):
        here = (table.index.get_level_values(0) == condition) & (table.index.get_level_values(1) == setting)
        yield (
            str(condition),
            str(setting),
            table[here].droplevel(["condition", "setting"])[list(pd.unique(asked["loss"]))],
        )


def losses(block: pd.DataFrame) -> list[str]:
    """The columns of a block."""
    return [str(loss) for loss in block]


def ranks_by_mean(block: pd.DataFrame) -> dict[str, int]:
    """The rank of each loss by its mean: fewer broken runs first, then the better mean; equals share: 1, 1, 3."""
    broken, finite = np.isinf(block).sum(), block.replace(np.inf, np.nan)
    keys = pd.DataFrame({"broken": broken.where(block.notna().any(), np.inf), "mean": finite.mean().fillna(np.inf)})
    order = keys.sort_values(["broken", "mean"], kind="stable")
    fresh = (order != order.shift()).any(axis=1).to_numpy()
    shared = np.maximum.accumulate(np.where(fresh, np.arange(1, len(order) + 1), 1))
    return dict(zip(map(str, order.index), map(int, shared), strict=True))


def seed_ranks(runs: pd.DataFrame, better: str, over: str = "setting") -> dict[str, pd.DataFrame]:
    """Of each condition the mean ranks: a row a seed (or a setting, with `over="seed"`), a column a loss; 1 is best.

    A loss is ranked within each setting and seed; broken runs share the last ranks. A setting and seed that some loss of the
    condition has no run of is left out, because ranks among fewer are lower. `attrs["settings"]`: the settings that count.
    """
    made = {}
    by = "seed" if over == "setting" else "setting"
    table = scores(runs, better) if len(runs) else pd.DataFrame()
    for condition in pd.unique(runs["condition"]):
        complete = table.loc[[condition]].dropna(axis=1, how="all").dropna()
        ranks = complete.rank(axis=1).groupby(level=by, sort=False).mean()
        ranks.attrs["settings"] = list(pd.unique(complete.index.get_level_values("setting")))
        made[str(condition)] = ranks
    return made
