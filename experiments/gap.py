"""What accounts for the gap between two settings of a factorial study: a table for its page, from the records beside it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import pandas as pd

from losslab.report.formatting import alike
from losslab.stats.paired import interval
from losslab.stats.shares import WAYS, shares

EPOCH = "epoch"  # the factor that is no axis: each record has both


@dataclass(frozen=True)
class Gap:
    """The rows of `losslab.stats.shares`, in points of 100, and what its factors are called."""

    rows: pd.DataFrame
    words: Mapping[str, str]

    def part(self, factor: str, way: str = "share") -> dict[str, float]:
        """Mean, low and high of one factor; "": of the gap itself."""
        (row,) = self.rows[(self.rows["factor"] == factor) & (self.rows["way"] == way)].to_dict("records")
        return {str(key): value for key, value in row.items()}

    def said(self, factor: str, way: str = "share") -> str:
        """'21.3 (19.0 to 23.6)', in points."""
        row = self.part(factor, way)
        value, low, high = alike(row["mean"], row["low"], row["high"])
        return f"{value} ({low} to {high})"

    def sure(self, factor: str, way: str = "share") -> bool:
        """Whether the interval excludes 0."""
        row = self.part(factor, way)
        return row["low"] > 0 or row["high"] < 0

    @property
    def factors(self) -> list[str]:
        """The factors, the one with the largest share first."""
        of_shares = self.rows[(self.rows["way"] == "share") & (self.rows["factor"] != "")]
        return list(of_shares.sort_values("mean", ascending=False)["factor"])

    @property
    def told(self) -> list[str]:
        """The factors whose share is told from zero."""
        return [factor for factor in self.factors if self.sure(factor)]

    @property
    def table(self) -> str:
        """All of it in Markdown; bold: the interval excludes 0."""
        lines = ["| changed | alone | share of the gap | taken back |", "|---|---|---|---|"]
        for factor in self.factors:
            cells = [
                f"**{self.said(factor, way)}**" if self.sure(factor, way) else self.said(factor, way) for way in WAYS
            ]
            lines.append(f"| {self.words[factor]} | {' | '.join(cells)} |")
        return "\n".join([*lines, f"| all | | {self.said('')} | |"])


def gap(
    records: pd.DataFrame,
    loss: str,
    first: Mapping[str, Hashable],
    second: Mapping[str, Hashable],
    words: Mapping[str, str],
    metric: str = "accuracy",
) -> Gap:
    """The gap of one loss between two settings of a study.

    records: those of the study.
    first, second: the value of each axis by the end of its key, and of `epoch`, best or last.
    words: what the change of each is called.
    """
    kept = records[records["study.loss"] == loss]
    columns = {
        end: next(column for column in kept if column == end or column.endswith(f".{end}"))
        for end in first
        if end != EPOCH
    }
    both = [
        kept[list(columns.values())]
        .set_axis(list(columns), axis=1)
        .assign(seed=kept["seed"], epoch=which, value=100 * kept[f"metrics.{which}/test/{metric}"])
        for which in ("best", "last")
    ]
    return Gap(shares(pd.concat(both), first, second, "value"), words)


def rules(records: pd.DataFrame, noisy: pd.DataFrame) -> str:
    """What each rule for the epoch gives, in Markdown: last, best on wrong validation labels, best on clean ones.

    records: of the study in the setting of the others, where validation labels are clean.
    noisy: the same trainings with wrong validation labels.
    The last column is the paired difference of the two best epochs; its intervals hold together.
    """
    last, best = "metrics.last/test/accuracy", "metrics.best/test/accuracy"
    both = noisy.merge(records, on=["loss", "seed"], suffixes=("", "_clean"), validate="one_to_one")
    for stream in ("split", "init", "order"):
        if not (both[f"pairing.{stream}"] == both[f"pairing.{stream}_clean"]).all():
            raise ValueError(
                f"The trainings with wrong validation labels are not those of the study: {stream} differs."
            )
    losses = list(both.groupby("loss", sort=False))
    lines = ["| loss | last | best on wrong labels | best on clean ones | lost |", "|---|---|---|---|---|"]
    for loss, part in losses:
        shown = [part[last], part[best], part[f"{best}_clean"], part[f"{best}_clean"] - part[best]]
        levels = (0.95, 0.95, 0.95, 1 - 0.05 / len(losses))
        cells = [
            "{} ({} to {})".format(*alike(*interval(100 * column.to_numpy(dtype=float), level)))
            for column, level in zip(shown, levels, strict=True)
        ]
        lines.append(f"| `{loss}` | {' | '.join(cells)} |")
    return "\n".join(lines)
