"""What the terminal shows when a plain sweep has ended: each loss in each setting, and the best run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from losslab.records import stacks
from losslab.records.record import Record
from losslab.report.formatting import counted, number
from losslab.report.labels import labelled
from losslab.schema.metric_facts import metric_name
from losslab.study.recipe import ONE_SETTING

_MOST = 24  # rows of a table, at most, so that it stays a page
_MOST_BEST = 5  # conditions whose best run is named
_CONDITION = ("task", "data", "corruption")  # what a run is faced with; all else that differs is a choice


def show(runs: Mapping[Path, Record], console: Console) -> None:
    """Prints a table of each task's runs, and where the best run lies. Runs that did not train are in no table."""
    for task in dict.fromkeys(record.task for record in runs.values()):
        of_task = {folder: record for folder, record in runs.items() if record.task == task and record.selection}
        if of_task:
            table = rows(of_task)
            console.print(_table(table))
            for line in best_runs(table):
                console.print(escape(line), soft_wrap=True, highlight=False)


def rows(runs: Mapping[Path, Record]) -> pd.DataFrame:
    """One row a run that trained: loss, setting, condition (its axes of data and corruption), seed, status, val and test (the metric).

    Its `attrs` hold `metric`, and `better`: "min" or "max".
    """
    folders = {id(record): folder for folder, record in runs.items()}
    named = labelled(list(runs.values()))
    selection = named.records[0].selection
    metric = selection["metric"]
    found = pd.DataFrame(
        {
            "loss": named.losses,
            "setting": [str(label) for label in named.settings.index],
            "condition": named.only(_CONDITION),
            "seed": [record.seed for record in named.records],
            "status": [record.status for record in named.records],
            "val": [_value(record, f"best/val/{metric}") for record in named.records],
            "test": [_value(record, f"best/test/{metric}") for record in named.records],
            "folder": [str(folders[id(record)]) for record in named.records],
        }
    )
    found.attrs = {"metric": metric, "better": selection["better"]}
    return found


def best_runs(table: pd.DataFrame) -> list[str]:
    """Sentences that name the best run of each condition by the validation metric, over all losses, rates and seeds, and its path."""
    metric = metric_name(table.attrs["metric"])
    best = table[table["status"] == "done"].sort_values("val", ascending=table.attrs["better"] == "min", kind="stable")
    best = best[best["val"].notna()].drop_duplicates("condition")
    order = [condition for condition in table["condition"].unique() if condition in set(best["condition"])]
    lines = []
    for condition in order[:_MOST_BEST]:
        run = best[best["condition"] == condition].iloc[0]
        where = "" if run["setting"] == ONE_SETTING else f", {run['setting']}"
        lines += [
            f"Best run: {run['loss']}{where}, seed {run['seed']}: "
            f"{metric} {number(run['val'])} on validation, {number(run['test'])} on test",
            f"  {'losslab runs extract ' if stacks.file_of(Path(run['folder'])) else ''}{run['folder']}",
        ]
    if left := len(order) - _MOST_BEST:
        lines += [f"The report has {counted(left, 'more condition')}."] if left > 0 else []
    return lines


def _table(table: pd.DataFrame) -> Table:
    """Mean and spread over seeds of each loss, setting by setting, the best loss first; of many the best of each setting."""
    settings = list(table["setting"].unique())
    seeds = table.groupby(["setting", "loss"]).size().max()
    title = f"Test {metric_name(table.attrs['metric'])} at the best epoch, over {counted(seeds, 'seed')}"
    printed = Table(title=title, title_justify="left")
    for name in ("setting", "loss")[len(settings) == 1 :]:
        printed.add_column(name, overflow="fold")
    for name in ("done", "mean", "deviation", "best seed"):
        printed.add_column(name, justify="right", no_wrap=True)
    every = 0
    for setting in settings:
        losses = list(_losses(table[table["setting"] == setting], table.attrs["better"]))
        every += len(losses)
        room = min(max(1, _MOST // len(settings)), _MOST - printed.row_count)
        for place, cells in enumerate(losses[:room]):
            label = [] if len(settings) == 1 else ["" if place else escape(setting)]
            printed.add_row(*label, *cells)
    if left := every - printed.row_count:
        printed.caption = f"The best losses of each setting; {left} more rows are in the report."
    return printed


def _losses(block: pd.DataFrame, better: str) -> Iterator[tuple[str, ...]]:
    """The cells of each loss in one setting, the best mean first."""
    values = block.assign(test=block["test"].where(block["status"] == "done")).groupby("loss", sort=False)["test"]
    found = values.agg(["size", "count", "mean", "std", "min" if better == "min" else "max"])
    for loss, (size, count, mean, deviation, best) in found.sort_values(
        "mean", ascending=better == "min", kind="stable"
    ).iterrows():
        done = f"{count:.0f}" if count == size else f"{count:.0f} of {size:.0f}"
        yield (
            escape(str(loss)),
            done,
            *("" if math.isnan(value) else number(value) for value in (mean, deviation, best)),
        )


def _value(record: Record, name: str) -> float:
    value = record.metrics.get(name)
    return math.nan if value is None else value
