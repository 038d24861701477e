"""A study of a user's data before it begins: what was read, and what follows from it for losses, split and words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest
from losslab.request.compose import composed, hydra_at_conf
from losslab.request.overrides import axes, single
from losslab.schema import canonical, cards
from losslab.study import recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from losslab.study.recipe import Study
    from losslab.tables.columns import Column

SEEDS, TRIALS, TUNING_SEEDS = 10, 16, 2
FEWEST_TRIALS = 4
_BATCHES = (16, 1024)  # rows
_STEPS, _EPOCHS = 1000, (10, 100)  # so many steps in all, in so many epochs
_FAR, _SHARE_FAR = 5.0, 0.002  # targets that far from the median, in robust spreads; a normal has 6 in 10 million
_RARE = 0.4  # of the share that a class had if all were as frequent


@dataclass(frozen=True)
class Options:
    """What a user says beside the file; "" and 0 where it is to be decided from the data.

    Attributes:
        target: the column that is predicted.
        task: binary, multiclass, regression, counts or bbox.
        group, time, weight: columns; see conf/data/table.yaml.
        drop: columns that are not used.
        losses: those to be compared, as in study.losses.
        model, metric: names.
        seeds, trials: of the study.
        folds: see data.folds.
        words: further words of Hydra's, such as "trainer.max_epochs=50".
        images: the folder of the pictures in which boxes were drawn.
        labels: a table with a label for each picture of a folder; `target` is its column.
    """

    target: str = ""
    task: str = ""
    group: str = ""
    time: str = ""
    weight: str = ""
    drop: Sequence[str] = ()
    losses: Sequence[str] = ()
    model: str = ""
    metric: str = ""
    seeds: int = 0
    trials: int = 0
    folds: int = 0
    words: Sequence[str] = ()
    images: str = ""
    labels: str = ""


@dataclass(frozen=True)
class Question:
    """A study of a user's data before it begins.

    Attributes:
        path: the file or folder.
        rows: of it that are used.
        columns: what each is and is used as; none of pictures.
        task: its name; `why` says how it was found.
        target: the column that is predicted, `names` its classes or its name.
        split: how rows are divided, in words.
        losses: with the reason for each.
        doubts: what a user should look at.
        words: Hydra's, that ask for one run; `study` those that make a study of it.
        data: table, images or boxes.
        seen: what was read of pictures, each line with its label.
    """

    path: Path
    rows: int
    columns: list[Column]
    task: str
    why: str
    target: str
    names: tuple[str, ...]
    split: str
    losses: dict[str, str]
    metric: str
    doubts: list[str] = field(default_factory=list)
    words: tuple[str, ...] = ()
    study: tuple[str, ...] = ()
    data: str = "table"
    seen: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """What a study of it is called."""
        return self.path.stem or self.path.resolve().stem

    @property
    def command(self) -> str:
        """The same study in Hydra's words."""
        return " ".join(["losslab train study=fair", *map(quote, (*self.words, *self.study))])


def decided(
    question: Question,
    targets: NDArray[Any],
    options: Options,
    settings: Mapping[str, Any],
    parts: str = "",
    split: str = "",
) -> Question:
    """A question of what was read with all that follows from the targets: split, losses, metric, doubts and words.

    Args:
        question: what was read.
        targets: of all rows; see `losslab.tables.target_values`.
        options: what the user says.
        settings: of the data, beside its path.
        parts: how the data divide themselves, in words.
        split: how rows stay together, in words.
    """
    task, names = question.task, question.names
    classes = len(names) if task in ("binary", "multiclass") else 0
    scheme, how = _split(options, settings, classes, parts, split)
    traits = _traits(targets, classes) if task != "bbox" else {}
    losses = dict.fromkeys(options.losses, "as you said") or _short_list(task, traits)
    metric = options.metric or ("balanced_accuracy" if "imbalance" in traits else next(iter(cards.metrics(task))))
    words = [f"task={task}", f"data={question.data}", _word("data.path", str(question.path))]
    words += [_word(f"data.{key}", value) for key, value in settings.items()]
    words += [f"data.split={scheme}"] if scheme != "auto" else []
    words += [f"data.folds={options.folds}"] if options.folds else []
    batch, epochs = _sizes(question.rows, settings)
    words += [f"data.batch_size={batch}", "corruption=none", f"trainer.max_epochs={epochs}"]
    words += [f"model={options.model}"] if options.model else []
    study = [
        _word("study.losses", list(losses)),
        f"study.metric={metric}",
        "study.rates=[tuned]",
        f"study.seeds={options.seeds or SEEDS}",
        f"study.tuning.trials={options.trials or TRIALS}",
        f"study.tuning.seeds={TUNING_SEEDS}",
    ]
    return replace(
        question,
        split=how,
        losses=losses,
        metric=metric,
        doubts=[*question.doubts, *_doubts_of(traits, targets, names, metric)],
        words=(*_unless_typed(words, options.words), *options.words),
        study=tuple(study),
    )


