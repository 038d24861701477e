"""A study: what it refuses, which runs it asks for, how it tunes. Nothing is trained here: made-up records stand in."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from losslab import Record
from losslab.errors import BadRequest
from losslab.report.analysis import find
from losslab.report.answer import answer
from losslab.report.collect import results
from losslab.request.command import check_command
from losslab.schema import canonical, check
from losslab.study import runner, trials, tuning
from losslab.study.recipe import Study, loss_setting
from losslab.sweep.jobs import Job
from support.made_up_studies import LOSSES, asked, bowl, conducted, made_up


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([LOSSES, "+study.axes.foo=[1]"], "There is no axis 'foo'"),
        ([LOSSES, "+study.axes.corruption.fractoin=[0.1]"], "did you mean 'corruption.fraction'"),
        ([LOSSES, "+study.axes.corruption.fraction=[]"], "study.axes.corruption.fraction is empty"),
        ([LOSSES, "study.axes.corruption.fraction=[0,0.1]"], "'+study.axes.corruption.fraction=[0,0.1]'"),
        ([LOSSES, "+study.axes.corruption.fraction=0.1"], "must be a list of values"),
        ([LOSSES, "+study.axes.corruption.fraction=[0.1,0.1]"], "holds 0.1 twice"),
        ([LOSSES, "+study.axes.corruption.fraction=[0.1,2]"], "at most 1, and 2.0 is not"),
        ([LOSSES, "+study.axes.data=[friedman,zzz]"], "There is no data set 'zzz'"),
        ([LOSSES, "+study.axes.data=[friedman,digits]"], "'digits' does not fit task 'regression'"),
        ([LOSSES, "+study.axes.seed=[1,2]"], "study.seeds says how many"),
        ([LOSSES, "+study.axes.loss.delta=[1,2]"], "into study.losses"),
        ([LOSSES, "+study.axes.task=[regression,counts]"], "one study keeps to one task"),
        ([LOSSES, "+study.axes.optimizer.lr=[0.1]"], "is what a study tunes"),
        ([LOSSES, "study.metric=maee"], "There is no metric 'maee' of task 'regression' (did you mean 'mae'?)"),
        ([LOSSES, "study.seeds=1"], "study.seeds must be at least 2"),
        ([LOSSES, "study.rates=[both]"], "study.rates must be one of: tuned, shared"),
        ([LOSSES, "study.trials=3"], "has no key 'study.trials'"),
        ([LOSSES, "study.reference=huber"], "study.reference must be one of study.losses"),
        (["study.losses=[]"], "two losses or more"),
        (["study.losses=[mse]"], "two losses or more"),
        (["study.losses=mse,l1"], "write study.losses=[...]"),
        (["study.losses=[mse,mse]"], "names 'mse' twice"),
        (
            ["study.losses=['huber(delta=0.5)','huber(delta=.50)']"],
            "names one loss twice: 'huber(delta=0.5)' and 'huber(delta=.50)'",
        ),
        (["study.losses=['mse + 2*l1','1.0*mse+2*l1']"], "names one loss twice"),
        ([LOSSES, "study.rates=[tuned,tuned]"], "study.rates names 'tuned' twice"),
        (["study.losses=[mse,zzz]"], "There is no loss 'zzz'"),
        (["study.losses=[mse,giou]"], "does not fit task 'regression'"),
        (["study.losses=[mse,'huber(delta=-1)']"], "loss.delta must be above 0"),
        ([], "two losses or more"),
    ],
)
def test_a_wrong_study_is_answered_in_one_sentence(overrides: list[str], said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_command(["study=fair", *overrides], multirun=False)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_study_is_not_a_sweep_and_not_a_run() -> None:
    with pytest.raises(BadRequest, match="leave -m away"):
        check_command(["study=fair", LOSSES], multirun=True)
    with pytest.raises(BadRequest, match="and none is chosen: add study=fair"):
        check_command(["study.seeds=3"], multirun=False)
    with pytest.raises(BadRequest, match="none is chosen"):
        check_command(["experiment=outliers_first_look", "study.seeds=3"], multirun=False)


@pytest.mark.slow
def test_what_fits_a_recipe_is_not_blamed_for_what_does_not() -> None:
    with pytest.raises(BadRequest, match=r"plus sign: '\+study.axes.corruption.fraction"):
        check_command(
            ["experiment=shared_vs_tuned", "study.seeds=3", "study.axes.corruption.fraction=[0,1]"], multirun=False
        )
    with pytest.raises(BadRequest, match=r"data set 'breast_cancer' has no key 'data.rows'"):
        check_command(["experiment=bce_saturation", "study.seeds=3", "data.rows=100"], multirun=False)
    with pytest.raises(BadRequest, match=r"did you mean 'study.tuning.trials'"):
        check_command(["experiment=shared_vs_tuned", "study.tuning.trails=3"], multirun=False)
    with pytest.raises(BadRequest, match="this is to be one"):
        check.check({**asked().base, "study": {}})


def test_settings_are_every_combination_and_each_is_tuned_where_it_is_asked() -> None:
    axes = ("+study.axes.data=[friedman,diabetes]", "+study.axes.corruption.fraction=[0,0.2,0.4]")
    study = asked(*axes)
    assert [study.label(setting) for setting in study.settings()] == [
        f"data={data}, fraction={level}" for data in ("friedman", "diabetes") for level in ("0", "0.2", "0.4")
    ]
    assert [study.label(place) for place in study.tuning_settings()] == [
        "data=friedman, fraction=0.2",
        "data=diabetes, fraction=0.2",
    ]
    assert study.tuning_setting(study.settings()[5]) == study.tuning_settings()[1]
    assert asked(*axes, "study.tuning.at=each").tuning_settings() == study.settings()


def test_an_axis_without_a_middle_is_tuned_at_each_of_its_values() -> None:
    study = asked(
        "+study.axes.corruption.side=[symmetric,one_sided]",
        "+study.axes.model.hidden=[[8],[8,8]]",
        "+study.axes.corruption.fraction=[0,0.1,0.2]",
    )
    assert {(place["corruption.side"], str(place["model.hidden"])) for place in study.tuning_settings()} == {
        (side, hidden) for side in ("symmetric", "one_sided") for hidden in ("[8]", "[8, 8]")
    }
    assert {place["corruption.fraction"] for place in study.tuning_settings()} == {0.1}
    assert len(study.tuning_settings()) == 4


def test_settings_that_differ_have_labels_that_differ() -> None:
    study = asked("+study.axes.corruption.fraction=[0.1234567,0.1234568,0.2]")
    labels = [study.label(setting) for setting in study.settings()]
    assert labels == ["fraction=0.1234567", "fraction=0.1234568", "fraction=0.2"]


def test_a_loss_may_stand_beside_itself_with_a_hyperparameter_that_is_not_tuned() -> None:
    assert asked(losses="study.losses=[huber,'huber(delta=1.0)']").losses == ["huber", "huber(delta=1.0)"]


def test_a_request_of_a_study_is_what_the_command_line_would_give() -> None:
    from losslab import compose

    study = asked("data.rows=500", "optimizer=sgd", "optimizer.schedule=cosine", "+study.axes.optimizer=[sgd,adam]")
    made = study.request("huber(delta=0.5)", {"optimizer": "adam", "corruption.fraction": 0.2}, 7, lr=0.01)
    typed = ("loss=huber", "loss.delta=0.5", "optimizer=adam", "optimizer.lr=0.01", "optimizer.schedule=cosine")
    assert made == compose(*typed, "data.rows=500", "corruption.fraction=0.2", "seed=7")
    assert loss_setting("2*l1 + mse") == {"name": "sum", "terms": "2*l1 + mse"}


def test_seeds_of_trials_are_none_of_the_comparison() -> None:
    study = asked("study.seeds=20", "study.tuning.seeds=5", "seed=3")
    assert study.fresh_seeds == list(range(3, 23))
    assert len(study.tuning_seeds(0)) == 5
    assert not set(study.tuning_seeds(0)) & set(study.fresh_seeds)


def trials_of(study: Study, value: Callable[[dict[str, Any]], float]) -> tuple[list[Job], Any]:
    seen: list[Job] = []

    def train(jobs: list[Job]) -> Iterable[Record]:
        seen.extend(jobs)
        return made_up(value)(jobs)

    return seen, tuning.tune(study, Path("somewhere"), train)


def test_every_loss_gets_the_same_number_of_trials_and_the_same_rates() -> None:
    study = asked("study.tuning.widen=0", losses="study.losses=[mse,huber,barron]")
    jobs, choices = trials_of(study, bowl(mse=0.01, huber=0.003, barron=0.002))
    by_loss = {loss: [job for job in jobs if job.part and job.part["loss"] == loss] for loss in study.losses}
    rates = {loss: {job.request["optimizer"]["lr"] for job in some} for loss, some in by_loss.items()}
    assert [len(some) for some in by_loss.values()] == [16 * 3] * 3
    assert rates["mse"] == rates["huber"] == rates["barron"]
    assert len(rates["mse"]) == 16
    assert len({job.request["loss"]["delta"] for job in by_loss["huber"]}) == 16, (
        "its own hyperparameter is tuned with it"
    )
    assert {job.request["seed"] for job in jobs} == set(study.tuning_seeds(0))
    for loss, best in (("mse", 0.01), ("huber", 0.003), ("barron", 0.002)):
        chosen = choices.set_index("loss")["lr"][loss]
        assert chosen == min(rates[loss], key=lambda lr: abs(math.log(lr / best)))


def test_what_a_name_sets_is_not_tuned() -> None:
    jobs, _ = trials_of(asked(losses="study.losses=[mse,'huber(delta=0.5)','mse + 0.5*l1']"), lambda _: 1.0)
    assert {job.request["loss"].get("delta") for job in jobs if job.request["loss"]["name"] == "huber"} == {0.5}
    assert {job.request["loss"]["terms"] for job in jobs if "terms" in job.request["loss"]} == {"1*mse + 0.5*l1"}


def test_a_best_rate_on_the_edge_widens_the_range_for_all_losses_alike() -> None:
    jobs, choices = trials_of(asked(), bowl(mse=0.6, l1=0.01))
    counts = [sum(job.request["loss"]["name"] == loss for job in jobs) for loss in ("mse", "l1")]
    assert counts[0] == counts[1] > 16 * 3
    found = choices.set_index("loss")
    assert found["lr"]["mse"] > 0.1, "beyond the range of the card"
    assert list(found["trials"]) == [counts[0] // 3] * 2
    assert list(found["edge"]) == ["", ""]


def test_an_edge_that_stays_the_best_is_flagged() -> None:
    _, choices = trials_of(asked(), lambda request: -math.log(request["optimizer"]["lr"]) + 20)
    assert set(choices["edge"]) == {"the highest learning rate that was tried"}
    assert set(choices["trials"]) == {16 + 4 + 4}, "twice, and then it is said"
    _, narrow = trials_of(asked("study.tuning.widen=0"), bowl(mse=1e-9, l1=1e-9))
    assert set(narrow["edge"]) == {"the lowest learning rate that was tried"}
    assert set(narrow["trials"]) == {16}


def test_a_trial_that_diverged_on_one_seed_is_not_chosen() -> None:
    def value(request: dict[str, Any]) -> float:
        fast = request["optimizer"]["lr"] > 0.01
        return math.nan if fast and request["seed"] == 1_000_001 else 2 - request["optimizer"]["lr"]

    _, choices = trials_of(asked("study.tuning.widen=0"), value)
    assert (choices["lr"] <= 0.01).all()
    assert (choices["diverged"] > 2).all()


def test_where_a_higher_metric_is_better_the_highest_is_chosen() -> None:
    def train(jobs: Sequence[Job]) -> list[Record]:
        records = made_up(lambda request: 1 - abs(math.log10(request["optimizer"]["lr"] / 0.004)))(jobs)
        for record in records:
            record.metrics["best/val/accuracy"] = record.metrics["best/val/mae"]
        return records

    study = asked("task=binary", losses="study.losses=[bce,bce_with_logits]")
    rates = tuning.tune(study, Path("somewhere"), train)["lr"]
    assert rates.between(0.0025, 0.0065).all()


def test_optuna_finds_the_best_rate_on_the_same_budget_and_again() -> None:
    study = asked("study.tuning.search=optuna", losses="study.losses=[mse,huber]")
    first, choices = trials_of(study, bowl(mse=0.02, huber=0.0005))
    again, _ = trials_of(study, bowl(mse=0.02, huber=0.0005))
    assert [job.request for job in first] == [job.request for job in again]
    assert {name: sum(job.request["loss"]["name"] == name for job in first) for name in ("mse", "huber")} == {
        "mse": 48,
        "huber": 48,
    }
    found = choices.set_index("loss")["lr"]
    assert abs(math.log10(found["mse"] / 0.02)) < 0.4
    assert abs(math.log10(found["huber"] / 0.0005)) < 0.4


def test_optuna_goes_on_when_trials_diverge() -> None:
    _, choices = trials_of(
        asked("study.tuning.search=optuna"), lambda request: math.nan if request["optimizer"]["lr"] > 0.001 else 1.0
    )
    assert (choices["lr"] <= 0.001).all()
    assert set(choices["trials"]) == {16}


def test_the_comparison_holds_every_loss_setting_seed_and_rate_once() -> None:
    study = asked("+study.axes.corruption.fraction=[0,0.2]", "study.seeds=3")
    _, choices = trials_of(study, bowl(mse=0.01, l1=0.001))
    jobs = runner.comparison(study, Path("somewhere"), choices)
    keys = [
        (job.part["loss"], job.part["setting"], job.request["seed"], condition)
        for job in jobs
        if job.part
        for condition in job.part["arms"]
    ]
    wanted = itertools.product(study.losses, ["fraction=0", "fraction=0.2"], range(3), ["tuned", "shared"])
    assert sorted(keys) == sorted(wanted)
    assert {job.request["optimizer"]["lr"] for job in jobs if job.part and job.part["arms"] == ["shared"]} == {0.003}
    own = {
        (job.request["loss"]["name"], job.request["optimizer"]["lr"])
        for job in jobs
        if job.part and "tuned" in job.part["arms"]
    }
    assert own == set(zip(choices["loss"], choices["lr"], strict=True))
    assert len({job.folder for job in jobs}) == len(jobs)


def test_one_run_serves_both_rates_where_they_are_one() -> None:
    study = asked("study.seeds=2")
    _, choices = trials_of(study, bowl(mse=0.01, l1=0.001))
    jobs = runner.comparison(study, Path("somewhere"), choices.assign(lr=0.003))
    assert [job.part["arms"] for job in jobs if job.part] == [["tuned", "shared"]] * 4


def test_runs_of_two_rates_under_one_number_are_never_one_trial() -> None:
    """Where a search is run anew after a run of it failed, trials of the first search may still lie in the folder."""
    import pandas as pd

    rows = pd.DataFrame(
        [("mse", "here", 0, lr, {}, 0, "done", value) for lr, value in ((0.1, 1.0), (0.2, 3.0))],
        columns=("loss", "at", "trial", "lr", "params", "seed", "status", "value"),
    )
    assert trials.means(rows)["value"].tolist() == [1.0, 3.0]


def test_a_run_that_two_trials_ask_for_is_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search may ask for a setting that it has tried; its run is in the report once."""
    train = made_up(lambda request: 1.0)
    monkeypatch.setattr(runner, "train_all", lambda jobs, *_: SimpleNamespace(records=train(jobs), finished=[]))
    tune = tuning.tune
    monkeypatch.setattr(
        runner.tuning, "tune", lambda study, folder, train: [tune(study, folder, train) for _ in range(2)][-1]
    )
    study = asked("study.seeds=2", "study.tuning.trials=2", "study.tuning.widen=0")
    records, _ = runner.conduct(study, tmp_path, mix=False)
    assert len(records) == len(
        {(record.study or {})["phase"] + canonical.run_id(record.config) for record in records.values()}
    )
    assert len(records) == 2 * 2 * 3 + 2 * 2 * 2


