"""Writes the pages of published studies, with every number and every verdict computed from the records beside them.

    python experiments/pages.py [NAME ...]

A study's page.md.j2 is its page with an expression wherever a figure stands; README.md is what comes of it. docs/findings.md and
docs/comparing.md have the sentence that each page gives as `in_short`. Nothing is trained.
tests/experiments/test_pages_of_studies.py holds pages to this.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import redraw
from gap import gap, rules
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from losslab.report import answer, by_setting, wording
from losslab.report.analysis import Findings, find
from losslab.report.flipped import flip_sentence
from losslab.report.formatting import alike, counted, decimals, fixed, listed, name, number, several
from losslab.report.results import Results
from losslab.stats.paired import BETTER, CANNOT_SAY, EQUIVALENT, WORSE, interval

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SUMMARIES = [ROOT / f"docs/{name}.md" for name in ("findings", "comparing")]
LEVEL = 0.95


@dataclass(frozen=True)
class Published:
    """What the records beside a page say, for the expressions in it; of one metric at one epoch.

    A setting is named by the ends of its axes' keys: `at(fraction=0.2, side="one_sided")`.
    """

    study: str
    metric: str = ""
    epoch: str = ""
    condition: str = ""

    @cached_property
    def results(self) -> Results:
        """The tables."""
        return redraw.published(self.study, self.metric, self.epoch)

    @cached_property
    def found(self) -> Findings:
        """The numbers."""
        return find(self.results)

    @cached_property
    def records(self) -> pd.DataFrame:
        """The records, a row each."""
        return pd.read_parquet(HERE / self.study / "records.parquet")

    def file(self, stem: str) -> pd.DataFrame:
        """Another table beside the page."""
        return pd.read_parquet(HERE / self.study / f"{stem}.parquet")

    def csv(self, stem: str) -> pd.DataFrame:
        """The same of a table in text."""
        return pd.read_csv(HERE / self.study / f"{stem}.csv")

    def view(self, **other: str) -> Published:
        """The same records by another metric, epoch or condition."""
        return published(**{"study": self.study, "metric": self.metric, "epoch": self.epoch, **other})

    @property
    def answer(self) -> str:
        """The answer of the report."""
        return answer.joined(*answer.parts(self.results, self.found, by_setting=False))

    @property
    def by_setting(self) -> str:
        """The table of the report's answer."""
        made = by_setting.table(self.results, self.found)
        assert made
        lines = [made.head, ["---"] * len(made.head), *made.rows]
        return "\n".join([made.caption, "", *(f"| {' | '.join(cells)} |" for cells in lines)])

    @property
    def flipped(self) -> str:
        """Whether the ranking depends on tuning, as the report says it."""
        return flip_sentence(self.results, self.found)

    @property
    def done(self) -> str:
        """What was done, as the report says it."""
        return self.results.done

    @property
    def made(self) -> str:
        """How many runs there are, how they ended, and by what they were made."""
        records, said = self.records, []
        statuses = records["status"].value_counts()
        said.append(
            f"All runs, trials included: {listed([f'{count:,} {status}' for status, count in statuses.items()])}."
        )
        devices = listed(sorted({str(device).split(",")[0] for device in records["device"]}))
        versions = listed(sorted({str(version) for version in records["versions.torch"]}))
        said.append(f"Trained on {devices} with torch {versions}, by commit {listed(sorted(set(records['commit'])))}.")
        return " ".join(said)

    def at(self, **values: Any) -> str:
        """The label of the one setting with these values. Raises LookupError where it is not one."""
        settings, kept = self.results.settings, self.results.settings
        for end, value in values.items():
            column = next(key for key in settings if str(key).rsplit(".", 1)[-1] == end)
            kept = kept[kept[column] == value]
        if len(kept) != 1:
            raise LookupError(f"{len(kept)} settings of {self.study} have {values}")
        return str(kept.index[0])

    def row(self, loss: str, **setting: Any) -> dict[str, Any]:
        """What the ranking holds of a loss in a setting."""
        rows = self.found.ranking.set_index(["condition", "setting", "loss"])
        return dict(rows.loc[self._condition, self.at(**setting), loss])

    def mean_at(self, loss: str, setting: str) -> float:
        """The mean of a loss in the setting with this label."""
        rows = self.found.ranking.set_index(["condition", "setting", "loss"])
        return float(rows.loc[(self._condition, setting, loss), "mean"])

    def mean(self, loss: str, **setting: Any) -> str:
        """'0.47 (0.44 to 0.49)'."""
        row = self.row(loss, **setting)
        value, low, high = alike(row["mean"], row["low"], row["high"])
        return f"{value} ({low} to {high})"

    def pair(self, loss: str, other: str, **setting: Any) -> dict[str, Any]:
        """What the matrix of all pairs holds of two losses."""
        matrix = self.found.matrices[self._condition, self.at(**setting)].set_index(["loss", "other"])
        return dict(matrix.loc[(loss, other)])

    def compare(self, loss: str, other: str, **setting: Any) -> str:
        """A sentence of the report on two losses."""
        return wording.comparison(self.pair(loss, other, **setting), loss, other, self.results.level)

    def versus(self, loss: str, other: str, **setting: Any) -> str:
        """What follows '`loss` is': 'better than `other` by 0.59 (0.51 to 0.68)'."""
        row, than = self.pair(loss, other, **setting), name(other)
        if row["verdict"] == CANNOT_SAY:
            return f"not to be compared with {than} on so few {row['unit']}s"
        if row["first_diverged"] or row["second_diverged"]:
            sure = row["verdict"] if row["verdict"] in (BETTER, WORSE) else "not shown to be better or worse"
            broke, on = int(row["first_diverged"]), counted(row["seeds"], row["unit"])
            return f"{sure} than {than}: it diverged on {broke} of {on}, {than} on {row['second_diverged']:g}"
        if row["verdict"] in (BETTER, WORSE):
            ends = sorted((abs(row["low"]), abs(row["high"])))
            size, low, high = alike(abs(row["difference"]), *ends)
            return f"{row['verdict']} than {than} by {size} ({low} to {high})"
        size, low, high = alike(row["difference"], row["low"], row["high"])
        if row["verdict"] == EQUIVALENT:
            return f"as good as {than}: apart by less than {number(row['margin'], 2)} ({size}; {low} to {high})"
        return f"not shown to differ from {than} ({size}; {low} to {high})"

    def verdicts(self, verdict: str, other: str, **setting: Any) -> list[str]:
        """The losses that are better, worse, equivalent or undecided beside another."""
        return [
            loss
            for loss in self.results.losses
            if loss != other and self.pair(loss, other, **setting)["verdict"] == verdict
        ]

    @property
    def decided(self) -> bool:
        """Whether any loss is shown to be better than another in any setting."""
        return any((matrix["verdict"] == BETTER).any() for matrix in self.found.matrices.values())

    def table(self, settings: Mapping[str, Mapping[str, Any]], *views: tuple[str, Published]) -> str:
        """Means and intervals of all losses in these settings, by what their columns are called; best in the first on top.

        Bold are the losses that are not shown to be worse than the best of their column. `views`: further views, each after what its
        columns are called in addition.
        """
        columns = [(head, self, setting) for head, setting in settings.items()]
        if views:
            seen = [(self.results.epoch, self), *views]
            columns = [(f"{head}, {word}", view, setting) for head, setting in settings.items() for word, view in seen]
        cells = {head: view._column(**setting) for head, view, setting in columns}
        first = columns[0]
        order = sorted(self.results.losses, key=lambda loss: first[1].row(loss, **first[2])["rank"])
        lines = [f"| loss | {' | '.join(cells)} |", "|---" * (len(cells) + 1) + "|"]
        lines += [f"| {' | '.join([name(loss), *(cells[head][loss] for head in cells)])} |" for loss in order]
        return "\n".join(lines)

    def _column(self, **setting: Any) -> dict[str, str]:
        rows = {loss: self.row(loss, **setting) for loss in self.results.losses}
        digits = decimals(pd.Series([row["high"] - row["low"] for row in rows.values()]))
        best = min(rows, key=lambda loss: (rows[loss]["rank"], rows[loss]["mean_rank"]))
        column = {}
        for loss, row in rows.items():
            text = " to ".join(fixed(row[end], digits) for end in ("low", "high"))
            text = f"{fixed(row['mean'], digits)} ({text})" if row["n"] else "all diverged"
            text += f", {row['diverged']:g} diverged" if row["diverged"] and row["n"] else ""
            good = loss == best or self.pair(loss, best, **setting)["verdict"] != WORSE
            column[loss] = f"**{text}**" if good and row["n"] else text
        return column

    def chosen(self, loss: str, *, digits: int = 2, **setting: Any) -> str:
        """The learning rates that the repeats chose for a loss: 'median 0.010 (0.002 to 0.03)'."""
        label, choices = self.at(**setting), self.results.choices
        of_loss = choices[
            (choices["loss"] == loss) & choices["at"].str.fullmatch(rf"{label}(, repeat \d+)?|repeat \d+")
        ]
        rates = of_loss["lr"]
        return (
            f"median {number(rates.median(), digits)} ({number(rates.min(), digits)} to {number(rates.max(), digits)})"
        )

    @property
    def _condition(self) -> str:
        return self.condition or self.results.conditions[0]


