"""The answer of a study as a table, a setting a row: what to use, beside the reference, and what is said of the other losses."""

from __future__ import annotations

import numpy as np

from losslab.report.analysis import Findings
from losslab.report.answer import USELESS, span_of, with_means
from losslab.report.formatting import MINUS, NONE, alike, counted, listed, name, number, percent, span
from losslab.report.results import Results
from losslab.report.tables import Table
from losslab.report.verdicts import Verdict, verdicts
from losslab.stats.paired import BETTER, FEWEST

_MOST_ROWS = 20
_MOST_LOSSES = 12  # with their means in one cell


def table(results: Results, found: Findings) -> Table | None:
    """A row a setting, of the first condition; None where there is one setting, or too few seeds for a claim."""
    runs = results.runs[results.runs["condition"] == results.conditions[0]] if results.conditions else results.runs
    ended = runs[runs["status"].isin(("done", "diverged"))]
    of_settings = verdicts(results, found, results.conditions[0]) if len(ended) else []
    if len(of_settings) < 2 or ended[results.unit].nunique() < FEWEST:
        return None
    shown = of_settings[:_MOST_ROWS]
    counts = ended.groupby(["setting", "loss"])[results.unit].nunique()
    equal = (
        f" Equally good: shown to be closer than {margin(results)}." if any(len(one.use) > 1 for one in shown) else ""
    )
    useless = f" {USELESS}" if any(one.useless for one in shown) else ""
    caption = (
        f"Test {results.measure} at the {results.epoch} epoch, means of {span(counts)} {results.unit}s. What is called worse, and the "
        f"{percent(results.level)} intervals [in brackets], hold together: they are corrected for all {found.family} tests of this report."
        f"{equal}{useless}"
    )
    head = ["with", "use", f"test {results.measure}", results.reference, "no difference shown", "worse"]
    rest = len(of_settings) - len(shown)
    below = [f"The tables have the other {counted(rest, 'setting')}."] if rest else []
    every = frozenset(range(len(head)))
    return Table(caption, head, [_row(results, one) for one in shown], every, every, below=below)


def margin(results: Results) -> str:
    """The smallest difference that matters, in words."""
    size = results.margin.size
    return f"{percent(size)} of the best mean" if results.margin.relative else number(size, 2)


def _row(results: Results, one: Verdict) -> list[str]:
    reference = results.reference
    others = [[loss for loss in some if loss != reference] for some in (one.undecided, one.worse)]
    return [
        results.words(one.setting),
        _use(one),
        span_of([one], one.use),
        _beside(results, one),
        *(with_means(results, [one], some, _MOST_LOSSES) or NONE for some in others),
    ]


def _use(one: Verdict) -> str:
    said = [name(loss) for loss in one.use]
    if one.worse:
        text = " or ".join(said)
    elif not one.undecided:
        text = "any, all are equally good"
    elif len(said) > 1:
        text = f"undecided; equally good: {listed(said)}"
    else:
        text = f"undecided; best mean: {said[0]}"
    lost = f" (diverged in {one.diverged} of {one.runs})" if one.diverged else ""
    return text + lost + (" (not shown to be better than a constant prediction)" if np.isfinite(one.constant) else "")


def _beside(results: Results, one: Verdict) -> str:
    """The reference in a setting: its mean, and whether the best loss is better by how much."""
    reference = results.reference
    if reference == one.best:
        return "best mean"
    _, _, mean = with_means(results, [one], [reference]).rpartition("` ")
    if reference in one.use:
        return f"{mean}, equally good"
    if not one.against or one.against.loss != reference:
        return NONE
    said = "worse" if one.against.verdict == BETTER else "no difference shown"
    if not np.isfinite(one.against.size):
        return f"{mean}, {said}"
    size, low, high = (text.replace("-", MINUS) for text in alike(one.against.size, one.against.low, one.against.high))
    return f"{mean}, {said} by {size} [{low}, {high}]" if said == "worse" else f"{mean}, {said} [{low}, {high}]"
