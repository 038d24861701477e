"""What every course says, as properties of the losses; and the page of the study against the tables that it stands on."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from torch import tensor

from losslab.stats.paired import interval

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "taught_claims"
PAGE = " ".join((FOLDER / "README.md").read_text().split())
MAE = "metrics.last/test/mae"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"taught_claims_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


measure = loaded("measure")
RATES = tensor([0.01, 0.03, 0.1], dtype=torch.float64)


# What is measured without a network


def test_the_pull_of_mse_grows_with_the_distance_and_that_of_l1_never_changes() -> None:
    errors = 10 ** torch.linspace(-6, 6, 13, dtype=torch.float64)
    pull = {name: measure.pull(measure.named(name), errors, 0 * errors) for name in ("mse", "l1", "smoothl1(beta=1.0)")}
    torch.testing.assert_close(pull["mse"], 2 * errors)
    assert (pull["l1"] == 1).all()
    torch.testing.assert_close(pull["smoothl1(beta=1.0)"], errors.clamp(max=1))


def test_l1_circles_by_its_rate_unless_the_rate_decays() -> None:
    l1 = measure.named("l1")
    left = measure.left_over(l1, RATES, 300) / RATES
    assert ((left >= 0.5) & (left <= 1)).all()
    assert (measure.left_over(l1, RATES, 600, decay=True) < 0.01 * RATES).all()
    assert (measure.left_over(measure.named("mse"), RATES, 1000) < 1e-6).all()


def test_smoothl1_settles_where_the_rate_is_below_twice_beta() -> None:
    for beta in (0.01, 0.05, 1.0):
        rates = beta * tensor([1.9, 2.1], dtype=torch.float64)
        settled, circling = measure.left_over(measure.named(f"smoothl1(beta={beta})"), rates, 300).tolist()
        assert settled < 1e-6
        assert circling > 0.1 * beta


@pytest.mark.slow
def test_a_far_target_leaves_the_line_of_l1_and_a_far_input_takes_it_along() -> None:
    x, y = measure.line_points()
    up, aside = y.clone(), x.clone()
    up[-1] -= 1000.0
    aside[-1] += 1000.0
    wide, high = torch.stack([x, x, aside], 1), torch.stack([y, up, y], 1)
    clean, target, moved = measure.fit_lines("l1", wide, high)[0].tolist()
    assert clean == pytest.approx(2, abs=0.1)
    assert target == pytest.approx(clean, abs=0.05)
    assert abs(moved) < 0.05
    expected = [np.polyfit(wide[:, k], high[:, k], 1)[0] for k in range(3)]
    np.testing.assert_allclose(measure.fit_lines("mse", wide, high)[0], expected, rtol=0.01, atol=0.01)


def test_a_softmax_too_many_leaves_a_mistaken_sample_without_pull() -> None:
    pulls = measure.softmax_pulls().pivot(index="x", columns="line", values="y")
    assert (pulls["double_softmax"] < pulls["cross_entropy"]).all()
    assert pulls["cross_entropy"].iloc[0] > 0.99
    assert pulls["double_softmax"].iloc[0] < 1e-4


def test_bce_loses_its_gradient_where_the_sigmoid_rounds_and_sooner_towards_one() -> None:
    def pull(name: str, logit: float, target: float) -> float:
        return measure.bce_pull(name, tensor([logit]), target).item()

    assert pull("bce", 16.0, 0.0) == pytest.approx(1, abs=1e-4)
    assert pull("bce", 17.0, 0.0) == 0
    assert pull("bce", -27.0, 1.0) == pytest.approx(-1, abs=1e-4)
    assert abs(pull("bce", -40.0, 1.0)) < 1e-4
    assert pull("bce_with_logits", 100.0, 0.0) == 1
    assert pull("bce_with_logits", -100.0, 1.0) == -1


@pytest.mark.slow
def test_the_further_runs_can_be_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)  # as it is where claims.py runs
    trainings = loaded("trainings")
    words, axes = trainings.SETS["penalty"]
    few = {key: values[-1:] for key, values in axes.items()}
    monkeypatch.setitem(trainings.SETS, "penalty", ((*words, "trainer.max_epochs=1", "data.rows=400"), few))
    asked, records = trainings.train("penalty", tmp_path)
    assert [record.status for record in records] == ["done"]
    sizes = trainings.weights(asked, records)
    assert sizes["share"].between(0, 1).all()
    assert sizes["share"].max() == 1


# The page


def cell(study: pd.DataFrame, loss: str, fraction: float, schedule: str) -> pd.Series:
    """Test MAE of a loss at its own rate, by seed."""
    own = study[(study["study.phase"] == "confirm") & study["study.arms"].str.contains("tuned", na=False)]
    own = own[(own["study.loss"] == loss) & (own["corruption.fraction"] == fraction)]
    return own[own["optimizer.schedule"] == schedule].set_index("seed")[MAE]


@pytest.mark.parametrize("loss", ["l1", "smoothl1(beta=0.03)", "smoothl1(beta=0.3)", "smoothl1(beta=1.0)", "mse"])
def test_the_table_of_networks_is_that_of_the_records(loss: str) -> None:
    study = pd.read_parquet(FOLDER / "records.parquet")
    row = next(line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith(f"| `{loss}` |"))
    shown = [[float(number) for number in re.findall(r"\d+\.\d+", part)] for part in row.split("|")[2:-1]]
    for fraction, of_share in ((0.0, shown[:2]), (0.1, shown[2:])):
        for schedule, found in zip(("constant", "cosine"), of_share, strict=True):
            expected = interval(cell(study, loss, fraction, schedule).to_numpy(), 0.95)
            assert found == pytest.approx(expected, abs=0.0051)


def test_what_it_says_of_other_runs_is_in_their_tables() -> None:
    runs, weights = pd.read_parquet(FOLDER / "trainings.parquet"), pd.read_parquet(FOLDER / "weights.parquet")
    one = runs[(runs["set"] == "one_outlier") & (runs["loss"] == "mse") & (runs["optimizer"] == "adam")]
    means = one.groupby("corruption.magnitude")[MAE].mean()
    assert f"{means[0]:.2f} without the outlier, {means[10]:.2f} at ten spreads, {means[100]:.2f} at a hundred" in PAGE
    short = runs[runs["set"] == "softmax"].groupby(["optimizer", "loss", "optimizer.lr"])["metrics.last/test/accuracy"]
    accuracy = short.mean()
    assert re.search(
        rf"{accuracy['sgd', 'cross_entropy', 0.1]:.3f} \([^)]*\) against {accuracy['sgd', 'double_softmax', 0.3]:.2f}",
        PAGE,
    )
    assert (weights.loc[weights["threshold"] == 0, "share"] == 0).all()
    assert "exactly 0 are 0 % of the weights" in PAGE
    near = weights[np.isclose(weights["threshold"], 1e-3)].groupby(["optimizer", "l1", "l2"])["share"].mean()
    decaying = near["sgd, decaying rate"]
    assert (
        f"{100 * decaying[1e-3, 0]:.0f} % of the weights below a thousandth, the second {100 * decaying[0, 3e-3]:.1f} %"
        in PAGE
    )


def test_each_claim_has_its_figure_and_its_verdict() -> None:
    shown = [path.stem for path in sorted((FOLDER / "figures").glob("*.png"))]
    assert len(shown) == 7
    for name in shown:
        assert f"(figures/{name}.png)" in PAGE
    assert PAGE.count("**Verdict:") == len(shown)
    done = (pd.read_parquet(FOLDER / "records.parquet")["status"] == "done").sum()
    assert f"All runs, trials included: {done:,} done" in PAGE
    assert f"trains {len(pd.read_parquet(FOLDER / 'trainings.parquet'))} more runs" in PAGE
