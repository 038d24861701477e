"""Runs trained as one stack end as they would have ended alone; and the tests that say so can fail."""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from losslab import Record, compose, losses
from losslab.events import RunFinished
from losslab.fused import functional
from losslab.fused.batches import StackedBatches
from losslab.fused.functional import flatten_parameters, forward_for
from losslab.fused.losses import Group, loss_key
from losslab.fused.module import FusedModule
from losslab.fused.optimizer import StackedOptimizer
from losslab.fused.sizing import Size
from losslab.fused.trial import why_alone
from losslab.schema import canonical, check, compatibility
from losslab.schema import cards as schema_cards
from losslab.sweep.jobs import Job
from losslab.sweep.planning import plan, stack_size
from losslab.sweep.runner import train_all
from losslab.training.module import RunModule
from losslab.training.prepare import prepare, prepare_all
from support.event_files import curves
from support.stacks import SMALL, alone, difference, doubled, fit, fused, requests, rows_by_request, stackable

CASES = [
    (task, model, optimizer)
    for task, model, optimizer in itertools.product(
        schema_cards.names("task"), schema_cards.names("model"), schema_cards.names("optimizer")
    )
    if model not in ("cnn", "boxes") or task == "bbox" or (model, task) == ("cnn", "multiclass")
]


QUICK = [  # each model and each optimizer among them
    ("multiclass", "cnn", "sgd"),
    ("binary", "linear", "adamw"),
    ("regression", "mlp", "adam"),
    ("counts", "own", "sgd"),
    ("bbox", "boxes", "adamw"),
]


def tolerance(model: str) -> float:
    """Of free boxes some numbers have a gradient of 0 but for rounding, which Adam makes larger."""
    return 1e-8 if model == "boxes" else 1e-9


@pytest.mark.parametrize(("task", "model", "optimizer"), QUICK)
def test_a_stack_equals_its_runs_alone(task: str, model: str, optimizer: str) -> None:
    assert difference(requests(task, model, optimizer)) <= tolerance(model)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "model", "optimizer"), CASES)
