"""The table of injected faults is made from tallies as it should be."""

import importlib.util
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest
from faults.tally import Tally

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("inject_faults", EXPERIMENTS / "inject_faults.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n ").split("|")]


def test_a_table_has_a_row_a_tally_and_the_sums(script: ModuleType) -> None:
    found = [Tally("killed", 50, 200, lost=1, seconds=3.2), Tally("torn", 1000, doubled=2, tracebacks=3, stray=4)]
    by = {"commit": "0123", "seed": 7, "versions": {"torch": "2"}}
    kept = {
        name: {"by": by, "tallies": [asdict(tally)]}
        for name, tally in zip(("files", "kills"), found[::-1], strict=True)
    }
    table, made = script.markdown(kept).strip().split("\n\n")
    assert made == "Made by commit 0123, seed 7, torch 2."
    header, _, *rows = table.splitlines()
    assert cells(header) == list(script.COLUMNS)
    assert [cells(row) for row in rows] == [
        ["killed", "50", "200", "1", "0", "0", "0", "3"],
        ["torn", "1,000", "0", "0", "2", "3", "4", "0"],
        ["all", "1,050", "200", "1", "2", "3", "4", "3"],
    ]
