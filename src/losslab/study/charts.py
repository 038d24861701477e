"""What each figure of a report shows, as plain data that plotly and matplotlib draw alike.

Every function gives its charts by the label of the tab they stand in; charts of one tab stand side by side. No data: no chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from losslab.study.findings import ARMS, Findings
from losslab.study.results import Results

_MANY = 20.0  # how many times the smallest value the largest must be for a logarithmic axis


@dataclass(frozen=True)
class Series:
    """One thing that is drawn.

    Attributes:
        name: as plain text.
        look: place of the loss in the study, which decides how it looks; -1: not a loss.
        form: dots (whiskers along x), hollow (the same, not filled), line (with a band, if any), points (a thin line through them),
            rings (around points), crosses, dashed (a line without points).
        x, y: the points.
        low, high: ends of their whiskers or band; empty: none.
        hover: what is said of each point.
    """

    name: str
    look: int
    form: str
    x: list[float]
    y: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    hover: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Chart:
    """One pair of axes.

    Attributes:
        key: a name that no other chart of the report has, of letters, digits and hyphens.
        title: as plain text; "" where nothing stands beside it.
        log_x, log_y: logarithmic axes.
        x_ticks, y_ticks: names of places on an axis; empty: numbers.
        remarks: text at the right end of a height.
        rows: rows of text that the height must hold; 0: a usual height.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    series: list[Series]
    log_x: bool = False
    log_y: bool = False
    x_ticks: dict[float, str] = field(default_factory=dict)
    y_ticks: dict[float, str] = field(default_factory=dict)
    remarks: dict[float, str] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True)
class Heat:
    """A square of numbers: `values` (row minus column; NaN: none), each with its `hover`, and `limit`: what has the full colour.

    `sure`: whether the difference is beyond chance. `sign`: 1 where a positive difference is the worse one, else -1.
    """

    key: str
    title: str
    names: list[str]
    values: list[list[float]]
    sure: list[list[bool]]
    hover: list[list[str]]
    limit: float
    sign: int


Tabs = dict[str, list[Chart]]


def ranking(results: Results, found: Findings) -> Tabs:
    """Mean and interval of each loss, the best at the top; where there are two arms, the second is hollow."""
    label = _metric(results)
    return {
        str(setting): [_dots(f"ranking-{number}", label, results, block)]
        for number, (setting, block) in enumerate(found.ranking.groupby("setting", sort=False))
        if np.isfinite(block["mean"]).any()
    }


def overall(results: Results, found: Findings) -> list[Chart]:
    """Mean rank and interval of each loss over the settings; nothing where there is one setting only."""
    if len(results.settings) < 2 or found.overall.empty:
        return []
    ranks = found.overall.assign(mean=found.overall["mean_rank"], place=found.overall["mean_rank"], n=found.overall["settings"])
    return [_dots("ranking-overall", "mean rank over the settings (1 is best)", results, ranks.assign(diverged=0))]


def _dots(key: str, label: str, results: Results, block: pd.DataFrame) -> Chart:
    leading = block[block["arm"] == results.arms[0]]
    order = list(leading.sort_values(["place", "mean_rank"], kind="stable")["loss"])
    heights = {loss: float(len(order) - 1 - place) for place, loss in enumerate(order)}
    series, remarks = [], {}
    for row in sorted(block.to_dict("records"), key=lambda row: results.losses.index(row["loss"])):
        loss, arm = row["loss"], results.arms.index(row["arm"])
        height = heights.get(loss, 0.0) + (0.0 if len(results.arms) == 1 else 0.16 - 0.32 * arm)
        if row["diverged"]:
            remarks[height] = f"{row['diverged']} of {row['n']} diverged"
        if np.isfinite(row["mean"]):
            said = f"{loss}, {ARMS[row['arm']]}: {_told(row)}, n = {row['n']}"
            ends = [row["mean"]], [height], [row["low"]], [row["high"]], [said]
            series.append(Series(loss, results.losses.index(loss), "hollow" if arm else "dots", *ends))
    log = _wide([end for one in series for end in (*one.x, *one.low)], [one.x[0] for one in series])
    ticks = {height: loss for loss, height in heights.items()}
    rows = len(order) * len(results.arms)
    return Chart(key, "", label, "", series, log_x=log, y_ticks=ticks, remarks=remarks, rows=rows)


