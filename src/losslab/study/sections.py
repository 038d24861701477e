"""What stands in a report, in its order: for each section its sentences, and its figures and tables by tab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from losslab.study import charts, tables
from losslab.study.charts import Chart, Heat
from losslab.study.findings import ARMS, Findings
from losslab.study.results import Results
from losslab.study.tables import Table

_INTERVAL = "Bars and bands: 95 % t intervals over the seeds."


@dataclass(frozen=True)
class Tab:
    """Figures side by side, and tables below them."""

    charts: Sequence[Chart | Heat] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        key: its anchor.
        title: its heading.
        lead: sentences at its top; losses and commands in backticks.
        tabs: by label, such as a setting.
        tables: below the tabs.
        legend: whether its figures tell the losses apart by colour alone and so need one.
        picture: the charts that a page without scripts shows, by tab.
    """

    key: str
    title: str
    lead: list[str] = field(default_factory=list)
    tabs: dict[str, Tab] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    legend: bool = False
    picture: Mapping[str, Sequence[Chart]] = field(default_factory=dict)


def sections(results: Results, found: Findings) -> list[Section]:
    """Those that have something to say."""
    made = [
        _ranking(results, found),
        _flips(results, found),
        _curves(results, pictured=found.robustness.empty),
        _robustness(results, found),
        _rates(results),
        _differences(results, found),
        _failures(results),
        _choices(results),
    ]
    return [section for section in made if section]


def _ranking(results: Results, found: Findings) -> Section:
    drawn, listed = charts.ranking(results, found), tables.ranking(results, found)
    tabs = {setting: Tab(drawn.get(setting, []), [table]) for setting, table in listed.items()}
    over_all, ranks = tables.overall(results, found), charts.overall(results, found)
    if over_all:
        tabs = {"all settings": Tab(ranks, [over_all]), **tabs}
    told = [str(words) for words in found.friedman["words"]] if len(found.friedman) else []
    arms = [
        f"Filled marks: each loss at {ARMS[arm]}." if number == 0 else f"Hollow marks: at {ARMS[arm]}."
        for number, arm in enumerate(results.arms)
        if len(results.arms) > 1
    ]
    return Section("ranking", "Ranking", [" ".join([*told]), " ".join([*arms, _INTERVAL])], tabs, picture=drawn)


def _flips(results: Results, found: Findings) -> Section | None:
    if not {"tuned", "shared"} <= set(results.arms):
        return None
    drawn, table = charts.slopes(results, found), tables.flips(results, found)
    lead = [found.flipped, "Lines that cross: the learning rate, not the loss, decides that order."]
    tabs = {setting: Tab(made) for setting, made in drawn.items()}
    return Section("flips", "What the learning rate decides", lead, tabs, [table] if table else [], picture=drawn)


def _curves(results: Results, pictured: bool) -> Section | None:
    if not (drawn := charts.curves(results)):
        return None
    lead = [f"Mean of the runs that did not diverge, on validation data. {_INTERVAL} The training losses are not comparable."]
    tabs = {setting: Tab(made) for setting, made in drawn.items()}
    return Section("curves", "Curves", lead, tabs, legend=True, picture=drawn if pictured else {})


def _robustness(results: Results, found: Findings) -> Section | None:
    drawn, table = charts.robustness(results, found), tables.robustness(results, found)
    if not drawn and not table:
        return None
    tabs = {panel: Tab(made) for panel, made in drawn.items()}
    return Section("robustness", "Robustness", [_INTERVAL], tabs, [table] if table else [], legend=True, picture=drawn)


def _rates(results: Results) -> Section | None:
    if not (drawn := charts.rates(results)):
        return None
    lead = ["Each mark is a trial, the mean over its tuning seeds; ringed: the chosen one; crossed: a run of it diverged."]
    tabs = {at: Tab(made) for at, made in drawn.items()}
    return Section("rates", "Sensitivity to the learning rate", lead, tabs, legend=True, picture=drawn)


def _differences(results: Results, found: Findings) -> Section | None:
    heats, listed = charts.differences(results, found), tables.comparisons(results, found)
    tabs = {
        setting: Tab(heats.get(setting, []), listed.get(setting, []))
        for setting in results.settings.index
        if setting in heats or setting in listed
    }
    lead = [
        f"Every loss against `{results.reference}`, then every pair. In the squares: row minus column; blue: the row is better, "
        "orange: worse; a star: p below 0.05 by Holm."
    ]
    return Section("differences", "Differences", lead, tabs) if tabs else None


def _failures(results: Results) -> Section:
    table = tables.failures(results)
    return Section("failures", "Failures", [] if table else ["No run failed or diverged."], tables=[table] if table else [])


def _choices(results: Results) -> Section | None:
    table = tables.choices(results)
    return Section("choices", "What was tuned to what", tables=[table]) if table else None