published = lru_cache(maxsize=4)(Published)  # a page asks for several views of one study, and for one several times


def where(table: pd.DataFrame, other: Mapping[str, Any] | None = None, **equal: Any) -> pd.DataFrame:
    """The rows of a table with these values; `other`: for columns whose names are none of Python's. Raises LookupError for none."""
    for column, value in {**(other or {}), **equal}.items():
        same = np.isclose(table[column], value) if isinstance(value, float) else table[column] == value
        table = table[same]
    if table.empty:
        raise LookupError(f"no row has {other} {equal}")
    return table


def over(values: pd.Series[float], most: float = math.inf) -> str:
    """The mean of some runs with its 95 % t interval, cut at the largest value that there is: '0.47 (0.44 to 0.49)'."""
    value, low, high = alike(*np.minimum(interval(values.to_numpy(dtype=float), LEVEL), most))
    return f"{value} ({low} to {high})"


def render(study: str) -> tuple[str, str]:
    """The page of a study, and its sentence for docs/findings.md."""
    pages = Environment(
        loader=FileSystemLoader(HERE / study), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters |= {
        "number": number,
        "listed": listed,
        "several": several,
        "names": lambda losses: listed([*map(name, losses)]),
    }
    pages.globals |= {
        "counted": counted,
        "name": name,
        "len": len,
        "where": where,
        "over": over,
        "gap": gap,
        "rules": rules,
    }
    found = published(study)
    module = pages.get_template("page.md.j2").make_module(
        {
            "study": found,
            **{key: getattr(found, key) for key in ("at", "mean", "compare", "versus", "table", "row", "pair")},
        }
    )
    return str(module).strip() + "\n", str(module.in_short).strip()  # type: ignore[attr-defined]


def studies() -> list[str]:
    """The studies whose pages are written so."""
    return sorted(path.parent.name for path in HERE.glob("*/page.md.j2"))


def summary(page: Path, in_short: Mapping[str, str]) -> str:
    """A page that sums up studies, with these sentences in the place of those that stand in its table or are quoted."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for place, line in enumerate(lines):
        for study, said in in_short.items():
            if line.startswith(f"| [{study}]("):
                lines[place] = f"| [{study}](../experiments/{study}/README.md) | {said} |"
            if line.startswith(f"> [{study}]("):
                lines[place] = f"> [{study}](../experiments/{study}/README.md): {said}"
    return "\n".join(lines) + "\n"


def main(names: Sequence[str]) -> int:
    """Writes the pages of these studies, of all where there are no names. Returns the exit status."""
    in_short = {}
    for study in names or studies():
        text, in_short[study] = render(study)
        (HERE / study / "README.md").write_text(text, encoding="utf-8")
    for page in SUMMARIES:
        page.write_text(summary(page, in_short), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