def test_the_shared_rate_is_run_at_defaults_and_the_own_one_at_what_was_tuned() -> None:
    study = asked("study.seeds=2", losses="study.losses=[mse,huber]")
    train = made_up(
        lambda request: 1 + abs(request["loss"].get("delta", 0.3) - 0.3) + bowl(mse=0.01, huber=0.01)(request)
    )
    choices = tuning.tune(study, Path("somewhere"), train)
    tuned = choices.set_index("loss").loc["huber"]
    found = {
        (job.part["arms"][0], job.request["optimizer"]["lr"], job.request["loss"]["delta"])
        for job in runner.comparison(study, Path("somewhere"), choices)
        if job.part and job.part["loss"] == "huber"
    }
    assert tuned["params"]["delta"] != 1.0
    assert found == {("tuned", tuned["lr"], tuned["params"]["delta"]), ("shared", 0.003, 1.0)}


def test_where_every_trial_lost_a_run_the_one_that_lost_fewest_is_kept() -> None:
    study = asked("study.tuning.widen=0")
    rates: dict[float, int] = {}

    def value(request: dict[str, Any]) -> float:
        lost = rates.setdefault(request["optimizer"]["lr"], len(rates))  # the sixth rate loses one run of three
        return math.nan if lost != 5 or request["seed"] == 1_000_000 else 1.0

    choices = tuning.tune(study, Path("somewhere"), made_up(value))
    assert set(choices["lr"]) == {list(rates)[5]}
    assert choices["value"].isna().all()


