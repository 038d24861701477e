"""Whatever is typed, and whatever lies in a folder, gets a run or one sentence; nothing that was read is executed."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from faults import hostile
from faults.answers import answer
from faults.lines import lines
from faults.requests import drawn, inject, names_the_key, typos
from losslab import compose, errors
from losslab.cli import main, train
from losslab.records.store import read_record
from losslab.study.recipe import from_mark
from losslab.training.run import run
from support.made_up_studies import asked


def faults(words: list[str], folder: Path) -> str:
    found = answer(words, folder).fault
    return f"{words}: {found}" if found else ""


@pytest.mark.slow
def test_random_command_lines_get_a_run_or_a_sentence(tmp_path: Path) -> None:
    assert not list(filter(None, (faults(words, tmp_path) for words in drawn(lines(), 5, seed=0))))


def test_a_sweep_that_is_refused_as_its_runs_are_composed_leaves_nothing(tmp_path: Path) -> None:
    given = answer(["-m", "hydra.sweep.subdir=${nothing}", "seed=0,1"], tmp_path)
    assert (given.status, given.fault) == (2, "")
    assert "Run 0 of the sweep cannot be composed" in given.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "task=counts -h penalty.l2=1 --info",
        "seed=3 --cfg=job task=counts",
        "-h seed=3 -m task=counts",
        "--cfg=all seed=3 --resolve",
        "--cfg=job model=glob(m*)",
        "--cfg=hydra seed=3 --package=hydra.run",
        "study=fair --hydra-help task=1 seed=3",
        "-sc install=bash",
        "uninstall=fish -sc",
    ],
)
def test_flags_and_settings_may_stand_in_any_order(line: str, tmp_path: Path) -> None:
    assert faults(line.split(), tmp_path) == ""


def test_a_shell_is_told_how_a_line_may_go_on_and_nothing_where_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_LINE", "python train.py loss=hu")
    assert answer(["-sc", "query=bash"], tmp_path).out == "loss=huber\n"
    for typed in ("", "python train.py a b", "python train.py --cfg jo", "python train.py ../../../x"):
        monkeypatch.setenv("COMP_LINE", typed)
        given = answer(["-sc", "query=bash"], tmp_path)
        assert (given.status, given.err, given.crash, given.out.strip()) == (0, "", "", ""), typed


@pytest.mark.slow
def test_many_random_command_lines_and_hostile_files_do_no_harm(tmp_path: Path) -> None:
    for tally in [*inject(40, 1, tmp_path), *hostile.inject(4, 1, tmp_path)]:
        assert (tally.lost, tally.tracebacks, tally.stray) == (0, 0, 0), tally


@pytest.mark.slow
def test_mistyped_keys_are_refused_with_the_right_one(tmp_path: Path) -> None:
    for typo in drawn(typos(), 3, seed=0):
        given = answer([typo[1]], tmp_path)
        assert names_the_key(typo, given), (typo, given.err)


def test_what_an_answer_should_not_be_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaves(*_: object) -> None:
        Path("left").touch()
        raise errors.BadRequest("Two\nlines and no end")

    monkeypatch.setattr("losslab.request.command.check_command", leaves)
    assert "left" in answer(["seed=1"], tmp_path).fault

    def breaks(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("losslab.request.command.check_command", breaks)
    assert "KeyError" in answer(["seed=1"], tmp_path).fault


@pytest.mark.slow
def test_hostile_words_are_refused_and_run_nothing(tmp_path: Path) -> None:
    for words in hostile.words(tmp_path):
        given = answer(words, tmp_path)
        assert (given.status, given.fault) == (2, ""), words


def test_a_record_of_the_wrong_types_is_refused(quick, tmp_path: Path) -> None:
    quick(into="run")
    path = tmp_path / "run" / "record.json"
    whole = json.loads(path.read_text())
    for key, odd in itertools.product(("metrics", "config", "status", "pairing"), (3, [], [[]], True, {"": {}}, None)):
        if (key, odd) != ("config", {"": {}}):
            path.write_text(json.dumps(whole | {key: odd}))
            with pytest.raises(ValueError, match="is corrupt"):
                read_record(tmp_path / "run")
    for text in (
        "[" * 50_000,
        json.dumps(whole | {"reason": "half a pair: \ud800"}),
        json.dumps(whole | {"seed": 2**63}),
        json.dumps(whole | {"metrics": {"best/test/mse": 10**400}}),
        *(json.dumps(whole | {key: {"name": "x"}}) for key in ("optimizer", "selection", "study", "config")),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match="is corrupt"):
            read_record(tmp_path / "run")
    path.write_text(json.dumps(whole | {"seed": 2**63 - 1, "reason": "a pair: \N{ROCKET}"}))
    assert read_record(tmp_path / "run")


def test_a_study_that_is_none_is_refused() -> None:
    mark = asked("study.seeds=3").mark()
    assert from_mark(mark).mark() == mark
    odd: list[dict[str, Any]] = [{"tuning": {}}, {"tuning": mark["tuning"] | {"search": "x"}}, {"axes": {"a": []}}]
    odd += [{"rates": ["x"]}, {"rates": []}, {"rates": ["tuned", "tuned"]}, {"seeds": 0}, {"seeds": 2**62}]
    odd += [{"epoch": "zz"}, {"metric": "zz"}, {"reference": "zz"}, {"of a later version": None}]
    for wrong in (None, [], {}, {"name": "x"}, {"name": 3, "axes": []}, *(mark | change for change in odd)):
        with pytest.raises(errors.BadRequest, match="does not describe a study"):
            from_mark(wrong)


def test_what_torch_must_find_at_its_import_is_set_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    train.before_torch([{"deterministic": False}])
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    train.before_torch([{"deterministic": False}, {"deterministic": True}])
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_a_run_leaves_torch_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    small = ("data.rows=100", "data.batch_size=16", "trainer.max_epochs=1", "trainer=cpu", "logger=none")
    run(compose(*small, "trainer.deterministic=true"), tmp_path / "run")
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
def test_nothing_is_sent_or_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", closed)
    monkeypatch.setattr("socket.socket.bind", closed)
    monkeypatch.chdir(tmp_path)
    small = ["data.rows=100", "data.batch_size=16", "trainer.max_epochs=1", "trainer=cpu"]
    assert train.train([*small, "hydra.run.dir=runs/lone"]) == 0
    assert list((tmp_path / "runs/lone").glob("events.out.tfevents.*"))
    assert main.main(["report", "runs"]) == 0
