"""Studies whose training is made up, for tests of what comes before and after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from losslab import Record
from losslab.request.command import StudyRequest, check_command
from losslab.study import runner, tuning
from losslab.study.recipe import Study
from losslab.sweep.jobs import Job

LOSSES = "study.losses=[mse,l1]"


_ONE_TUNING = {"repeats": 1, "refine": 0, "trials": 16, "seeds": 3}


def asked(*overrides: str, losses: str = LOSSES) -> Study:
    """A study that tunes once, unless the overrides say otherwise."""
    said = {text.partition("=")[0] for text in overrides}
    once = [f"{key}={value}" for name, value in _ONE_TUNING.items() if (key := f"study.tuning.{name}") not in said]
    found = check_command(["study=fair", losses, *once, *overrides], multirun=False)
    assert isinstance(found, StudyRequest)
    return found.study


def made_up(value: Callable[[dict[str, Any]], float]) -> Callable[[Sequence[Job]], list[Record]]:
    """A stand-in for training: a run's validation and test MAE are a function of its request; NaN: it diverged."""

    def train(jobs: Sequence[Job]) -> list[Record]:
        records = []
        for job in jobs:
            number = value(job.request)
            status = "diverged" if math.isnan(number) else "done"
            metrics = {f"{which}/{part}/mae": number for which in ("best", "last") for part in ("val", "test")}
            records.append(
                Record.of(
                    job.request,
                    status,
                    "not finite" if status == "diverged" else None,
                    metrics=metrics | {"constant/test/mae": 4.0},
                    selection={"metric": "mae", "better": "min", "validation": "clean"},
                    curves=[{"train/loss": 1.0, "val/mae": number}],
                    pairing={"data": "data", "corruption": f"{job.request['corruption']}{job.request['seed']}"}
                    | {name: f"{name}{job.request['seed']}" for name in ("split", "init", "order")},
                    study=job.part,
                )
            )
        return records

    return train


def bowl(**best: float) -> Callable[[dict[str, Any]], float]:
    """The MAE of a loss is least at its own learning rate."""
    return lambda request: 1 + math.log10(request["optimizer"]["lr"] / best[request["loss"]["name"]]) ** 2


def conducted(study: Study, value: Any = None) -> list[Record]:
    """The records of a study whose training is made up."""
    train = made_up(value or bowl(mse=0.01, l1=0.001))
    records: list[Record] = []

    def keep(jobs: Any) -> list[Record]:
        made = train(jobs)
        records.extend(made)
        return made

    choices = tuning.tune(study, Path("somewhere"), keep) if "tuned" in study.rates else None
    keep(runner.comparison(study, Path("somewhere"), choices))
    return records


def sweep(*settings: tuple[str, int, float | None, float]) -> list[Record]:
    """Records of a plain sweep: loss, seed, MAE, share of outliers."""
    from losslab import compose

    made = []
    for loss, seed, mae, fraction in settings:
        request = compose(f"loss={loss}", f"seed={seed}", f"corruption.fraction={fraction}")
        metrics = {} if mae is None else {"best/test/mae": mae, "last/test/mae": 2 * mae}
        selection = {"metric": "mae", "better": "min", "validation": "clean"}
        made.append(Record.of(request, "diverged" if mae is None else "done", metrics=metrics, selection=selection))
    return made