REPEATED = ("study.seeds=7", "study.tuning.repeats=3", "study.tuning.seeds=2", "study.tuning.trials=4")


def by_repeat(jobs: list[Job]) -> dict[int, list[Job]]:
    """Jobs by the seed that draws their test rows."""
    found: dict[int, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.request["data"]["test_seed"], []).append(job)
    return found


def test_each_repeat_is_tuned_and_tested_on_seeds_and_rows_of_its_own() -> None:
    study = asked(*REPEATED)
    jobs, choices = trials_of(study, bowl(mse=0.01, l1=0.003))
    repeats = by_repeat(jobs)
    assert len(repeats) == 3
    seeds = [{job.request["seed"] for job in some} for some in repeats.values()]
    assert [len(some) for some in seeds] == [2, 2, 2]
    assert len(set.union(*seeds)) == 6, "no seed serves two repeats"
    assert not set.union(*seeds) & set(study.fresh_seeds)
    rates = [{job.request["optimizer"]["lr"] for job in some} for some in repeats.values()]
    assert rates[0] != rates[1], "each has its own trials"
    assert len(choices) == 2 * 3
    compared = runner.comparison(study, Path("somewhere"), choices)
    held = by_repeat(compared)
    assert set(held) == set(repeats), "a repeat's choice is tested on rows that none of its trials has seen"
    per_repeat = [{job.request["seed"] for job in some} for some in held.values()]
    assert sorted(map(len, per_repeat)) == [2, 2, 3]
    assert set.union(*per_repeat) == set(study.fresh_seeds)
    chosen = {(row["loss"], row["at"]): row["lr"] for row in choices.to_dict("records")}
    for job in compared:
        assert job.part is not None
        if job.part["arms"] == ["tuned"]:
            at = f"repeat {study.repeat_of(job.request['seed']) + 1}"
            assert job.request["optimizer"]["lr"] == chosen[job.part["loss"], at]


