"""What follows from the targets of a user's data: split, losses, metric, sizes, and the words of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest
from losslab.request import data_cards
from losslab.request.questions import Options, Question
from losslab.schema import cards, metric_references
from losslab.schema.metric_facts import metric_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEEDS, TRIALS, PICTURE_SEEDS, PICTURE_TRIALS = 10, 6, 5, 4  # trials of each of the five repeats of the tuning
_BATCHES = (16, 1024)  # rows
_STEPS, _EPOCHS = 1000, (10, 100)
REPEATS = 5  # of the tuning, as in conf/study/fair.yaml
_REFINE = 2  # further trials round the best, of a table
_PICTURES = (
    PICTURE_SEEDS,
    PICTURE_TRIALS,
    0,
    500,
)  # seeds, trials, steps: each takes tens of times as long as on a table
_FAR, _SHARE_FAR = 5.0, 0.002  # targets that far from the median, in robust spreads; a normal has 6 in 10 million
# a metric that the frequent class does not decide: with two classes one that asks for no threshold, as with most losses a model
# of rare yeses says no to every row
_OF_RARE = {"binary": "auroc", "multiclass": "balanced_accuracy"}
_FEW_TESTED = 10  # rows of a class
_RARE = 0.4  # of the share that a class had if all were as frequent


def decided(
    question: Question,
    targets: NDArray[Any],
    options: Options,
    settings: Mapping[str, Any],
    parts: str = "",
    together: str = "",
) -> Question:
    """A question of what was read with all that follows from the targets: split, losses, metric, doubts and words.

    Args:
        question: what was read.
        targets: of all rows; see `losslab.tables.target_values`.
        options: what the user says.
        settings: of the data, beside its path.
        parts: how the data divide themselves, in words.
        together: how rows stay together, in words.
    """
    from losslab.tables.targets import CLASSES  # here, as all of tables is read for it

    task, names = question.task, question.names
    classes = len(names) if task in CLASSES else 0
    scheme, how = _split(options, settings, classes, parts, together)
    traits = _traits(targets, classes) if "more" in cards.card("task", task).about else {}
    losses = dict.fromkeys(options.losses, "as you said") or _short_list(task, traits)
    first = next(iter(cards.metrics(task)))
    metric = options.metric or (_OF_RARE[task] if "imbalance" in traits else first)
    words = [f"task={task}", f"data={question.data}", data_cards.word("data.path", str(question.path))]
    words += [data_cards.word(f"data.{key}", value) for key, value in settings.items() if key != "split"]
    words += [f"data.split={scheme}"] if scheme != "auto" else []
    words += [f"data.folds={options.folds}"] if options.folds else []
    seeds, trials, refine, steps = _PICTURES if question.pictures else (SEEDS, TRIALS, _REFINE, _STEPS)
    batch, epochs = _sizes(question.rows, settings, steps)
    words += [f"data.batch_size={batch}", "corruption=none", f"trainer.max_epochs={epochs}"]
    words += [data_cards.word("model", options.model)] if options.model else []
    if metric_references.is_one(metric):
        [further] = metric_references.parse(metric)
        words, metric = [*words, data_cards.word("task.metrics", metric)], further.name
    words += [f"task.select={metric}"] if metric != first else []
    study = [
        data_cards.word("study.losses", list(losses)),
        f"study.metric={metric}",
        "study.rates=[tuned]",
        f"study.seeds={options.seeds or seeds}",
        f"study.tuning.trials={options.trials or trials}",
        f"study.tuning.refine={0 if options.trials else refine}",
        "study.tuning.seeds=1",
    ]
    return replace(
        question,
        split=how,
        losses=losses,
        metric=metric,
        doubts=[
            *question.doubts,
            *_not_kept(scheme, options),
            *_doubts_of(traits, targets, metric, options),
            *_unused_folds(options, seeds),
            *_few_of_a_class(targets, classes, settings),
        ],
        words=(*unless_typed(words, options.words), *options.words),
        study=tuple(study),
    )


def _split(options: Options, settings: Mapping[str, Any], classes: int, parts: str, together: str) -> tuple[str, str]:
    """The scheme of the split, and what it does in words; `parts`, `together`: what the data themselves say of it."""
    scheme = str(settings.get("split", "auto"))
    if scheme == "auto":
        plain = not (options.group or options.time or parts or together)
        scheme = "stratified" if classes and plain else "auto"
    known = cards.card("data", "table").values
    val, test = (settings.get(f"{part}_fraction", known[f"{part}_fraction"]) for part in ("val", "test"))
    shares = f"{1 - val - test:.0%} train, {val:.0%} validation, {test:.0%} test"
    if parts:
        return scheme, parts
    if options.group and options.time and scheme == "auto":
        raise BadRequest("A split keeps to groups or to time; give --group or --time, or add data.split=group or time.")
    by = {"auto": "group" if options.group else "time" if options.time else "random"}.get(scheme, scheme)
    how = {
        "random": "at random",
        "stratified": "at random, with the same shares of the classes in each part",
        "group": f"by '{options.group}': all rows of a group are in one part",
        "time": f"by '{options.time}': validation rows are later than training rows, test rows later still",
    }.get(by, by)
    how = together or how
    if options.folds:
        return scheme, f"{options.folds} folds, {how}; one fold a seed"
    return scheme, f"{shares}; {how}{'' if by == 'time' else ', anew for each seed'}"


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


def _doubts_of(traits: Mapping[str, str], targets: NDArray[Any], metric: str, options: Options) -> list[str]:
    found = []
    if "imbalance" in traits:
        chosen = "" if options.metric else f" So {metric_name(metric)} is compared."
        found.append(f"Classes are imbalanced: {traits['imbalance']}.{chosen}")
    if "heavy_tails" in traits:
        added = "" if options.losses else " So robust losses are added."
        asks = " MAE asks for the median; --metric rmse asks for the mean." if metric == "mae" else ""
        found.append(f"The target has heavy tails: {traits['heavy_tails']}.{added}{asks}")
        if targets.min() > 0 and not any(word.startswith("task.log_target=") for word in options.words):
            found.append("All targets are above 0: with task.log_target=true, model and losses see their logarithm.")
    return found


def _not_kept(scheme: str, options: Options) -> list[str]:
    """What a split, which a user or a card names, does to groups or times."""
    if scheme not in ("random", "stratified", "time", "group"):
        return []
    group = [f"Rows of one '{options.group}' may lie in several parts: data.split={scheme}."] if options.group else []
    time = (
        [f"Training rows may be later than test rows by '{options.time}': data.split={scheme}."] if options.time else []
    )
    return (group if scheme != "group" else []) + (time if scheme != "time" else [])


def _few_of_a_class(targets: NDArray[Any], classes: int, settings: Mapping[str, Any]) -> list[str]:
    """Says where so few rows of a class are tested on that little can be shown of it."""
    import numpy as np

    share = settings.get("test_fraction", cards.card("data", "table").values["test_fraction"])
    tested = round(float(np.bincount(targets.astype(int), minlength=classes).min()) * share) if classes else _FEW_TESTED
    rows = "row" if tested == 1 else "rows"
    return (
        [f"About {tested} {rows} of the rarest class are tested on, so little can be shown of it."]
        if tested < _FEW_TESTED
        else []
    )


def _unused_folds(options: Options, seeds: int) -> list[str]:
    tested = min(options.seeds or seeds, REPEATS)
    few = f"{tested} repeats test on {tested} of {options.folds} folds; study.tuning.repeats={options.folds} takes all."
    return [few] if options.folds > tested else []


def _sizes(rows: int, settings: Mapping[str, Any], wanted: int) -> tuple[int, int]:
    """Batch size and epochs: some fifty steps an epoch, and about as many in all as are wanted."""
    train = rows * (1 - sum(settings.get(f"{part}_fraction", 0.2) for part in ("val", "test")))
    low, high = _BATCHES
    batch = min(max(low, 2 ** round(math.log2(max(train / 50, 1.0)))), high, max(2, int(train)))
    steps = max(1, train // batch)
    return int(batch), int(min(max(_EPOCHS[0], round(wanted / steps)), _EPOCHS[1]))


def unless_typed(words: Sequence[str], typed: Sequence[str]) -> list[str]:
    """Words without those whose key is typed anyway."""
    keys = {word.lstrip("+").partition("=")[0] for word in typed}
    return [word for word in words if word.partition("=")[0] not in keys]
