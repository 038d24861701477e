"""The t test over seeds whose splits share rows: its error rate on losses that are equal by construction."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from losslab.data.splits import split
from losslab.stats.paired import compare, interval

STUDIES = 400
ROWS, SEEDS = 80, 10
SCHEMES: dict[str, tuple[dict[str, object], Callable[[np.random.Generator], dict[str, torch.Tensor]]]] = {
    "random": ({}, lambda rng: {}),
    "folds": ({"folds": 5}, lambda rng: {}),
    "stratified folds": (
        {"folds": 5, "split": "stratified"},
        lambda rng: {"labels": torch.tensor(rng.integers(0, 2, ROWS))},
    ),
    "groups": ({}, lambda rng: {"groups": torch.tensor(rng.integers(0, 16, ROWS))}),
    "folds of groups": ({"folds": 5}, lambda rng: {"groups": torch.tensor(rng.integers(0, 16, ROWS))}),
    "folds in time": ({"folds": 5, "split": "time"}, lambda rng: {"times": torch.arange(ROWS)}),
}


def study(rng: np.random.Generator, scheme: str, number: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Test errors of two models that are equally good over samples of the population, one a seed, and the overlap.

    y = x1 + x2 + noise. One model knows x1 alone, the other x2 alone, each by least squares on the training rows. By symmetry
    neither is better; on one sample of 80 rows one of them mostly looks better, in all of its splits.
    """
    settings, of_rows = SCHEMES[scheme]
    inputs = rng.normal(size=(ROWS, 2))
    target = inputs.sum(1) + rng.normal(size=ROWS)
    asked = {"name": "table", "val_fraction": 0.2, "test_fraction": 0.2, "batch_size": 2} | settings
    known = of_rows(rng)
    errors, shares = np.empty((2, SEEDS)), []
    for seed in range(SEEDS):
        rows = split(asked, ROWS, 100 * number + seed, **known)
        train, test = rows["train"].numpy(), rows["test"].numpy()
        shares.append(len(test) / len(train))
        for model in range(2):
            x = inputs[:, model]
            slope = x[train] @ target[train] / (x[train] @ x[train])
            errors[model, seed] = np.mean((target[test] - slope * x[test]) ** 2) + 0.02 * rng.normal()
    return *errors, float(np.mean(shares))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_corrected_test_holds_its_level_where_the_plain_one_does_not(scheme: str) -> None:
    rng = np.random.default_rng(11)
    plain = corrected = 0
    for number in range(STUDIES):
        first, second, overlap = study(rng, scheme, number)
        plain += compare(first, second, 1, 0.95).p < 0.05
        corrected += compare(first, second, 1, 0.95, overlap).p < 0.05
    assert corrected / STUDIES <= 0.07, "5 %, and two standard errors of such a share"
    assert plain / STUDIES > 0.12, "so a correction is needed"


def test_without_overlap_nothing_changes_and_with_it_interval_and_p_agree() -> None:
    values = np.random.default_rng(3).normal(0.5, 1, 10)
    mean, low, high = interval(values, 0.95)
    assert interval(values, 0.95, 0.0) == (mean, low, high)
    # Nadeau and Bengio: s^2 (1 / n + n_test / n_train) in place of s^2 / n
    wide = interval(values, 0.95, 1 / 3)
    assert (wide[2] - wide[1]) / (high - low) == pytest.approx(((1 / 10 + 1 / 3) / (1 / 10)) ** 0.5)
    for level in (0.5, 0.9, 0.99):
        pair = compare(values, np.zeros(10), 1, level, 0.25)
        assert (pair.p < 1 - level) == (pair.interval[1] * pair.interval[2] > 0)
    at_its_end = compare(values, np.zeros(10), 1, 0.95, 0.25)
    edge = values - at_its_end.interval[1]
    assert compare(edge, np.zeros(10), 1, 0.95, 0.25).p == pytest.approx(0.05)
    assert at_its_end.detectable == pytest.approx(
        compare(values, np.zeros(10), 1, 0.95).detectable * (1 + 10 / 4) ** 0.5
    )