def test_no_more_repeats_than_seeds_and_one_where_nothing_is_tuned() -> None:
    assert asked("study.tuning.repeats=5", "study.seeds=3").repeats == 3
    shared = asked("study.tuning.repeats=5", "study.rates=[shared]")
    assert shared.repeats == 1
    assert "test_seed" not in shared.request("mse", {}, 0)["data"]
    assert "test_seed" not in asked().request("mse", {}, 0)["data"], "one tuning is as it always was"


def test_further_trials_lie_round_the_best_of_each_loss() -> None:
    study = asked(
        "study.tuning.trials=8", "study.tuning.refine=4", "study.tuning.widen=0", losses="study.losses=[mse,huber]"
    )
    jobs, choices = trials_of(study, bowl(mse=0.01, huber=0.001))
    for loss, best in (("mse", 0.01), ("huber", 0.001)):
        trials = {}
        for job in jobs:
            if job.part and job.part["loss"] == loss:
                trials[job.part["trial"]] = job.request
        assert len(trials) == 12
        first = min((trials[number]["optimizer"]["lr"] for number in range(8)), key=lambda lr: abs(math.log(lr / best)))
        near = [trials[number]["optimizer"]["lr"] for number in range(8, 12)]
        assert all(first / 10**0.51 <= lr <= first * 10**0.51 for lr in near), "a decade round it"
        assert choices.set_index("loss")["trials"][loss] == 12


