"""A sweep that is stopped anywhere ends, after the same command, as if nothing had been."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import losslab.fused.module
import losslab.sweep.resume
import losslab.training.callbacks
import losslab.training.prepare
import losslab.training.run
import losslab.training.trainer
from faults import kills, scarce
from losslab import compose
from losslab.cli import train as cli_train
from losslab.schema import canonical
from losslab.sweep.jobs import Job, Stack
from losslab.sweep.resume import Resumption

SMALL = ["data.rows=200", "trainer=cpu", "trainer.max_epochs=4", "model.hidden=[8]", "logger=none"]
STACKS = ["-m", "loss=mse,huber", "seed=0,1,2", "optimizer.schedule=one_cycle", "fused.size=4", *SMALL]


class PowerCut(BaseException):
    """Nothing may catch it."""


@pytest.fixture(autouse=True)
def _a_checkpoint_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losslab.training.callbacks, "_SECONDS_BETWEEN_CHECKPOINTS", -1)


def train(folder: Path, *more: str) -> int:
    return cli_train.train([*STACKS, *more, f"hydra.sweep.dir={folder}"])


def cut_at(patched: pytest.MonkeyPatch, owner: object, name: str, call: int) -> None:
    """The power goes at the given call of a function, from 1."""
    original, calls = getattr(owner, name), iter(range(1, 10**6))

    def cut(*args: object, **kwargs: object) -> object:
        if next(calls) == call:
            raise PowerCut
        return original(*args, **kwargs)

    patched.setattr(owner, name, cut)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epoch", "traced"),
    [(3, True), *(pytest.param(*one, marks=pytest.mark.slow) for one in [(3, False), (8, False), (8, True)])],
)
def test_a_stack_goes_on_from_its_checkpoint(
    epoch: int, traced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    monkeypatch.setattr("losslab.fused.functional._WORTH_TRACING", 1 if traced else 10**6)  # as a long stack is
    assert train(whole) == 0
    trained: list[int] = []
    original = losslab.fused.module.FusedModule.training_step

    def count(self, chunk: torch.Tensor, number: int) -> None:
        trained.append(self.current_epoch)
        original(self, chunk, number)

    with monkeypatch.context() as patched:
        cut_at(patched, losslab.fused.module.FusedModule, "on_train_epoch_end", epoch)
        with pytest.raises(PowerCut):
            train(stopped)
    monkeypatch.setattr(losslab.fused.module.FusedModule, "training_step", count)
    assert train(stopped) == 0
    first = (epoch - 1) % 4  # the epoch that was cut
    assert trained[: 4 - first] == list(range(first, 4)), "no epoch is trained again"
    assert kills.left_by(stopped) == kills.left_by(whole)
    assert not list(stopped.glob(".*"))


@pytest.mark.slow
def test_a_folder_that_was_just_not_removed_is_removed_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(folder: Path) -> None:
        if folder.exists():
            raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rmdir", cut)
        with pytest.raises(PowerCut):
            train(tmp_path)
    assert [path.name for path in tmp_path.glob(".s*")] == [".stacks"]
    assert train(tmp_path) == 0
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(kills.COMMANDS))
def test_nothing_is_lost_where_the_power_goes_at_a_change_of_a_file(kind: str, tmp_path: Path) -> None:
    asked = [*kills.COMMANDS[kind], *(["study.tuning.refine=1"] if kind == "a study" else [])]
    tally = kills.disturbed(kind, [*asked, *SMALL], 4, tmp_path, kills.Cutter(np.random.default_rng(0)))
    assert (tally.tried, tally.lost, tally.doubled, tally.tracebacks, tally.stray) == (4, 0, 0, 0, 0)


@pytest.mark.slow
def test_nothing_is_lost_where_a_process_is_killed(tmp_path: Path) -> None:
    asked = kills.COMMANDS["stacks"]
    tally = kills.disturbed("stacks", asked, 2, tmp_path, kills.Killer(np.random.default_rng(0)))
    assert (tally.tried, tally.lost, tally.doubled, tally.tracebacks, tally.stray) == (2, 0, 0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 1], ids=["stacks", "alone"])
def test_what_was_begun_by_other_code_begins_anew(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = f"fused.size={size}"
    with monkeypatch.context() as patched:
        patched.setattr("losslab.records.provenance.commit", lambda: "before")
        cut_at(
            patched, losslab.sweep.training if size > 1 else losslab.training.run, "outcome", 1
        )  # after the last epoch
        with pytest.raises(PowerCut):
            train(tmp_path / "stopped", asked)
    capsys.readouterr()
    assert train(tmp_path / "stopped", asked) == 0
    assert capsys.readouterr().err.count(" was begun by other code or on other data, and begins anew.\n") == 1
    assert train(tmp_path / "whole", asked) == 0
    assert kills.left_by(tmp_path / "stopped") == kills.left_by(tmp_path / "whole")


def test_what_another_process_removes_as_well_is_no_error(
    jobs: Callable[..., list[Job]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Resumption(jobs(2))
    monkeypatch.setattr(Path, "exists", lambda _: True)
    kept.clear()


@pytest.mark.slow
def test_nothing_is_lost_where_a_real_disk_is_full(tmp_path: Path) -> None:
    with scarce.small_disk(tmp_path / "disk") as disk:
        if disk is None:
            pytest.skip("only root may mount a small disk")
        fault = scarce.FullDisk(np.random.default_rng(0), disk)
        tally = kills.disturbed("stacks", [*kills.COMMANDS["stacks"], *SMALL], 1, disk, fault)
    assert (tally.tried, tally.lost, tally.doubled, tally.tracebacks, tally.stray) == (1, 0, 0, 0, 0)


Made = Callable[..., list[Job]]


@pytest.fixture
def jobs(tmp_path: Path) -> Made:
    request = compose("trainer=cpu")

    def make(count: int, **more: object) -> list[Job]:
        asked = [request | more | {"seed": seed} for seed in range(count)]
        return [Job(one, tmp_path / canonical.run_id(one), number) for number, one in enumerate(asked)]

    return make


def in_stacks_of(size: int) -> Callable[[list[Job]], list[Stack]]:
    return lambda jobs: [Stack(list(jobs[start : start + size])) for start in range(0, len(jobs), size)]


def seeds(stacks: list[Stack]) -> list[list[int]]:
    return [[job.request["seed"] for job in stack.jobs] for stack in stacks]


def test_runs_that_are_left_stay_in_the_stacks_that_were_planned(jobs: Made) -> None:
    asked = jobs(7)
    Resumption(asked).stacks(asked, in_stacks_of(3))
    left = [asked[1], asked[2], asked[6]]
    stacks = Resumption(asked).stacks(left, in_stacks_of(2))  # as a machine that is busier would have measured
    assert seeds(stacks) == [[0, 1, 2], [6]]
    Resumption(asked).clear()
    assert seeds(Resumption(asked).stacks(left, in_stacks_of(2))) == [[1, 2], [6]]


def test_a_run_that_was_over_when_the_plan_was_made_and_lost_its_record_is_planned_now(jobs: Made) -> None:
    asked = jobs(4)
    Resumption(asked).stacks(asked[2:], in_stacks_of(2))
    assert seeds(Resumption(asked).stacks(asked[1:], in_stacks_of(2))) == [[2, 3], [1]]


def test_another_sweep_has_another_plan(jobs: Made) -> None:
    few, more = jobs(4), jobs(6)
    Resumption(few).stacks(few, in_stacks_of(3))
    assert seeds(Resumption(more).stacks(more, in_stacks_of(2))) == [[0, 1], [2, 3], [4, 5]]
    assert seeds(Resumption(few).stacks(few, in_stacks_of(2))) == [[0, 1, 2], [3]]


@pytest.mark.parametrize("changed", ["commit", "fused.size", "overwrite", "corrupt"])
def test_a_plan_that_does_not_apply_is_made_anew(
    changed: str, jobs: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = jobs(4)
    before = Resumption(asked)
    checkpoint = before.folder / f"{before.stacks(asked, in_stacks_of(3))[0].key}.ckpt"
    checkpoint.touch()
    if changed == "commit":
        monkeypatch.setattr(losslab.sweep.resume, "commit", lambda: "another")
    elif changed == "fused.size":
        asked = jobs(4, fused={"size": 2, "engine": "auto", "processes": 0, "audit": 0})
    elif changed == "overwrite":
        asked = jobs(4, overwrite=True)
    else:
        plan = next(tmp_path.rglob("plan.json"))
        plan.write_text(plan.read_text()[:-20])
    assert seeds(Resumption(asked).stacks(asked, in_stacks_of(2))) == [[0, 1], [2, 3]]
    assert not checkpoint.exists()


def test_a_stack_that_was_halved_stays_so(jobs: Made) -> None:
    asked = jobs(5)
    first = Resumption(asked)
    whole = first.stacks(asked, in_stacks_of(5))[0]
    halves = whole.halves("no memory")
    assert seeds(halves) == [[0, 1], [2, 3, 4]]
    first.note_halves(whole, halves)
    assert seeds(Resumption(asked).stacks(asked[1:], in_stacks_of(5))) == [[0, 1], [2, 3, 4]]


def test_a_corrupt_plan_is_moved_away_and_made_anew(
    jobs: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = jobs(4)
    Resumption(asked).stacks(asked, in_stacks_of(4))
    plan = next(tmp_path.rglob("plan.json"))
    plan.write_bytes(plan.read_bytes()[:20])
    assert seeds(Resumption(asked).stacks(asked, in_stacks_of(2))) == [[0, 1], [2, 3]]
    assert "plan.json is corrupt" in caplog.text


def test_what_a_sweep_keeps_is_no_record_and_goes_with_its_end(jobs: Made, tmp_path: Path) -> None:
    asked = jobs(2)
    kept = Resumption(asked)
    kept.stacks(asked, in_stacks_of(2))
    assert json.loads(next(tmp_path.rglob("plan.json")).read_text())["stacks"][0]["why"] is None
    assert not list(tmp_path.rglob("record.json"))
    kept.clear()
    assert not list(tmp_path.iterdir())
