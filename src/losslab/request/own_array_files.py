"""Arrays of the user's in an npz file: what they hold and which task it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest
from losslab.request import own_study
from losslab.request.questions import Options, Question


def ask(path: Path, options: Options, settings: dict[str, Any]) -> Question:
    """Reads arrays and decides what is asked of them. Trains nothing and writes nothing.

    Raises BadRequest, with array and row, for whatever cannot be read or learnt from, and where the task is not clear.
    """
    import numpy as np
    import pandas as pd

    from losslab.tables import infer_task
    from losslab.tables.arrays import BESIDE, array_targets, read_arrays

    for word, value in (("target", options.target), ("group", options.group), ("time", options.time)):
        if value:
            raise BadRequest(
                f"--{word} names a column, and {path} holds arrays; their groups and times are arrays [n] in it."
            )
    found = read_arrays(path)
    task, why = options.task, "as you said"
    if not task and found["targets"].ndim == 2 and found["targets"].shape[1] > 1:
        task, why = "regression", "a target is several numbers"
        if np.isin(found["targets"], (0, 1)).all():
            task, why = "multilabel", f"a target is 0 or 1 for each of {found['targets'].shape[1]} labels"
            if (found["targets"].sum(1) == 1).all():
                raise BadRequest(
                    f"{path}: each target has one 1 among 0s. Give class numbers [n] where it names a class, or add --task multilabel."
                )
        elif found["targets"].shape[1] == 4:
            raise BadRequest(
                f"{path}: four numbers a target may be boxes or plain numbers. Add --task bbox or --task regression."
            )
    if not task:
        read = infer_task(pd.Series(found["targets"].reshape(-1), name="targets"))
        if not read.task:
            typed = " or ".join(f"--task {name}" for name in read.alternatives)
            raise BadRequest(f"{path}: {read.why}{f' Add {typed}.' if typed else ''}")
        task, why = read.task, read.why
    targets, names = array_targets(path, found["targets"], task, settings.get("order", ()))
    shape = list(found["inputs"].shape[1:])
    beside = [name for name in BESIDE if name in found]
    question = Question(
        path=path,
        rows=len(targets),
        columns=[],
        task=task,
        why=why,
        target="targets",
        names=names,
        split="",
        losses={},
        metric="",
        data="arrays",
        pictures=len(shape) == 3,
        seen=(("Arrays", f"{len(targets):,} inputs {shape}" + "".join(f"; {name}" for name in beside)),),
    )
    by = "group" if "groups" in found else "time" if "times" in found else ""
    together = {
        "group": "by 'groups': all rows of a group are in one part",
        "time": "by 'times': validation rows are later than training rows, test rows later still",
    }.get(by, "")
    options = replace(options, model=options.model or ("cnn" if len(shape) == 3 else ""))
    return own_study.decided(question, targets, options, settings, together=together)
