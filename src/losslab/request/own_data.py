"""From a user's data and a few options to a study of them: what was read, what it becomes, and the words that ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from losslab.errors import BadRequest, nearest
from losslab.request import own_pictures
from losslab.request.compose import hydra_at_conf
from losslab.request.overrides import read
from losslab.request.questions import SEEDS as SEEDS
from losslab.request.questions import TRIALS as TRIALS
from losslab.request.questions import Options as Options
from losslab.request.questions import Question as Question
from losslab.request.questions import decided
from losslab.request.questions import study_of as study_of
from losslab.schema import cards

_CARDS = (".yaml", ".yml")
_OWN = {"table": "a table", "images": "a folder of pictures", "boxes": "boxes in pictures"}


def ask(path: Path, options: Options) -> Question:
    """Reads a file or a folder and decides what is asked of it. Trains nothing and writes nothing.

    Raises BadRequest, with file, column and row, for whatever cannot be read or learnt from, and where the task is not clear.
    """
    data, path, options, settings = _with_card(path, options)
    if data in ("images", "boxes") or (not data and own_pictures.is_one(path, options)):
        return own_pictures.ask(path, options, settings, data)
    return _of_table(path, options, settings)


def _of_table(path: Path, options: Options, settings: dict[str, Any]) -> Question:
    from losslab.tables import describe, infer_task, read_table, target_values, with_target

    if not options.target:
        there = list(map(str, read_table(path).columns))
        raise BadRequest(
            f"{path.name}: which column is to be predicted? Add --target NAME; there are {_listed(there)}."
        )
    frame = read_table(path, **_given(settings, "separator", "decimal"))
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
        columns = describe(frame, options.target, **_roles(options, settings))
        targets, names = target_values(frame, options.target, task)
    except BadRequest as error:
        raise BadRequest(f"{path.name}: {error}") from error
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
        doubts=[f"{column.name}: {column.doubt}" for column in columns if column.doubt],
    )
    settings = {"target": options.target} | settings | _of_columns(options)
    return decided(question, targets, options, settings)


def card_of(question: Question) -> str:
    """A data card that asks the same, for `losslab compare FILE.yaml` and, in a folder conf/data/, for data=NAME."""
    with hydra_at_conf():
        settings = {
            key.removeprefix("data."): read(word).value()
            for word in question.words
            if (key := word.partition("=")[0]).startswith("data.") and key != "data.batch_size"
        }
    own = {column.name: column.used_as for column in question.columns if column.used_as not in ("target", "unused")}
    text = f"# {question.path.name}, {question.rows:,} rows; made by `losslab inspect`. Edit it and give it in place of the file.\n"
    if own:
        text += "# What each column is used as; to change one, name it in drop, number, category, date or text:\n"
    text += "".join(f"#   {name}: {use}\n" for name, use in own.items())
    text += yaml.safe_dump({"defaults": [question.data], **settings}, sort_keys=False, allow_unicode=True)
    text += yaml.safe_dump({"about": {"tasks": [question.task]}}, sort_keys=False)
    return text


def _with_card(path: Path, options: Options) -> tuple[str, Path, Options, dict[str, Any]]:
    """The kind of data, the file, the options and further settings of the data, those of a data card read in; "" without one."""
    if path.suffix not in _CARDS:
        return "", path, options, {}
    try:
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadRequest(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(card, Mapping) or not card.get("path"):
        raise BadRequest(
            f"{path} is no data card: it must hold 'path: FILE', as `losslab inspect FILE --write` leaves it."
        )
    about = card.get("about") or {}
    data = str((card.get("defaults") or ["table"])[0])
    if data not in _OWN:
        raise BadRequest(f"{path} builds on '{data}', and must build on one of: {', '.join(_OWN)}.")
    known = cards.card("data", data).values
    settings = {str(key): value for key, value in card.items() if key not in ("about", "defaults", "name")}
    for key in settings:
        if key not in {**known, **cards.options("data")}:
            raise BadRequest(
                f"{path} sets '{key}', which {_OWN[data]} do{'' if data == 'boxes' else 'es'} not have{nearest(key, known)}."
            )
    file = Path(settings.pop("path"))
    file = file if file.is_absolute() or file.exists() else path.parent / file
    tasks = about.get("tasks") or []
    options = replace(
        options,
        target=options.target or str(settings.pop("target", settings.pop("label_column", ""))),
        images=options.images or str(settings.pop("images", "")),
        labels=options.labels or str(settings.pop("labels", "")),
        task=options.task or (tasks[0] if len(tasks) == 1 else ""),
        group=options.group or str(settings.pop("group", "")),
        time=options.time or str(settings.pop("time", "")),
        weight=options.weight or str(settings.pop("row_weight", "")),
        drop=[*options.drop, *settings.pop("drop", [])],
        folds=options.folds or int(settings.pop("folds", 0)),
    )
    settings = {key: value for key, value in settings.items() if key not in known or value != known[key]}
    return data, file, options, settings


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
