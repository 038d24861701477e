"""The table of injected faults is made from tallies as it should be."""

from dataclasses import asdict
from pathlib import Path

from faults import inject
from faults.tally import Tally

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


LEAST = {  # times that the project promises
    "killed at a random moment": 50,
    "random command lines": 10_000,
    "mistyped keys": 1000,
    "files cut or garbled": 250,
    "processes on the same runs at once": 25,
    "runs in one fused command": 2000,
    "records that a sweep finds done": 10_000,
    "records that a report reads": 10_000,
}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n ").split("|")]


def test_a_table_has_a_row_a_tally_and_the_sums() -> None:
    found = [Tally("killed", 50, 200, lost=1, seconds=3.2), Tally("corrupt", 1000, doubled=2, tracebacks=3, stray=4)]
    by = {"commit": "0123", "seed": 7, "versions": {"torch": "2"}}
    kept = {
        name: {"by": by, "tallies": [asdict(tally)]}
        for name, tally in zip(("files", "kills"), found[::-1], strict=True)
    }
    table, made = inject.markdown(kept).strip().split("\n\n")
    assert made == "Made by commit 0123, seed 7, torch 2."
    header, _, *rows = table.splitlines()
    assert cells(header) == list(inject.COLUMNS)
    assert [cells(row) for row in rows] == [
        ["killed", "50", "200", "1", "0", "0", "0", "3"],
        ["corrupt", "1,000", "0", "0", "2", "3", "4", "0"],
        ["all", "1,050", "200", "1", "2", "3", "4", "3"],
    ]


def test_the_page_shows_what_was_promised_and_no_fault() -> None:
    page = PAGE.read_text().split("<!-- table -->")[1]
    rows = {
        row[0]: [int(cell.replace(",", "")) for cell in row[1:]] for row in map(cells, page.splitlines()[3:]) if row[1:]
    }
    for what, least in LEAST.items():
        times = sum(row[0] for name, row in rows.items() if name.endswith(what))
        assert times >= least, what
    assert all(row[2:6] == [0, 0, 0, 0] for row in rows.values())
    assert max(row[6] for name, row in rows.items() if name.startswith("records")) <= 60
