"""Box regression without pictures, after Zheng et al. (2020): how each box loss moves anchors onto targets.

`python experiments/bbox_losses/simulator.py` writes two tables and three figures beside itself; `--points 5000` takes the
paper's 1,715,000 cases. A case is a descent of its own: 200 steps of plain gradient descent on centre and size, at a rate
of 0.1, 0.01 from 80 % and 0.001 from 90 % of the steps. Data, model, losses, optimizer and schedule are losslab's own;
errors are in the paper's unit (a target has area 1).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import Tensor

from losslab import compose, models
from losslab.box_geometry import overlap
from losslab.data.anchors import REGIMES, SIDE, regimes
from losslab.schema import cards, compatibility
from losslab.tasks.bbox import corners
from losslab.training import optimizers
from losslab.training.prepare import Prepared, prepare

STEPS = 200
AT_ONCE = 68_600  # cases; they are independent of one another, and so many stay near the processor
SHOWN = ("iou", "giou", "diou", "ciou", "siou", "efficient_iou")  # in the figure of curves; the tables hold all
MEASURES = ["error", "centre", "size", "iou", "area"]
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
LEAST = 1e-6  # what the figures call zero


def simulate(
    loss: str, points: int, authors_step: bool = False, rate: float = 0.1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The descent of all cases under one loss.

    Args:
        loss: name of a loss on boxes, at its defaults.
        points: where anchors begin; 343 cases each.
        authors_step: multiplies each step by 2 - IoU, as the authors' program does; the loss alone does not say so.
        rate: the learning rate of the first 80 % of the steps.

    Returns:
        Curves: loss, regime, step (0 is the start), cases, and means over the cases: error (sum of the four absolute
        differences of centre and size), centre and size (the two halves of it), iou, area (of the box; the target's is 1).
        Map: loss, x, y (where the anchors of a point begin, from the target's centre) and their mean final error.
    """
    rows = ["data=anchors", f"data.points={points}", f"data.batch_size={343 * points}"]
    descent = ["optimizer=sgd", "optimizer.momentum=0", f"optimizer.lr={rate}", "optimizer.schedule=steps"]
    parts = prepare(compose("task=bbox", "model=boxes", f"loss={loss}", *rows, *descent, f"trainer.max_epochs={STEPS}"))
    kind = regimes(parts.source)
    sums = torch.zeros(STEPS + 1, len(REGIMES), len(MEASURES), dtype=torch.float64)
    final = []
    for chunk in torch.arange(len(kind)).split(AT_ONCE):
        for step, measured in enumerate(_descend(parts, chunk, authors_step)):
            sums[step].index_add_(0, kind[chunk], measured.double())
        final.append(measured[:, 0])
    counts = torch.bincount(kind, minlength=len(REGIMES))
    curves = [
        {"loss": loss, "regime": regime, "step": step, "cases": int(counts[number])}
        | dict(zip(MEASURES, (sums[step, number] / counts[number]).tolist(), strict=True))
        for number, regime in enumerate(REGIMES)
        for step in range(STEPS + 1)
    ]
    places = (parts.rows.inputs[:points, 1:3] - 0.5) * SIDE  # the point runs fastest
    error = torch.cat(final).reshape(-1, points).mean(0)
    return pd.DataFrame(curves), pd.DataFrame(
        {"loss": loss, "x": places[:, 0], "y": places[:, 1], "final_error": error}
    )


def _descend(parts: Prepared, chunk: Tensor, authors_step: bool) -> Iterator[Tensor]:
    """Measures of some cases, [cases, measures], before the first step and after each."""
    inputs, targets = parts.rows.inputs[chunk].clone(), parts.rows.targets[chunk]
    inputs[:, 0] = torch.arange(len(chunk))
    model = models.build(parts.request["model"], inputs.shape[1:], 4, seed=0, rows=len(chunk))
    optimizer, schedule = optimizers.build(parts.request["optimizer"], model.parameters(), STEPS)
    assert schedule is not None
    for step in range(STEPS + 1):
        raw = model(inputs)
        measured = _measure(raw.detach(), targets)
        yield measured
        if step == STEPS:
            return
        each = parts.loss.per_sample({"boxes": corners(raw)}, {"boxes": targets})
        loss = (each * (2 - measured[:, 3])).mean() if authors_step else each.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _measure(raw: Tensor, targets: Tensor) -> Tensor:
    centre, size = raw.sigmoid().chunk(2, 1)
    low, high = targets.chunk(2, 1)
    of_centre = SIDE * (centre - (low + high) / 2).abs().sum(1)
    of_size = SIDE * (size - (high - low)).abs().sum(1)
    iou = overlap(corners(raw), targets).iou
    return torch.stack([of_centre + of_size, of_centre, of_size, iou, SIDE**2 * size.prod(1)], 1)