def test_a_stack_of_every_loss_equals_its_runs_alone_under_every_optimizer(
    task: str, model: str, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each eighth run, others for each case, so that the cases of a task have all of its losses."""
    monkeypatch.setattr(functional, "_WORTH_TRACING", 0 if optimizer == "adam" else 10**9)
    # One epoch of free boxes: later some box, symmetric to its target as it lies, meets a kink of its loss, where rounding decides
    # which way it goes. After two or three epochs one loss in sixty or so is a hundredth off by that.
    asked = requests(task, model, optimizer, stackable(task), epochs=1 if model == "boxes" else 2)
    eighth = asked[CASES.index((task, model, optimizer)) % 8 :: 8]
    assert difference(eighth or asked) <= tolerance(model)


def test_a_stack_of_losses_that_read_a_scale_equals_its_runs_alone() -> None:
    names = [
        n
        for n in losses.names("regression")
        if compatibility.heads("regression", schema_cards.card("loss", n).values) == 2
    ]
    assert difference(requests("regression", names=names)) <= 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("task", "model"), [("regression", "mlp"), ("multiclass", "own"), ("bbox", "cnn")])
def test_a_traced_step_gives_the_same_bits(task: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for worth in (0, 10**9):
        monkeypatch.setattr(functional, "_WORTH_TRACING", worth)
        module = fused(requests(task, model), double=False)
        traced = isinstance(getattr(module.engine.step.gradient, "__self__", None), torch.fx.GraphModule)
        assert traced == (worth == 0)
        found.append(module.flat.detach())
    assert torch.equal(*found)


BREAKS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {}


def breaks(change: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    BREAKS[change.__name__] = change
    return change


@breaks
def mean_for_sum(patch: pytest.MonkeyPatch) -> None:
    original = FusedModule.losses
    patch.setattr(FusedModule, "losses", lambda self, raw, targets: original(self, raw, targets) / len(self.runs))


@breaks
def shared_rate(patch: pytest.MonkeyPatch) -> None:
    original = StackedOptimizer._look_ahead

    def shared(self, step: int) -> None:
        original(self, step)
        self.rates = self.rates.mean(1, keepdim=True).expand_as(self.rates)

    patch.setattr(StackedOptimizer, "_look_ahead", shared)


@breaks
def shared_decay(patch: pytest.MonkeyPatch) -> None:
    original = StackedOptimizer.__init__

    def init(self, *args) -> None:
        original(self, *args)
        self.decay = self.decay.mean(0, keepdim=True).expand_as(self.decay)

    patch.setattr(StackedOptimizer, "__init__", init)


@breaks
def shifted_order(patch: pytest.MonkeyPatch) -> None:
    original = StackedBatches.__init__

    def init(self, runs) -> None:
        original(self, runs)
        self.each = self.each[1:] + self.each[:1]

    patch.setattr(StackedBatches, "__init__", init)


@breaks
def shared_hyperparameter(patch: pytest.MonkeyPatch) -> None:
    original = Group.__init__

    def init(self, start, runs) -> None:
        original(self, start, runs)
        for term in self.terms:
            for name in term.mapped:
                setattr(term, f"param_{name}", getattr(term, f"param_{name}")[:1].expand(len(runs)))

    patch.setattr(Group, "__init__", init)


@breaks
def late_schedule(patch: pytest.MonkeyPatch) -> None:
    original = StackedOptimizer._look_ahead

    def late(self, step: int) -> None:
        original(self, step)
        self.rates = self.rates.roll(1, 0)

    patch.setattr(StackedOptimizer, "_look_ahead", late)


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_engine_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the tests: each of these mistakes turns the comparison red."""
    asked = requests("regression", "mlp", "sgd")
    assert difference(asked, some=(0, 1, 5)) <= 1e-9
    BREAKS[name](monkeypatch)
    assert difference(asked, some=(0, 1, 5)) > 1e-6


@pytest.mark.parametrize("size", [2, 3, 8])
def test_a_run_does_not_depend_on_the_size_of_its_stack(size: int) -> None:
    asked = requests("regression")[:size]
    together = rows_by_request(fused(asked, double=False))
    for request in asked:
        (by_itself,) = rows_by_request(fused([request], double=False)).values()
        assert torch.equal(by_itself, together[canonical.run_id(request)])


@pytest.mark.slow
def test_a_run_does_not_depend_on_its_companions_or_their_order() -> None:
    asked = requests("multiclass")
    whole = rows_by_request(fused(asked, double=False))
    turned = rows_by_request(fused(asked[::-1], double=False))
    parts = rows_by_request(fused(asked[:3], double=False)) | rows_by_request(fused(asked[3:], double=False))
    for name, row in whole.items():
        assert torch.equal(row, turned[name])
        assert torch.equal(row, parts[name])


@pytest.mark.parametrize("poison", ["rate", "targets"])
def test_a_poisoned_neighbour_changes_nothing(poison: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = requests("regression", "mlp", "sgd")
    healthy = rows_by_request(fused(asked, double=False))
    sick = copy.deepcopy(asked)
    sick[3]["optimizer"]["lr"] = 1e30
    module = None
    if poison == "rate":
        module = fused(sick, double=False)
    else:
        runs = sorted([prepare(request) for request in sick], key=loss_key)
        victim = next(run for run in runs if run.request["optimizer"]["lr"] == 1e30)
        victim.request["optimizer"]["lr"] = 0.001
        victim.rows.targets[:] = float("nan")
        module = FusedModule(runs)
        fit(module, StackedBatches(runs), runs[0].epochs)
    died = [number for number, epoch in enumerate(module.diverged_in) if epoch is not None]
    assert len(died) == 1
    assert module.diverged_in[died[0]] == 1
    assert len(module.curves[died[0]]) == 1
    same = [
        name for name, row in rows_by_request(module).items() if name in healthy and torch.equal(row, healthy[name])
    ]
    assert len(same) >= len(asked) - 1


class Odd(nn.Module):
    """A model of a user's own, which only vmap can stack."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.linear = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.linear((inputs * self.scale).sin())


class Choosy(nn.Linear):
    """Looks at its numbers, which vmap cannot."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) if inputs.sum() > 0 else inputs


class Counting(nn.Linear):
    """Gives other outputs at each call."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.calls = [0]

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls[0] += 1
        return super().forward(inputs) + self.calls[0]

    def __deepcopy__(self, memo: dict) -> "Counting":
        other = Counting()
        other.calls = self.calls
        return other


@pytest.mark.parametrize(
    "build", [Odd, lambda: nn.Sequential(nn.Flatten(), nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))]
)
def test_the_forward_of_a_stack_is_that_of_each_model(build: Callable[[], nn.Module]) -> None:
    models = [build() for _ in range(4)]
    inputs = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0))
    found = forward_for(models[0])(flatten_parameters(models), inputs)
    for model, given, raw in zip(models, inputs, found, strict=True):
        torch.testing.assert_close(raw, model(given))


def test_models_that_cannot_be_stacked_say_why() -> None:
    inputs = torch.ones(3, 2)
    assert why_alone(nn.Linear(2, 2), inputs) is None
    assert why_alone(Odd(), torch.ones(3, 3)) is None
    assert "vmap" in why_alone(Choosy(), inputs)
    assert "keep state" in why_alone(Counting(), inputs)


def jobs(asked: Sequence[dict], folder: Path) -> list[Job]:
    return [Job(request, folder / canonical.run_id(request), number) for number, request in enumerate(asked)]


@pytest.mark.slow
def test_a_sweep_is_cut_by_what_may_not_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "losslab.sweep.planning.fastest", lambda *_: Size(1, 1)
    )  # as measured for scenes on most machines
    asked = [
        *(compose("trainer=cpu", f"loss={loss}", f"seed={seed}") for loss in ("mse", "l1") for seed in range(3)),
        compose("trainer=cpu", "data.batch_size=32"),
        *(compose("trainer=cpu", "task=bbox", f"seed={seed}") for seed in range(2)),
    ]
    stacks = plan(jobs(asked, tmp_path))
    assert sorted(len(stack.jobs) for stack in stacks) == [1, 1, 1, 6]
    assert {stack.why is None for stack in stacks if len(stack.jobs) == 1} == {False}
    assert "no other run shares" in next(s.why for s in stacks if s.jobs[0].request["data"]["batch_size"] == 32)
    assert (
        stack_size([asked[0] | {"fused": {"size": 4, "engine": "auto", "processes": 0, "audit": 0}}] * 9)[0].runs == 4
    )
    many = [compose("trainer=cpu", "fused.size=4") | {"seed": seed} for seed in range(10)]
    assert [len(stack.jobs) for stack in plan(jobs(many, tmp_path))] == [4, 4, 2]


def told(asked: Sequence[dict], folder: Path) -> tuple[list[Record], list[bool]]:
    again: list[bool] = []
    return train_all(
        jobs(asked, folder), lambda event: again.append(event.again) if isinstance(event, RunFinished) else None
    ).records, again


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if "tfevents" not in path.name}


def test_a_fused_run_leaves_what_a_lone_run_leaves(tmp_path: Path) -> None:
    asked = [
        compose("trainer=cpu", "data.rows=300", "trainer.max_epochs=4", "penalty.l2=1e-3", f"seed={seed}")
        for seed in range(3)
    ]
    (records, again), lone = (
        told(asked, tmp_path / "fused"),
        [r | {"fused": {"size": 1, "engine": "auto", "processes": 0, "audit": 0}} for r in asked],
    )
    singles, _ = told(lone, tmp_path / "lone")
    assert again == [False] * 3
    for request, record, single in zip(asked, records, singles, strict=True):
        name = canonical.run_id(request)
        one, other = tmp_path / "fused" / name, tmp_path / "lone" / name
        assert record.fused == 3
        assert single.fused == 1
        assert record.pairing == single.pairing
        assert record.metrics == pytest.approx(single.metrics, rel=2e-3)
        assert (record.best_epoch, record.selection, record.epochs) == (
            single.best_epoch,
            single.selection,
            single.epochs,
        )
        assert left_in(one) == left_in(other)
        events, theirs = curves(one), curves(other)
        assert set(events.Tags()["scalars"]) == set(theirs.Tags()["scalars"])
        for tag in ("train/loss", "val/loss", "val/mae", "train/penalty"):
            assert [e.step for e in events.Scalars(tag)] == [e.step for e in theirs.Scalars(tag)]
            assert [e.value for e in events.Scalars(tag)] == pytest.approx(
                [e.value for e in theirs.Scalars(tag)], rel=2e-3
            )
        assert "_hparams_/session_start_info" in events.summary_metadata
        run = prepare(request)
        module = RunModule(
            run.task, run.model, run.loss, run.rows, run.split, request["optimizer"], request["penalty"], 1
        )
        for which in ("best", "last"):
            saved = torch.load(one / f"checkpoints/{which}.ckpt", weights_only=True)
            module.load_state_dict(saved["state_dict"])
            assert module.evaluate(which) == pytest.approx(
                {k: v for k, v in record.metrics.items() if k.startswith(which)}, rel=1e-5
            )
    assert told(asked, tmp_path / "fused")[1] == [True] * 3


@pytest.mark.parametrize("size", [1, 2], ids=["alone", "stacked"])
def test_neither_the_order_nor_what_is_over_changes_a_bit(size: int, tmp_path: Path) -> None:
    """Stacks of another size may differ in the last bits; one and the same size must not, whoever is in them."""
    asked = [
        compose("trainer=cpu", "data.rows=300", "logger=none", "trainer.max_epochs=2", f"seed={seed}", f"loss={loss}")
        | {"fused": {"size": size, "engine": "auto", "processes": 0, "audit": 0}}
        for seed in range(2)
        for loss in ("mse", "huber")
    ]
    whole = told(asked, tmp_path / "whole")[0]
    turned = told(asked[::-1], tmp_path / "turned")[0][::-1]
    told([asked[0], asked[3]], tmp_path / "some")
    rest, again = told(asked, tmp_path / "some")
    assert sorted(again) == [False, False, True, True]
    for one, other, third in zip(whole, turned, rest, strict=True):
        assert (one.fused, other.fused, third.fused) == (size,) * 3
        assert one.metrics == other.metrics == third.metrics
        assert one.curves == other.curves == third.curves
        assert one.pairing == other.pairing == third.pairing


def test_a_diverging_run_of_a_stack_is_recorded_as_if_alone(tmp_path: Path) -> None:
    asked = [
        compose("trainer=cpu", "data.rows=300", "optimizer=sgd", "logger=none", f"optimizer.lr={lr}")
        for lr in (0.01, 1e30)
    ]
    records, _ = told(asked, tmp_path / "fused")
    singles, _ = told(
        [r | {"fused": {"size": 1, "engine": "auto", "processes": 0, "audit": 0}} for r in asked], tmp_path / "lone"
    )
    assert [r.status for r in records] == ["done", "diverged"]
    assert records[1].reason == singles[1].reason
    assert records[1].metrics == singles[1].metrics
    own = {name: value for name, value in records[1].metrics.items() if not name.startswith("constant/")}
    assert own == dict.fromkeys(own), "not finite"
    assert records[0].epochs == 30


def test_what_fails_in_a_stack_trains_alone_and_what_fails_alone_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def branches(pred, target):  # vmap refuses a branch on values
        error = pred - target
        return error.square().mean(-1) if error.abs().max() > 0 else error.mean(-1)

    monkeypatch.setitem(losses.LOSSES, "mse", branches)
    asked = [
        compose("trainer=cpu", "data.rows=300", "logger=none", "trainer.max_epochs=1", f"seed={seed}")
        for seed in range(2)
    ]
    records, _ = told(asked, tmp_path / "alone")
    assert [(r.status, r.fused) for r in records] == [("done", 1)] * 2
    monkeypatch.setitem(losses.LOSSES, "mse", lambda pred, target: 1 / 0)
    records, _ = told(asked, tmp_path / "failed")
    assert [r.status for r in records] == ["failed"] * 2
    assert all("ZeroDivisionError" in r.traceback for r in records)


@pytest.mark.slow
def test_a_stack_without_memory_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FusedModule.training_step

    def greedy(self, chunk, number) -> None:
        if len(self.runs) > 2:
            raise torch.OutOfMemoryError("too many")
        original(self, chunk, number)

    monkeypatch.setattr(FusedModule, "training_step", greedy)
    asked = [
        compose("trainer=cpu", "data.rows=300", "logger=none", "trainer.max_epochs=1", f"seed={seed}")
        for seed in range(5)
    ]
    records, _ = told(asked, tmp_path)
    assert [r.status for r in records] == ["done"] * 5
    assert sorted(r.fused for r in records) == [1, 2, 2, 2, 2]
    assert all(math.isfinite(r.metrics["last/test/mae"]) for r in records)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "losses_of_runs"),
    [
        ("binary", ["savage", "focal", "bce_with_logits"]),
        ("multiclass", ["poly1", "cross_entropy", "brier"]),
    ],
)
def test_weights_of_rows_and_classes_and_smoothing_act_in_a_stack_as_alone(
    task: str, losses_of_runs: list[str]
) -> None:
    classes = 2 if task == "binary" else 10
    weights = [0.5 + number / classes for number in range(classes)]
    options = [
        {},
        {"class_weights": weights},
        {"class_weights": weights[::-1], "label_smoothing": 0.2},
        {"label_smoothing": 0.1},
    ]
    base = compose(f"task={task}", *SMALL[task], "model=linear", "trainer=cpu", "logger=none", "data.weight=balanced")
    asked = [
        check.check(
            base
            | {"loss": schema_cards.card("loss", name).values | more, "trainer": base["trainer"] | {"max_epochs": 2}}
        )
        for name in losses_of_runs
        for more in options
    ]
    asked.sort(key=lambda request: loss_key(prepare(request)))
    runs = doubled(prepare_all(asked))
    module = FusedModule(runs)
    fit(module, StackedBatches(runs), 2)
    lone = [alone_weighted(request) for request in asked]
    torch.testing.assert_close(module.flat.detach(), torch.stack(lone), rtol=1e-9, atol=1e-9)
    plain = alone(asked[0] | {"data": {key: value for key, value in asked[0]["data"].items() if key != "weight"}})[0]
    assert not torch.allclose(plain, lone[0]), "weights of rows must matter"
    assert len({tuple(weights.tolist()) for weights in lone}) == len(lone)


def alone_weighted(request: dict) -> Tensor:
    run = doubled([prepare(request)])[0]
    module = RunModule(
        *(run.task, run.model, run.loss, run.rows, run.split, request["optimizer"], request["penalty"], run.steps),
        weights=run.weights,
    )
    fit(module, run.batches, run.epochs)
    return flatten_parameters([module.model])[0]
