"""From a user's data and a few options to a study of them: what was read, what it becomes, and the words that ask for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab.request import data_cards, own_array_files, own_pictures, own_tables
from losslab.request.compose import checked, composed, hydra_at_conf
from losslab.request.overrides import axes, single
from losslab.request.own_study import PICTURE_SEEDS as PICTURE_SEEDS
from losslab.request.own_study import PICTURE_TRIALS as PICTURE_TRIALS
from losslab.request.own_study import SEEDS as SEEDS
from losslab.request.own_study import TRIALS as TRIALS
from losslab.request.own_study import unless_typed
from losslab.request.questions import Options as Options
from losslab.request.questions import Question as Question
from losslab.schema import canonical, executor
from losslab.study import asking
from losslab.sweep import engines
from losslab.tables.arrays import is_array_file

if TYPE_CHECKING:
    from losslab.study.recipe import Study


def ask(path: Path, options: Options) -> Question:
    """Reads a file or a folder and decides what is asked of it. Trains nothing and writes nothing.

    Raises BadRequest, with file, column and row, for whatever cannot be read or learnt from, and where the task is not clear.
    """
    data, path, options, settings = _read_in(path, options)
    if data in ("images", "boxes") or (not data and own_pictures.is_one(path, options)):
        return own_pictures.ask(path, options, settings, data)
    if data == "arrays" or (not data and is_array_file(path)):
        return own_array_files.ask(path, options, settings)
    return own_tables.ask(path, options, settings)


def study_of(question: Question, name: str, command: str, seed: int = 0) -> Study:
    """The study that a question asks for. Raises BadRequest where a run of it would be refused."""
    words = [*question.words, *unless_typed(question.study, question.words), "study=fair", f"seed={seed}"]
    with hydra_at_conf():
        study = asking.of(canonical.resolved(composed(single(axes(words)))), name, command)
    for loss in study.losses:
        checked(study.request(loss, {}, seed))  # a loss of the user's is tried
    return study


def executor_of(question: Question) -> dict[str, Any]:
    """Where the stacks of its study are to be trained. Raises BadRequest where the engine is not there."""
    with hydra_at_conf():
        where = executor.of(composed(single(axes([word for word in question.words if executor.is_of(word)]))))
    engines.check(where)
    return where


def _read_in(path: Path, options: Options) -> tuple[str, Path, Options, dict[str, Any]]:
    """The kind of data, "" where no card says it, then file or folder, options and further settings.

    What a data card sets is read in, and what words such as data.time=day set.
    """
    data, settings = "", dict[str, Any]()
    if data_cards.is_one(path):
        card = data_cards.read(path)
        data, settings, options = card.name, dict(card.settings), replace(options, task=options.task or card.task)
        path = Path(settings.pop("path"))
        if (options.group or options.time) and settings.get("split") in ("random", "stratified"):
            del settings["split"]  # which `losslab inspect` wrote where there was no group or time
    settings |= data_cards.typed(options.words)
    options = replace(
        options,
        target=options.target or str(settings.pop("target", settings.pop("label_column", ""))),
        images=options.images or str(settings.pop("images", "")),
        labels=options.labels or str(settings.pop("labels", "")),
        group=options.group or str(settings.pop("group", "")),
        time=options.time or str(settings.pop("time", "")),
        weight=options.weight or str(settings.pop("row_weight", "")),
        drop=[*options.drop, *settings.pop("drop", [])],
        folds=options.folds or int(settings.pop("folds", 0)),
    )
    return data, path, options, settings
