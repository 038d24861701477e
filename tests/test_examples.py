"""The notebooks in examples/ run from the first cell to the last; the data are those that its page names, and can be asked about."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from losslab.request.own_data import Options, ask, study_of

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
CARDS = sorted(EXAMPLES.glob("tables/*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, cell in enumerate(json.loads(path.read_text())["cells"]):
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "kept without outputs, so that what is shown was run"
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), names)
    assert (tmp_path / "runs" / "diabetes" / "report.html").exists()


def test_every_file_of_data_has_its_source_licence_and_checksum() -> None:
    rows = re.findall(
        r"^\| \[([^]]+)\]\([^)]+\)[^|]* \| ([^|]+) \| ([^|]+) \| `(\w+)` \|$",
        (EXAMPLES / "README.md").read_text(),
        re.M,
    )
    found = {name: digest for name, _, _, digest in rows}
    files = {
        str(path.relative_to(EXAMPLES)): [path] for path in EXAMPLES.rglob("*") if path.suffix in (".csv", ".json")
    }
    files["trees"] = sorted((EXAMPLES / "trees").glob("*.jpg"))
    assert set(found) == set(files)
    for name, paths in files.items():
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
        assert digest.startswith(found[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("card", CARDS, ids=[path.stem for path in CARDS])
def test_a_card_asks_a_study_under_every_split(card: Path) -> None:
    for split in ("random", "group", "time"):
        question = ask(card, Options(words=(f"data.split={split}", "data.folds=5")))
        assert study_of(question, card.stem, "").base["data"]["split"] == split
    traits = next(line for line in (EXAMPLES / "README.md").read_text().splitlines() if f"[{card.stem}]" in line)
    assert ("heavy-tailed" in traits) == any("heavy tails" in doubt for doubt in question.doubts)
    assert ("imbalanced" in traits) == any("imbalanced" in doubt for doubt in question.doubts)
    assert f" {question.rows:,} " in traits
