"""The figures of the claims, one each, drawn from the tables that claims.py wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from losslab.report.charts.style import GREY, INK, LINE, look
from losslab.stats.paired import interval

PLACES = {  # one look for a line in all figures
    "mse": 0, "l1": 1, "smoothl1(beta=1.0)": 2, "smoothl1(beta=0.3)": 3, "smoothl1(beta=0.03)": 4, "smoothl1(beta=3.0)": 5,
    "l1, decaying rate": 7, "cross_entropy": 0, "double_softmax": 1, "bce": 1, "bce_with_logits": 0,
    "rate 0.003": 2, "rate 0.03": 3, "rate 0.3": 4, "no penalty": 5, "l1 penalty": 1, "l2 penalty": 0,
}  # fmt: skip
Tables = dict[str, pd.DataFrame]
MAE, SCHEDULES = "metrics.last/test/mae", {"constant": "-", "cosine": "--"}


def draw(tables: Tables, folder: Path) -> None:
    """All figures, as PNG. tables: measurements, trainings, weights and study; see claims.py."""
    folder.mkdir(exist_ok=True)
    figures: tuple[Callable[[Tables, Sequence[Axes]], None], ...] = (
        mse_explodes, l1_outliers, l1_circles, smoothl1_beta, double_softmax, bce_saturates, penalties,
    )  # fmt: skip
    for fill in figures:
        figure = Figure(figsize=(9.0, 3.9 if fill is smoothl1_beta else 3.3), dpi=110, layout="constrained")
        panels = list(figure.subplots(1, 3))
        fill(tables, panels)
        if fill is smoothl1_beta:  # its panels compare different things
            for axes in panels:
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False, fontsize=7.5)
        else:
            _legend(figure, panels)
        figure.savefig(folder / f"{fill.__name__}.png")


def mse_explodes(tables: Tables, panels: Sequence[Axes]) -> None:
    """Gradient by distance, and what one outlier of 1,200 rows does, under SGD and under Adam."""
    _lines(panels[0], tables["measurements"], "mse_explodes", "pull")
    _dress(panels[0], "gradient of one sample", "distance of prediction and target", "", log="xy")
    runs = tables["trainings"].query("set == 'one_outlier'").assign(loss=lambda t: _label(t))
    moves = sorted(runs["corruption.magnitude"].unique())
    for axes, optimizer, name in zip(panels[1:], ("sgd", "adam"), ("SGD", "Adam"), strict=True):
        for loss, of_loss in runs[runs["optimizer"] == optimizer].groupby("loss", sort=False):
            cells = [of_loss[of_loss["corruption.magnitude"] == move] for move in moves]
            done = [cell[cell["status"] == "done"] for cell in cells]
            _line(axes, loss, range(len(moves)), [cell[MAE].clip(upper=_TOP).median() for cell in done])
            for place, cell in enumerate(cells):
                broken = len(cell) - len(done[place])
                if broken:
                    axes.text(place, _TOP, f"{broken}/{len(cell)}\ndiverged", **_SMALL, ha="center", va="top")
        axes.set_xticks(range(len(moves)), ["none", *(f"$10^{round(np.log10(move))}$" for move in moves[1:])])
        _dress(axes, f"test MAE, {name}", "spreads that 1 target of 1,200 is moved", "", log="y")
        axes.set_ylim(0.7, 1.3 * _TOP)


def l1_outliers(tables: Tables, panels: Sequence[Axes]) -> None:
    """Lines through thirty points of which one is moved: up or down, or to the side."""
    found = tables["measurements"].query("claim == 'l1_outliers'")
    points = found[(found["panel"] == "points") & (found["line"] == "target moved")]
    panels[0].plot(points["x"], points["y"], "o", color=GREY, markersize=3)
    _lines(panels[0], found[found["line"] != "target moved"], "l1_outliers", "points")
    _dress(panels[0], "lines through 30 points, one of them low", "input", "target")
    for axes, panel, words in zip(panels[1:], ("target moved", "input moved"), ("target", "input"), strict=True):
        axes.axhline(2, color=GREY, linewidth=1, linestyle=(0, (3, 3)))
        _lines(axes, found, "l1_outliers", panel)
        unit = "spreads" if words == "target" else "half-ranges of the inputs"
        _dress(axes, f"slope (true: 2), one {words} moved", f"how far, in {unit}", "")
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, 1000)
        axes.set_ylim(-1, 2.3)


def l1_circles(tables: Tables, panels: Sequence[Axes]) -> None:
    """A descent in one dimension, where it ends by the rate, and the same in networks."""
    found = tables["measurements"]
    _lines(panels[0], found, "l1_circles", "descent", stroke="-", shown=False)
    panels[0].set_ylim(-0.08, 0.25)
    _dress(panels[0], "descent on one number at rate 0.06", "step", "where it is (minimum: 0)")
    _lines(panels[1], found.assign(y=found["y"].clip(lower=1e-5)), "l1_circles", "left over")
    _dress(panels[1], "distance after 4,000 steps", "rate", "", log="xy")
    panels[1].text(0.0035, 1.3e-5, "0, or below $10^{-5}$", **_SMALL)
    names = ["l1", "smoothl1(beta=0.03)", "smoothl1(beta=0.3)", "smoothl1(beta=1.0)", "mse"]
    for place, name in enumerate(names):
        for schedule, offset in (("constant", 0.14), ("cosine", -0.14)):
            mean, low, high = _interval(tables["study"], name, 0.0, schedule)
            face = look(PLACES[name]).colour if schedule == "constant" else "white"
            panels[2].hlines(place + offset, low, high, color=look(PLACES[name]).colour, linewidth=1.4)
            panels[2].plot(
                mean, place + offset, "o", color=look(PLACES[name]).colour, markerfacecolor=face, markersize=6
            )
    panels[2].set_yticks(range(len(names)), names, fontsize=8)
    panels[2].invert_yaxis()
    _dress(panels[2], "networks, each at its own rate", "test MAE; hollow: decaying rate", "")


def smoothl1_beta(tables: Tables, panels: Sequence[Axes]) -> None:
    """Gradient, end of a descent, and test error in networks, each by beta."""
    found = tables["measurements"]
    _lines(panels[0], found, "smoothl1_beta", "pull")
    _dress(panels[0], "gradient of one sample", "distance of prediction and target", "", log="xy")
    panels[0].set_ylim(1e-3, 30)
    _lines(panels[1], found.assign(y=found["y"].clip(lower=1e-6)), "smoothl1_beta", "left over")
    _dress(panels[1], "distance from the minimum, 4,000 steps", "beta", "", log="xy")
    panels[1].text(0.2, 1.4e-6, "0, or below $10^{-6}$", **_SMALL)
    names = ["l1", *(f"smoothl1(beta={beta})" for beta in ("0.03", "0.3", "1.0", "3.0", "10.0")), "mse"]
    for fraction, colour, words in ((0.0, "#0072B2", "no outliers"), (0.1, "#D55E00", "10 % outliers")):
        for schedule, stroke in SCHEDULES.items():
            ends = np.array([_interval(tables["study"], name, fraction, schedule) for name in names])
            panels[2].plot(
                range(len(names)), ends[:, 0], "o", linestyle=stroke, color=colour, markersize=3.5, linewidth=1.4,
                label=f"{words}, {'constant' if schedule == 'constant' else 'decaying'} rate",
            )  # fmt: skip
            panels[2].fill_between(range(len(names)), ends[:, 1], ends[:, 2], color=colour, alpha=0.15, linewidth=0)
    panels[2].set_xticks(range(len(names)), ["l1", "0.03", "0.3", "1", "3", "10", "mse"])
    _dress(panels[2], "networks, each at its own rate: test MAE", "beta", "", log="y")
    _plain_ticks(panels[2], (0.3, 0.5, 1, 2, 5))


def double_softmax(tables: Tables, panels: Sequence[Axes]) -> None:
    """Gradient by the lead of the true class, accuracy by rate, and accuracy over many epochs."""
    _lines(panels[0], tables["measurements"], "double_softmax", "pull", stroke="-", shown=False)
    _dress(panels[0], "gradient on the true class's logit", "lead of the true class over nine others", "")
    runs = tables["trainings"].query("set == 'softmax'")
    for optimizer, stroke in (("sgd", "-"), ("adam", "--")):
        for loss, of_loss in runs[runs["optimizer"] == optimizer].groupby("loss", sort=False):
            means = of_loss.groupby("optimizer.lr")["metrics.last/test/accuracy"].mean()
            _line(panels[1], loss, means.index, means, stroke, f"{loss}, {_NAMES[optimizer]}")
            of_curve = tables["measurements"].query(f"panel == 'accuracy, {optimizer}' and line == '{loss}'")
            _line(panels[2], loss, of_curve["x"], of_curve["y"], stroke, f"{loss}, {_NAMES[optimizer]}", marker="")
    _dress(panels[1], "test accuracy after 30 epochs", "learning rate", "", log="x")
    _dress(panels[2], "validation accuracy, each at its best rate", "epoch", "")
    panels[2].set_ylim(0.75, 1.0)


def bce_saturates(tables: Tables, panels: Sequence[Axes]) -> None:
    """Gradient of a confident mistake, for both targets, and training at several rates."""
    for axes, target in zip(panels, (0, 1), strict=False):
        _lines(axes, tables["measurements"], "bce_saturates", f"target {target}")
        side = "above" if target == 0 else "below"
        _dress(axes, f"gradient on the logit, target {target}", f"how far {side} 0 the logit is", "")
        axes.set_xlim(0, 60)
    runs = tables["trainings"].query("set == 'bce'")
    for loss, of_loss in runs.groupby("loss", sort=False):
        means = of_loss.groupby("optimizer.lr")["metrics.last/test/accuracy"].mean()
        _line(panels[2], loss, means.index, means)
        for rate, cell in of_loss.groupby("optimizer.lr"):
            if broken := int((cell["status"] != "done").sum()):
                panels[2].text(rate, means[rate] - 0.02, f"{broken}/{len(cell)}", **_SMALL, ha="center", va="top")
    panels[2].set_ylim(0.45, 1.0)
    _dress(panels[2], "test accuracy, breast_cancer", "learning rate (SGD); n/10: runs that diverged", "", log="x")


def penalties(tables: Tables, panels: Sequence[Axes]) -> None:
    """Share of the weights below a size, without a penalty and with two that cost about the same."""
    shares = tables["weights"].groupby(["optimizer", "l1", "l2", "threshold"])["share"].mean().reset_index()
    chosen = {"no penalty": (0.0, 0.0), "l2 penalty": (0.0, 3e-3), "l1 penalty": (1e-3, 0.0)}
    titles = {"sgd": "SGD, constant rate", "sgd, decaying rate": "SGD, decaying rate", "adam": "Adam, constant rate"}
    for axes, (optimizer, title) in zip(panels, titles.items(), strict=True):
        for name, (l1, l2) in chosen.items():
            seen = shares[(shares["optimizer"] == optimizer) & (shares["l1"] == l1) & (shares["l2"] == l2)]
            seen = seen[seen["threshold"] > 0]
            _line(axes, name, seen["threshold"], seen["share"], marker="")
        axes.axvline(1e-3, color=GREY, linewidth=1, linestyle=(0, (3, 3)))
        _dress(axes, title, "size", "share of weights smaller than size" if optimizer == "sgd" else "", log="x")
        axes.set_ylim(0, 1)


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend below all panels."""
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=min(5, len(handles)),
        frameon=False,
        fontsize=8,
    )


