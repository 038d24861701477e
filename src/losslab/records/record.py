"""The record of a run: one record.json. Reports read records and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from losslab.errors import as_text
from losslab.records.environment import commit, versions
from losslab.records.files import write_whole
from losslab.schema.canonical import WHERE_AND_HOW

NAME = "record.json"

HASHES = ("data", "split", "corruption", "init", "order")  # by which runs prove that they saw the same


@dataclass(frozen=True)
class Record:
    """One run and what came of it.

    Attributes:
        status: done, diverged (the loss or a prediction was not finite; `reason` names the epoch), skipped (its parts do not
            fit one another) or failed (an error; `reason` holds it).
        selection: the metric that chose the best epoch, its better direction, and whether the validation split was clean (an
            oracle, where the training split is not) or corrupted.
        metrics: `best/test/<name>`, `last/test/<name>` and the same for val; None where not finite.
            Also `constant/test/<name>`: what the best constant prediction gets, by the training targets.
        curves: what was measured after each epoch, by name: `train/loss`, `val/<name>`; None where not finite.
        pairing: a hash for each name in HASHES; equal hashes mean equal tensors. Empty where nothing was trained. Also
            `test_rows`, by which a report sees whether all seeds test on the same ones; `weights`, where rows do not count the
            same; and `source/...`, one for each file of the user's own; see check.of_user.
        fused: of how many runs the stack was that it trained in.
        engine: how the steps of the stack were executed, as losslab.fused.engine names it, and why not as asked for; "" where no
            stack was trained.
        study: of which study this is a run and which part of it; None outside a study.
    """

    status: str
    reason: str | None
    task: str
    loss: str
    loss_params: dict[str, Any]
    data: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    corruption: dict[str, Any]
    seed: int
    config: dict[str, Any]
    selection: dict[str, str] = field(default_factory=dict)
    epochs: int = 0
    best_epoch: int | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    pairing: dict[str, str] = field(default_factory=dict)
    fused: int = 1
    engine: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    device: str = ""
    traceback: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    study: dict[str, Any] | None = None

    @staticmethod
    def of(
        request: Mapping[str, Any], status: str, reason: str | None = None, traceback: str | None = None, **rest: Any
    ) -> Record:
        """A record of a request, with where and by what it was run filled in."""
        loss = dict(request["loss"])
        rest["curves"] = _columns(rest.get("curves", []))
        parts = {
            group: rest.pop(group, {}) | dict(request[group]) for group in ("data", "model", "optimizer", "corruption")
        }
        rest["metrics"] = {
            name: value if math.isfinite(value) else None for name, value in rest.get("metrics", {}).items()
        }
        return Record(
            status=status,
            reason=reason and as_text(reason),
            traceback=traceback and as_text(traceback),
            task=request["task"]["name"],
            loss=loss.pop("name"),
            loss_params=loss,
            seed=request["seed"],
            config=dict(request),
            versions=versions(),
            commit=commit(),
            **parts,
            **rest,
        )

    def metric_names(self) -> list[str]:
        """The names of the neutral metrics, the one that selects the best epoch first; none where nothing was trained."""
        return [name.removeprefix("best/test/") for name in self.metrics if name.startswith("best/test/")]

    def write(self, folder: Path) -> Path:
        """Writes record.json whole or not at all; where it is, the run is finished."""
        path = folder / NAME
        plain = dict(vars(self))
        curves = (
            f"    {json.dumps(name)}: {json.dumps(values, allow_nan=False)}"
            for name, values in plain.pop("curves").items()
        )
        text = json.dumps(plain, indent=2, allow_nan=False).removesuffix("\n}")
        write_whole(
            path, text + ',\n  "curves": {\n' + ",\n".join(curves) + "\n  }\n}\n"
        )  # a line each, not one a number
        return path


def _columns(epochs: Sequence[Mapping[str, float]]) -> dict[str, list[float | None]]:
    """What was measured epoch by epoch, as a list for each name, in six digits."""
    names = dict.fromkeys(name for epoch in epochs for name in epoch)
    values = {name: [epoch.get(name, math.nan) for epoch in epochs] for name in names}
    return {
        name: [float(f"{value:.6g}") if math.isfinite(value) else None for value in column]
        for name, column in values.items()
    }


def hyperparameters(record: Record) -> tuple[dict[str, Any], dict[str, float]]:
    """For TensorBoard's HParams tab: what decides the result, and the test metrics, `test/best/<name>` and `test/last/<name>`.

    The tab sorts columns by name, capital letters first: so Loss and Seed stand before all others.
    """
    settings = {key: value for key, value in record.config.items() if key not in WHERE_AND_HOW}
    if record.study:
        settings |= {"study": {key: value for key, value in record.study.items() if key in ("phase", "loss")}}
    metrics = {
        f"test/{which}/{name}": value
        for which in ("best", "last")
        for name in record.metric_names()
        if (value := record.metrics[f"{which}/test/{name}"]) is not None
    }
    flat = flatten(settings)
    return {"Loss": flat.pop("loss"), "Seed": flat.pop("seed")} | flat, metrics


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names; `name` keys give their group's own name, lists become text."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix.rstrip(".") if key == "name" else f"{prefix}{key}"] = (
                str(value) if isinstance(value, list) else value
            )
    return flat