def draw_curves(curves: pd.DataFrame, measure: str, label: str, path: Path) -> None:
    """A panel for each regime: the mean of a measure after each step, for the losses that are shown."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=True, layout="constrained")
    for axis, regime in zip(axes, REGIMES, strict=True):
        of_regime = curves[curves.regime == regime]
        for number, loss in enumerate(SHOWN):
            one = of_regime[of_regime.loss == loss]
            style = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)))[number]
            axis.plot(
                one.step,
                one[measure].clip(lower=LEAST),
                linestyle=style,
                color=_COLOURS[number],
                label=loss,
                linewidth=1.8,
            )
        axis.set(
            title=f"{regime} at the start ({of_regime.cases.iloc[0]:,} cases)",
            xlabel="step",
            yscale="log" if measure == "error" else "linear",
        )
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(label)
    axes[0 if measure == "error" else 2].legend(fontsize=9)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_maps(maps: pd.DataFrame, path: Path) -> None:
    """A map for each loss: the mean final error of the anchors that begin at each point."""
    names = list(maps.loss.unique())
    across = 5
    figure, axes = plt.subplots(
        math.ceil(len(names) / across), across, figsize=(13, 2.7 * math.ceil(len(names) / across)),
        sharex=True, sharey=True, layout="constrained", squeeze=False,
    )  # fmt: skip
    norm = matplotlib.colors.LogNorm(1e-4, 10)
    for axis, loss in zip(axes.flat, names, strict=False):
        one = maps[maps.loss == loss]
        size = max(1.0, 9000 / len(one))
        seen = axis.scatter(one.x, one.y, c=one.final_error.clip(lower=1e-4), s=size, norm=norm, cmap="viridis")
        axis.set(title=loss, aspect="equal")
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    figure.supxlabel("where the anchors begin, from the centre of the targets (a target has area 1)")
    figure.colorbar(seen, ax=axes, label="mean final error of 343 cases", shrink=0.8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def try_rates(losses: Sequence[str]) -> pd.DataFrame:
    """Final mean error by regime of each loss at several rates, on the cases of 20 points: loss, regime, rate, error, iou."""
    found = []
    for loss in losses:
        for rate in RATES:
            curves, _ = simulate(loss, 20, rate=rate)
            found.append(curves[curves.step == STEPS].assign(rate=rate)[["loss", "regime", "rate", "error", "iou"]])
    return pd.concat(found, ignore_index=True)


_COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00")  # Okabe and Ito (2008)


def _options(words: Sequence[str] | None) -> Any:
    plain = [name for name in compatibility.fitting("loss", "bbox") if "terms" not in cards.card("loss", name).values]
    names = [name for name in plain if compatibility.space("bbox", name) == "boxes"]
    parser = argparse.ArgumentParser(description="Box regression without pictures, after Zheng et al. (2020).")
    parser.add_argument("--points", type=int, default=200, help="where anchors begin; 343 cases each (paper: 5000)")
    parser.add_argument("--losses", nargs="+", choices=names, default=names, metavar="LOSS")
    parser.add_argument(
        "--authors-step", action="store_true", help="each step times 2 - IoU, as in the authors' program"
    )
    parser.add_argument("--rates", action="store_true", help="only try every loss at several rates, on 20 points")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for tables and figures")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Simulates, draws and writes; prints the final errors by regime."""
    asked = _options(words)
    if asked.rates:
        rates = try_rates(asked.losses)
        rates.to_parquet(asked.out / "simulator_rates.parquet")
        print(rates.pivot(index=["loss", "rate"], columns="regime", values="error").to_string())
        return
    curves, maps = [], []
    for loss in asked.losses:
        started = time.perf_counter()
        found = simulate(loss, asked.points, asked.authors_step)
        curves.append(found[0])
        maps.append(found[1])
        print(f"{loss}: {343 * asked.points:,} cases in {time.perf_counter() - started:.1f} s", flush=True)
    table, places = pd.concat(curves, ignore_index=True), pd.concat(maps, ignore_index=True)
    (asked.out / "figures").mkdir(parents=True, exist_ok=True)
    stem = "simulator_authors_step" if asked.authors_step else "simulator"
    table.to_parquet(asked.out / f"{stem}_curves.parquet")
    places.to_parquet(asked.out / f"{stem}_map.parquet")
    draw_curves(table, "error", "mean error", asked.out / "figures" / f"{stem}_error.png")
    draw_curves(table, "area", "mean area of the box", asked.out / "figures" / f"{stem}_area.png")
    draw_maps(places, asked.out / "figures" / f"{stem}_map.png")
    last = table[table.step == STEPS].pivot(index="loss", columns="regime", values="error")[list(REGIMES)]
    print(last.sort_values("disjoint").to_string(float_format="{:.4f}".format))


if __name__ == "__main__":
    main()
