"""The sections of a report in their order: sentences, figures and tables, by tab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from losslab.report import tables, wording
from losslab.report.analysis import CONDITIONS, Findings
from losslab.report.answer import USELESS
from losslab.report.by_setting import margin
from losslab.report.charts import build, emphasis, pairs, spread
from losslab.report.charts.spec import Chart, Heat
from losslab.report.formatting import counted, name, number, percent
from losslab.report.formatting import listed as as_list
from losslab.report.results import Results
from losslab.report.tables import Table
from losslab.report.verdicts import verdicts
from losslab.stats.budgets import still_gaining

_MOST = 4  # sentences of one kind


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
        after: sentences at its end.
        picture: the charts that a page without scripts shows, by tab.
    """

    key: str
    title: str
    lead: list[str] = field(default_factory=list)
    tabs: dict[str, Tab] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    picture: Mapping[str, Sequence[Chart]] = field(default_factory=dict)


def sections(results: Results, found: Findings) -> list[Section]:
    """Those that have something to say; that on growing shares of wrong data, where there are some, before all others."""
    made = [
        _robustness(results, found),
        _ranking(results, found),
        _flips(results, found),
        _curves(results, found, pictured=found.robustness.empty),
        _rates(results, found),
        _budgets(results, found),
        _profiles(results, found),
        _differences(results, found),
        _failures(results, found),
        _choices(results),
    ]
    return [_in_words(results, section) for section in made if section]


def _in_words(results: Results, section: Section) -> Section:
    """A section whose tabs name settings in words."""
    tabs = {results.words(label): tab for label, tab in section.tabs.items()}
    picture = {results.words(label): charts for label, charts in section.picture.items()}
    return replace(section, tabs=tabs, picture=picture)


def _ranking(results: Results, found: Findings) -> Section:
    drawn, listed, paired = build.ranking(results, found), tables.ranking(results, found), pairs.paired(results, found)
    both = {setting: [*paired.get(setting, []), *drawn.get(setting, [])] for setting in listed}
    tabs = {setting: Tab(both[setting], [table]) for setting, table in listed.items()}
    over_all, ranks = tables.overall(results, found), build.overall(results, found)
    if over_all:
        tabs = {"all settings": Tab(ranks, [over_all]), **tabs}
    two = len(results.conditions) > 1
    marks = (
        f"Filled marks: {CONDITIONS[results.conditions[0]]}; hollow: {CONDITIONS[results.conditions[1]]}. "
        if two
        else ""
    )
    told = [
        (f"{CONDITIONS[row['condition']].capitalize()}: " if two else "") + wording.friedman(row, results.level)
        for row in found.friedman.to_dict("records")
        if over_all
    ]
    lead = [f"{marks}Bars: {percent(results.level)} t intervals over the {results.unit}s{_corrected(results)}."]
    if paired:
        where = "of a setting " if over_all else ""
        of = f" ({CONDITIONS[results.conditions[0]]})" if two else ""
        lead.insert(
            0,
            f"The first figure {where}shows what each loss differs by from {name(results.reference)} on the same {results.unit}s{of}, "
            "with intervals that are corrected for all tests of this report, filled where one is shown to be better. The second "
            f"shows the losses one by one: its bars hold the variation between {results.unit}s that all losses share, so they may overlap "
            "where a difference is clear.",
        )
    pictured = {"all settings": ranks, **drawn} if over_all else both
    return Section("ranking", "Ranking", lead, tabs, after=told, picture=pictured)


def _flips(results: Results, found: Findings) -> Section | None:
    if not {"tuned", "shared"} <= set(results.conditions):
        return None
    drawn, listed = build.slopes(results, found), tables.flips(results, found)
    lead = [
        "Ranks of the losses. Where two lines cross, the order of two losses depends on the learning rate. It may depend on chance "
        "where the table does not call the pair clear. These intervals are not corrected for the number of pairs."
    ]
    tabs = {setting: Tab(made, [listed[setting]] if setting in listed else []) for setting, made in drawn.items()}
    return Section("flips", "What the learning rate decides", lead, tabs, picture=drawn)


def _corrected(results: Results) -> str:
    return ", corrected for the rows that they share" if results.overlap else ""


def _bands(results: Results) -> str:
    return f"Bands: {percent(results.level)} t intervals over the {results.unit}s, each by itself."


def _curves(results: Results, found: Findings, pictured: bool) -> Section | None:
    if not (drawn := build.curves(results, found)):
        return None
    lead = [
        f"Mean over the runs that did not diverge, on validation data. {_bands(results)} The first epochs may lie outside the figure."
    ]
    tabs = {setting: Tab(made) for setting, made in drawn.items()}
    return Section("curves", "Curves", lead + _grey(results, found), tabs, picture=drawn if pictured else {})


