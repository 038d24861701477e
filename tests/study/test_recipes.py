"""Each recipe under conf/experiment/ still runs, from its command to its report, and what is published is what it asks for."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from losslab import read_records
from losslab.cli import main, train
from losslab.records.record import HASHES
from losslab.request.command import StudyRequest, check_command
from losslab.schema import cards
from losslab.study.papers import GROUP
from losslab.study.recipe import Study

ROOT = Path(__file__).resolve().parents[2]
RECIPES = [name for name in cards.names("experiment") if not name.startswith(GROUP)]  # of published tables: test_papers
BRIEF = ["trainer=cpu", "trainer.max_epochs=1", "logger=none"]
BRIEF_STUDY = [
    *("study.seeds=2", "study.tuning.repeats=1", "study.tuning.trials=2", "study.tuning.refine=0"),
    *("study.tuning.seeds=1", "study.tuning.widen=0"),
]
MOST_ROWS = 150  # of data that are made for the run
STUDIES = [recipe for recipe in RECIPES if "study" in cards.card("experiment", recipe).values]


@cache
def asked(recipe: str) -> Study | None:
    """The study of a recipe; None for a plain sweep."""
    request = check_command([f"experiment={recipe}"], multirun=False)
    assert isinstance(request, StudyRequest) == (recipe in STUDIES)
    return request.study if isinstance(request, StudyRequest) else None


def published(recipe: str) -> pd.DataFrame:
    return pd.read_parquet(ROOT / "experiments" / recipe / "records.parquet")


def short_rows(recipe: str) -> list[str]:
    """Fewer rows, where the data are made for the run; those that are read stay whole."""
    study = asked(recipe)
    return [f"data.rows={MOST_ROWS}"] if not study or "rows" in study.base["data"] else []


def brief_axes(study: Study) -> dict[str, list[Any]]:
    """The ends of one axis or two; of more the ends of the last, and the last value of the others. An axis of lengths is short."""
    axes = {key: [values[0], values[-1]] for key, values in study.axes.items()}
    if len(axes) > 2:
        axes |= {key: values[-1:] for key, values in list(axes.items())[:-1]}
    return axes | ({"trainer.max_epochs": [1, 2]} if "trainer.max_epochs" in axes else {})


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_cut_down_version_runs_to_its_report(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / recipe
    command = [f"experiment={recipe}", f"hydra.sweep.dir={folder}", *BRIEF, *short_rows(recipe)]
    study = asked(recipe)
    if study:
        command += BRIEF_STUDY
        command += [f"+study.axes.{key}={json.dumps(values)}" for key, values in brief_axes(study).items()]
    else:
        command += ["hydra.sweeper.params.seed='0,1'"]
    assert train.train(command) == 0, capsys.readouterr().err
    records = read_records(folder)
    assert {record.status for record in records} <= {"done", "diverged"}
    if study:
        losses = {record.study["loss"] for record in records if record.study}
        assert losses == set(study.losses)
        assert {record.study["phase"] for record in records if record.study} >= {"confirm"}
    else:
        assert main.main(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert all(loss in page for loss in {record.loss for record in records})


@pytest.mark.slow
@pytest.mark.parametrize("recipe", STUDIES)
def test_published_records_are_those_that_the_recipe_asks_for(recipe: str) -> None:
    study = asked(recipe)
    assert study
    records = published(recipe)
    compared = records[records["study.phase"] == "confirm"]
    assert set(compared["study.loss"]) == set(study.losses)
    assert set(compared["study.setting"]) == {study.label(setting) for setting in study.settings()}
    wanted = len(study.losses) * len(study.settings()) * study.seeds
    assert wanted <= len(compared) <= wanted * len(study.rates)
    assert set(compared["seed"]) == set(study.fresh_seeds)
    if "tuned" in study.rates:
        trials = records[records["study.phase"] == "tune"].groupby(["study.at", "study.loss"])["study.trial"].nunique()
        assert set(trials.index.get_level_values("study.loss")) == set(study.losses)
        assert trials.min() >= study.tuning["trials"]
        assert (trials.groupby("study.at").nunique() == 1).all(), "one loss was tried more often than another"


@pytest.mark.parametrize("recipe", RECIPES)
def test_published_runs_are_paired_and_name_the_commit(recipe: str) -> None:
    records = published(recipe)
    commits = records["commit"].unique()
    assert len(commits) == 1
    assert not commits[0].endswith("+"), "made from files that no commit holds"
    if recipe in STUDIES:
        records = records[records["study.phase"] == "confirm"]
        settings = ["study.setting", "seed"]
    else:
        settings = ["corruption", "corruption.fraction", "seed"]
    for stream in HASHES:
        assert (records.groupby(settings)[f"pairing.{stream}"].nunique() == 1).all(), stream