_TOP = 1e4  # of the errors that are drawn
_SMALL: dict[str, Any] = {"fontsize": 7, "color": GREY}
_NAMES = {"sgd": "SGD", "adam": "Adam"}


def _lines(
    axes: Axes, found: pd.DataFrame, claim: str, panel: str, stroke: str | None = None, shown: bool = True
) -> None:
    chosen = found[(found["claim"] == claim) & (found["panel"] == panel)]
    for name, line in chosen.groupby("line", sort=False):
        label = None if shown else "_"  # matplotlib leaves what begins so out of the legend
        _line(axes, str(name), line["x"], line["y"], stroke, label, marker="o" if 2 < len(line) < 14 else "")


def _line(
    axes: Axes, name: Any, x: Any, y: Any, stroke: str | None = None, label: str | None = None, marker: str = "o"
) -> None:
    seen = look(PLACES[name])
    style = seen.dash[1] if stroke is None else stroke
    shape = seen.marker[1] if marker else ""
    axes.plot(x, y, marker=shape, linestyle=style, color=seen.colour, markersize=4, linewidth=1.6, label=label or name)


def _dress(axes: Axes, title: str, x: str, y: str, log: str = "") -> None:
    axes.set_title(title, loc="left", color=INK, fontsize=9)
    axes.set_xlabel(x, color=INK, fontsize=8.5)
    axes.set_ylabel(y, color=INK, fontsize=8.5)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    axes.minorticks_off()
    axes.tick_params(labelsize=8, colors=INK, length=0)
    axes.grid(color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)


def _plain_ticks(axes: Axes, at: Sequence[float]) -> None:
    axes.set_yticks(at, [f"{value:g}" for value in at])


def _label(runs: pd.DataFrame) -> pd.Series:
    return runs["loss"].where(runs["loss"] != "smoothl1", "smoothl1(beta=1.0)")


def _interval(study: pd.DataFrame, loss: str, fraction: float, schedule: str) -> tuple[float, float, float]:
    """Mean test MAE of a loss in the study at its own rate, with its 95 % interval over seeds; runs that are done."""
    runs = study[(study["study.phase"] == "confirm") & study["study.arms"].str.contains("tuned", na=False)]
    runs = runs[(runs["study.loss"] == loss) & (runs["corruption.fraction"] == fraction)]
    values = runs.loc[(runs["optimizer.schedule"] == schedule) & (runs["status"] == "done"), MAE]
    return interval(values.to_numpy(), 0.95)
