"""A study from what was asked for: losses, axes, rates and tuning are checked before anything is trained. No torch here."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from losslab.errors import BadRequest, nearest
from losslab.schema import canonical, cards, check, devices, loss_terms, metric_references, references
from losslab.schema.ranges import typed
from losslab.schema.suggestions import unknown
from losslab.stats.margins import Margin
from losslab.study.recipe import GROUP_AXES, Study, fixed, loss_setting
from losslab.sweep import value_ranges

_LOG = logging.getLogger(__name__)
_VALUE_AXES = ("data", "corruption", "model", "optimizer", "trainer", "penalty", "task")


def of(asked: Mapping[str, Any], name: str, command: str = "") -> Study:
    """The study that a composed config asks for. Raises BadRequest for whatever is wrong with it or with any of its runs.

    Args:
        asked: plain values, with the key `study` beside those of a run.
        name: of the recipe.
        command: what was typed, for the report.
    """
    card = cards.card("study", "fair")
    given = dict(asked["study"])
    given.pop("about", None)
    losses, axes = given.pop("losses", []), given.pop("axes", {})
    base = canonical.canonical({key: value for key, value in asked.items() if key != "study"})
    known = {key: value for key, value in card.values.items() if key not in ("losses", "axes")}
    given["margin"] = str(given.get("margin", ""))
    values = typed("study", given, known, card.about["ranges"])
    if values["margin"]:
        Margin.read(values["margin"])
    metrics = metric_references.of_task(base["task"])
    if values["metric"] and values["metric"] not in metrics:
        raise BadRequest(
            f"There is no metric '{values['metric']}' of task '{base['task']['name']}'"
            f"{nearest(values['metric'], metrics)}. Valid: {', '.join(metrics)}."
        )
    if values["tuning"]["search"] == "optuna" and not importlib.util.find_spec("optuna"):
        raise BadRequest("study.tuning.search=optuna needs Optuna: pip install 'losslab[optuna]'.")
    for number, rate in enumerate(values["rates"]):
        if rate in values["rates"][:number]:
            raise BadRequest(f"study.rates names '{rate}' twice.")
    losses = _losses(losses)
    if values["reference"] and values["reference"] not in losses:
        raise BadRequest(
            f"study.reference must be one of study.losses ({', '.join(losses)}), and '{values['reference']}' is not."
        )
    study = Study(
        name=name,
        question=values["question"],
        losses=losses,
        reference=values["reference"] or losses[0],
        metric=values["metric"] or next(iter(metrics)),
        epoch=values["epoch"],
        axes=dict(_axes(axes, values["rates"])),
        seeds=values["seeds"],
        rates=values["rates"],
        tuning=values["tuning"],
        base=base,
        command=command,
        margin=values["margin"],
    )
    settings = study.settings()
    for loss, setting in [
        *((loss, settings[0]) for loss in losses),
        *((losses[0], setting) for setting in settings[1:]),
    ]:
        devices.refuse_for_many(check.check(study.request(loss, setting, base["seed"])))
    if "tuned" in study.rates:
        _tell_untuned(losses)
    return study


def _tell_untuned(losses: Sequence[str]) -> None:
    """Says for which losses of the user's only the learning rate is tuned, though they have hyperparameters."""
    for loss in losses:
        terms = loss_terms.parse(loss)
        card = cards.card("loss", terms[0][1])
        left = [key for key in card.values if key != "name" and key not in fixed(loss)]
        if len(terms) == 1 and left and not (card.shipped or card.about.get("search")):
            own = references.short(terms[0][1])
            _LOG.warning(
                f"{loss} states no search ranges, so only its learning rate is tuned and {', '.join(left)} stays at its default. "
                f"To tune it too: {own}.search = {{'{left[0]}': 'log [0.1, 10]'}}."
            )


def _losses(given: Any) -> list[str]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not all(isinstance(loss, str) for loss in given):
        raise BadRequest(
            f"study.losses must be a list of losses such as [mse, 'huber(delta=0.5)'], and {given!r} is not."
        )
    given = [loss for label in given for loss in value_ranges.spread(label)]
    meanings = [_meaning(loss) for loss in given]  # a name that is none is refused first
    if len(given) < 2:
        raise BadRequest(f"A study compares two losses or more, and study.losses is {list(given)}.")
    for number, loss in enumerate(given):
        for other, meaning in zip(given[:number], meanings, strict=False):
            if meaning == meanings[number]:
                both = f"one loss twice: '{other}' and '{loss}'" if other != loss else f"'{loss}' twice"
                raise BadRequest(f"study.losses names {both}.")
    return list(given)


def _meaning(label: str) -> tuple[str, dict[str, Any], list[str]]:
    """What a label stands for, however it is written: a loss, its hyperparameters, and which of them are not tuned."""
    params = loss_setting(label)
    name = str(params.pop("name"))
    return name, canonical.check_hyperparameters(name, params), sorted(fixed(label))


def _axes(given: Any, rates: Sequence[str], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Each axis with its values; what came nested from the command line is given its dotted key."""
    if not isinstance(given, Mapping):
        raise BadRequest(
            f"study.axes must hold a list of values for each key, as in {{corruption.fraction: [0, 0.2]}}; {given!r} does not."
        )
    for key, values in given.items():
        key = f"{prefix}{key}"
        if isinstance(values, Mapping):
            yield from _axes(values, rates, f"{key}.")
            continue
        _check_axis(key, rates)
        if isinstance(values, str):
            values = value_ranges.listed(values) or values
        if not isinstance(values, list):
            raise BadRequest(f"study.axes.{key} must be a list of values, and {values!r} is not.")
        if not values:
            raise BadRequest(
                f"study.axes.{key} is empty, so there is nothing to train; give it one value or more, or leave it out."
            )
        for number, value in enumerate(values):
            if value in values[:number]:
                raise BadRequest(f"study.axes.{key} holds {value!r} twice.")
            if key in GROUP_AXES and not cards.has(key, str(value)):
                raise BadRequest(unknown(key, str(value), cards.names(key)))
        yield key, values


def _check_axis(key: str, rates: Sequence[str]) -> None:
    """Raises BadRequest for a key that cannot be an axis."""
    group, _, inner = key.partition(".")
    instead = {
        "seed": "study.seeds says how many seeds there are",
        "loss": "write the losses, with their hyperparameters in brackets, into study.losses",
        "task": "one study keeps to one task, whose metric it compares",
    }
    if group in instead and not (group == "task" and inner):
        raise BadRequest(f"'{key}' cannot be an axis of a study: {instead[group]}.")
    if key == "optimizer.lr" and "tuned" in rates:
        raise BadRequest("'optimizer.lr' is what a study tunes; it can be an axis only with study.rates=[shared].")
    if not (key in GROUP_AXES if not inner else group in _VALUE_AXES):
        raise BadRequest(
            f"There is no axis '{key}'{nearest(key, GROUP_AXES)}; an axis is one of {', '.join(GROUP_AXES)} or a value in one of "
            f"{', '.join(_VALUE_AXES)}, such as corruption.fraction."
        )
