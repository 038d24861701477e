"""The pages of published studies say what their records say: each is what its template gives today."""

import re
from collections.abc import Sequence
from pathlib import Path

import pages
import pandas as pd
import pytest

from losslab.report import by_setting
from support import advice_evidence

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = ROOT / "docs/findings.md"


@pytest.mark.slow
@pytest.mark.parametrize("study", pages.studies())
def test_a_page_and_its_answer_are_what_the_records_give(study: str) -> None:
    page, in_short = pages.render(study)
    assert (ROOT / "experiments" / study / "README.md").read_text(encoding="utf-8") == page
    assert f"| {in_short} |" in FINDINGS.read_text(encoding="utf-8")
    if study != "tuning_bank":  # has no report
        hold_to_the_tables(pages.published(study))
        hold_the_advice(pages.published(study))
    if study == "outlier_robustness":
        hold_the_readme(pages.published(study))


@pytest.mark.parametrize("study", pages.studies())
def test_no_figure_is_typed_into_a_page(study: str) -> None:
    """Decimals, and counts beyond a hundred, come from the records; names of settings such as 20 % may be typed."""
    template = (ROOT / "experiments" / study / "page.md.j2").read_text(encoding="utf-8")
    prose = re.sub(
        r"```.*?```|\{\{.*?\}\}|\{%.*?%\}|`[^`]*`|\]\([^)]*\)|\(\w[^()]*, \d{4}\)", "", template, flags=re.DOTALL
    )
    assert re.findall(r"\d+[.,]\d+|(?!100\b)\d{3,}", prose) == []


def test_every_published_study_has_such_a_page() -> None:
    published = {path.parent.name for path in (ROOT / "experiments").glob("*/records.parquet")}
    assert published == set(pages.studies())
    shown = set(re.findall(r"^\| \[(\w+)\]", FINDINGS.read_text(encoding="utf-8"), re.MULTILINE))
    assert published <= shown


