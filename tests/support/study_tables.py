"""Tables of runs for tests of the statistics of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from losslab.stats import summaries

DIVERGED = None  # in place of a value
MISSING = "missing"


def runs_of(
    values: Mapping[str, Sequence[object]], condition: str = "tuned", setting: str = "one", constant: float = np.nan
) -> pd.DataFrame:
    """A row a loss and seed of one condition and setting; the values of a loss are in the order of the seeds 100, 101 and so on."""
    rows = [
        {
            "condition": condition,
            "loss": loss,
            "setting": setting,
            "seed": 100 + place,
            "status": "diverged" if value is DIVERGED else "missing" if value == MISSING else "done",
            "value": value if isinstance(value, float | int) else np.nan,
            "constant": constant,
            "lr": 0.01,
            "params": "",
            "run": f"{condition}-{loss}-{setting}-{place}",
        }
        for loss, found in values.items()
        for place, value in enumerate(found)
    ]
    return pd.DataFrame(rows)


def compared(runs: pd.DataFrame, reference: str, better: str, **rule: float) -> pd.DataFrame:
    """Every loss against the reference, each alone: no correction for the number of pairs unless `of` says so."""
    rule = {"of": 1} | rule
    matrices = {place: summaries.matrix(runs, *place, better, **rule) for place in summaries.places(runs)}  # type: ignore[arg-type]
    return summaries.comparisons(matrices, reference)


def drawn(
    seeds: int = 10, losses: int = 4, settings: int = 2, conditions: Sequence[str] = ("tuned",), key: int = 0
) -> pd.DataFrame:
    """Normal values: a part that all losses of a seed share, a part of its own, and a mean that grows with the loss."""
    made = []
    for condition in conditions:
        for setting in range(settings):
            generator = np.random.default_rng([key, len(condition), setting])
            shared = generator.normal(size=seeds)
            values = {f"l{n}": list(shared + 0.4 * n + 0.3 * generator.normal(size=seeds)) for n in range(losses)}
            made.append(runs_of(values, condition, f"fraction={setting / 10}", constant=3.0))
    return pd.concat(made, ignore_index=True)
