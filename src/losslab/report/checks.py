"""Checks of the runs of a comparison, as notes for the reader: missing, uneven, unpaired, not as chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from losslab.errors import BadRequest
from losslab.records.record import HASHES, Record
from losslab.report.formatting import counted, listed, name, number
from losslab.schema import identities, search_space
from losslab.schema.cards import OPEN
from losslab.schema.check import NOT_OF_ROWS
from losslab.study.recipe import ONE_SETTING, Study

_CONDITIONS = {"tuned": "At their tuned rates ", "shared": "At the shared rate "}
# what a hash in a record's pairing is of, by the settings that name it
_MADE_OF: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "data": lambda asked: _named("data", asked["data"], NOT_OF_ROWS),
    "source/weight": lambda asked: f"data.weight={asked['data'].get('weight', 'none')}",
    "source/model": lambda asked: _named("model", asked["model"]),
}
_FAR = 10.0  # times beyond a range
_MANY = 4  # sentences of one kind that a reader takes in


def missing(runs: pd.DataFrame) -> list[str]:
    """A sentence on runs that are not there yet."""
    count = int((runs["status"] == "missing").sum())
    return (
        [f"The study is not finished: {count} of {len(runs)} runs are missing. Repeat its command to train them."]
        if count
        else []
    )


def uneven(runs: pd.DataFrame) -> list[str]:
    """Sentences on seeds that not every loss has."""
    notes = []
    for setting, block in runs.groupby("setting", sort=False):
        seeds = [set(some["seed"]) for _, some in block.groupby("loss")]
        if not_all := set.union(*seeds) - set.intersection(*seeds):
            listed = ", ".join(map(str, sorted(not_all)))
            where = "" if setting == ONE_SETTING else f" in '{setting}'"
            notes.append(f"The losses are not compared on the same seeds: not every loss has seed {listed}{where}.")
    return notes


def unpaired(records: Sequence[Record], settings: Sequence[str]) -> list[str]:
    """Sentences on runs of one setting and seed that did not see the same, by the hashes in their records; one for each way."""
    seen: dict[tuple[str, int], list[dict[str, str]]] = {}
    for record, setting in zip(records, settings, strict=True):
        if record.pairing:
            seen.setdefault((setting, record.seed), []).append(record.pairing)
    ways: dict[str, dict[str, list[str]]] = {}
    for (setting, seed), hashes in seen.items():
        if differ := [name for name in HASHES if len({each.get(name) for each in hashes}) > 1]:
            ways.setdefault(listed(differ), {}).setdefault(setting, []).append(str(seed))
    return [
        f"Runs of one setting and seed are not paired: they differ in {what} ({_where(settings)})."
        for what, settings in ways.items()
    ]


def _where(settings: Mapping[str, Sequence[str]]) -> str:
    """Settings with the seeds of each; the first few where they are many."""
    said = [f"'{setting}' (seed {', '.join(seeds)})" for setting, seeds in settings.items()]
    return listed(said if len(said) <= _MANY else [*said[:_MANY], f"{len(said) - _MANY} more settings"])


def several_versions(records: Iterable[Record]) -> list[str]:
    """What is one by the settings of the records and several by their hashes: data, a file of row weights, a user's model."""
    trained = [record for record in records if record.pairing]
    found = []
    for digest, setting in _MADE_OF.items():
        versions: dict[str, Counter[str]] = {}
        for record in trained:
            versions.setdefault(setting(record.config), Counter())[record.pairing.get(digest, "not noted")] += 1
        found += _several(versions)
    return found + _several(_of_components(trained))


def _of_components(records: Sequence[Record]) -> dict[str, Counter[str]]:
    """How many runs there are of each version of each loss, data set, model and so on from outside losslab."""
    versions: dict[str, Counter[str]] = {}
    for record in records:
        for key, digest in record.pairing.items():
            of, group, name = f"{key}//".split("/", 3)[:3]
            if (
                of == "source"
                and group in OPEN
                and (group == "loss" or record.config.get(group, {}).get("name") == name)
            ):
                versions.setdefault(f"{group}={name}", Counter())[digest] += 1
    return versions


def _several(versions: Mapping[str, Counter[str]]) -> list[str]:
    """Those of which there is more than one version, in words."""
    return [
        f"{what} ({listed([str(count) for count in counts.values()])} runs)"
        for what, counts in versions.items()
        if len(counts) > 1
    ]


def _named(group: str, settings: Mapping[str, Any], without: Sequence[str] = ()) -> str:
    others = (f"{group}.{key}={value}" for key, value in settings.items() if key not in ("name", *without))
    return " ".join([f"{group}={settings['name']}", *others])


def not_as_chosen(runs: pd.DataFrame, choices: pd.DataFrame, study: Study) -> list[str]:
    """Sentences on losses whose tuned runs are not at the rate that their trials chose."""
    chosen = _chosen(choices, study)
    tuned = runs[(runs["condition"] == "tuned") & (runs["status"] != "missing")]
    keys = [(row["loss"], row["setting"], study.repeat_of(row["seed"]), row["lr"]) for row in tuned.to_dict("records")]
    wrong = {loss for loss, *where, lr in keys if (found := chosen.get((loss, *where))) and lr != found[0]}
    return [
        f"The runs of `{loss}` at tuned rates are not at the learning rate that its trials chose."
        for loss in sorted(wrong)
    ]


