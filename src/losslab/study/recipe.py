"""A study: losses, settings, seeds and tuning, and the runs that follow from it. No torch here."""

from __future__ import annotations

import copy
import itertools
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from losslab.errors import BadRequest
from losslab.schema import canonical, cards, check, loss_terms, metric_references
from losslab.schema.canonical import set_value
from losslab.schema.ranges import typed
from losslab.sweep.jobs import Job

_LOG = logging.getLogger(__name__)
ONE_SETTING = "one setting"  # the label of the setting of a study without axes
NAME = "study.yaml"  # the study as it was asked for last, beside its runs
Setting = dict[str, Any]  # a value for each axis
# from here on count the seeds of trials, and those that draw the test rows of a repeat, so that none is one of the comparison
_TUNING_SEEDS, _TEST_SEEDS = 1_000_000, 500_000_000
_OLD_TUNING = {"repeats": 1, "refine": 0, "finalists": 1}  # of studies that earlier versions made
GROUP_AXES = ("data", "corruption", "model", "optimizer")


@dataclass(frozen=True)
class Study:
    """All that decides what a study's runs are; each record of a study carries it whole. See conf/study/fair.yaml for the words."""

    name: str
    question: str
    losses: list[str]
    reference: str
    metric: str
    epoch: str
    axes: dict[str, list[Any]]
    seeds: int
    rates: list[str]
    tuning: dict[str, Any]
    base: dict[str, Any]  # the request of which every run is a change
    command: str = ""
    margin: str = ""  # the smallest difference that matters; "": by the metric

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self.base["task"]["name"])

    @property
    def better(self) -> str:
        """The better direction of the metric: min or max."""
        return metric_references.of_task(self.base["task"])[self.metric]

    @property
    def fresh_seeds(self) -> list[int]:
        """The seeds of the comparison."""
        return list(range(self.base["seed"], self.base["seed"] + self.seeds))

    @property
    def repeats(self) -> int:
        """How often the tuning is done anew; 1 where nothing is tuned."""
        return min(int(self.tuning["repeats"]), self.seeds) if "tuned" in self.rates else 1

    def repeat_of(self, seed: int) -> int:
        """The repeat, from 0, to which a seed of the comparison belongs."""
        return int(seed - self.base["seed"]) % self.repeats

    def tuning_seeds(self, repeat: int, final: bool = False) -> list[int]:
        """The seeds of each trial of a repeat; `final`: the further ones of the best trials."""
        each = self.tuning["seeds"]
        first = self.base["seed"] + _TUNING_SEEDS + each * (2 * repeat + final)
        return list(range(first, first + each))

    def settings(self) -> list[Setting]:
        """Every combination of the axes' values."""
        return [dict(zip(self.axes, values, strict=True)) for values in itertools.product(*self.axes.values())]

    def tuning_setting(self, setting: Setting) -> Setting:
        """Where the losses that are compared in a setting are tuned."""
        if self.tuning["at"] == "each":
            return setting
        return {
            key: values[len(values) // 2] if all(map(_is_number, values)) else setting[key]
            for key, values in self.axes.items()
        }

    def tuning_settings(self) -> list[Setting]:
        """All settings at which losses are tuned, each once."""
        found = [self.tuning_setting(setting) for setting in self.settings()]
        return [place for number, place in enumerate(found) if place not in found[:number]]

    def tunings(self) -> dict[str, tuple[Setting, int]]:
        """Each tuning, by its label: the setting in which it is done, and the repeat."""
        return {
            self.tuned_at(setting, repeat): (setting, repeat)
            for setting in self.tuning_settings()
            for repeat in range(self.repeats)
        }

    def tuned_at(self, setting: Setting, repeat: int) -> str:
        """The label of a tuning: 'fraction=0.2, repeat 3'."""
        words = [self.label(setting)] if setting or self.repeats == 1 else []
        return ", ".join([*words, f"repeat {repeat + 1}"] if self.repeats > 1 else words)

    def label(self, setting: Setting) -> str:
        """A setting in words: 'fraction=0.2, data=friedman'."""
        ends = [key.rsplit(".", 1)[-1] for key in setting]
        named = [key if ends.count(end) > 1 else end for key, end in zip(setting, ends, strict=True)]
        texts = [_written(value) for value in setting.values()]
        return ", ".join(f"{name}={text}" for name, text in zip(named, texts, strict=True)) or ONE_SETTING

    def request(
        self,
        loss: str,
        setting: Setting,
        seed: int,
        lr: float | None = None,
        params: Mapping[str, Any] | None = None,
        repeat: int | None = None,
    ) -> dict[str, Any]:
        """The request of one run, in canonical form; without `lr` and `params` at the shared rate and the defaults.

        `repeat`: to which it belongs, by default that of its seed. All runs of a repeat test on the same rows, which no trial of
        it has seen.
        """
        plain = copy.deepcopy(self.base)
        for key, value in sorted(setting.items(), key=lambda item: item[0] not in GROUP_AXES):
            set_value(plain, key, self._file(key, value) if key in GROUP_AXES else value)
        plain["loss"] = loss_setting(loss) | dict(params or {})
        plain["seed"] = seed
        if self.repeats > 1 and not check.one_split(plain["data"]):
            repeat = self.repeat_of(seed) if repeat is None else repeat
            plain["data"]["test_seed"] = self.base["seed"] + _TEST_SEEDS + repeat
        if lr is not None:
            plain["optimizer"]["lr"] = lr
        return canonical.canonical(plain)

    def _file(self, group: str, name: str) -> dict[str, Any]:
        """The values of a group's file, with those that the study itself has set, as Hydra would have it."""
        values, own = cards.card(group, name).values, self.base[group]
        usual = cards.card(group, own["name"]).values
        changed = {key: value for key, value in own.items() if key in values and key != "name" and value != usual[key]}
        return copy.deepcopy(values | changed)

    def job(self, folder: Path, request: dict[str, Any], number: int, **part: Any) -> Job:
        """A run of the study in its place below `folder`; `part` says which part of the study it is."""
        words = [part["phase"], re.sub(r"[^\w.+-]+", "_", part["loss"]).strip("_")]
        return Job(request, folder.joinpath(*words, canonical.id_of(request)), number, part | {"study": self.mark()})

    def made(self, mark: Mapping[str, Any]) -> bool:
        """Whether a record that carries a mark is a run of this study; the margin decides no run."""
        return _whole(mark) | {"margin": ""} == _whole(self.mark()) | {"margin": ""}

    def mark(self) -> dict[str, Any]:
        """The study as its records carry it: all that decides a result."""
        decisive = {key: value for key, value in self.base.items() if key not in canonical.WHERE_AND_HOW}
        return asdict(self) | {"base": decisive}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(mark: Mapping[str, Any]) -> dict[str, Any]:
    """A mark with the keys that an earlier version did not write."""
    tuning = mark.get("tuning")
    return {**mark, "tuning": _OLD_TUNING | tuning} if isinstance(tuning, dict) else dict(mark)


def from_mark(mark: Any) -> Study:
    """The study that a file holds. Raises BadRequest for what describes none."""
    from losslab.records.validation import InStudy, hold_to  # pydantic takes some milliseconds

    mark = _whole(mark) if isinstance(mark, dict) else mark
    try:
        hold_to(mark, Study, InStudy)
        study = Study(**mark)
    except (ValueError, TypeError) as error:  # TypeError: a key that no study has
        raise BadRequest(f"What was read does not describe a study: {error}.") from error
    card = cards.card("study", "fair")
    words = ("epoch", "seeds", "rates", "tuning")
    try:
        typed(
            "study", {key: mark[key] for key in words}, {key: card.values[key] for key in words}, card.about["ranges"]
        )
    except BadRequest as error:
        raise BadRequest(f"What was read does not describe a study: {error}") from error
    if (
        study.metric not in metric_references.of_task(study.base["task"]) or study.reference not in study.losses
    ):  # of no task: refused
        raise BadRequest("What was read does not describe a study: its metric or its reference is none of its own.")
    if not all(study.axes.values()) or len(set(study.rates)) < len(study.rates):
        raise BadRequest("What was read does not describe a study: an axis is empty, or a rate is there twice.")
    return study


def last_asked(folder: Path) -> Study | None:
    """The study that was asked for last in a folder; None where there is none, or a corrupt file in its place."""
    try:
        return from_mark(yaml.safe_load((folder / NAME).read_bytes()))
    except (FileNotFoundError, yaml.YAMLError, ValueError, RecursionError):
        return None


def loss_setting(label: str) -> dict[str, Any]:
    """The values of `loss` that a label stands for: a name, a name with hyperparameters in brackets, or a sum."""
    terms = loss_terms.parse(label)
    weight, name, params = terms[0]
    if len(terms) > 1 or weight != 1:
        return {"name": "sum", "terms": label}
    return cards.card("loss", name).values | params


def fixed(label: str) -> list[str]:
    """The hyperparameters that a label itself sets, which are not tuned; all of a sum's."""
    terms = loss_terms.parse(label)
    return list(loss_setting(label)) if len(terms) > 1 or terms[0][0] != 1 else list(terms[0][2])


def _written(value: Any) -> str:
    """The value of an axis, with all digits that tell it from another."""
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)
