"""Stacks of small runs, and the same runs alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from losslab import compose, errors, losses
from losslab.fused.batches import StackedBatches
from losslab.fused.functional import flatten_parameters
from losslab.fused.losses import loss_key
from losslab.fused.module import FusedModule
from losslab.schema import canonical, check, compatibility
from losslab.schema import cards as schema_cards
from losslab.training import trainer
from losslab.training.module import RunModule
from losslab.training.prepare import Prepared, prepare, prepare_all

SIMPLE = (
    "mse",
    "l1",
    "smoothl1",
    "huber",
    "cross_entropy",
    "bce_with_logits",
    "giou",
    "poisson_nll",
    "sum",
    "quantiles",
)
SMALL = {
    "multiclass": ["data.batch_size=256"],
    "binary": ["data.batch_size=64"],
    "regression": ["data.rows=300"],
    "counts": ["data.rows=300"],
    "bbox": ["data.rows=60", "data.batch_size=16"],
    "quantiles": ["data.rows=300"],
    "ordinal": ["data.rows=300"],
    "multilabel": ["data.rows=300"],
    "segmentation": ["data.rows=200", "data.side=8", "data.batch_size=32"],
}
MODELS = {
    "linear": [],
    "own": ["model.target=support.stacks:Small"],
    "mlp": ["model.hidden=[8]"],
    "cnn": ["model.channels=[2,3]", "model.hidden=8"],
    "boxes": ["data=anchors", "data.points=1", "data.batch_size=49"],
}


def stackable(task: str) -> list[str]:
    """The losses of a task that a stack may hold, those that share the shape of a plain model."""
    cards = {name: schema_cards.card("loss", name).values for name in losses.names(task)}
    return [
        n
        for n, loss in cards.items()
        if "stateful" not in compatibility.facts(loss) and compatibility.heads(task, loss) == 1
    ]


class Small(nn.Module):
    """A model as a user may bring it."""

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.inner = nn.Linear(math.prod(shape), 5)
        self.scale = nn.Parameter(torch.ones(5))
        self.last = nn.Linear(5, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(torch.tanh(self.inner(inputs.flatten(1))) * self.scale)


VARIED = [  # what differs from run to run beside the loss
    (0, {"lr": 0.001, "weight_decay": 0.0, "schedule": "constant"}, {"l1": 0.0, "l2": 0.0}),
    (1, {"lr": 0.004, "weight_decay": 0.01, "schedule": "cosine"}, {"l1": 1e-4, "l2": 0.0}),
    (2, {"lr": 0.002, "weight_decay": 0.1, "schedule": "one_cycle"}, {"l1": 0.0, "l2": 1e-3}),
]


def requests(
    task: str, model: str = "mlp", optimizer: str = "adam", names: Sequence[str] = (), epochs: int = 3
) -> list[dict]:
    """Two runs under each of some losses, by default the simple ones; hyperparameters, seeds, rates and more differ."""
    base = compose(
        *(f"task={task}", f"model={model}", f"optimizer={optimizer}"),
        *(MODELS[model] if model == "boxes" else [*SMALL[task], *MODELS[model]]),
        *("trainer=cpu", "logger=none", f"trainer.max_epochs={epochs}"),
    )
    made = []
    for loss, factor in itertools.product(names or [name for name in SIMPLE if name in stackable(task)], (0.9, 1.1)):
        seed, settings, penalty = VARIED[len(made) % len(VARIED)]
        own = {"name": loss} | {
            key: moved(loss, key, factor) for key in schema_cards.card("loss", loss).values if key != "name"
        }
        parts = {"seed": seed, "optimizer": base["optimizer"] | settings, "penalty": penalty, "loss": own}
        made.append(check.check(base | parts))
    return made


def moved(loss: str, key: str, factor: float) -> object:
    """A hyperparameter other than its default, where it is a number and its range allows it."""
    default = schema_cards.card("loss", loss).values[key]
    if not isinstance(default, float):
        return default
    try:
        return canonical.check_hyperparameters(loss, {key: factor * default})[key]
    except errors.BadRequest:
        return default


def doubled(runs: Sequence[Prepared]) -> list[Prepared]:
    """The same runs in double precision; what they share stays shared."""
    made: dict[int, tuple[Tensor, Tensor]] = {}  # beside the tensor itself, so that no other takes its id

    def double(tensor: Tensor) -> Tensor:
        return made.setdefault(id(tensor), (tensor, tensor.double() if tensor.is_floating_point() else tensor))[1]

    for run in runs:
        run.model.double()
        run.task.double()
        run.rows = replace(run.rows, inputs=double(run.rows.inputs), targets=double(run.rows.targets))
    return list(runs)


def fit(module: pl.LightningModule, batches, epochs: int, accelerator: str = "cpu") -> None:
    with trainer.quiet():
        fitter = pl.Trainer(
            accelerator=accelerator,
            devices=1,
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=0,
        )
        fitter.fit(module, batches)


def alone(request: dict, double: bool = True) -> tuple[Tensor, dict[str, float]]:
    """A run by the lone path, stock torch.optim and all: its parameters in a row, and its metrics."""
    run = doubled([prepare(request)])[0] if double else prepare(request)
    module = RunModule(
        run.task, run.model, run.loss, run.rows, run.split, request["optimizer"], request["penalty"], run.steps
    )
    fit(module, run.batches, run.epochs)
    return flatten_parameters([module.model])[0], module.evaluate("last")


def fused(asked: Sequence[dict], double: bool = True, engine: str = "auto", accelerator: str = "cpu") -> FusedModule:
    """The stack of some runs after training; on the CPU again, wherever it trained."""
    runs = prepare_all([request | {"fused": request["fused"] | {"engine": engine}} for request in asked])
    runs = sorted(doubled(runs) if double else runs, key=loss_key)
    module, batches = FusedModule(runs), StackedBatches(runs)
    batches.device = torch.device("cuda" if accelerator == "cuda" else "cpu")
    fit(module, batches, runs[0].epochs, accelerator)
    return module


def rows_by_request(module: FusedModule) -> dict[str, Tensor]:
    return {canonical.run_id(run.request): module.flat[number].detach() for number, run in enumerate(module.runs)}


def difference(asked: Sequence[dict], some: Sequence[int] | None = None) -> float:
    """The largest relative difference, in parameters and metrics, between a stack and its runs alone."""
    module = fused(asked)
    metrics = module.evaluate(module.flat.detach(), "last")
    worst = 0.0
    for number, run in enumerate(module.runs):
        if some is not None and number not in some:
            continue
        parameters, measured = alone(run.request)
        worst = max(worst, float((parameters - module.flat[number].detach()).abs().max() / parameters.abs().max()))
        for name, value in measured.items():
            worst = max(worst, abs(value - metrics[number][name]) / max(abs(value), 1e-6))
    return worst
