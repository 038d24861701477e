"""What of executor= and of `losslab worker` is refused, and what a plan prints."""

import re
from pathlib import Path

import pytest

from losslab import compose, errors
from losslab.cli import main, train
from losslab.errors import BadRequest
from losslab.schema import executor
from losslab.sweep import engines
from support.handing_over import SMALL, quick_looks  # noqa: F401 - a fixture of every test


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["executor=worker"], "executor=worker is for a sweep or a study"),
        (["executor.dry_run=true"], "executor.dry_run=true is for a sweep or a study"),
        (["-m", "seed=0,1", "executor=worker,local"], "'executor' holds for all runs of a sweep"),
        (["-m", "seed=0,1", "executor=slurn"], "There is no executor 'slurn'"),
        (["-m", "seed=0,1", "executor.partition=gpu"], "The executor 'local' has no key 'executor.partition'"),
        (["-m", "seed=0,1", "executor=worker", "executor.workers=-1"], "executor.workers must be at least 0"),
        (["-m", "seed=0,1", "executor=worker", "hydra/launcher=basic"], "hydra/launcher=basic starts lone runs"),
        (["-m", "seed=0,1", "executor.name=slurm"], "write executor=NAME"),
        (["-m", "seed=0,1", "executor=worker", "hydra.sweep.subdir=../${run_id:}"], "would lie outside"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.train([*words, *SMALL]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_where_stacks_are_trained_is_no_part_of_a_run() -> None:
    with pytest.raises(BadRequest, match="this is one run"):
        compose(*SMALL, "executor=worker")
    assert "executor" not in compose(*SMALL)
    assert executor.without(["loss=l1", "executor=slurm", "+executor.gpus=1", "executors=2"]) == [
        "loss=l1",
        "executors=2",
    ]


def test_a_plan_is_printed_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["-m", "seed=0,1,2,3", "fused.size=2", *SMALL, "executor=worker", "executor.workers=3"]
    assert train.train([*words, "executor.dry_run=true"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Plan: 4 runs in 2 stacks by 2 workers, about ")
    assert "; 16 files of about " in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "says"), [(["nowhere"], "There is no folder"), ([".", "--wait=-1"], "--wait must be")]
)
def test_a_worker_says_what_it_cannot_serve(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["worker", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_function_of_this_process_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "of_this_process", lambda: True)
    with pytest.raises(errors.BadRequest, match="put it into a file"):
        engines.check({"name": "worker"})
    engines.check({"name": "local"})


def test_the_page_of_clusters_lists_every_executor() -> None:
    page = (Path(__file__).parents[2] / "docs/clusters.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \|", page.partition("\n## ")[0], re.MULTILINE)
    assert sorted(listed) == sorted(path.stem for path in (Path(__file__).parents[2] / "conf/executor").glob("*.yaml"))