def hold_the_readme(found: pages.Published) -> None:
    """The README says of outliers what their study says."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"has {len(found.records):,} runs" in readme
    mean = lambda loss, side, share: found.row(loss, side=side, fraction=share)["mean"]  # noqa: E731
    failed = {(loss, "symmetric", 0.2) for loss in ("welsch", "tukey")}
    for side in ("symmetric", "one_sided"):
        for loss in ("barron", "geman_mcclure", "welsch", "tukey"):
            for share in (0.1, 0.2, 0.3):
                assert (mean(loss, side, share) < 1.15 * mean(loss, side, 0)) == ((loss, side, share) not in failed)
        for loss in ("l1", "huber"):
            assert mean(loss, side, 0.1) < 1.15 * mean(loss, side, 0)
            assert mean(loss, "one_sided", 0.3) > 1.5 * mean(loss, "one_sided", 0)
        assert mean("mse", side, 0.1) > 2 * mean("mse", side, 0)
    runs = found.results.runs
    there = runs[runs["setting"] == found.at(side="symmetric", fraction=0.2)]
    useless = there[there["value"] > there["constant"]]["loss"].value_counts()
    assert useless.to_dict() == {"welsch": 1, "tukey": 1}
    verdicts = found.found.matrices["tuned", found.at(side="symmetric", fraction=0)]["verdict"]
    assert not verdicts.isin(("better", "worse")).any()


def hold_the_advice(found: pages.Published) -> None:
    """What `losslab advise` says of a study is what its records give, in direction and in figures."""
    for claim in (one for one in advice_evidence.claims() if one.study == found.study):
        shown = found.view(**claim.view).versus(claim.loss, claim.other, **claim.at)
        assert claim.shown == shown, claim.says


def test_a_page_says_which_way_a_difference_goes() -> None:
    """Of two losses that are told apart, each is said to be better or worse by the same size; of others, neither is."""
    found = pages.published("outliers_first_look")
    assert found.versus("l1", "mse", fraction=0.2).startswith("better than `mse` by ")
    assert found.versus("mse", "l1", fraction=0.2).startswith("worse than `l1` by ")
    sizes = [found.versus(*pair, fraction=0.2).split(" by ")[1] for pair in (("l1", "mse"), ("mse", "l1"))]
    assert sizes[0] == sizes[1]
    for pair in (("l1", "mse"), ("mse", "l1")):
        assert not re.search("better|worse", found.versus(*pair, fraction=0))
    with pytest.raises(LookupError):
        found.at(fraction=0.123)


def hold_to_the_tables(found: pages.Published) -> None:
    """The answer of a report and its table, read as a reader reads them, say what stands in the tables of means and of pairs."""
    results, condition = found.results, found.results.conditions[0]
    means = found.found.ranking.set_index(["condition", "setting", "loss"])["mean"].sort_index().loc[condition]
    made = by_setting.table(results, found.found)
    assert made
    settings = {results.words(str(label)): str(label) for label in results.settings.index if label not in results.twins}
    assert [row[0] for row in made.rows] == list(settings)
    assert made.head[3] == results.reference
    verdicts = {}
    for words, use, _, beside, undecided, worse in made.rows:
        setting = settings[words]
        of = found.found.matrices[condition, setting].set_index(["loss", "other"])["verdict"].to_dict()
        best = means[setting].idxmin() if results.better == "min" else means[setting].idxmax()
        verdicts[setting] = {other: of[best, other] for other in results.losses if other != best}
        used = named(use, results.losses)
        if not use.startswith("any"):
            assert set(used) == {best} | {other for other, said in verdicts[setting].items() if said == "equivalent"}
        assert use.startswith(("undecided", "any")) == ("better" not in verdicts[setting].values())
        said = {"better": named(worse, results.losses), "undecided": named(undecided, results.losses)}
        if results.reference != best and verdicts[setting][results.reference] != "equivalent":
            said["better" if ", worse" in beside else "undecided"].append(results.reference)
        for verdict, losses in said.items():
            assert set(losses) == {other for other, is_ in verdicts[setting].items() if is_ == verdict}, (
                setting,
                verdict,
            )
        for loss, mean in re.findall(r"`([^`]+)` ([\d.,]+\d|\d)", f"{undecided}, {worse}"):
            (label,) = named(f"`{loss}`", results.losses)
            assert float(mean.replace(",", "")) == pytest.approx(means[setting, label], rel=0.01)
    lead = found.answer
    if "in any of them" in lead:
        assert not any("better" in said.values() for said in verdicts.values())
    useless = [row[0] for row in made.rows if "not shown to be better than a constant" in row[1]]
    assert (
        all(words in lead for words in useless)
        or f"In {len(useless)} settings not even" in lead
        or "One loss" not in lead
    )
    learnt = {
        setting: said for words, (setting, said) in zip(settings, verdicts.items(), strict=True) if words not in useless
    }
    if one := re.match(r"One loss for (\d+) settings?: `([^`]+)`", lead):
        assert int(one[1]) == len(learnt)
        hold_for_all(lead, one[2], means, learnt, results.better)


def hold_for_all(lead: str, loss: str, means: pd.Series, verdicts: dict[str, dict[str, str]], better: str) -> None:
    """What an answer says of one loss over all settings."""
    far = re.search(r"nowhere more than ([\d.]+)( times)?", lead)
    assert far
    by_setting = means.unstack("setting")[list(verdicts)]
    best = by_setting.min() if better == "min" else by_setting.max()
    own = by_setting.loc[loss]
    furthest = (own / best).max() if far[2] else (own - best).abs().max()
    assert float(far[1]) == pytest.approx(furthest, rel=0.05)
    worse = [setting for setting, said in verdicts.items() if said.get(loss) == "better"]
    assert ("shown to be worse in none" in lead) == (not worse)


def named(cell: str, losses: Sequence[str]) -> list[str]:
    """The losses that stand in a cell, in full, where it has them in short."""
    found = re.findall(r"`([^`]+)`", cell)
    return [next(loss for loss in losses if loss == text or loss.startswith(f"{text}(")) for text in found]
