"""A table of the user's: which column is predicted, what the others are, and which task it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from losslab.errors import BadRequest, nearest
from losslab.request import own_study
from losslab.request.questions import Options, Question
from losslab.schema import cards


def ask(path: Path, options: Options, settings: dict[str, Any]) -> Question:
    """Reads a table and decides what is asked of it. Trains nothing and writes nothing.

    Raises BadRequest, with file, column and row, for whatever cannot be read or learnt from, and where the task is not clear.
    """
    from losslab.tables import describe, infer_task, read_table, read_tables, target_values, with_target

    if not options.target:
        there = list(map(str, read_table(path).columns))
        raise BadRequest(
            f"{path.name}: which column is to be predicted? Add --target NAME; there are {_listed(there)}."
        )
    test = settings.get("test_path", "")
    frame, from_files = read_tables(path, test, **_given(settings, "separator", "decimal"))
    if from_files and settings.get("parts"):
        raise BadRequest("data.parts and data.test_path both say which rows are for testing; leave one away.")
    if options.target not in frame:
        known = list(map(str, frame.columns))
        raise BadRequest(
            f"{path.name}: there is no column '{options.target}'{nearest(options.target, known)}; there are {_listed(known)}."
        )
    frame = with_target(frame, options.target, settings.get("missing_target", "refuse"))
    task, why = options.task, "as you said"
    if not task:
        found = infer_task(frame[options.target])
        if not found.task:
            typed = " or ".join(f"--task {name}" for name in found.alternatives)
            raise BadRequest(f"{path.name}: {found.why}{f' Add {typed}.' if typed else ''}")
        task, why = found.task, found.why
    if task not in cards.card("data", "table").about["tasks"]:
        known = cards.card("data", "table").about["tasks"]
        raise BadRequest(f"There is no task '{task}' for a table{nearest(task, known)}. Valid: {', '.join(known)}.")
    try:
        roles = _roles(options, settings) | ({"parts": from_files} if from_files else {})
        columns = [one for one in describe(frame, options.target, **roles) if one.name != from_files]
        targets, names = target_values(frame, options.target, task, settings.get("order", ()))
    except BadRequest as error:
        raise BadRequest(f"{path.name}: {error}") from error
    said = (*options.drop, options.group, options.time, options.weight, settings.get("parts"))
    question = Question(
        path=path,
        rows=len(frame),
        columns=columns,
        task=task,
        why=why,
        target=options.target,
        names=names,
        split="",
        losses={},
        metric="",
        doubts=[f"{one.name}: {one.doubt}" for one in columns if one.doubt and one.name not in said],
    )
    settings = {"target": options.target} | settings | _of_columns(options)
    parts = f"as the column '{settings['parts']}' says" if settings.get("parts") else ""
    parts = f"the rows of {Path(test).name} are for testing, the others are drawn" if from_files else parts
    return own_study.decided(question, targets, options, settings, parts)


def _roles(options: Options, settings: Mapping[str, Any]) -> dict[str, Any]:
    roles = _given(settings, "number", "category", "date", "text", "parts")
    return roles | {"drop": options.drop, "group": options.group, "time": options.time, "row_weight": options.weight}


def _of_columns(options: Options) -> dict[str, Any]:
    found = {"drop": list(options.drop), "group": options.group, "time": options.time, "row_weight": options.weight}
    return {key: value for key, value in found.items() if value}


def _given(settings: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: settings[key] for key in keys if key in settings}


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