def curves(results: Results) -> Tabs:
    """The metric on validation against the epoch: mean and t interval over the runs that did not diverge."""
    from scipy import stats

    if results.curves.empty:
        return {}
    names = ["arm", "setting", "loss", "seed"]
    good = results.runs.loc[results.runs["status"] == "done", names]
    kept = results.curves.merge(good, on=names)
    means = kept.groupby(["setting", "arm", "loss", "epoch"], sort=False)["val"].agg(["mean", "std", "count"])
    half = means["std"] * stats.t.ppf(0.975, np.maximum(means["count"] - 1, 1)) / np.sqrt(np.maximum(means["count"], 1))
    means["low"], means["high"] = means["mean"] - half, means["mean"] + half
    blocks = {key: block.dropna(subset="mean") for key, block in means.reset_index().groupby(["setting", "arm", "loss"])}
    tabs: Tabs = {}
    for number, setting in enumerate(results.settings.index):
        for arm in results.arms:
            series = [
                _line(loss, place, "epoch", block)
                for place, loss in enumerate(results.losses)
                if (block := blocks.get((setting, arm, loss))) is not None and len(block)
            ]
            if series:
                made = Chart(f"curves-{number}-{arm}", _arm(results, arm), "epoch", f"validation {results.metric}", series)
                tabs.setdefault(setting, []).append(made)
    return {setting: _alike(made) for setting, made in tabs.items()}


def robustness(results: Results, found: Findings) -> Tabs:
    """The metric against the level, with bands and with the best constant prediction as a dashed line."""
    if found.levels is None or found.robustness.empty:
        return {}
    placed = found.ranking.assign(level=found.ranking["setting"].map(found.levels)).dropna(subset=["level", "mean"])
    constants = results.runs.groupby("setting", sort=False)["constant"].mean()
    tabs: Tabs = {}
    for number, (panel, settings) in enumerate(found.panels(results).items()):
        for arm in results.arms:
            block = placed[(placed["arm"] == arm) & placed["setting"].isin(settings)].sort_values("level")
            series = [
                _line(loss, place, "level", rows)
                for place, loss in enumerate(results.losses)
                if len(rows := block[block["loss"] == loss])
            ]
            known = constants.reindex(settings).dropna()
            if series and len(known):
                levels = sorted((float(found.levels[setting]), float(value)) for setting, value in known.items())
                said = [f"best constant prediction: {_number(value)}" for _, value in levels]
                x, y = [level for level, _ in levels], [value for _, value in levels]
                series.append(Series("best constant prediction", -1, "dashed", x, y, hover=said))
            if series:
                made = Chart(f"robustness-{number}-{arm}", _arm(results, arm), found.axis, _metric(results), series)
                tabs.setdefault(panel, []).append(made)
    return {panel: _alike(made) for panel, made in tabs.items()}


def rates(results: Results) -> Tabs:
    """Each trial's mean over its seeds against its rate; the chosen one ringed; trials that diverged crossed at the worse edge."""
    if results.trials.empty:
        return {}
    trials = results.trials.assign(bad=results.trials["status"] != "done")
    names = ["at", "loss", "trial", "lr", "params"]
    means = trials.groupby(names, sort=False).agg(value=("value", "mean"), n=("value", "size"), bad=("bad", "sum"))
    tabs: Tabs = {}
    for number, (at, block) in enumerate(means.reset_index().groupby("at", sort=False)):
        fine = block[(block["bad"] == 0) & np.isfinite(block["value"])]
        if fine.empty:
            continue
        log = _wide(fine["value"])
        edge = _edge(fine["value"], log, results.better)
        series = []
        for place, loss in enumerate(results.losses):
            of_loss = block[block["loss"] == loss].sort_values("lr")
            good = of_loss["trial"].isin(fine.loc[fine["loss"] == loss, "trial"])
            series += _trials(results, loss, place, at, of_loss[good])
            bad = of_loss[~good]
            said = [
                f"{loss}: {int(row.bad)} of {row.n} runs diverged or failed at rate {_number(row.lr)}{_with(row.params)}"
                for row in bad.itertuples()
            ]
            if len(bad):
                series.append(Series(loss, place, "crosses", list(bad["lr"]), [edge] * len(bad), hover=said))
        remarks = {edge: "diverged"} if any(one.form == "crosses" for one in series) else {}
        label = f"validation {results.metric}"
        tabs[at] = [Chart(f"rates-{number}", "", "learning rate", label, series, True, log, remarks=remarks)]
    return tabs


def _trials(results: Results, loss: str, place: int, at: str, trials: pd.DataFrame) -> list[Series]:
    if trials.empty:
        return []
    said = [
        f"{loss}: {_number(row.value)} at rate {_number(row.lr)}{_with(row.params)}, mean of {row.n} runs"
        for row in trials.itertuples()
    ]
    series = [Series(loss, place, "points", list(trials["lr"]), list(trials["value"]), hover=said)]
    if len(results.choices):
        chosen = results.choices[(results.choices["loss"] == loss) & (results.choices["at"] == at)]
        pairs = chosen[["lr", "params"]].itertuples(index=False, name=None)
        mine = trials[[pair in set(pairs) for pair in zip(trials["lr"], trials["params"], strict=True)]]
        series.append(
            Series(loss, place, "rings", list(mine["lr"]), list(mine["value"]), hover=[f"{loss}: chosen"] * len(mine))
        )
    return series


