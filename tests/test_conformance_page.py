"""Every loss is held to a reference, and docs/conformance.md says to which. The comparison itself: `make conformance`."""

from pathlib import Path

import pytest

from conformance.table import ROWS, Row
from conformance.write_page import PAGE, settings
from losslab import config, losses


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_has_a_reference_in_a_space_that_it_reads(name: str) -> None:
    rows = [row for row in ROWS if row.loss == name]
    assert rows
    for row in rows:
        params = config.check_hyperparameters(name, row.params)
        assert row.space in config.reads(params | {"name": name})
        assert row.tolerance <= 2e-5


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.loss}-{row.space}-{row.settings()}")
def test_the_page_shows_every_row_and_its_convention(row: Row) -> None:
    text = PAGE.read_text()
    lines = [line for line in text.splitlines() if line.startswith(f"| `{row.loss}` | {row.space} | ")]
    shown = [line for line in lines if settings([row]) in line and row.note in line]
    assert shown, f"{row.loss} {row.settings()}: make conformance writes the page anew"


def test_the_page_is_linked() -> None:
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text()
    assert "docs/conformance.md" in readme
    assert "make conformance" in readme
