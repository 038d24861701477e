"""How often a study claims a difference that is not there: studies drawn from a bank of runs, whose losses are all the same loss.

    python train.py experiment=tuning_bank && python experiments/tuning_bank/simulate.py

The bank (records.parquet) holds every pair of a learning rate and a delta on every seed. A loss of a simulated study is tuned as a
study tunes it: it draws its own trials from the bank, takes the best by validation, tries those nearest to it, takes the best again,
and is compared on fresh seeds by its test error. Seeds of one setting are shared by all losses and never used twice. All losses
being one, every claim is false. Power is found in the same way, with the test error of one loss lowered. Writes simulated.parquet.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from losslab.stats.paired import compare

HERE = Path(__file__).resolve().parent
LEVEL = 0.95
Floats = npt.NDArray[np.float64]
Generator = np.random.Generator


@dataclass(frozen=True)
class Bank:
    """Errors of one loss, [pairs, seeds]; infinite where a run diverged.

    Attributes:
        places: logarithms of rate and delta, each over its range, [pairs, 2].
        val, test: mean absolute errors at the best epoch.
    """

    places: Floats
    val: Floats
    test: Floats


@dataclass(frozen=True)
class Protocol:
    """How a study tunes and how large it is; `lower`: by which share the test error of the first loss is lowered."""

    repeats: int
    trials: int
    refine: int
    tuning_seeds: int
    losses: int
    settings: int = 1
    seeds: int = 10
    lower: float = 0.0


ONCE = Protocol(repeats=1, trials=12, refine=0, tuning_seeds=2, losses=2)
DEFAULT = Protocol(repeats=5, trials=8, refine=4, tuning_seeds=1, losses=2)
TEN = replace(DEFAULT, repeats=10)
SIZES = ((2, 1), (2, 14), (6, 4), (12, 1), (12, 14), (20, 1))  # losses, settings
ASKED = [
    *(
        replace(protocol, losses=losses, settings=settings)
        for protocol in (ONCE, DEFAULT, TEN)
        for losses, settings in SIZES
    ),
    *(
        replace(TEN, losses=losses, settings=settings, lower=lower)
        for losses, settings in ((2, 1), (6, 4))
        for lower in (0.05, 0.1, 0.2)
    ),
]


def read(folder: Path = HERE) -> Bank:
    """The bank that stands beside this file."""
    runs = pd.read_parquet(folder / "records.parquet")
    keys = ["optimizer.lr", "loss_params.delta"]
    val, test = (
        runs.pivot_table(index=keys, columns="seed", values=f"metrics.best/{split}/mae", dropna=False).fillna(np.inf)
        for split in ("val", "test")
    )
    places = np.log(np.array(val.index.to_list(), dtype=float))
    return Bank((places - places.min(0)) / np.ptp(places, axis=0), val.to_numpy(), test.to_numpy())


def study(bank: Bank, asked: Protocol, generator: Generator) -> Floats:
    """Test errors of one simulated study: [settings, losses, repeats or seeds that are compared]."""
    return np.stack([_setting(bank, asked, generator) for _ in range(asked.settings)])


def _setting(bank: Bank, asked: Protocol, generator: Generator) -> Floats:
    order = generator.permutation(bank.val.shape[1])
    fresh, others = order[: asked.seeds], order[asked.seeds :]
    errors = np.empty((asked.losses, asked.seeds))
    for repeat in range(asked.repeats):
        tuning = others[repeat * asked.tuning_seeds : (repeat + 1) * asked.tuning_seeds]
        mine = np.arange(repeat, asked.seeds, asked.repeats)  # of the fresh seeds
        for loss in range(asked.losses):
            chosen = _tuned(bank, asked, bank.val[:, tuning].mean(1), generator)
            errors[loss, mine] = bank.test[chosen, fresh[mine]]
    if asked.repeats > 1:  # seeds of a repeat count as one
        errors = np.stack([errors[:, repeat :: asked.repeats].mean(1) for repeat in range(asked.repeats)], 1)
    errors[0] *= 1 - asked.lower
    return errors


def _tuned(bank: Bank, asked: Protocol, val: Floats, generator: Generator) -> int:
    """The pair that one tuning chooses by validation errors [pairs]."""
    tried = generator.choice(len(val), asked.trials, replace=False)
    best = int(tried[val[tried].argmin()])
    left = np.setdiff1d(np.arange(len(val)), tried)
    near = left[np.linalg.norm(bank.places[left] - bank.places[best], axis=1).argsort()[: asked.refine]]
    tried = np.concatenate([tried, near])
    return int(tried[val[tried].argmin()])


def claims(errors: Floats) -> int:
    """How many pairs a report on these errors [settings, losses, n] calls apart, at its rate for all pairs together."""
    pairs = list(combinations(range(errors.shape[1]), 2))
    family, found = len(errors) * len(pairs), 0
    whole = np.isfinite(errors).all(axis=2)
    for one, two in pairs:
        settings = whole[:, one] & whole[:, two]
        with np.errstate(invalid="ignore"):
            p = stats.ttest_rel(errors[settings, one], errors[settings, two], axis=1).pvalue
        found += int((p * family <= 1 - LEVEL).sum())  # NaN, where no seed tells them apart, is no claim
        for setting in np.flatnonzero(~settings):  # the product's own test, which counts diverged runs
            pair = compare(errors[setting, one], errors[setting, two], 1, LEVEL, family=family)
            found += pair.verdict in ("better", "worse")
    return found


def simulate(bank: Bank, asked: Protocol, studies: int, seed: int) -> dict[str, float]:
    """The share of studies with a claim, with its 95 % interval (Clopper and Pearson, 1934).

    Where one loss is better: the share of studies that say so of it beside every other loss in every setting, on average.
    """
    generator = np.random.default_rng(seed)
    found = [study(bank, asked, generator) for _ in range(studies)]
    if not asked.lower:
        hits, of = sum(claims(errors) > 0 for errors in found), studies
    else:
        family = asked.settings * asked.losses * (asked.losses - 1) // 2
        p = np.concatenate([stats.ttest_rel(errors[:, :1], errors[:, 1:], axis=2).pvalue.ravel() for errors in found])
        hits, of = int((p * family <= 1 - LEVEL).sum()), p.size
    low, high = stats.binomtest(hits, of).proportion_ci(LEVEL)
    return {**asdict(asked), "studies": studies, "hits": hits, "of": of, "share": hits / of, "low": low, "high": high}


def main(studies: int = 1000) -> int:
    """Simulates all that the page shows. Returns the exit status."""
    bank = read()
    rows = [simulate(bank, asked, max(200, studies // asked.settings), seed) for seed, asked in enumerate(ASKED)]
    pd.DataFrame(rows).to_parquet(HERE / "simulated.parquet", index=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
