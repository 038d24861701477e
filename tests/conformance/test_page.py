"""Every loss of the registry is compared with a reference, and docs/conformance.md says so. The extra is not needed here."""

import math
import re
import tomllib
from pathlib import Path

import pytest

from conformance.page import PAGE, comparisons
from conformance.references import Formula
from conformance.table import ROWS
from losslab import losses
from losslab.schema import cards

ROOT = Path(__file__).resolve().parents[2]


def cells() -> list[list[str]]:
    """Those of the page's table."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("name", losses.names())
def test_a_loss_is_compared_in_each_space_that_it_reads(name: str) -> None:
    rows = [row for row in ROWS if row.loss == name]
    assert rows
    assert {row.space for row in rows} >= set(cards.card("loss", name).about.get("reads", []))


@pytest.mark.parametrize("name", losses.names())
def test_the_gradient_of_a_loss_is_compared(name: str) -> None:
    assert any(row.has_gradient() for row in ROWS if row.loss == name)


@pytest.mark.parametrize("name", losses.names())
def test_the_page_has_a_row_for_a_loss(name: str) -> None:
    assert f"`{name}`" in [row[0] for row in cells()], "`make conformance` writes the page"


def test_the_page_has_the_comparisons_that_are_made() -> None:
    said = {(row[0].strip("`"), row[1], row[5]) for row in cells()}
    assert said == {(one.loss, one.inputs, one.note) for one in comparisons(ROWS)}, "`make conformance` writes the page"


def test_a_line_of_the_page_stands_for_every_setting_in_every_space_that_it_names() -> None:
    for rows in comparisons(ROWS).values():
        parts = [{row.space for row in rows}, {row.soft for row in rows}, {row.settings() for row in rows}]
        assert len(rows) == math.prod(len(part) for part in parts), rows[0]


def test_the_page_says_how_many_comparisons_there_are() -> None:
    assert f"{len(ROWS)} comparisons of {len(losses.names())} losses" in PAGE.read_text()


def test_every_library_that_is_asked_is_installed_by_the_extra_or_by_losslab() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["conformance"], "numpy"]  # as torch needs it
    there = {re.split(r"[<>=\[]", text)[0] for text in wanted}
    asked = {row.reference.name() for row in ROWS if not isinstance(row.reference, Formula)}
    assert asked <= there
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert {name.lower().replace("_", "-") for name in asked} <= pinned


def test_no_row_allows_a_large_difference() -> None:
    assert max(row.tolerance for row in ROWS) <= 3e-5
    exact = [row for row in ROWS if row.tolerance <= 1e-9]
    assert {row.loss for row in exact} == set(losses.names())


def test_the_page_is_linked() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "docs/conformance.md" in readme
    assert "make conformance" in readme
