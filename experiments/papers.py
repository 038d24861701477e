"""Writes docs/papers.md: published tables beside ours, from the records of the recipes under conf/experiment/paper/.

    python experiments/papers.py

Every number and every verdict is computed from experiments/paper/NAME/records.parquet, and nothing is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import redraw
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from losslab.report import collect, published
from losslab.report.collect import ReportOptions
from losslab.report.formatting import counted, listed
from losslab.request.command import StudyRequest, check_command
from losslab.stats.published import REPRODUCED, VERDICTS
from losslab.study import papers
from losslab.study.papers import Paper
from losslab.study.recipe import Study

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs/papers.md"


@dataclass(frozen=True)
class Shown:
    """One published table beside ours, for the expressions in the page."""

    name: str

    @cached_property
    def study(self) -> Study:
        """What its recipe asks for."""
        asked = check_command([f"experiment={self.name}"], multirun=False)
        assert isinstance(asked, StudyRequest)
        return asked.study

    @cached_property
    def paper(self) -> Paper:
        """Its card."""
        found = papers.of_study(self.study)
        assert found
        return found

    @cached_property
    def rows(self) -> list[published.Row]:
        """Published and ours."""
        records = redraw.records_of(self.name, self.study)
        return published.rows(
            self.paper, lambda metric: collect.results(records, ReportOptions(metric=metric, mix=True), self.study)
        )

    @property
    def short(self) -> str:
        """The name without its group."""
        return self.name.removeprefix(papers.GROUP)

    @property
    def table(self) -> str:
        """The table in Markdown."""
        return published.markdown(self.rows)

    @property
    def summary(self) -> str:
        """How much came out again."""
        return published.summary(self.rows)

    @property
    def notes(self) -> list[str]:
        """Where the numbers come from, what differs, by which rule."""
        return published.notes(self.paper)

    @property
    def made(self) -> str:
        """How many runs, by which commit."""
        records = redraw.records_of(self.name, self.study)
        commits = listed(sorted({str(record.commit) for record in records}))
        return f"{counted(len(records), 'run')}, trials included, by commit {commits}."

    def verdict(self, what: str, condition: str = "shared") -> str:
        """The verdict on one row. Raises LookupError where there is none."""
        for row in self.rows:
            if row.what == what:
                return row.ours[condition].verdict
        raise LookupError(f"{self.name} has no row '{what}'; it has: {', '.join(row.what for row in self.rows)}")

    def ours(self, what: str, condition: str = "shared") -> str:
        """Ours in one row, with its interval. Raises LookupError where there is none."""
        self.verdict(what, condition)
        return next(str(row.ours[condition]) for row in self.rows if row.what == what)


def render() -> str:
    """The page."""
    pages = Environment(
        loader=FileSystemLoader(HERE / "paper"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found = {shown.short: shown for shown in map(Shown, papers.names())}
    kinds = [(row.effect, ours.verdict) for shown in found.values() for row in shown.rows for ours in row.ours.values()]
    text = pages.get_template("papers.md.j2").render(
        papers=found,
        verdicts=VERDICTS,
        total=len(kinds),
        again=sum(verdict == REPRODUCED for _, verdict in kinds),
        **found,
    )
    return text.strip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
