"""The pages of published studies say what their records say: each is what its template gives today."""

import re
from pathlib import Path

import pages
import pytest

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
    for side in ("symmetric", "one_sided"):
        for loss in ("welsch", "tukey", "geman_mcclure"):
            assert mean(loss, side, 0.3) < 1.15 * mean(loss, side, 0)
        for loss in ("l1", "huber"):
            assert mean(loss, side, 0.1) < 1.15 * mean(loss, side, 0)
            assert mean(loss, "one_sided", 0.3) > 1.5 * mean(loss, "one_sided", 0)
        assert mean("mse", side, 0.1) > 2 * mean("mse", side, 0)
    verdicts = found.found.matrices["tuned", found.at(side="symmetric", fraction=0)]["verdict"]
    assert not verdicts.isin(("better", "worse")).any()


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


def sentences_by_setting(found: pages.Published) -> list[tuple[list[str], str]]:
    """The answer of a report in parts, each with the labels of the settings of which it speaks; parts that do not name all are left out."""
    words = {found.results.words(str(label)): str(label) for label in found.results.settings.index}
    parts = re.split(r"(?<=\. )(?=With |In all |In \d+ of )", found.answer)
    known = []
    for part in parts:
        if part.startswith("In all "):
            known.append((list(words.values()), part))
        elif part.startswith("With "):
            named = re.split(r",? or with ", part.removeprefix("With ").split(", use ")[0].split(", no loss")[0])
            named = [re.split(r", (?:both|all \d+) losses do ", name)[0] for name in named]
            known.append(([words[name] for name in named], part))
    return known


def hold_to_the_tables(found: pages.Published) -> None:
    """The answer of a report, read as a reader reads it, says what stands in the tables of means and of pairs."""
    condition = found.results.conditions[0]
    ranking = found.found.ranking.set_index(["condition", "setting", "loss"])["mean"].sort_index()
    checked = 0
    for settings, said in sentences_by_setting(found):
        advice = re.search(r"use ((?:`[^`]+`(?:, | or )?)+): ", said)
        worse = re.search(r"[.)] ((?:`[^`]+`(?:, | and )?)+) (?:is|are) worse, too", said)
        for setting in settings:
            verdicts = found.found.matrices[condition, setting].set_index(["loss", "other"])["verdict"].sort_index()
            best = (
                ranking[condition, setting].idxmin()
                if found.results.better == "min"
                else ranking[condition, setting].idxmax()
            )
            if advice:
                use = re.findall(r"`([^`]+)`", advice[1])
                for loss in use:
                    assert not any(
                        verdicts[other, loss] == "better" for other in found.results.losses if other != loss
                    ), (setting, loss)
                assert any(verdicts[use[0], other] == "better" for other in found.results.losses if other != use[0])
                for loss in re.findall(r"`([^`]+)`", worse[1]) if worse else []:
                    assert verdicts[use[0], loss] == "better", (setting, loss)
                checked += 1
            if equal := re.search(r"((?:`[^`]+`(?:, | and )?)+) do equally well", said):
                same = re.findall(r"`([^`]+)`", equal[1])
                assert all(verdicts[same[0], other] == "equivalent" for other in same[1:]), setting
                checked += 1
            if re.search(r"(both|all \d+) losses do equally well", said):
                assert set(verdicts[best, :]) == {"equivalent"}, setting
                checked += 1
            if "no loss is shown to be better than another" in said:
                assert not (verdicts[:, best] == "better").any(), setting
                assert not (verdicts[best, :] == "better").any(), setting
                checked += 1
            number = re.search(r"test [^:]*? (\d+(?:\.\d+)?)(?: to (\d+(?:\.\d+)?))?(?=[,;] |\. )", said)
            if number and advice and len(settings) == 1:
                means = [float(ranking[condition, setting, loss]) for loss in use]
                assert float(number[1]) == pytest.approx(min(means), rel=0.01)
                assert float(number[2] or number[1]) == pytest.approx(max(means), rel=0.01)
    assert checked >= min(2, len(found.results.settings) - len(found.results.twins))