def test_finalists_are_trained_again_and_the_best_of_them_is_chosen() -> None:
    """The luckiest trial is no better than others on further seeds."""
    study = asked("study.tuning.finalists=3", "study.tuning.seeds=1", "study.tuning.widen=0")
    [first] = study.tuning_seeds(0)

    def value(request: dict[str, Any]) -> float:
        lucky = request["seed"] == first and request["optimizer"]["lr"] < 0.0003
        return 0.1 if lucky else bowl(mse=0.01, l1=0.01)(request)

    jobs, choices = trials_of(study, value)
    assert len(jobs) == 2 * (16 + 3)
    assert {job.request["seed"] for job in jobs[-6:]} == set(study.tuning_seeds(0, final=True))
    assert (choices["value"] > 0.1).all()


@pytest.mark.slow
def test_seeds_of_a_repeat_count_as_one() -> None:
    """Two losses that differ in what was chosen alone: twenty seeds of two repeats are two pairs, which support no claim."""
    study = asked("study.seeds=20", "study.tuning.repeats=2")
    made = results(
        conducted(study, lambda request: 1 + request["optimizer"]["lr"] * (request["loss"]["name"] == "mse"))
    )
    assert made.unit == "repeat"
    found = find(made)
    assert set(found.ranking["n"]) == {2}
    assert set(found.ranking["runs"]) == {20}
    assert answer(made, found).startswith("2 repeats cannot support a claim")
    assert any("done 2 times" in sentence for sentence in made.protocol)
    assert any("rows of its own, which none of its trials has seen" in sentence for sentence in made.protocol)
    assert "2 times, each time by" in made.done


def test_rows_that_all_repeats_test_on_are_not_said_to_be_their_own() -> None:
    """As where time, or the data themselves, fix them."""
    study = asked("study.seeds=6", "study.tuning.repeats=3")
    fixed = [replace(one, pairing=one.pairing | {"test_rows": "the last ones"}) for one in conducted(study)]
    said = " ".join(results(fixed).protocol)
    assert "done 3 times" in said
    assert "rows of its own" not in said
    assert "test on the same rows" in said
