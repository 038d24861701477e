"""Studies drawn from a bank of runs: by hand-made banks whose answer is known, and by the bank that is published."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from losslab.stats.summaries import matrix
from support.study_tables import runs_of

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "tuning_bank"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tuning_bank_simulate", FOLDER / "simulate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


simulate = loaded()


def bank_of(pairs: int = 12, seeds: int = 40, apart: float = 0.0) -> object:
    """Errors that vary by seed alone, but for what `apart` adds from pair to pair."""
    of_seed = np.random.default_rng(1).normal(10, 1, seeds)
    errors = of_seed + apart * np.arange(pairs)[:, None]
    places = np.stack([np.linspace(0, 1, pairs), np.zeros(pairs)], 1)
    return simulate.Bank(places, errors, errors)


def test_the_best_of_the_trials_and_its_neighbours_is_chosen() -> None:
    bank = bank_of(apart=1.0)
    asked = replace(simulate.DEFAULT, trials=1, refine=2)
    chosen = {simulate._tuned(bank, asked, bank.val[:, 0], np.random.default_rng(seed)) for seed in range(60)}
    assert 11 not in chosen, "a neighbour of the last is better than it"
    every = replace(asked, trials=12, refine=0)
    assert simulate._tuned(bank, every, bank.val[:, 0], np.random.default_rng(0)) == 0


def test_a_loss_that_never_differs_from_itself_is_never_told_apart() -> None:
    asked = replace(simulate.ONCE, trials=12)
    errors = simulate.study(bank_of(apart=1.0), asked, np.random.default_rng(0))
    assert errors.shape == (1, 2, 10)
    assert simulate.claims(errors) == 0


def test_one_choice_for_all_seeds_is_told_apart_and_a_choice_for_each_repeat_is_not() -> None:
    """Where trials differ and tests do not vary, one tuning always finds a difference of the two choices."""
    bank = bank_of(pairs=30, apart=0.1)
    bank = simulate.Bank(bank.places, bank.val, bank.test + np.random.default_rng(2).normal(0, 0.01, bank.test.shape))
    once = simulate.simulate(bank, replace(simulate.ONCE, trials=3), 60, 0)
    anew = simulate.simulate(bank, replace(simulate.TEN, trials=3, refine=0), 200, 0)
    assert once["share"] > 0.8
    assert stats.binomtest(int(anew["hits"]), 200, 0.05, "greater").pvalue > 1e-3


def test_claims_are_those_of_the_product() -> None:
    errors = simulate.study(simulate.read(), replace(simulate.ONCE, losses=4), np.random.default_rng(3))
    errors[0, 0] *= 0.7  # one that is better
    table = matrix(
        runs_of({f"l{place}": list(values) for place, values in enumerate(errors[0])}), "tuned", "one", "min"
    )
    told = (table["verdict"] == "better").sum()
    assert told > 0
    assert simulate.claims(errors) == told
    errors[0, 1, :3] = np.inf
    broken = runs_of(
        {f"l{place}": [v if np.isfinite(v) else "diverged" for v in values] for place, values in enumerate(errors[0])}
    )
    broken.loc[~np.isfinite(broken["value"].astype(float)), "status"] = "diverged"
    table = matrix(broken, "tuned", "one", "min")
    assert simulate.claims(errors) == (table["verdict"] == "better").sum()


@pytest.mark.slow
def test_the_published_shares_come_out_again_and_hold_the_rate() -> None:
    published = pd.read_parquet(FOLDER / "simulated.parquet")
    assert len(published) == len(simulate.ASKED)
    bank = simulate.read()
    for number in (0, 6, 12):
        asked = simulate.ASKED[number]
        row = published.iloc[number]
        again = simulate.simulate(bank, asked, 300, 1000 + number)
        both = [[again["hits"], 300 - again["hits"]], [row["hits"], row["of"] - row["hits"]]]
        assert stats.fisher_exact(both).pvalue > 1e-3
    null = published[published["lower"] == 0]
    assert (null[null["repeats"] > 1]["low"] <= 0.05).all()
    assert (null[null["repeats"] == 1]["low"] > 0.05).all()
