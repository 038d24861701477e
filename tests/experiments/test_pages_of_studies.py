"""The pages of published studies say what their records say: each is what its template gives today."""

import re
from pathlib import Path

import pages
import pytest

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = ROOT / "docs/findings.md"


@pytest.mark.slow
@pytest.mark.parametrize("study", pages.studies())
def test_a_page_is_what_its_records_give(study: str) -> None:
    page, in_short = pages.render(study)
    assert (ROOT / "experiments" / study / "README.md").read_text(encoding="utf-8") == page
    assert f"| {in_short} |" in FINDINGS.read_text(encoding="utf-8")


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


def test_a_page_says_which_way_a_difference_goes() -> None:
    """Of two losses that are told apart, each is said to be better or worse by the same size; of others, neither is."""
    found = pages.Published("outliers_first_look")
    assert found.versus("l1", "mse", fraction=0.2).startswith("better than `mse` by ")
    assert found.versus("mse", "l1", fraction=0.2).startswith("worse than `l1` by ")
    sizes = [found.versus(*pair, fraction=0.2).split(" by ")[1] for pair in (("l1", "mse"), ("mse", "l1"))]
    assert sizes[0] == sizes[1]
    for pair in (("l1", "mse"), ("mse", "l1")):
        assert not re.search("better|worse", found.versus(*pair, fraction=0))
    with pytest.raises(LookupError):
        found.at(fraction=0.123)
