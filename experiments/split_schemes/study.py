"""How often does the best loss change between random, grouped and timed splits? Seven real tables, each under three splits.

python experiments/split_schemes/study.py          trains what is missing in runs/split_schemes, then writes runs.parquet
python experiments/split_schemes/study.py --page   prints the tables of README.md from runs.parquet
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from losslab.api import answer
from losslab.request.own_data import Options, ask
from losslab.schema import cards
from losslab.stats.paired import compare

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CARDS = sorted((ROOT / "examples" / "tables").glob("*.yaml"))
# "again" is the same as random but for the seeds: how often the best loss changes by chance
SCHEMES = {"random": ("random", 0), "again": ("random", 1000), "group": ("group", 0), "time": ("time", 0)}
FOLDS, SEEDS, TRIALS = 5, 10, 6


def train() -> pd.DataFrame:
    """One row a compared run: table, scheme, loss, seed, value of the test metric, and what it was trained with."""
    rows = []
    for card in CARDS:
        for scheme, (split, seed) in SCHEMES.items():
            words = (f"data.split={split}", "logger=none", "fused.size=64")
            options = Options(words=words, folds=FOLDS, seeds=SEEDS, trials=TRIALS)
            question = ask(card.relative_to(Path.cwd()), options)
            found = answer(
                question,
                Path("runs", "split_schemes", f"{card.stem}-{scheme}"),
                name=f"{card.stem}_{scheme}",
                seed=seed,
            )
            frame = found.frame()
            frame["overlap"], frame["metric"] = found.results.overlap, question.metric
            frame["commit"] = found.records[0].commit
            rows.append(frame.assign(table=card.stem, scheme=scheme))
            print(f"{card.stem}, {scheme}: {found.answer}", flush=True)
    kept = ["table", "scheme", "loss", "seed", "status", "value", "metric", "lr", "params", "overlap", "commit"]
    return pd.concat(rows, ignore_index=True)[kept]


def best(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a table and scheme: the loss with the best mean, and how many others are not told apart from it."""
    rows = []
    for (table, scheme), block in runs.groupby(["table", "scheme"], sort=False):
        wide, better, overlap = _wide(block)
        first = _first(wide, better)
        pairs = {loss: compare(wide[first].to_numpy(), wide[loss].to_numpy(), 1, 0.95, overlap) for loss in wide}
        apart = sum(pair.p * (len(pairs) - 1) <= 0.05 for loss, pair in pairs.items() if loss != first)
        rows.append((table, scheme, first, len(pairs) - 1 - apart, len(pairs)))
    return pd.DataFrame(rows, columns=["table", "scheme", "best", "not_apart", "losses"])


def regret(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a table and other split: how much worse, in percent, the best loss of random splits is than the best one there.

    Columns: table, scheme, chosen, best, percent, p (of the paired test, corrected for shared rows; not for the number of rows here).
    """
    rows = []
    for table, block in runs.groupby("table", sort=False):
        chosen = _first(*_wide(block[block["scheme"] == "random"])[:2])
        for scheme in ("again", "group", "time"):
            wide, better, overlap = _wide(block[block["scheme"] == scheme])
            first = _first(wide, better)
            sign = 1 if better == "min" else -1
            pair = compare(sign * wide[chosen].to_numpy(), sign * wide[first].to_numpy(), 1, 0.95, overlap)
            share = 100 * pair.interval[0] / abs(wide[first].mean())
            rows.append((table, scheme, chosen, first, share, 1.0 if chosen == first else pair.p))
    return pd.DataFrame(rows, columns=["table", "scheme", "chosen", "best", "percent", "p"])


def page(runs: pd.DataFrame) -> str:
    """The tables of README.md."""
    firsts = best(runs).pivot(index="table", columns="scheme", values="best")
    ties = best(runs).set_index(["table", "scheme"])
    lines = ["| table | random | random again | by group | in time |", "|---|---|---|---|---|"]
    for table in firsts.index:
        cells = [
            f"`{firsts.loc[table, scheme]}` ({ties.loc[(table, scheme), 'not_apart']} of {ties.loc[(table, scheme), 'losses'] - 1})"
            for scheme in SCHEMES
        ]
        lines.append(f"| {table} | {' | '.join(cells)} |")
    lines += ["", "| table | split | random's best | best there | worse by | p |", "|---|---|---|---|---|---|"]
    for row in regret(runs).to_dict("records"):
        worse = "the same loss" if row["chosen"] == row["best"] else f"{row['percent']:.1f} %"
        p = "" if row["chosen"] == row["best"] else f"{row['p']:.2g}"
        lines.append(f"| {row['table']} | {row['scheme']} | `{row['chosen']}` | `{row['best']}` | {worse} | {p} |")
    changed = {s: int((firsts["random"] != firsts[s]).sum()) for s in ("again", "group", "time")}
    counts = f"{changed['again']}, {changed['group']} and {changed['time']} of {len(firsts)}"
    return "\n".join([*lines, "", f"Changed: {counts}."])


def _wide(block: pd.DataFrame) -> tuple[pd.DataFrame, str, float]:
    """Values by seed and loss, the better direction, and the overlap of the seeds."""
    wide = block.pivot(index="seed", columns="loss", values="value")
    directions: dict[str, Any] = {}
    for task in cards.names("task"):
        directions |= cards.metrics(task)
    return wide, directions[block["metric"].iloc[0]], float(block["overlap"].iloc[0])


def _first(wide: pd.DataFrame, better: str) -> str:
    means = wide.dropna(axis=1).mean()  # a loss of which a run diverged is not the best
    return str(means.idxmin() if better == "min" else means.idxmax())


if __name__ == "__main__":
    if "--page" not in sys.argv:
        train().to_parquet(HERE / "runs.parquet", index=False)
    print(page(pd.read_parquet(HERE / "runs.parquet")))