def slopes(results: Results, found: Findings) -> Tabs:
    """The place of each loss at the shared rate, and at its own."""
    if not {"tuned", "shared"} <= set(results.arms):
        return {}
    tabs: Tabs = {}
    for number, (setting, block) in enumerate(found.ranking.groupby("setting", sort=False)):
        places = {arm: _apart(rows) for arm, rows in block.groupby("arm")}
        series = [
            Series(
                loss,
                place,
                "points",
                [0.0, 1.0],
                [-float(places["shared"][loss]), -float(places["tuned"][loss])],
                hover=[f"{loss}: shared rate, place {places['shared'][loss]}", f"{loss}: own rate, place {places['tuned'][loss]}"],
            )
            for place, loss in enumerate(results.losses)
            if all(loss in places.get(arm, {}) for arm in ("tuned", "shared"))
        ]
        if series:
            ticks = {-float(height): str(height) for height in range(1, len(series) + 1)}
            ends = {0.0: "at one shared rate", 1.0: "at its own rate"}
            tabs[setting] = [
                Chart(f"slopes-{number}", "", "", "place", series, x_ticks=ends, y_ticks=ticks, rows=len(series) + 2)
            ]
    return tabs


def differences(results: Results, found: Findings) -> dict[str, list[Heat]]:
    """Row minus column for all pairs of losses, in each setting and arm; one scale of colour for a setting."""
    tabs: dict[str, list[Heat]] = {}
    for number, setting in enumerate(results.settings.index):
        for arm in results.arms:
            pairs = found.matrices[arm, setting]
            if len(results.losses) > 1 and len(pairs) and np.isfinite(pairs["difference"]).any():
                made = _heat(f"differences-{number}-{arm}", _arm(results, arm), results, pairs)
                tabs.setdefault(setting, []).append(made)
    return {
        setting: [replace(heat, limit=max(one.limit for one in heats)) for heat in heats]
        for setting, heats in tabs.items()
    }


def _heat(key: str, title: str, results: Results, pairs: pd.DataFrame) -> Heat:
    known = {(row["loss"], row["other"]): row for row in pairs.to_dict("records")}
    names = [loss for loss in results.losses if loss in set(pairs["loss"]) | set(pairs["other"])]
    cells = [[known.get((loss, other)) for other in names] for loss in names]

    def said(cell: dict[str, float] | None) -> str:
        if cell is None or not np.isfinite(cell["difference"]):
            return ""
        between = f"[{_number(cell['low'])}, {_number(cell['high'])}], p = {cell['p_holm']:.2g} (Holm)"
        return f"{cell['loss']} minus {cell['other']}: {_number(cell['difference'])} {between}"

    values = [[np.nan if cell is None else float(cell["difference"]) for cell in row] for row in cells]
    sure = [[cell is not None and bool(cell["p_holm"] < 0.05) for cell in row] for row in cells]
    limit = float(np.nanmax(np.abs(values)))
    sign = 1 if results.better == "min" else -1
    return Heat(key, title, names, values, sure, [[said(cell) for cell in row] for row in cells], limit, sign)


def _line(loss: str, place: int, along: str, rows: pd.DataFrame) -> Series:
    x = [float(value) for value in rows[along]]
    said = [f"{loss}, {along} {_number(row[along])}: {_told(row)}" for row in rows.to_dict("records")]
    return Series(loss, place, "line", x, list(rows["mean"]), list(rows["low"]), list(rows["high"]), said)


def _alike(charts: list[Chart]) -> list[Chart]:
    """The charts with the same kind of height axis."""
    log = _wide([value for chart in charts for one in chart.series for value in one.y])
    return [replace(chart, log_y=log) for chart in charts]


def _apart(rows: pd.DataFrame) -> dict[str, int]:
    """A place for each loss, ties in the order of their mean ranks, so that no two have one place."""
    order = rows.sort_values(["place", "mean_rank"], kind="stable")["loss"]
    return {loss: place for place, loss in enumerate(order, start=1)}


def _edge(values: Sequence[float] | pd.Series[float], log: bool, better: str) -> float:
    """A height a tenth of the range beyond the worst value."""
    low, high = float(np.min(values)), float(np.max(values))
    if log:
        share = (high / low) ** 0.1
        return high * share if better == "min" else low / share
    share = 0.1 * ((high - low) or 1.0)
    return high + share if better == "min" else low - share


def _wide(values: Sequence[float] | pd.Series[float], spread: Sequence[float] | None = None) -> bool:
    """Whether a logarithmic axis fits: all `values` positive, and `spread` (or they) over more than an order of magnitude."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    wide = finite if spread is None else np.asarray(spread, dtype=float)
    return bool(len(finite) and finite.min() > 0 and wide.max() > _MANY * wide.min())


def _metric(results: Results) -> str:
    return f"test {results.metric} ({'lower' if results.better == 'min' else 'higher'} is better)"


def _arm(results: Results, arm: str) -> str:
    return ARMS[arm] if len(results.arms) > 1 else ""


def _told(row: dict[str, float]) -> str:
    if not np.isfinite(row["low"]):
        return _number(row["mean"])
    return f"{_number(row['mean'])} [{_number(row['low'])}, {_number(row['high'])}]"


def _with(params: str) -> str:
    return f" with {params}" if params else ""


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")