def superseded(records: Sequence[Record], choices: pd.DataFrame, study: Study) -> list[Record]:
    """Tuned runs beside which lies the same run at what is chosen now: trials that were trained anew chose something else."""
    chosen = _chosen(choices, study)
    same: dict[tuple[str, str, int], list[Record]] = {}
    for record in records:
        if record.study and "tuned" in record.study["arms"]:
            same.setdefault((record.study["loss"], record.study["setting"], record.seed), []).append(record)

    def at_the_choice(record: Record, lr: float, params: dict[str, Any]) -> bool:
        return record.optimizer["lr"] == lr and params.items() <= record.loss_params.items()

    old = []
    for (loss, setting, seed), runs in same.items():
        choice = chosen.get((loss, setting, study.repeat_of(seed)))
        now = [record for record in runs if choice and at_the_choice(record, *choice)]
        old += [record for record in runs if record is not now[0]] if now else runs[1:]
    return old


def _chosen(choices: pd.DataFrame, study: Study) -> dict[tuple[str, str, int], tuple[float, dict[str, Any]]]:
    """The rate and the hyperparameters that were chosen for a loss in a setting and repeat."""
    at = {(row["loss"], row["at"]): (row["lr"], row["params"]) for row in choices.to_dict("records")}
    return {
        (loss, study.label(setting), repeat): at[loss, tuned_at]
        for setting in study.settings()
        for repeat in range(study.repeats)
        for loss in study.losses
        if (loss, tuned_at := study.tuned_at(study.tuning_setting(setting), repeat)) in at
    }


def on_an_edge(choices: pd.DataFrame, study: Study) -> list[str]:
    """Sentences on choices that lie on the edge of what was tried; one for all of them where there are many."""
    found = [row for row in choices.to_dict("records") if row["edge"]]
    if len(found) > _MANY:
        counts = Counter(row["loss"] for row in found)
        losses = ", ".join(f"`{loss}` ({count})" for loss, count in counts.most_common())
        return [
            f"In {len(found)} of {len(choices)} tunings the best trial lies at an edge of the range that was tried, so the optimum may lie "
            f"beyond it: {losses}. The table of tuned values says where."
        ]
    where = " (tuned at {at})" if len(study.tunings()) > 1 else ""
    said = "The best trial of `{loss}` is at {edge}" + where + ", so its optimum may lie beyond it."
    return [said.format_map(row) for row in found]


def far_rates(losses: Iterable[str], records: Iterable[Record]) -> list[str]:
    """A sentence for each optimizer on losses with a rate more than ten times outside the range that its card states.

    losses: the label of each record. A rate so far off is seldom one: training may have stood still, or a trial won by chance.
    """
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for loss, record in zip(losses, records, strict=True):
        optimizer, rate = str(record.optimizer["name"]), float(record.optimizer["lr"])
        try:
            usual = search_space.of_optimizer(optimizer)
        except BadRequest:  # a user's own, which states no range, or is not there any more
            continue
        if not usual.low / _FAR <= rate <= usual.high * _FAR:
            found.setdefault((name(optimizer), f"{usual.low:g} to {usual.high:g}"), {}).setdefault(loss, []).append(
                rate
            )
    said = []
    for (optimizer, states), of_loss in found.items():
        ends = {loss: dict.fromkeys((number(min(rates)), number(max(rates)))) for loss, rates in of_loss.items()}
        each = [
            f"{counted(len(of_loss[loss]), 'run')} of {name(loss)} ({' to '.join(rates)})"
            for loss, rates in ends.items()
        ]
        said.append(
            f"Learning rates more than ten times outside the range in which {optimizer} is usually tried ({states}): {listed(each)}. "
            "Look at the curves of such runs before relying on them."
        )
    return said


def same(parts: Iterable[tuple[str, str, str, Record]]) -> list[str]:
    """Sentences on losses that are one under several names, with the hyperparameters that the compared runs had.

    parts: condition, loss, setting and record of each run.
    """
    had: dict[str, dict[str, dict[tuple[str, str], Mapping[str, Any]]]] = {}
    task = ""
    for condition, loss, setting, record in parts:
        task = record.task
        given = record.config["loss"]
        had.setdefault(condition, {}).setdefault(loss, {})[setting, str(given)] = given
    found: dict[str, list[str]] = {}
    for condition, losses in had.items():
        ordered = {loss: [each[key] for key in sorted(each)] for loss, each in losses.items()}
        for group in identities.same(ordered, task):
            found.setdefault(_one_loss(group), []).append(condition)
    return [
        (_CONDITIONS.get(conditions[0], "") if len(had) > len(conditions) else "") + sentence
        for sentence, conditions in found.items()
    ]


def _one_loss(group: Mapping[str, float]) -> str:
    """The sentence on losses that are the same, each with its factor to the first."""
    first, *others = group
    names = f"{listed([name(loss) for loss in group])} are the same loss"
    scaled = [f"{name(loss)} is {number(group[loss])} times {name(first)}" for loss in others if group[loss] != 1]
    if not scaled:
        return f"{names}; their runs differ by rounding only."
    return f"{names} up to a factor, which has the effect of another learning rate: {listed(scaled)}."
