"""However the steps of a stack are executed, its runs end alike."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from losslab import compose
from losslab.fused import engine as engines
from losslab.fused import sizing
from losslab.fused.module import FusedModule
from losslab.fused.optimizer import StackedOptimizer
from losslab.fused.step import Step
from losslab.records.record import Record
from losslab.records.store import read_record
from losslab.schema import canonical
from losslab.schema import cards as schema_cards
from losslab.sweep import planning
from losslab.sweep.jobs import Job
from losslab.sweep.runner import train_all
from losslab.training import callbacks
from losslab.training.prepare import prepare
from support.stacks import fused, requests, stackable
from support.tape import Tape, recorded

TAPES: list[Tape] = []


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Tape]]:
    """A CPU that has graphs."""
    steps: list[Step] = []
    original = Step.__init__

    def init(self: Step, *given: object) -> None:
        original(self, *given)
        steps.append(self)

    def captured(function: Callable[[], None]) -> Tape:
        TAPES.append(recorded(function, steps[-1].changed))
        return TAPES[-1]

    monkeypatch.setattr(Step, "__init__", init)
    monkeypatch.setattr(engines, "has_graphs", lambda device: True)
    monkeypatch.setattr(engines, "captured", captured)
    monkeypatch.setattr(engines, "aside", lambda function: function())
    yield TAPES
    TAPES.clear()


def same(one: FusedModule, other: FusedModule) -> bool:
    """Bit for bit: parameters, buffers, best weights, curves."""
    pairs = [(one.flat, other.flat), (one.best, other.best)]
    pairs += [
        (one.carried(which)[name], other.carried(which)[name]) for which in ("last", "best") for name in one.changing
    ]
    said = [repr((module.curves, module.best_epoch, module.diverged_in)) for module in (one, other)]  # NaN among them
    return said[0] == said[1] and all(torch.allclose(*pair, rtol=0, atol=0, equal_nan=True) for pair in pairs)


def in_small_batches(asked: list[dict]) -> list[dict]:
    """Eleven steps an epoch."""
    return [request | {"data": request["data"] | {"batch_size": 16}} for request in asked]


CASES = [
    ("multiclass", "cnn", "sgd"),
    ("binary", "linear", "adamw"),
    ("regression", "mlp", "adam"),
    ("counts", "own", "sgd"),
    ("bbox", "boxes", "adamw"),
]


@pytest.mark.parametrize(("task", "model", "optimizer"), CASES)
def test_a_replayed_stack_gives_the_same_bits(task: str, model: str, optimizer: str, graphs: list[Tape]) -> None:
    asked = requests(task, model, optimizer)
    eager, replayed = (fused(asked, double=False, engine=engine) for engine in ("eager", "auto"))
    assert (eager.engine.described(), replayed.engine.described()) == ("eager", "captured")
    assert graphs[0].replays == replayed.runs[0].steps - 3
    assert same(eager, replayed)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", schema_cards.names("optimizer"))
@pytest.mark.parametrize("task", schema_cards.names("task"))
def test_a_replayed_stack_of_every_loss_gives_the_same_bits(task: str, optimizer: str, graphs: list[Tape]) -> None:
    asked = requests(task, "linear" if task != "bbox" else "mlp", optimizer, stackable(task))
    eager, replayed = (fused(asked, double=False, engine=engine) for engine in ("eager", "captured"))
    assert graphs[0].replays > 0
    assert same(eager, replayed)


def test_what_a_replay_must_not_fix_is_found_out(graphs: list[Tape], monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the tests: a rate that is read from Python stays that of the step that was recorded."""
    asked = requests("regression")
    eager = fused(asked, double=False, engine="eager")
    move = StackedOptimizer.move

    def fixed(self: StackedOptimizer, gradient: Tensor) -> None:
        self.now = torch.tensor([int(self.now)]) + 0
        move(self, gradient)

    monkeypatch.setattr(StackedOptimizer, "move", fixed)
    assert same(eager, fused(asked, double=False, engine="eager"))
    assert not same(eager, fused(asked, double=False, engine="captured"))


def test_replays_go_on_when_a_run_has_diverged(graphs: list[Tape]) -> None:
    asked = in_small_batches(copy.deepcopy(requests("regression", "mlp", "sgd")))
    asked[3]["optimizer"]["lr"] = 1e30
    eager, replayed = (fused(asked, double=False, engine=engine) for engine in ("eager", "captured"))
    assert sum(epoch is not None for epoch in replayed.diverged_in) == 1
    assert [tape.replays > 0 for tape in graphs] == [True, True], "another step, which puts back what the dead had"
    assert same(eager, replayed)


def test_buffers_of_models_are_carried_by_replays(graphs: list[Tape]) -> None:
    asked = [
        compose("model=support.stateful:normed", "data.rows=300", "trainer=cpu", "trainer.max_epochs=3", f"seed={seed}")
        for seed in range(2)
    ]
    eager, replayed = (fused(asked, double=False, engine=engine) for engine in ("eager", "captured"))
    assert graphs[0].replays > 0
    assert same(eager, replayed)


def test_dropout_stays_eager(graphs: list[Tape], caplog: pytest.LogCaptureFixture) -> None:
    asked = [compose("model=support.stateful:Twice", "data.rows=300", "trainer=cpu", "trainer.max_epochs=2")] * 2
    assert fused(asked, engine="auto").engine.described() == "eager"
    assert not caplog.records
    assert "dropout" in fused(asked, engine="captured").engine.described()
    assert "dropout" in caplog.text
    assert not graphs


