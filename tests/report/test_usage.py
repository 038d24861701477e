"""The code by which a recommended loss is made: it runs, and makes the loss that was compared."""

import re

import pandas as pd
import pytest

import losslab.losses
from losslab.report.analysis import find
from losslab.report.results import Results
from losslab.report.usage import usage
from support.study_tables import runs_of

ONE = {"huber": [1.0 + place / 100 for place in range(10)], "mse": [2.0 + place / 100 for place in range(10)]}


def found(runs: pd.DataFrame, losses: list[str]) -> list[str]:
    settings = pd.DataFrame(index=pd.unique(runs["setting"]))
    made = Results("s", "", "regression", "mae", "min", "best", losses[1], losses, ["tuned"], settings, runs)
    return usage(made, find(made))


def code(sentence: str) -> str:
    said = re.search(r"`(losslab\.losses\.get\([^`]*\))`, learning rate", sentence)
    assert said
    return said[1]


def test_the_run_at_the_median_rate_is_shown() -> None:
    runs = runs_of(ONE)
    of = runs["loss"] == "huber"
    runs.loc[of, "lr"] = [0.001 * (1 + place) for place in range(10)]
    runs.loc[of, "params"] = [f"delta={0.1 * (1 + place):.3g}" for place in range(10)]
    sentence, *_ = found(runs, ["huber", "mse"])
    assert sentence.startswith("`huber` as it was: ")
    assert sentence.endswith(", learning rate 0.00500 (the middle one of 10 seeds, 0.00100 to 0.0100).")
    assert eval(code(sentence), {"losslab": losslab}).params["delta"] == 0.5


@pytest.mark.parametrize(
    ("label", "params", "wanted"),
    [
        ("l1", "", 'losslab.losses.get("l1")'),
        ("huber(delta=0.5)", "delta=0.5", 'losslab.losses.get("huber", delta=0.5)'),
        ("huber(delta=0.5)", "", 'losslab.losses.get("huber", delta=0.5)'),
        ("huber delta=0.05", "delta=0.05", 'losslab.losses.get("huber", delta=0.05)'),
        ("huber", "delta=1", 'losslab.losses.get("huber")'),  # its default
        (
            "cross_entropy",
            "class_weights=[1.0], label_smoothing=0.1",
            'losslab.losses.get("cross_entropy", label_smoothing=0.1)',
        ),
    ],
)
def test_labels_of_studies_and_sweeps_become_code(label: str, params: str, wanted: str) -> None:
    runs = runs_of({label: ONE["huber"], "mse": ONE["mse"]})
    runs.loc[runs["loss"] == label, "params"] = params
    sentence, *_ = found(runs, [label, "mse"])
    assert code(sentence) == wanted
    eval(wanted, {"losslab": losslab})


def test_nothing_is_recommended_where_nothing_is_shown() -> None:
    assert found(runs_of({"huber": ONE["mse"], "mse": ONE["mse"]}), ["huber", "mse"]) == []
    few = {loss: values[:3] for loss, values in ONE.items()}
    assert found(runs_of(few), ["huber", "mse"]) == []
    other = runs_of({"5*l1 + 2*huber": ONE["huber"], "mse": ONE["mse"]})
    assert found(other, ["5*l1 + 2*huber", "mse"]) == []
