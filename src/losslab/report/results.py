"""What the records of a study, or of a plain sweep, hold, as tables. All that a report shows is read from here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pandas as pd

from losslab.report.setting_words import phrase
from losslab.schema.metric_facts import METRICS, OF_TARGET, metric_name
from losslab.stats.margins import Margin
from losslab.stats.scores import unit


@dataclass(frozen=True)
class Results:
    """The tables of one study.

    Attributes:
        name: of the study; "" for a plain sweep.
        question: what it is to answer, as written in its recipe; may be "".
        task: its name.
        metric: the test metric that is compared.
        better: "min" or "max".
        epoch: "best" (by validation) or "last".
        level: of all intervals; 1 - level is the error rate of all claims.
        target: what is predicted, and its unit in brackets where known; "" where the data do not name it.
        overlap: test rows for each training row, where the claims are about other rows than these; see `stats.paired.interval`.
        margin: the smallest difference that matters.
        twins: from each setting that trains on the data of an earlier one, to that one; claims count it once.
        reference: label of the loss that the others are compared with.
        losses: labels in the order of the study.
        conditions: "tuned" and "shared", either alone, or "asked" for a plain sweep; what the report leads with first.
        settings: one row a setting, in the order of the study; index: its label, as in `runs.setting`; one column an axis,
            named by its dotted key, such as "corruption.fraction"; no column where nothing but loss and seed differs.
        runs: one row a run that was compared: condition, loss, setting, seed, status (done, diverged, failed, skipped, missing, or
            undefined: the test split has no such metric), value (the metric; NaN where not finite), constant (that of the best
            constant prediction; NaN where unknown), lr, params (hyperparameters as text, "" where there are none to set), run
            (its id).
        trials: one row a tuning run: loss, at (label of where it was tuned), trial (number), lr, params, seed, status, value
            (the metric on validation).
        choices: one row a loss and `at`: lr, params, value (mean on validation over the tuning seeds), trials (their number),
            diverged (trials of which a run diverged), edge ("" or what lies on the edge of its range, in words).
        curves: one row a run and epoch: condition, loss, setting, seed, epoch (from 1), val (the metric on validation), train (the
            training loss, never to be compared across losses).
        failures: one row a run that did not end well: phase (tune, confirm), loss, setting, seed, status, reason.
        done: what was done, in one paragraph.
        axes: from the key of each column of `settings` to what it is called in words.
        protocol: sentences that say how it was done.
        notes: sentences that a reader must know: what is missing, not paired, or mixed.
        provenance: what made it, from label to text: command, commit, versions, device, seeds, hashes, seconds.
    """

    name: str
    question: str
    task: str
    metric: str
    better: str
    epoch: str
    reference: str
    losses: list[str]
    conditions: list[str]
    settings: pd.DataFrame
    runs: pd.DataFrame
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    choices: pd.DataFrame = field(default_factory=pd.DataFrame)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    failures: pd.DataFrame = field(default_factory=pd.DataFrame)
    protocol: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    provenance: dict[str, str] = field(default_factory=dict)
    level: float = 0.95
    overlap: float = 0.0
    target: str = ""
    done: str = ""
    axes: dict[str, str] = field(default_factory=dict)
    margin: Margin = field(default_factory=lambda: Margin(0.0, relative=False))
    twins: dict[str, str] = field(default_factory=dict)

    def words(self, setting: str) -> str:
        """The label of a setting, or of a tuning in it, in words: '20 % outliers on one side'. Other labels stay as they are."""
        plain, comma, repeat = setting.partition(", repeat ")
        if plain not in self.settings.index or self.settings.empty:
            return setting
        return phrase({str(key): value for key, value in self.settings.loc[plain].items()}, self.axes) + comma + repeat

    @property
    def distinct(self) -> pd.DataFrame:
        """The runs without those of settings that are there already."""
        return self.runs[~self.runs["setting"].isin(self.twins)]

    @property
    def unit(self) -> str:
        """What is independent: a "seed", or a "repeat" of the tuning."""
        return unit(self.runs)

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which the metric lies."""
        facts = METRICS.get(self.metric)
        return facts.bounds if facts else (-math.inf, math.inf)

    @property
    def measure(self) -> str:
        """The metric in words, with the target where its units are the target's: 'MAE of price (EUR)'."""
        facts = METRICS.get(self.metric)
        of = f" of {self.target}" if self.target and facts and facts.unit == OF_TARGET else ""
        return metric_name(self.metric) + of
