"""Writes docs/papers.md: published tables beside ours, from the records of the recipes under conf/experiment/paper/.

    python experiments/papers.py

Every number and every verdict is computed from experiments/paper/NAME/records.parquet, and nothing is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import redraw
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from losslab.records.record import Record
from losslab.report import collect, published
from losslab.report.collect import ReportOptions
from losslab.report.formatting import counted, listed
from losslab.request.command import StudyRequest, check_command
from losslab.stats.published import LEFT_OUT, NOT_REPRODUCED, REPRODUCED
from losslab.study import papers
from losslab.study.papers import Paper
from losslab.study.recipe import Study

HERE = Path(__file__).resolve().parent
_GONE = (NOT_REPRODUCED, LEFT_OUT)
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
    def records(self) -> list[Record]:
        """Its records, trials included."""
        return redraw.records_of(self.name, self.study)

    @cached_property
    def rows(self) -> list[published.Row]:
        """Published and ours."""
        return published.rows(
            self.paper, lambda metric: collect.results(self.records, ReportOptions(metric=metric, mix=True), self.study)
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
        records = self.records
        commits = listed(sorted({str(record.commit) for record in records}))
        return f"{counted(len(records), 'run')}, trials included, by commit {commits}."

    @property
    def effects(self) -> list[str]:
        """A sentence on each published difference: whether it came out as published, and whether it stays after fair tuning."""
        said = []
        for row in self.rows:
            if not row.effect:
                continue
            before, after = row.ours["shared"], row.ours.get("tuned")
            line = f"{self.short}, {row.what}: {before.verdict} as published, {before}"
            if after:
                same = ", too" if after.verdict == before.verdict else ""
                gone = ": the effect vanishes" if before.verdict == REPRODUCED and after.verdict in _GONE else ""
                line += f"; {after.verdict} after fair tuning{same}, {after}{gone}"
            said.append(line + ".")
        return said


shown = lru_cache(Shown)


def render() -> str:
    """The page."""
    pages = Environment(
        loader=FileSystemLoader(HERE / "paper"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found = {each.short: each for each in map(shown, papers.names())}
    verdicts = [ours.verdict for each in found.values() for row in each.rows for ours in row.ours.values()]
    lines = [line for each in found.values() for line in each.effects]
    text = pages.get_template("papers.md.j2").render(
        papers=found, effects=lines, total=len(verdicts), again=verdicts.count(REPRODUCED)
    )
    return text.strip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
