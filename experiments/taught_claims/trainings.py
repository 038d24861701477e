"""Runs of the harness that the recipe cannot carry: another task, an outlier ever farther off, a penalty on the weights.

Each set is trained as a sweep would train it, in stacks, and leaves records that are read like any others.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from measure import table

from losslab import Record, compose
from losslab.schema import canonical, cards, check
from losslab.schema.canonical import set_value
from losslab.sweep.jobs import Job
from losslab.sweep.runner import train_all

QUIET = ("logger=none", "trainer.max_epochs=30")
ROWS = 1200  # training rows of data=friedman
THRESHOLDS = (0.0, *(10 ** (power / 4) for power in range(-28, 3)))  # of the size of a weight
SETS: dict[str, tuple[tuple[str, ...], dict[str, Sequence[Any]]]] = {
    # what is common to the runs of a set, and what differs, every combination
    "one_outlier": (
        ("task=regression", "corruption.side=one_sided", f"corruption.fraction={1 / ROWS}"),
        {
            "loss": ["mse", "l1", "smoothl1(beta=1.0)"],
            "optimizer": ["sgd(lr=0.01)", "adam(lr=0.003)"],
            "corruption.magnitude": [0.0, 1e1, 1e2, 1e3, 1e4, 1e5],
            "seed": range(5),
        },
    ),
    "softmax": (
        ("task=multiclass",),
        {
            "loss": ["cross_entropy", "double_softmax"],
            "optimizer": [
                *(f"sgd(lr={rate})" for rate in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)),
                *(f"adam(lr={rate})" for rate in (0.0003, 0.001, 0.003, 0.01, 0.03)),
            ],
            "seed": range(5),
        },
    ),
    "softmax_long": (  # at the rates that did best on validation in the set above
        ("task=multiclass", "trainer.max_epochs=150"),
        {
            "loss": ["cross_entropy", "double_softmax"],
            "optimizer": ["sgd(lr=0.1)", "sgd(lr=0.3)", "adam(lr=0.01)"],
            "seed": range(5),
        },
    ),
    "bce": (
        ("task=binary",),
        {
            "loss": ["bce", "bce_with_logits"],
            "optimizer": [f"sgd(lr={rate})" for rate in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)],
            "seed": range(10),
        },
    ),
    "penalty": (
        ("task=regression", "corruption=none"),
        {
            "penalty": [
                (0.0, 0.0),
                *((strength, 0.0) for strength in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)),
                *((0.0, strength) for strength in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)),
            ],
            "optimizer": ["sgd(lr=0.03)", "sgd(lr=0.03,schedule=cosine)", "adam(lr=0.003)"],
            "seed": range(3),
        },
    ),
}


def jobs(name: str, folder: Path) -> list[Job]:
    """The runs of a set."""
    words, axes = SETS[name]
    base = compose(*QUIET, *words)
    return [
        Job(request, folder / canonical.run_id(request), number) for number, request in enumerate(_requests(base, axes))
    ]


def _requests(base: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*axes.values()):
        request = copy.deepcopy(dict(base))
        for key, value in zip(axes, values, strict=True):
            if key == "penalty":
                request["penalty"] = dict(zip(("l1", "l2"), value, strict=True))
            elif key in cards.GROUPS:
                request[key] = _chosen(key, value)
            else:
                set_value(request, key, value)
        yield check.check(request)


def _chosen(group: str, label: str) -> dict[str, Any]:
    """A file of a group with some values of its own, as in `sgd(lr=0.01,schedule=cosine)`."""
    name, _, rest = label.rstrip(")").partition("(")
    pairs = (word.split("=") for word in rest.split(",") if word)
    return cards.card(group, name).values | {key: value if key == "schedule" else float(value) for key, value in pairs}


def train(name: str, folder: Path) -> tuple[list[Job], list[Record]]:
    """Trains what of a set is not trained yet; its runs and their records, in one order."""
    asked = jobs(name, folder)
    return asked, train_all(asked).records


def weights(asked: Sequence[Job], records: Sequence[Record]) -> pd.DataFrame:
    """What the penalties leave of the weights after the last epoch, biases left out.

    One row a run and threshold: optimizer, l1, l2, seed, threshold, share (of the weights at most so large; at threshold 0,
    those that are exactly 0), rms and largest (of all sizes).
    """
    rows = []
    for job, record in zip(asked, records, strict=True):
        state = torch.load(job.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        matrices = [value for key, value in state.items() if key.startswith("model.") and value.ndim > 1]
        sizes = torch.cat([matrix.flatten() for matrix in matrices]).abs()
        run = {"optimizer": which(record), **record.config["penalty"], "seed": record.seed}
        run |= {"rms": float(sizes.square().mean().sqrt()), "largest": float(sizes.max())}
        rows += [run | {"threshold": at, "share": float((sizes <= at).float().mean())} for at in THRESHOLDS]
    return pd.DataFrame(rows)


def which(record: Record) -> str:
    """The optimizer of a run in words."""
    return record.optimizer["name"] + (", decaying rate" if record.optimizer["schedule"] == "cosine" else "")


def curves(records: Sequence[Record], short: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy after each epoch, mean over seeds, of the runs at the rate that did best for their loss.

    short: the records of the set `softmax`, whose validation accuracy chooses the rate among all that it tried.
    """
    parts = []
    for optimizer in ("sgd", "adam"):
        for loss in ("cross_entropy", "double_softmax"):
            rate = best_rate(short, loss, optimizer)
            chosen = [r for r in records if (r.loss, r.optimizer["name"], r.optimizer["lr"]) == (loss, optimizer, rate)]
            mean = pd.DataFrame([record.curves["val/accuracy"] for record in chosen]).mean()
            x, y = range(1, len(mean) + 1), mean.tolist()
            parts.append(table("double_softmax", f"accuracy, {optimizer}", loss, x, y))
    return pd.concat(parts)


def best_rate(short: pd.DataFrame, loss: str, optimizer: str) -> float:
    """The learning rate with the highest validation accuracy after the last epoch, mean over seeds."""
    runs = short[(short["loss"] == loss) & (short["optimizer"] == optimizer)]
    return float(runs.groupby("optimizer.lr")["metrics.last/val/accuracy"].mean().idxmax())
