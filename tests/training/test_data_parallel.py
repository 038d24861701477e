"""One run trained by several processes: the record of one process, for every loss; and what is refused, or fails."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import SMALL
from losslab import BadRequest, Record, compose, hardware, seeding
from losslab.cli import train
from losslab.records.store import read_record
from losslab.schema import cards, compatibility
from losslab.sweep.jobs import Job
from losslab.sweep.runner import train_all
from losslab.training import module, run
from losslab.training.data_parallel import ALONE, Group
from losslab.training.processes import together
from support import in_parts

MANY = bool(os.environ.get("LOSSLAB_MANY_KILLS"))  # then for each of the losses
TINY = ["trainer=cpu", "logger=none", "trainer.max_epochs=2", "trainer.precision=64-true", "data.batch_size=33"]
FURTHER = [  # where a mean is divided by what a batch weighs, and what is added to a loss
    ["task=multiclass", "loss=cross_entropy", "loss.class_weights=[1,2,3,4,5,6,7,8,9,10]"],
    ["task=binary", "loss=bce_with_logits", "data.weight=balanced"],
    ["task=regression", "loss=mse", "penalty.l2=0.01", "penalty.l1=0.01", "optimizer=sgd", "optimizer.schedule=cosine"],
    ["task=bbox", "loss=sum", "loss.terms='5*l1 + 2*giou'"],
]


def asked() -> list[dict[str, Any]]:
    """A run of losses under the first task that takes them, and some more: of those that see whole batches, or keep numbers."""
    task_of: dict[str, str] = {}
    for task in cards.names("task"):
        for loss in [name for name in compatibility.fitting("loss", task) if name != "sum"]:
            facts = {"batchwise", "stateful"} & {*cards.card("loss", loss).about.get("facts", [])}
            if MANY or facts or loss in ("lovasz", "mse"):
                task_of.setdefault(loss, task)
    each = [[f"task={task}", f"loss={loss}"] for loss, task in task_of.items()] + FURTHER
    return [compose(*words, *SMALL[words[0].removeprefix("task=")], *TINY) for words in each]


def seen(record: Record) -> dict[str, Any]:
    kept = ("status", "epochs", "best_epoch", "pairing", "selection", "corruption", "data", "model", "loss_params")
    return {key: getattr(record, key) for key in kept}


def numbers(record: Record) -> dict[str, Any]:
    curves = {f"{name} {epoch}": value for name, curve in record.curves.items() for epoch, value in enumerate(curve)}
    found = {**record.metrics, **curves}
    return {name: math.nan if value is None else value for name, value in found.items()}


@pytest.mark.slow
def test_two_processes_leave_the_record_of_one(tmp_path: Path) -> None:
    requests = asked()
    alone = in_parts.runs(ALONE, requests, tmp_path / "one")
    both = together(2, False, in_parts.runs, requests, tmp_path / "two")
    assert len(both) == len(requests) >= (100 if MANY else 12)
    for request, one, two in zip(requests, alone, both, strict=True):
        assert seen(two) == seen(one), request["loss"]
        assert numbers(two) == pytest.approx(numbers(one), rel=1e-9, abs=1e-12, nan_ok=True), request["loss"]


def test_each_process_draws_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn = {part: seeding.derive(0, "dropout", 3, part) for part in range(3)}
    assert len(set(drawn.values())) == 3
    assert drawn[0] == seeding.derive(0, "dropout", 3), "what one process draws is as before"
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(module.seeding, "seed_globals", lambda *given: seen.append(given))
    request = compose("data.rows=200", *TINY)
    assert run._train(Group(rank=1, size=1), request, tmp_path, False, None, 1) is None
    assert {given[3] for given in seen if len(given) == 4} == {1}
    assert not list(tmp_path.glob("*.json")) + list(tmp_path.glob("*/*.ckpt")), "only the first process writes"


def test_gradients_are_those_of_the_whole_batch() -> None:
    assert together(2, False, in_parts.averages) == [1, 2, 4, 3 * 8 + 10, 2]


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ("killed", RuntimeError, "process 2 of 2 ended with signal 9"),
        ("raised", RuntimeError, "process 2 of 2 failed: KeyError: 'of a sudden'"),
        ("refused", BadRequest, "of a sudden"),
    ],
)
def test_where_one_process_ends_all_do(how: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        together(2, False, in_parts.fails, how)


def test_a_run_whose_process_was_killed_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models.py").write_text(in_parts.MODEL)
    words = ["model=models.py:Net", "data.rows=200", "data.batch_size=60", "trainer=cpu", "trainer.max_epochs=10"]
    words += ["trainer.precision=64-true", "logger=none", "loss=huber"]
    assert train.train([*words, "hydra.run.dir=one"]) == 0
    Path("kill").touch()
    two = [*words, "trainer.devices=2", "trainer.strategy=ddp", "hydra.run.dir=two"]
    assert train.train(two) == 1
    assert "process 2 of 2 ended with signal 9" in capsys.readouterr().err
    left = read_record(Path("two"))
    assert left.status == "failed"
    assert left.reason == "RuntimeError: process 2 of 2 ended with signal 9 (as where memory is short)"
    Path("steps").write_text("")
    assert train.train(two) == 0
    assert 0 < len(Path("steps").read_text()) < 20, "it goes on from its last checkpoint"
    one, found = (read_record(Path(name)) for name in ("one", "two"))
    assert found.device == "2 x cpu, 1 thread"
    assert numbers(found) == pytest.approx(numbers(one), rel=1e-9)
    assert sorted(path.name for path in Path("two").rglob("*")) == sorted(path.name for path in Path("one").rglob("*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trainer.devices=2", "data.batch_size=1"], "trainer.devices=2 gives each device a part of every batch"),
        (["trainer.devices=0"], "trainer.devices must be at least 1"),
        (["trainer.strategy=fsdp"], "trainer.strategy must be one of: ddp"),
        (["-m", "trainer.devices=2", "seed=0,1"], "trainer.devices=2 is for one run"),
        (["-m", "trainer.devices=1,2"], "trainer.devices=2 is for one run"),
        (["-m", "trainer.devices=2", "seed=0,1", "executor=worker"], "trainer.devices=2 is for one run"),
        (["study=fair", "study.losses=[mse,l1]", "trainer.devices=2"], "trainer.devices=2 is for one run"),
        (["trainer.devices=2", "executor=worker"], "executor=worker is for a sweep or a study"),
    ],
)
def test_what_several_processes_cannot_train_is_refused(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.train([*words, "trainer=cpu"]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_jobs_that_ask_for_several_devices_are_refused(tmp_path: Path) -> None:
    job = Job(compose("trainer.devices=2", "trainer=cpu"), tmp_path / "run", 0)
    with pytest.raises(BadRequest, match="is for one run"):
        train_all([job])


def test_more_gpus_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    request = compose("trainer.devices=3")
    monkeypatch.setattr(hardware, "of_run", lambda request: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(BadRequest, match=r"trainer.devices=3 was asked for, and this machine shows 2 GPUs"):
        run.train(request, tmp_path)
    assert not list(tmp_path.iterdir())


class Centred(torch.nn.Module):
    """Outputs that hang on the whole batch, without a layer that says so."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0) if self.training else x


class Counts(torch.nn.Module):
    """A buffer that each batch changes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return x


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (torch.nn.Sequential(torch.nn.BatchNorm1d(3)), r"the layer '0' of the model \(BatchNorm1d\) keeps statistics"),
        (Centred(), "output for a row depends on the other rows"),
        (Counts(), "a training step changes 'seen'"),
        (torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2), torch.nn.Dropout()), ""),
        (torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.GroupNorm(1, 2)), ""),
    ],
)
def test_a_model_that_needs_the_whole_batch_is_refused(model: torch.nn.Module, says: str) -> None:
    inputs, before = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.get_rng_state()
    ALONE.check(model, inputs)
    if says:
        with pytest.raises(BadRequest, match=says):
            Group(0, 2).check(model, inputs)
    else:
        Group(0, 2).check(model, inputs)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