def study_of(question: Question, name: str, command: str, seed: int = 0) -> Study:
    """The study that a question asks for. Raises BadRequest where a run of it would be refused."""
    words = [*question.words, *_unless_typed(question.study, question.words), "study=fair", f"seed={seed}"]
    with hydra_at_conf():
        return recipe.of(canonical.resolved(composed(single(axes(words)))), name, command)


def _split(
    options: Options, settings: Mapping[str, Any], classes: int, parts: str = "", together: str = ""
) -> tuple[str, str]:
    """The scheme of the split, and what it does in words; `parts`, `together`: what the data themselves say of it."""
    scheme = str(settings.get("split", "auto"))
    if settings.get("parts"):
        parts = f"as the column '{settings['parts']}' says"
    if scheme == "auto":
        plain = not (options.group or options.time or settings.get("parts"))
        scheme = "stratified" if classes and plain else "auto"
    known = cards.card("data", "table").values
    val, test = (settings.get(f"{part}_fraction", known[f"{part}_fraction"]) for part in ("val", "test"))
    shares = f"{1 - val - test:.0%} train, {val:.0%} validation, {test:.0%} test"
    if parts:
        return scheme, parts
    if options.group and options.time:
        raise BadRequest("A split keeps to groups or to time; give --group or --time.")
    how = {"stratified": "at random, with the same shares of the classes in each part"}.get(scheme, "at random")
    how = together or how
    if options.group:
        how = f"by '{options.group}': all rows of a group are in one part"
    if options.time:
        how = f"by '{options.time}': validation rows are later than training rows, test rows later still"
    if options.folds:
        return scheme, f"{options.folds} folds, {how}; one fold a seed"
    return scheme, f"{shares}; {how}{'' if options.time else ', anew for each seed'}"


def _traits(targets: NDArray[Any], classes: int) -> dict[str, str]:
    """What of the targets asks for further losses, with the figure that shows it."""
    import numpy as np

    if classes:
        counts = np.bincount(targets.astype(int), minlength=classes)
        rarest = counts.min() / counts.sum()
        return {"imbalance": f"the rarest class has {rarest:.1%} of the rows"} if rarest < _RARE / classes else {}
    middle = np.median(targets)
    spread = 1.4826 * np.median(np.abs(targets - middle)) or targets.std()
    far = int((np.abs(targets - middle) > _FAR * spread).sum())
    share = far / len(targets)
    return (
        {"heavy_tails": f"{far} of {len(targets):,} targets lie more than {_FAR:g} robust spreads from the median"}
        if (far >= 3 and share > _SHARE_FAR)
        else {}
    )


def _short_list(task: str, traits: Mapping[str, str]) -> dict[str, str]:
    """The losses that the card of a task lists, and those for such targets."""
    about = cards.card("task", task).about
    found = dict(about["short_list"])
    for trait in traits:
        found |= about.get("more", {}).get(trait, {})
    return found


def _doubts_of(traits: Mapping[str, str], targets: NDArray[Any], names: Sequence[str], metric: str) -> list[str]:
    found = []
    if "imbalance" in traits:
        found.append(f"Classes are imbalanced: {traits['imbalance']}. So {metric.replace('_', ' ')} is compared.")
    if "heavy_tails" in traits:
        found.append(f"The target has heavy tails: {traits['heavy_tails']}. So robust losses are added.")
    return found


def _sizes(rows: int, settings: Mapping[str, Any]) -> tuple[int, int]:
    """Batch size and epochs: some fifty steps an epoch, and some 1,000 in all."""
    train = rows * (1 - sum(settings.get(f"{part}_fraction", 0.2) for part in ("val", "test")))
    low, high = _BATCHES
    batch = min(max(low, 2 ** round(math.log2(max(train / 50, 1.0)))), high, max(2, int(train)))
    steps = max(1, train // batch)
    return int(batch), int(min(max(_EPOCHS[0], round(_STEPS / steps)), _EPOCHS[1]))


def _unless_typed(words: Sequence[str], typed: Sequence[str]) -> list[str]:
    """Words without those whose key is typed anyway."""
    keys = {word.lstrip("+").partition("=")[0] for word in typed}
    return [word for word in words if word.partition("=")[0] not in keys]


def _word(key: str, value: Any) -> str:
    """An override in Hydra's grammar, quoted where that is needed."""
    return f"{key}={_quoted(value)}"


def _quoted(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_quoted, value))}]"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value.lower() not in ("true", "false", "null", "inf", "nan"):
        return value
    escaped = re.sub(r"(\\*)'", lambda found: 2 * found[1] + r"\'", value)
    return "'" + re.sub(r"(\\+)$", r"\1\1", escaped) + "'"
