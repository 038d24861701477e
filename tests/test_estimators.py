"""LossRegressor and LossClassifier: scikit-learn's own checks, and what losses make of outliers and rare classes."""

import doctest

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import losslab
from losslab import LossClassifier, LossRegressor, estimators
from losslab.data.robust_scale import robust_scale
from losslab.errors import BadRequest

RNG = np.random.default_rng(4)
X = RNG.normal(size=(300, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * RNG.normal(size=300)


@pytest.mark.slow
@parametrize_with_checks(
    [LossRegressor("huber", steps=100), LossClassifier("focal", steps=100), LossClassifier("mae", steps=100)],
)
def test_scikit_learn_finds_nothing_wrong(estimator: object, check: object) -> None:
    check(estimator)  # type: ignore[operator]


def test_a_robust_loss_withstands_outliers_that_move_mse() -> None:
    wrong = np.where(RNG.random(300) < 0.15, 60.0, Y)
    errors = {
        loss: np.abs(LossRegressor(loss, model="linear", random_state=1, lr=0.02).fit(X, wrong).predict(X) - Y).mean()
        for loss in ("mse", "l1")
    }
    assert errors["l1"] < 0.3 * errors["mse"]


def test_it_serves_in_pipelines_and_searches() -> None:
    pipeline = make_pipeline(SplineTransformer(n_knots=3), LossRegressor("huber", steps=100, random_state=0))
    search = GridSearchCV(pipeline, {"lossregressor__loss_params": [{"delta": 0.5}, {"delta": 2.0}]}, cv=2)
    assert search.fit(X, Y).best_params_["lossregressor__loss_params"]["delta"] in (0.5, 2.0)
    assert cross_val_score(LossClassifier(steps=100), X, Y > 0, cv=2).mean() > 0.8


def test_counts_are_never_negative_and_several_targets_have_their_columns() -> None:
    counts = RNG.poisson(np.exp(0.5 * X[:, 0]))
    assert (LossRegressor("poisson_nll", random_state=0).fit(X, counts).predict(X) >= 0).all()
    both = np.stack([Y, 10 - 3 * Y], 1)
    found = LossRegressor(random_state=0, lr=0.02).fit(X, both).predict(X)
    assert found.shape == (300, 2)
    assert np.abs(found - both).mean() < 1


@pytest.mark.parametrize(("loss", "outputs"), [("focal", 1), ("", 1), ("cross_entropy", 2)])
def test_two_classes_are_one_logit_where_the_loss_reads_it(loss: str, outputs: int) -> None:
    found = LossClassifier(loss, random_state=0).fit(X, np.where(Y > 0, "up", "down"))
    assert list(found.classes_) == ["down", "up"]
    assert list(found.model_.parameters())[-1].shape == (outputs,)
    shares = found.predict_proba(X)
    assert shares.sum(1) == pytest.approx(1)
    assert (found.predict(X) == np.where(Y > 0, "up", "down")).mean() > 0.9


def test_weights_are_as_good_as_repeated_rows() -> None:
    weights = RNG.integers(0, 4, 60)
    some, target = X[:60], Y[:60]
    weighted = LossRegressor("l1", random_state=0, steps=50).fit(some, target, sample_weight=weights)
    repeated = LossRegressor("l1", random_state=0, steps=50).fit(some.repeat(weights, 0), target.repeat(weights))
    assert weighted.predict(X) == pytest.approx(repeated.predict(X), rel=1e-6)
    rare = LossClassifier(random_state=0, class_weight="balanced").fit(X, Y > 3)
    assert rare.predict(X).mean() > LossClassifier(random_state=0).fit(X, Y > 3).predict(X).mean()


def test_the_weighted_scale_is_that_of_repeated_rows() -> None:
    for values in (torch.tensor(Y[:50])[:, None], torch.tensor([[0.0]] * 20 + [[1.0]] * 9 + [[5.0]] * 21)):
        weights = torch.tensor(RNG.integers(0, 5, 50)).double()
        ones = torch.ones(int(weights.sum()), dtype=torch.float64)
        both = robust_scale(values, weights), robust_scale(values.repeat_interleave(weights.long(), 0), ones)
        for one, other in zip(*both, strict=True):
            assert torch.equal(one, other)
        plain, weighted = robust_scale(values), robust_scale(values, torch.ones(50, dtype=torch.float64))
        assert plain[0] == pytest.approx(weighted[0], abs=0.3)
        assert plain[1] == pytest.approx(weighted[1], rel=0.2)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "hubr"}, "did you mean 'huber'"),
        ({"loss": "giou"}, "does not serve task"),
        ({"loss": "huber", "loss_params": {"delta": -1}}, "delta"),
        ({"loss": "huber", "loss_params": {"beta": 1}}, "no key 'loss.beta'"),
        ({"model": "mpl"}, "did you mean 'mlp'"),
        ({"steps": 0}, "must be 1 or more"),
        ({"lr": 1e30, "optimizer": "sgd"}, "diverged at step"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(settings: dict[str, object], said: str) -> None:
    with pytest.raises(BadRequest, match=said) as caught:
        LossRegressor(**settings).fit(X, Y)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_a_seed_decides_the_result() -> None:
    one, other = (losslab.LossRegressor(random_state=7, steps=20).fit(X, Y).predict(X) for _ in range(2))
    assert (one == other).all()
    assert (LossRegressor(random_state=8, steps=20).fit(X, Y).predict(X) != one).any()


def test_the_examples_in_the_docstrings_hold() -> None:
    found = doctest.testmod(estimators)
    assert found.attempted >= 2
    assert not found.failed
