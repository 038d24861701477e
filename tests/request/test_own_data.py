"""From a file to a study: what is decided, what is asked back, and the same study by every way to ask for it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from losslab import compose
from losslab.errors import BadRequest
from losslab.request import budgets, data_cards
from losslab.request.command import StudyRequest, check_command
from losslab.request.own_data import Options, ask, study_of
from losslab.schema import metric_references

N = 400
RNG = np.random.default_rng(5)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    x = RNG.normal(size=N)
    frame = pd.DataFrame(
        {
            "id": range(N),
            "x": x,
            "it's, odd": RNG.choice(["a", "b"], N),
            "who": RNG.integers(0, 40, N),
            "day": pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d"),
            "price": (x + RNG.normal(size=N)).round(4),
            "heavy": (x + RNG.standard_t(1, N)).round(4),
            "sick": np.where(np.arange(N) % 25 == 0, "yes", "no"),
            "kind": RNG.choice(["p", "q", "r"], N),
            "rating": RNG.integers(1, 6, N),
            "claims": RNG.negative_binomial(1, 0.03, N),
        }
    )
    frame.to_csv(tmp_path / "my data.csv", index=False)
    return tmp_path / "my data.csv"


@pytest.mark.parametrize(
    ("target", "task", "loss", "metric"),
    [
        ("price", "regression", "huber", "mae"),
        ("heavy", "regression", "cauchy", "mae"),
        ("sick", "binary", "asymmetric", "auroc"),
        ("kind", "multiclass", "focal", "accuracy"),
        ("claims", "counts", "poisson_nll", "mae"),
    ],
)
def test_task_losses_and_metric_suit_the_target(table: Path, target: str, task: str, loss: str, metric: str) -> None:
    found = ask(table, Options(target=target))
    assert (found.task, found.metric) == (task, metric)
    assert loss in found.losses
    assert all(found.losses.values()), "each with its reason"
    assert ("cauchy" in found.losses) == (target == "heavy")
    assert any("identifier" in column.kind for column in found.columns)
    study = study_of(found, "my data", "")
    assert study.task == task
    assert study.base["corruption"]["name"] == "none"
    assert next(iter(metric_references.of_task(study.base["task"]))) == metric, "it selects the best epoch too"


def test_what_a_user_says_is_not_said_to_follow_from_the_data(table: Path) -> None:
    doubts = " ".join(ask(table, Options(target="heavy")).doubts)
    assert "So robust losses are added." in doubts
    assert "--metric rmse asks for the mean" in doubts
    assert "robust losses" not in " ".join(ask(table, Options(target="heavy", losses=["mse", "l1"])).doubts)
    assert "is compared" in " ".join(ask(table, Options(target="sick")).doubts)
    assert "About 3 rows of the rarest class are tested on" in " ".join(ask(table, Options(target="sick")).doubts)
    assert "rarest class are tested" not in " ".join(ask(table, Options(target="kind")).doubts)
    assert "is compared" not in " ".join(ask(table, Options(target="sick", metric="accuracy")).doubts)
    assert "folds" not in " ".join(ask(table, Options(target="price", folds=5)).doubts)
    assert "test on 5 of 15 folds" in " ".join(ask(table, Options(target="price", folds=15)).doubts)


@pytest.mark.parametrize(("options", "by"), [({"group": "who"}, "group"), ({"time": "day"}, "time")])
def test_groups_and_times_are_kept_whatever_a_card_says(table: Path, options: dict[str, str], by: str) -> None:
    """`losslab inspect` writes split: stratified where there are classes and neither groups nor times."""
    card = table.with_name("card.yaml")
    card.write_text(data_cards.written(ask(table, Options(target="kind"))), encoding="utf-8")
    assert "split: stratified" in card.read_text()
    found = ask(card, Options(**options))
    assert f"by '{options[by]}'" in found.split
    assert study_of(found, "s", "").base["data"].get("split", "auto") == "auto"
    assert not any("may" in doubt and "parts" in doubt for doubt in found.doubts)
    said = " ".join(ask(card, Options(**options, words=("data.split=random",))).doubts)
    assert ("may lie in several parts" in said, "may be later than test rows" in said) == (by == "group", by == "time")
    card.write_text(card.read_text().replace("split:", "group: who\nsplit:"))
    assert "Rows of one 'who' may lie in several parts: data.split=stratified." in ask(card, Options()).doubts


def test_a_word_is_no_list_in_a_card(table: Path) -> None:
    card = table.with_name("card.yaml")
    card.write_text(data_cards.written(ask(table, Options(target="price", drop=["x"]))), encoding="utf-8")
    card.write_text(card.read_text().replace("drop:\n- x", "drop: x"))
    with pytest.raises(BadRequest, match=r"sets 'drop' to 'x', and it is a list: write drop: \[x\]"):
        ask(card, Options())


def test_what_is_ambiguous_is_asked_for_with_both_answers(table: Path) -> None:
    with pytest.raises(
        BadRequest,
        match=r"my data.csv: 'rating' has 5 whole numbers.*Add --task multiclass or --task ordinal or --task regression",
    ):
        ask(table, Options(target="rating"))
    assert ask(table, Options(target="rating", task="regression")).task == "regression"
    for task in ("multiclass", "ordinal"):
        assert ask(table, Options(target="rating", task=task)).names == ("1", "2", "3", "4", "5")


def test_classes_lie_in_the_order_that_is_named(table: Path) -> None:
    found = ask(table, Options(target="kind", task="ordinal", words=["data.order=[q,r,p]"]))
    assert found.names == ("q", "r", "p")
    assert "coral" in found.losses
    study = study_of(found, "kinds", "")
    assert (study.task, study.base["data"]["order"]) == ("ordinal", ["q", "r", "p"])


def test_quantiles_of_a_column_are_compared(table: Path) -> None:
    found = ask(table, Options(target="heavy", task="quantiles"))
    assert (found.task, found.metric) == ("quantiles", "pinball")
    assert study_of(found, "q", "").task == "quantiles"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "which column is to be predicted.*'id', 'x'"),
        ({"target": "prize"}, r"there is no column 'prize' \(did you mean 'price'\?\)"),
        ({"target": "price", "task": "regresion"}, r"no task 'regresion' for a table \(did you mean 'regression'\?\)"),
        ({"target": "kind", "task": "regression"}, "is no number, which regression needs"),
        ({"target": "price", "group": "whom"}, r"no column 'whom' \(did you mean 'who'\?\)"),
        ({"target": "price", "group": "who", "time": "day"}, "give --group or --time"),
        ({"target": "price", "drop": ["y"]}, "no column 'y'"),
        ({"target": "kind", "task": "ordinal"}, r"needs their order.*data.order=\[p,q,r\]"),
        ({"target": "kind", "task": "ordinal", "words": ["data.order=[p,q]"]}, "data.order lacks 'r'"),
        (
            {"target": "kind", "task": "ordinal", "words": ["data.order=[p,q,r,s]"]},
            "data.order has 's', which no row is",
        ),
        ({"target": "kind", "task": "ordinal", "words": ["data.order=[p,q,r,r]"]}, "data.order has one twice"),
        ({"target": "kind", "task": "multiclass", "words": ["data.order=[p,q,r]"]}, "only task=ordinal takes"),
    ],
)
def test_what_cannot_be_asked_is_refused(table: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        ask(table, Options(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"losses": ["mse", "hubber"]}, "hubber"),
        ({"losses": ["mse"]}, "two losses or more"),
        ({"losses": ["hubber"]}, "did you mean 'huber'"),
        ({"losses": ["mse", "huber(delta=1"]}, "1 brackets that open and 0 that close"),
        ({"losses": ["mse", "huber(gamma=1)"]}, "It has delta"),
        ({"losses": ["mse", "focal"]}, "does not fit task"),
        ({"metric": "acuracy"}, "no metric 'acuracy'"),
        ({"model": "mpl"}, "mlp"),
        ({"words": ["trainer.epochs=3"]}, "trainer.epochs"),
    ],
)
def test_what_a_study_would_refuse_is_refused(table: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        study_of(ask(table, Options(target="price", **options)), "s", "")


def test_the_words_ask_for_the_same_study(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask(table, Options(target="price", drop=["it's, odd"], group="who", words=["trainer.max_epochs=3"]))
    monkeypatch.chdir(table.parent)
    typed = shlex.split(found.command)
    assert typed[:2] == ["losslab", "train"]
    asked = check_command(typed[2:], multirun=False)
    assert isinstance(asked, StudyRequest)
    mine, theirs = study_of(found, "study", "").mark(), asked.study.mark()
    assert {k: v for k, v in mine.items() if k != "command"} == {k: v for k, v in theirs.items() if k != "command"}
    assert mine["base"]["trainer"]["max_epochs"] == 3
    assert mine["base"]["data"]["drop"] == ["it's, odd"]


def test_a_card_asks_what_it_was_written_from(table: Path) -> None:
    found = ask(table, Options(target="sick", group="who", drop=["x"]))
    card = table.with_name("card.yaml")
    card.write_text(data_cards.written(found), encoding="utf-8")
    again = ask(card, Options())
    assert study_of(found, "s", "").mark() == study_of(again, "s", "").mark()
    assert again.path == table
    changed = card.read_text().replace("group: who", "group: ''") + "\n"
    card.write_text(changed)
    assert "stratified" in " ".join(ask(card, Options()).words)
    card.write_text(data_cards.written(found).replace(f"path: {table}", f"path: {table.name}"))
    typed = compose(f"data={card}", "data.test_fraction=0.3", "corruption=none")
    assert (typed["task"]["name"], typed["data"]["target"], typed["data"]["group"]) == ("binary", "sick", "who")
    assert (typed["data"]["path"], typed["data"]["test_fraction"]) == (str(table), 0.3)
    assert compose(f"data={card}", "data.group=''", "task=multiclass")["task"]["name"] == "multiclass"
    card.write_text("target: x\n")
    with pytest.raises(BadRequest, match="is no data card"):
        ask(card, Options())
    card.write_text(f"path: {table.name}\ntarget: price\ngruop: who\n")
    with pytest.raises(BadRequest, match=r"sets 'gruop', which data=table does not have \(did you mean 'group'\?\)"):
        ask(card, Options())


def test_splits_are_said_in_words(table: Path) -> None:
    said = {
        key: ask(table, Options(target="kind", **{key: value})).split
        for key, value in (("group", "who"), ("time", "day"), ("folds", 5))
    }  # type: ignore[arg-type]
    assert "all rows of a group are in one part" in said["group"]
    assert "later" in said["time"]
    assert said["folds"].startswith("5 folds, at random, with the same shares of the classes")


def test_a_budget_cuts_trials_then_seeds_and_never_below_a_claim(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(ask(table, Options(target="price")), "s", "")
    monkeypatch.setattr(budgets, "cost", lambda study: 12.0 + sum(budgets.runs(study)))  # a second a run
    whole, said = budgets.within(study, 1e6)
    assert whole == study
    assert "suffices" in said
    cut, said = budgets.within(study, 160)
    assert cut.tuning["trials"] + cut.tuning["refine"] < study.tuning["trials"] + study.tuning["refine"]
    assert cut.seeds == study.seeds
    assert sum(budgets.runs(cut)) + 12 <= 160
    assert f"cut to {cut.tuning['trials'] + cut.tuning['refine']} trials" in said
    least, said = budgets.within(study, 1)
    assert (least.tuning["trials"], least.tuning["refine"], least.seeds, least.repeats) == (3, 0, 5, 5)
    assert "the least study that can support a claim" in said
    assert budgets.seconds("90") == budgets.seconds("90s") == budgets.seconds(90) == 90
    assert budgets.seconds("10m") == 600
    assert budgets.seconds("1.5h") == 5400
    for wrong in ("soon", "-3m", "0", "10 parsecs"):
        with pytest.raises(BadRequest, match="A budget is a time such as 90s"):
            budgets.seconds(wrong)