def _robustness(results: Results, found: Findings) -> Section | None:
    drawn, listed = build.robustness(results, found) if found.axis else {}, tables.robustness(results, found)
    if not drawn and not listed:
        return None
    tabs = {panel: Tab(drawn.get(panel, []), made) for panel, made in listed.items()}
    dashed = any(one.form == "dashed" for made in drawn.values() for chart in made for one in chart.series)
    lead = [
        f"{_bands(results)} A cross at the edge: some runs of the loss diverged at that level, and its mean is that of the others."
    ]
    if dashed and results.better == "min":
        lead += [f"The height ends at {build.USELESS} times the {build.CONSTANT} where that is best."]
    return Section("robustness", "Robustness", lead + _grey(results, found), tabs, picture=drawn)


def _rates(results: Results, found: Findings) -> Section | None:
    if not (drawn := build.rates(results, found)):
        return None
    lead = [
        "Each mark is a trial, the mean over its tuning seeds; ringed: the chosen one; a cross at the edge: a run of it diverged."
    ]
    tabs = {at: Tab(made) for at, made in drawn.items()}
    return Section("rates", "Sensitivity to the learning rate", lead + _grey(results, found), tabs, picture=drawn)


def _budgets(results: Results, found: Findings) -> Section | None:
    if found.budgets.empty or not (drawn := spread.budgets(results, found)):
        return None
    lead = [
        "The best metric on validation among the trials so far, in the order in which they were tried; mean over the repeats of the "
        f"tuning. Where lines still cross or {'fall' if results.better == 'min' else 'rise'} at the right end, more trials might "
        "change the order."
    ]
    best = found.ranking["mean"].min() if results.better == "min" else found.ranking["mean"].max()
    late = still_gaining(found.budgets, results.better, results.margin.of(float(best)))
    said = [
        f"{name(str(row['loss']))}{_in(results, row['at'])} gained {number(row['gain'], 2)} over the last quarter of its "
        f"{counted(row['tried'], 'trial')}, so more trials may improve it."
        for row in late.to_dict("records")
    ]
    tabs = {at: Tab(made) for at, made in drawn.items()}
    return Section(
        "budget", "What more trials would buy", lead + _grey(results, found), tabs, after=said[:_MOST], picture={}
    )


def _in(results: Results, setting: object) -> str:
    return f" (tuned with {results.words(str(setting))})" if len(results.settings) > 1 and setting else ""


def _profiles(results: Results, found: Findings) -> Section | None:
    if not (drawn := spread.profiles(results, found)):
        return None
    over = "seeds and settings" if len(results.settings) > 1 else "seeds"
    lead = [
        f"For each loss the share of its runs, over all {over}, that come so near to the best run of the same seed. Higher is better, "
        "from left to right. A curve that starts low and ends high belongs to a loss that is seldom the best and seldom bad; one that "
        "never reaches 1 has runs that diverged or lie beyond the figure. (Performance profile; Dolan and Moré, 2002.)"
    ]
    return Section(
        "profile", "How often how near to the best", lead + _grey(results, found), {"": Tab(drawn)}, picture={"": drawn}
    )


def _differences(results: Results, found: Findings) -> Section | None:
    heats, listed = pairs.differences(results, found), tables.comparisons(results, found)
    tabs = {
        setting: Tab(heats.get(setting, []), listed.get(setting, []))
        for setting in results.settings.index
        if setting in heats or setting in listed
    }
    lead = [
        f"The report makes {found.family} tests. Intervals and p values are corrected for all of them (Bonferroni): where differences "
        f"vary like normal ones, the chance of any wrong claim is at most {percent(1 - results.level)}. Without the correction, chance "
        f"alone would make about {number((1 - results.level) * found.family, 2)} claims. A difference below {margin(results)} does not "
        "matter: two losses that are shown to be closer are called equally good (two one-sided tests; Schuirmann, 1987).",
        "In the squares: row minus column; the columns have the numbers of the rows. Blue and a star: the row is shown to be better; "
        "orange and a star: shown to be worse; grey: neither is shown. "
        "A word: runs diverged, so there is no number. "
        f"In the tables: every loss against `{results.reference}`.",
    ]
    return Section("differences", "Differences", lead, tabs) if tabs else None


def _failures(results: Results, found: Findings) -> Section:
    failed, rare = tables.failures(results), tables.rare(results, found)
    return Section(
        "failures",
        "Failures",
        [*([] if failed else ["No run failed or diverged."]), *_useless(results, found)],
        tables=[table for table in (failed, rare) if table],
    )


def _useless(results: Results, found: Findings) -> list[str]:
    """Which losses have runs that ended, and learnt nothing."""
    said = []
    for one in verdicts(results, found, results.conditions[0]):
        done = [f"{count} of {of} of {name(loss)}" for loss, (count, of) in one.useless.items()]
        if done:
            where = f" with {results.words(one.setting)}" if len(results.settings) > 1 else ""
            said.append(f"Useless runs{where}: {as_list(done)}.")
    return [USELESS, *said] if said else []


def _choices(results: Results) -> Section | None:
    table = tables.choices(results)
    return Section("choices", "What each loss was tuned to", tables=[table]) if table else None


def _grey(results: Results, found: Findings) -> list[str]:
    """Which losses have no colour of their own."""
    faint = emphasis.rest(results, found)
    return [f"Grey, from the same runs: {as_list([name(loss) for loss in faint])}."] if faint else []
