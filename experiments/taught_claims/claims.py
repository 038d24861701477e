"""What every course says of losses, measured: `python experiments/taught_claims/claims.py`, after the recipe of that name.

Reads runs/taught_claims/records.parquet, which `python train.py experiment=taught_claims` leaves; measures and trains the
rest (measure.py, trainings.py); writes four tables and a figure for each claim (figures.py) beside itself.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import figures
import measure
import pandas as pd
import trainings

from losslab.report.export import save

Found = TypeVar("Found")
HERE = Path(__file__).resolve().parent
RECIPE, MORE = Path("runs/taught_claims/records.parquet"), Path("runs/taught_claims_more")


def main() -> int:
    """Measures, trains, draws. Returns the exit status: 2 where the recipe has not been run."""
    if not RECIPE.exists():
        print(f"{RECIPE} is missing: run `python train.py experiment=taught_claims` first.", file=sys.stderr)
        return 2
    parts, tables = [_timed("measured", measure.everything)], []
    for name in trainings.SETS:
        asked, records = _timed(f"trained {name}", partial(trainings.train, name, MORE / name))
        tables.append(pd.read_parquet(save(records, MORE / f"{name}.parquet")).assign(set=name))
        if name == "penalty":
            trainings.weights(asked, records).to_parquet(HERE / "weights.parquet", index=False)
        if name == "softmax_long":
            parts.append(trainings.curves(records, tables[-2]))
    shutil.copy(RECIPE, HERE / "records.parquet")  # last: it changes a file that git holds, and records would say so
    pd.concat(parts, ignore_index=True).to_parquet(HERE / "measurements.parquet", index=False)
    pd.concat(tables, ignore_index=True).to_parquet(HERE / "trainings.parquet", index=False)
    figures.draw(read(HERE), HERE / "figures")
    return 0


def read(folder: Path = HERE) -> figures.Tables:
    """The tables that stand beside this file: study (the records of the recipe), measurements, trainings, weights."""
    names = {"study": "records", "measurements": "measurements", "trainings": "trainings", "weights": "weights"}
    return {key: pd.read_parquet(folder / f"{name}.parquet") for key, name in names.items()}


def _timed(what: str, work: Callable[[], Found]) -> Found:
    started = time.perf_counter()
    found = work()
    print(f"{what} in {time.perf_counter() - started:.0f} s", flush=True)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
