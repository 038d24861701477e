"""Studies that are really trained, from the command to the report."""

from pathlib import Path

import pytest
from tensorboard import context
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing import plugin_event_multiplexer as event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import backend_context

import losslab.study.runner
from losslab import read_records
from losslab.cli import train as cli_train
from losslab.report import collect

SMALL = ["trainer.max_epochs=2", "data.rows=300", "trainer=cpu"]
STUDY = [
    "study=fair",
    "study.losses=[mse,huber]",
    "+study.axes.corruption.fraction=[0,0.2]",
    "study.seeds=2",
    "study.tuning.trials=2",
    "study.tuning.seeds=1",
    "study.tuning.widen=1",
    "study.tuning.refine=1",
]


def train(folder: Path, *more: str) -> int:
    return cli_train.train([*STUDY, *SMALL, f"hydra.sweep.dir={folder}", *more])


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("record.json")}


@pytest.mark.slow
def test_a_study_from_the_command_to_the_report_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "study"
    assert train(folder) == 0
    out = capsys.readouterr().out
    assert "Tuning 2 losses: 3 trials of one run each, 2 times." in out
    records = read_records(folder)
    made = collect.results(records)
    assert (made.runs["status"] == "done").all()
    assert made.notes == [note for note in made.notes if "The best trial of" in note], (
        "paired, whole, and at the chosen rates"
    )
    assert (made.runs["value"] > 0).all()
    rows = {}
    for record in records:
        rows.setdefault(record.config["data"]["test_seed"], set()).add(record.pairing["test_rows"])
    assert [len(found) for found in rows.values()] == [1, 1], "all runs of a repeat test on the same rows"
    assert len(set.union(*rows.values())) == 2, "and repeats on others"
    assert (made.runs["constant"] > 1).all()
    assert {path.name for path in folder.iterdir()} >= {
        "tune",
        "confirm",
        "report.html",
        "report.md",
        "records.csv",
        "study.yaml",
    }

    before = times(folder)
    assert train(folder) == 0
    assert times(folder) == before, "no run is repeated"

    assert train(folder, "study.seeds=3") == 0
    extended = collect.results(read_records(folder))
    assert len(extended.runs) == len(made.runs) * 3 // 2
    shared = extended.runs[extended.runs["seed"] < 2].reset_index(drop=True)
    assert shared["value"].equals(made.runs["value"]), "what was there was taken over"


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert train(whole) == 0
    original = losslab.study.runner.comparison

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(losslab.study.runner, "comparison", stop)
    assert train(stopped) == 130
    before = times(stopped)
    monkeypatch.setattr(losslab.study.runner, "comparison", original)
    assert train(stopped) == 0
    assert {path: time for path, time in times(stopped).items() if path in before} == before
    one, other = (collect.results(read_records(folder)) for folder in (whole, stopped))
    assert one.runs.equals(other.runs)


@pytest.mark.slow
def test_the_folder_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "study"
    assert cli_train.train(["-m", "loss=mse,l1", *SMALL, f"hydra.sweep.dir={folder}"]) == 0
    capsys.readouterr()
    assert train(folder) == 2
    err = capsys.readouterr().err
    assert "holds runs of a plain sweep; choose another folder" in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_runs_of_another_commit_are_refused_unless_mixing_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "study"
    assert train(folder, "study.rates=[shared]") == 0
    monkeypatch.setattr(losslab.study.runner, "commit", lambda: "another")
    capsys.readouterr()
    assert train(folder, "study.rates=[shared]") == 2
    assert "study.mix=true" in capsys.readouterr().err
    assert train(folder, "study.rates=[shared]", "study.mix=true") == 0


@pytest.mark.slow
def test_one_rate_alone_can_be_asked_for(tmp_path: Path) -> None:
    assert train(tmp_path / "shared", "study.rates=[shared]") == 0
    made = collect.results(read_records(tmp_path / "shared"))
    assert made.conditions == ["shared"]
    assert made.trials.empty
    assert not any("Tuned" in sentence for sentence in made.protocol)


@pytest.mark.slow
def test_tensorboard_shows_the_columns_of_all_runs(tmp_path: Path) -> None:
    assert train(tmp_path / "study", "study.losses=[smoothl1,huber]", "study.rates=[tuned]") == 0
    assert cli_train.train(["loss=cauchy", *SMALL, f"hydra.run.dir={tmp_path / 'lone'}"]) == 0
    runs = event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    runs.Reload()
    provider = data_provider.MultiplexerDataProvider(runs, str(tmp_path))
    tab = backend_context.Context(base_plugin.TBContext(data_provider=provider, logdir=str(tmp_path)))
    request = context.RequestContext()
    given = tab.hparams_from_data_provider(request, "", 1000)
    found = tab.experiment_from_metadata(request, "", True, tab.hparams_metadata(request, ""), given)
    assert [info.name for info in found.hparam_infos][:2] == ["Loss", "Seed"]
    columns = {info.name for info in found.hparam_infos}
    assert {"Loss", "loss.beta", "loss.delta", "loss.c", "optimizer.lr", "Seed", "study.phase"} <= columns
    assert {"test/best/mae", "test/last/mae"} <= {info.name.tag for info in found.metric_infos}
    names = [Path(name).parts for name in runs.Runs()]
    assert {name[1:3] for name in names if name[0] == "study"} == {
        (phase, loss) for phase in ("tune", "confirm") for loss in ("smoothl1", "huber")
    }, "curves stand in folders by loss"
