"""Rows of a report's tables: of runs, their curves, and those that failed or are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from losslab.records.record import Record
from losslab.schema import canonical
from losslab.schema.metric_facts import metric_name
from losslab.study.recipe import Study

RUNS = ("condition", "loss", "setting", "seed", "status", "value", "best", "last", "constant", "lr", "params", "run")


def of_run(record: Record, metric: str, epoch: str) -> tuple[Any, ...]:
    """What `runs` holds of a record after condition, loss and setting."""
    found = {which: record.metrics.get(f"{which}/test/{metric}") for which in ("best", "last", "constant")}
    status, _ = end_of(record, metric, epoch)
    value = found[epoch] if status == "done" else None
    numbers = [float("nan") if number is None else number for number in (value, *found.values())]
    return (
        record.seed,
        status,
        *numbers,
        record.optimizer["lr"],
        in_words(record.loss_params),
        canonical.run_id_as_read(record.config),
    )


def end_of(record: Record, metric: str, epoch: str) -> tuple[str, str | None]:
    """How a run ended, as far as one metric is concerned, and why.

    A run that is done without a finite metric has diverged; but where the constant prediction has none either, the data have no
    such metric (AUROC of one class), and the run is 'undefined', which is no evidence against its loss.
    """
    if record.status != "done" or record.metrics.get(f"{epoch}/test/{metric}") is not None:
        return record.status, record.reason
    if record.metrics.get(f"constant/test/{metric}") is None:
        return "undefined", None
    return "diverged", f"its test {metric_name(metric)} is not finite"


def in_words(params: Mapping[str, Any]) -> str:
    """Hyperparameters as text: 'delta=1, tau=0.5'."""
    return ", ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items()
    )


def with_missing(runs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """A row for each run that is to be compared and has no record."""
    wanted = pd.MultiIndex.from_product(
        [study.rates, study.losses, [study.label(setting) for setting in study.settings()], study.fresh_seeds],
        names=["condition", "loss", "setting", "seed"],
    )
    full = runs.set_index(list(wanted.names)).reindex(wanted).reset_index()
    full["status"] = full["status"].fillna("missing")
    full[["params", "run"]] = full[["params", "run"]].fillna("")
    full = full[list(RUNS)]
    return full.assign(repeat=full["seed"].map(study.repeat_of)) if study.repeats > 1 else full


def failures(
    records: Iterable[Record], metric: str, epoch: str, settings: Sequence[str] = (), losses: Sequence[str] = ()
) -> pd.DataFrame:
    """One row a run that did not end well."""
    rows = []
    for number, record in enumerate(records):
        part = record.study or {"phase": "confirm", "loss": losses[number], "setting": settings[number]}
        compared = part["phase"] == "confirm"
        status, reason = end_of(record, metric, epoch) if compared else (record.status, record.reason)
        if status not in ("done", "undefined"):
            rows.append((part["phase"], part["loss"], part.get("setting", part.get("at")), record.seed, status, reason))
    return pd.DataFrame(rows, columns=("phase", "loss", "setting", "seed", "status", "reason"))


def curves(parts: Iterable[tuple[str, str, str, Record]], metric: str) -> pd.DataFrame:
    """One row a run and epoch."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("condition", "loss", "setting", "seed", "epoch", "val", "train")
    }
    for condition, loss, setting, record in parts:
        val, train = (record.curves.get(name, []) for name in (f"val/{metric}", "train/loss"))
        same = {"condition": condition, "loss": loss, "setting": setting, "seed": record.seed}
        for name, value in same.items():
            columns[name] += [value] * len(val)
        columns["epoch"] += range(1, len(val) + 1)
        columns["val"] += val
        columns["train"] += train
    return pd.DataFrame(columns).astype({"val": float, "train": float})
