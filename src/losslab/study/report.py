"""Many records as one table and one figure: each loss beside the others, setting by setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from losslab.config import WHERE_AND_HOW, run_id
from losslab.record import Record, flatten

# Okabe and Ito (2008): told apart by colour-blind readers too
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
_MARKERS = "osD^vP*X"


def table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a run that trained: loss, setting (whatever else differs between the runs), seed, status, metric, best and last.

    Runs that were skipped or failed are left out of the rows and counted in `attrs["left_out"]`.
    Raises ValueError where the runs belong to different tasks, whose metrics cannot stand in one column, or none trained.
    """
    tasks = sorted({record.task for record in records})
    if len(tasks) > 1:
        raise ValueError(
            f"The records belong to different tasks ({', '.join(tasks)}); report on one task's folder at a time."
        )
    distinct = {run_id(record.config): record for record in records}
    notes = [] if len(distinct) == len(records) else [f"{len(records) - len(distinct)} copies of runs were left out."]
    records = list(distinct.values())
    trained = [record for record in records if record.status in ("done", "diverged")]
    if not trained:
        raise ValueError(f"None of the {len(records)} runs trained; their records say why.")
    metric = trained[0].selection["metric"]
    settings = pd.DataFrame([flatten(record.config) for record in trained])
    differing = [str(key) for key in settings if settings[key].astype(str).nunique() > 1]
    of_loss = [key for key in differing if key.startswith("loss.")]
    others = [key for key in differing if not key.startswith(("loss", "seed", *WHERE_AND_HOW))]

    def label(row: int, keys: list[str]) -> str:
        return ", ".join(
            f"{key.split('.', 1)[-1]}={value}" for key in keys if not pd.isna(value := settings[key].iloc[row])
        )

    rows = [
        {
            "loss": " ".join(filter(None, [record.loss, label(number, of_loss)])),
            "setting": label(number, others) or "all equal",
            "seed": record.seed,
            "status": record.status,
            "metric": metric,
            "best": record.metrics.get(f"best/test/{metric}"),
            "last": record.metrics.get(f"last/test/{metric}"),
        }
        for number, record in enumerate(trained)
    ]
    made = pd.DataFrame(rows)
    made.attrs["notes"] = [*notes, *_unpaired(made, [record.pairing for record in trained])]
    made.attrs["left_out"] = len(records) - len(trained)
    data = ", ".join(sorted({record.data["name"] for record in trained}))
    made.attrs["what"] = f"{tasks[0]} on {data}"
    made.attrs["better"] = trained[0].selection["better"]
    made.attrs["validation"] = sorted({record.selection["validation"] for record in trained})
    return made


def _unpaired(made: pd.DataFrame, pairings: Sequence[dict[str, str]]) -> list[str]:
    """Sentences about seeds that not all losses have, and about runs of one seed that did not see the same."""
    notes = []
    for setting, block in made.groupby("setting", sort=False):
        seeds = {loss: set(runs["seed"]) for loss, runs in block.groupby("loss")}
        if len({frozenset(found) for found in seeds.values()}) > 1:
            missing = set.union(*seeds.values()) - set.intersection(*seeds.values())
            listed = ", ".join(map(str, sorted(missing)))
            notes.append(f"Not comparable as it stands: in '{setting}' not every loss has seed {listed}.")
        for seed, runs in block.groupby("seed"):
            for name in ("data", "split", "corruption", "init", "order"):
                if len({pairings[row].get(name) for row in runs.index}) > 1:
                    notes.append(f"Not paired: in '{setting}' the runs of seed {seed} differ in {name}.")
    return notes


def show(made: pd.DataFrame, console: Console) -> None:
    """Prints mean and standard deviation over the seeds of the test metric, at the best epoch and at the last; best mean first."""
    metric = made["metric"].iloc[0]
    printed = Table(title=f"test {metric}: mean ± standard deviation over seeds", title_justify="left")
    for column, where in (
        ("setting", "left"),
        ("loss", "left"),
        ("best epoch", "right"),
        ("last epoch", "right"),
        ("seeds", "right"),
    ):
        printed.add_column(column, justify=where)  # type: ignore[arg-type]  # a word among rich's
    for setting, block in made.groupby("setting", sort=False):
        by_loss = sorted(block.groupby("loss"), key=lambda item: _rank(item[1]["best"], made.attrs["better"]))
        for number, (loss, runs) in enumerate(by_loss):
            cells = [_spread(runs[which]) for which in ("best", "last")]
            printed.add_row(escape(str(setting)) if number == 0 else "", escape(str(loss)), *cells, str(len(runs)))
        printed.add_section()
    console.print(printed)
    splits = " and ".join(made.attrs["validation"])
    console.print(f"The best epoch is the one with the best {metric} on {splits} validation data.")
    for note in made.attrs["notes"]:
        console.print(note)
    if diverged := int((made["status"] == "diverged").sum()):
        console.print(f"{diverged} runs diverged; where their metric is not finite it is left out of the means.")
    if left_out := made.attrs["left_out"]:
        console.print(f"{left_out} runs were skipped or failed; their records say why.")


def save(records: Sequence[Record], path: Path) -> Path:
    """Writes one row a record, nested names joined by dots, lists and texts of errors as text; returns the path."""
    rows = [
        {key: str(value) if isinstance(value, list) else value for key, value in flatten(asdict(record)).items()}
        for record in records
    ]
    pd.DataFrame(rows).to_parquet(path, index=False)
    return path


def draw(made: pd.DataFrame, path: Path) -> Path:
    """Draws every run as a mark and each mean as a bar, best epoch beside last epoch, and returns the path of the picture."""
    from matplotlib.figure import Figure

    settings, losses = (list(made[column].unique()) for column in ("setting", "loss"))
    figure = Figure(figsize=(max(7.0, 1.2 + 0.55 * len(settings) * len(losses)), 3.8), dpi=130, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, which in zip(panels, ("best", "last"), strict=True):
        for number, loss in enumerate(losses):
            colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
            for place, setting in enumerate(settings):
                values = made.loc[(made["loss"] == loss) & (made["setting"] == setting), which].dropna()
                at = place + (number - (len(losses) - 1) / 2) * 0.8 / len(losses)
                axes.plot(
                    [at] * len(values),
                    values,
                    marker,
                    color=colour,
                    alpha=0.6,
                    markersize=4,
                    label=loss if place == 0 else None,
                )
                if len(values):
                    axes.hlines(values.mean(), at - 0.06, at + 0.06, color=colour, linewidth=2.5)
        axes.set_xticks(range(len(settings)), [str(setting).replace(", ", "\n") for setting in settings])
        axes.set_xlim(-0.6, len(settings) - 0.4)
        axes.set_title(f"{which} epoch", fontsize=10)
        axes.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel(
        f"test {made['metric'].iloc[0]} ({'lower' if made.attrs['better'] == 'min' else 'higher'} is better)"
    )
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9)
    figure.suptitle(f"{made.attrs['what']}; a mark: one seed, a bar: their mean", fontsize=9)
    figure.savefig(path)
    return path


def _rank(values: pd.Series[float], better: str) -> float:
    """Sorts the better mean first, and what is nowhere finite last."""
    mean = values.mean()
    if pd.isna(mean):
        return float("inf")
    return float(mean) if better == "min" else -float(mean)


def _spread(values: pd.Series[float]) -> str:
    finite = values.dropna()
    if finite.empty:
        return "not finite"
    return f"{finite.mean():.4g} ± {finite.std():.2g}" if len(finite) > 1 else f"{finite.mean():.4g}"