def test_a_capture_that_fails_falls_back(
    graphs: list[Tape], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(function: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(engines, "captured", refuses)
    asked = requests("regression")
    found = fused(asked, double=False, engine="captured")
    assert found.engine.described().startswith("eager (capturing failed: RuntimeError: operation not permitted")
    assert "operation not permitted" in caplog.text
    assert same(found, fused(asked, double=False, engine="eager"))


@pytest.mark.slow
@pytest.mark.parametrize("has_graphs", [True, False])
def test_a_compilation_that_fails_halfway_falls_back(
    has_graphs: bool, graphs: list[Tape], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compile(step: Step, **_: object) -> Callable[[], None]:
        def half() -> None:
            step()
            raise RuntimeError("no compiler here")

        return half

    monkeypatch.setattr(engines, "has_graphs", lambda device: has_graphs)
    monkeypatch.setattr(torch, "compile", compile)
    asked = requests("regression")
    found = fused(asked, double=False, engine="compiled")
    expected = "captured" if has_graphs else "eager"
    assert found.engine.described() == f"{expected} (compiling failed: RuntimeError: no compiler here)"
    assert "no compiler here" in caplog.text
    assert same(found, fused(asked, double=False, engine="eager"))


@pytest.mark.parametrize(
    ("seconds", "device", "model", "compilers", "expected"),
    [
        (41.0, "cpu", "mlp", True, True),
        (39.0, "cpu", "mlp", True, False),
        (41.0, "cpu", "mlp", False, False),
        (41.0, "cuda", "mlp", False, True),
        (41.0, "cpu", "support.stateful:Twice", True, False),
    ],
)
def test_a_stack_is_compiled_where_that_saves_more_than_it_takes(
    seconds: float, device: str, model: str, compilers: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines.shutil, "which", lambda name: name if compilers else None)
    run = prepare(compose(f"model={model}", "data.rows=300", "trainer=cpu"))
    assert engines.pays(run.model, torch.device(device), seconds) is expected


@pytest.mark.slow
def test_a_compiled_stack_that_was_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    asked = [
        compose("data.rows=200", "model.hidden=[8]", "trainer=cpu", "trainer.max_epochs=3", f"seed={n}") for n in (0, 1)
    ]

    def jobs(folder: Path) -> list[Job]:
        return [Job(request, folder / canonical.run_id(request), number) for number, request in enumerate(asked)]

    def cut(module: FusedModule, original: Callable[[FusedModule], None] = FusedModule.on_train_epoch_end) -> None:
        if module.current_epoch == 2:
            raise PowerCut
        original(module)

    monkeypatch.setattr(callbacks, "_SECONDS_BETWEEN_CHECKPOINTS", -1)
    monkeypatch.setattr(planning, "stack_size", lambda requests: (sizing.Size(2, 1, "compiled"), None))
    whole = train_all(jobs(tmp_path / "whole")).records
    with monkeypatch.context() as patched:
        patched.setattr(FusedModule, "on_train_epoch_end", cut)
        with pytest.raises(PowerCut):
            train_all(jobs(tmp_path / "stopped"))
    monkeypatch.setattr(planning, "stack_size", lambda requests: (sizing.Size(2, 1), None))  # a busier machine
    stopped = train_all(jobs(tmp_path / "stopped")).records
    assert [record.engine for record in [*whole, *stopped]] == ["compiled"] * 4
    assert [record.metrics for record in stopped] == [record.metrics for record in whole]
    for one, other in zip(jobs(tmp_path / "whole"), jobs(tmp_path / "stopped"), strict=True):
        kept = [
            torch.load(job.folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for job in (one, other)
        ]
        assert all(torch.equal(kept[0][name], value) for name, value in kept[1].items())


@pytest.mark.slow
@pytest.mark.parametrize(("task", "model", "optimizer"), CASES)
def test_a_compiled_stack_equals_an_eager_one(task: str, model: str, optimizer: str) -> None:
    asked = requests(task, model, optimizer)
    eager, compiled = (fused(asked, engine=engine) for engine in ("eager", "compiled"))
    assert compiled.engine.described() == "compiled"
    torch.testing.assert_close(compiled.flat, eager.flat, rtol=1e-9, atol=1e-12)
    for one, other in zip(compiled.curves, eager.curves, strict=True):
        assert [step for step, _ in one] == [step for step, _ in other]
        for (_, values), (_, expected) in zip(one, other, strict=True):
            assert values == pytest.approx(expected, rel=1e-9)


def trained(folder: Path, engine: str) -> list[Record]:
    asked = [
        compose("data.rows=300", "trainer=cpu", "trainer.max_epochs=2", f"seed={n}", f"fused.engine={engine}")
        for n in range(2)
    ]
    jobs = [Job(request, folder / canonical.run_id(request), number) for number, request in enumerate(asked)]
    return train_all(jobs).records


def test_the_record_says_which_engine_there_was(tmp_path: Path) -> None:
    first, second = trained(tmp_path, "auto"), trained(tmp_path, "captured")
    assert [record.engine for record in first] == ["eager"] * 2
    assert second == first, "the engine does not decide the result: nothing is trained again"
    (record, _) = trained(tmp_path / "again", "captured")
    assert record.engine == "eager (only a CUDA device has graphs)"
    assert read_record(next((tmp_path / "again").glob("regression*"))).engine == record.engine


def test_requests_and_records_of_earlier_versions_have_no_engine(tmp_path: Path) -> None:
    (record, _) = trained(tmp_path, "auto")
    path = tmp_path / canonical.run_id(record.config) / "record.json"
    text = path.read_text()
    assert '  "engine": "eager",\n' in text
    path.write_text(text.replace('  "engine": "eager",\n', "").replace('      "engine": "auto",\n', ""))
    old = read_record(path.parent)
    assert old.engine == ""
    assert "engine" not in old.config["fused"]
    assert canonical.run_id(old.config) == canonical.run_id(record.config)
