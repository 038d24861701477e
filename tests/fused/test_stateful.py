"""Models with BatchNorm, frozen parts and dropout end in a stack as they end alone; and the tests that say so can fail."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from losslab import Record, compose
from losslab.fused import dropout, functional, sizing
from losslab.fused.batches import StackedBatches
from losslab.fused.functional import carried_by, flatten_parameters
from losslab.fused.losses import loss_key
from losslab.fused.module import FusedModule
from losslab.fused.optimizer import StackedOptimizer
from losslab.fused.trial import why_alone
from losslab.schema import canonical, check
from losslab.sweep.jobs import Job
from losslab.sweep.runner import train_all
from losslab.training import callbacks
from losslab.training.module import RunModule
from losslab.training.prepare import Prepared, prepare
from support.stacks import SMALL, VARIED, doubled, fit, fused
from support.stateful import ALONE

MODELS = {  # and the task that each is tried with
    "normed": "regression",
    "biased": "regression",
    "pictures": "multiclass",
    "frozen": "regression",
    "frozen_norm": "binary",
    "Twice": "regression",
    "Tied": "regression",
    "Everything": "binary",
}


def asked(model: str, optimizer: str = "adamw", runs: int = 3) -> list[dict]:
    """Runs that differ in seed, loss, rate, decay, schedule and penalty; two of them share a seed."""
    task = MODELS[model]
    base = compose(
        *(f"task={task}", f"model=support.stateful:{model}", f"optimizer={optimizer}", *SMALL[task]),
        *("trainer=cpu", "logger=none", "trainer.max_epochs=3"),
        *(["corruption=none"] if task == "multiclass" else []),
    )
    made = []
    for number in range(runs):
        seed, settings, penalty = VARIED[number % len(VARIED)]
        made.append(
            check.check(base | {"seed": seed % 2, "optimizer": base["optimizer"] | settings, "penalty": penalty})
        )
    return made


def alone(request: dict) -> tuple[RunModule, list[dict[str, Tensor]]]:
    """A run by the lone path in double precision, and the state of its model after each epoch."""
    run = doubled([prepare(request)])[0]
    module = RunModule(
        *(run.task, run.model, run.loss, run.rows, run.split, request["optimizer"], request["penalty"], run.steps),
        seed=request["seed"],
    )
    states: list[dict[str, Tensor]] = []
    original = module.on_train_epoch_end

    def noted() -> None:
        original()
        states.append(copy.deepcopy(dict(module.model.state_dict())))

    module.on_train_epoch_end = noted
    fit(module, run.batches, run.epochs)
    return module, states


def far(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12))


def difference(requests: Sequence[dict]) -> float:
    """The largest relative difference between a stack and its runs alone: parameters, buffers, frozen parts, curves, metrics."""
    module = fused(requests)
    metrics, worst = module.evaluate(module.flat.detach(), "last"), 0.0
    for number, run in enumerate(module.runs):
        lone, states = alone(run.request)
        worst = max(worst, far(module.flat[number].detach(), flatten_parameters([lone.model])[0]))
        for name, tensor in carried_by([lone.model]).items():
            worst = max(worst, far(module.carried()[name][number], tensor[0]))
            if name in states[0]:  # else it is not persistent
                best = states[module.best_epoch[number] - 1][name]
                worst = max(worst, far(module.carried("best")[name][number], best))
        found = [metrics[number], *(curve for _, curve in module.curves[number])]
        for one, other in zip(found, [lone.evaluate("last"), *lone.curves], strict=True):
            assert one.keys() == other.keys()
            worst = max(worst, *(abs(one[key] - value) / max(abs(value), 1e-6) for key, value in other.items()))
    return worst


@pytest.mark.slow
@pytest.mark.parametrize("traced", [True, False], ids=["traced", "not traced"])
@pytest.mark.parametrize("model", MODELS)
def test_a_stack_equals_its_runs_alone(model: str, traced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "_WORTH_TRACING", 0 if traced else 10**9)
    requests = asked(model)
    assert why_alone(prepare(requests[0]).model, prepare(requests[0]).rows.inputs[:2]) is None
    assert difference(requests) <= 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("model", MODELS)
def test_a_stack_equals_its_runs_alone_under_each_optimizer(model: str, optimizer: str) -> None:
    assert difference(asked(model, optimizer, runs=2)) <= 1e-9


BREAKS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {}


def breaks(model: str) -> Callable:
    def entered(change: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
        BREAKS[change.__name__] = (model, change)
        return change

    return entered


@breaks("Twice")
def shared_masks(patch: pytest.MonkeyPatch) -> None:
    original = dropout.Masks.__init__
    patch.setattr(dropout.Masks, "__init__", lambda self, seeds: original(self, [seeds[0]] * len(seeds)))


@breaks("Twice")
def masks_of_the_first_step(patch: pytest.MonkeyPatch) -> None:
    original = dropout.Masks.draw

    def draw(self, model, inputs) -> list[Tensor]:
        self._states.clear()
        return original(self, model, inputs)

    patch.setattr(dropout.Masks, "draw", draw)


@breaks("Twice")
def dropout_in_use(patch: pytest.MonkeyPatch) -> None:
    original = FusedModule.__init__

    def init(self, runs) -> None:
        original(self, runs)
        halves = torch.full((len(runs), 1, 8), 0.5).double()
        self.forward_all = lambda flat, inputs, carried: self.forward_in_training(flat, inputs, carried, [halves] * 3)[
            0
        ]

    patch.setattr(FusedModule, "__init__", init)


@breaks("normed")
def statistics_that_stand_still(patch: pytest.MonkeyPatch) -> None:
    original = FusedModule.total

    def total(self, *given) -> tuple:
        whole, (losses, penalties, _) = original(self, *given)
        return whole, (losses, penalties, {})

    patch.setattr(FusedModule, "total", total)


@breaks("normed")
def last_statistics_with_the_best_weights(patch: pytest.MonkeyPatch) -> None:
    original = FusedModule.carried
    patch.setattr(FusedModule, "carried", lambda self, which="last": original(self))


@breaks("frozen")
def frozen_parts_that_move(patch: pytest.MonkeyPatch) -> None:
    original = FusedModule.on_train_epoch_end

    def moved(self) -> None:
        self.get_buffer("carried 1/weight").mul_(1.001)
        original(self)

    patch.setattr(FusedModule, "on_train_epoch_end", moved)


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_engine_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, change = BREAKS[name]
    requests = asked(model, "sgd", runs=2)
    if name.startswith("last_statistics"):  # the rate is so high that the best epoch is not the last
        for request in requests:
            request["optimizer"] = request["optimizer"] | {"lr": 1.0, "schedule": "constant"}
    change(monkeypatch)
    assert difference(requests) > 1e-6


@pytest.mark.parametrize("kind", ALONE)
def test_what_cannot_be_stacked_says_why(kind: str) -> None:
    build, said = ALONE[kind]
    model, inputs = build(), torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    before = copy.deepcopy(model.state_dict())
    assert said in (why_alone(model, inputs) or "")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "it stays as it was"


def test_a_trial_leaves_the_generators_and_the_model_as_they_were() -> None:
    run = prepare(asked("Everything")[0])
    before, state = copy.deepcopy(run.model.state_dict()), torch.get_rng_state()
    assert why_alone(run.model, run.rows.inputs[:2]) is None
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in run.model.state_dict().items())


def train(requests: Sequence[dict], folder: Path) -> list[Record]:
    jobs = [Job(request, folder / canonical.run_id(request), number) for number, request in enumerate(requests)]
    return train_all(jobs).records


def single(requests: Sequence[dict]) -> list[dict]:
    return [request | {"fused": {"size": 1, "engine": "auto", "processes": 0, "audit": 0}} for request in requests]


@pytest.mark.parametrize("model", ["normed", "frozen", "Twice", "Tied", "Everything"])
def test_a_run_of_a_stack_leaves_what_a_lone_run_leaves(model: str, tmp_path: Path) -> None:
    requests = asked(model)
    for stacked, lone in zip(
        train(requests, tmp_path / "stack"), train(single(requests), tmp_path / "lone"), strict=True
    ):
        assert (stacked.fused, lone.fused) == (3, 1)
        assert (stacked.pairing, stacked.best_epoch) == (lone.pairing, lone.best_epoch)
        assert stacked.metrics == pytest.approx(lone.metrics, rel=2e-3, abs=2e-3)
        assert stacked.model == lone.model
    for request in requests:
        run = prepare(request)
        module = RunModule(
            *(run.task, run.model, run.loss, run.rows, run.split, request["optimizer"], request["penalty"], 1)
        )
        record = next(
            r for r in train(requests, tmp_path / "stack") if canonical.run_id(r.config) == canonical.run_id(request)
        )
        for which in ("best", "last"):
            path = f"{canonical.run_id(request)}/checkpoints/{which}.ckpt"
            saved, theirs = (
                torch.load(tmp_path / place / path, weights_only=True)["state_dict"] for place in ("stack", "lone")
            )
            assert {k: (v.shape, v.dtype) for k, v in saved.items()} == {
                k: (v.shape, v.dtype) for k, v in theirs.items()
            }
            module.load_state_dict(saved)
            own = {key: value for key, value in record.metrics.items() if key.startswith(which)}
            assert module.evaluate(which) == pytest.approx(own, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["normed", "Twice", "Everything"])
def test_a_stopped_stack_goes_on_as_if_it_had_not_been(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "_SECONDS_BETWEEN_CHECKPOINTS", -1)
    requests = asked(model)
    whole = train(requests, tmp_path / "whole")
    original = FusedModule.on_train_epoch_end

    def cut(self) -> None:
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        original(self)

    with monkeypatch.context() as patched:
        patched.setattr(FusedModule, "on_train_epoch_end", cut)
        with pytest.raises(KeyboardInterrupt):
            train(requests, tmp_path / "stopped")
    started: list[int] = []
    first = FusedModule.on_train_epoch_end

    def noted(self) -> None:
        started.append(self.current_epoch)
        first(self)

    monkeypatch.setattr(FusedModule, "on_train_epoch_end", noted)
    again = train(requests, tmp_path / "stopped")
    assert started == [2], "it goes on from its checkpoint"
    for one, other in zip(whole, again, strict=True):
        assert (one.metrics, one.curves, one.best_epoch) == (other.metrics, other.curves, other.best_epoch)


def test_a_run_that_diverges_keeps_its_buffers_and_harms_no_other() -> None:
    requests = asked("normed", "sgd")
    sick = copy.deepcopy(requests)
    sick[1]["optimizer"]["lr"] = 1e30

    def trained(given: Sequence[dict]) -> FusedModule:
        return fused(given, double=False)

    healthy, module = trained(requests), trained(sick)
    died = [number for number, epoch in enumerate(module.diverged_in) if epoch is not None]
    assert len(died) == 1
    assert len(module.curves[died[0]]) == 1
    steps = module.carried()["1.num_batches_tracked"]
    assert int(steps[died[0]]) * module.runs[0].epochs == int(steps.max())
    same = [torch.equal(row, other) for row, other in zip(module.flat, healthy.flat, strict=True)]
    assert sum(same) == len(requests) - 1


def test_measuring_leaves_the_generators_as_they_were() -> None:
    run = prepare(asked("Twice")[0])
    state = torch.get_rng_state()
    sizing.lone_pace(run, torch.device("cpu"))
    sizing.stacked_pace(run, 2, torch.device("cpu"), 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_shipped_models_carry_nothing() -> None:
    for model in ("mlp", "linear"):
        runs: list[Prepared] = [prepare(compose(f"model={model}", "data.rows=300", "trainer=cpu"))]
        module = FusedModule(sorted(runs, key=loss_key))
        assert not module.carried_names
        assert module.masks is None
        rows = torch.stack([next(iter(StackedBatches(runs)))[0][0]])
        assert len(module.given(rows, torch.ones(1, dtype=torch.bool))) == 4


def test_the_optimizer_moves_trained_parameters_only() -> None:
    run = prepare(asked("frozen")[0])
    module = FusedModule([run, run])
    count = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
    optimizer = module.configure_optimizers()
    assert isinstance(optimizer, StackedOptimizer)
    assert module.flat.shape == optimizer.first.shape == (2, count)
    assert count < sum(p.numel() for p in run.model.parameters())
